"""The constant latency of a microphone, from flashes and beeps whose distance is known."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import ledger
from scripts.common.clock import Clock
from scripts.common.errors import InputError
from scripts.media.brightness import flash_frames
from scripts.media.measure_latency import bounds_ms, common_interval, measure_latency
from tests.unit.made_media import NS
from tests.unit.side_by_side import START_NS, stamps, write_camera, write_microphone

# At no regular distance from the frames, so that together they say more than any of them.
FLASHES_S = [0.513, 1.507, 2.521, 3.529, 4.516, 5.5333, 6.512, 7.5377]


def measure(folder, events="flash"):
    measure_latency(
        folder / "front.mp4",
        folder / "front.frames.parquet",
        folder / "voice.wav",
        folder / "voice.clock.json",
        folder / "latency.tsv",
        folder / "latency.ledger.parquet",
        recording="take",
        product="latency",
        camera="front",
        microphone="voice",
        latency={"events": events},
    )
    row = ledger.rows(ledger.read([folder / "latency.ledger.parquet"]))[0]
    with (folder / "latency.tsv").open() as file:
        return row, list(csv.DictReader(file, delimiter="\t"))


def take(folder, latency_ms, *, corrected_ms=0.0, seconds=9.0):
    flashes = [START_NS + round(second * NS) for second in FLASHES_S if second < seconds]
    write_camera(folder, "front", stamps(25, seconds), flashes_ns=flashes)
    late = [flash + round(latency_ms * 1e6) for flash in flashes]
    clock = write_microphone(folder, "voice", seconds, beeps_ns=late, channels=2)
    Clock(**{**vars(clock), "latency_ms": corrected_ms}).write(folder / "voice.clock.json")


@pytest.mark.parametrize("latency_ms", [0.0, 12.0, -8.0, 93.5])
def test_the_latency_of_flashes_and_beeps_is_found_far_within_a_frame(tmp_path, latency_ms):
    take(tmp_path, latency_ms)
    row, events = measure(tmp_path)
    assert len(events) == len(FLASHES_S)
    assert row.value == pytest.approx(latency_ms, abs=5)
    bounds = np.array([[float(event["least_ms"]), float(event["most_ms"])] for event in events])
    assert (bounds[:, 0] - 0.3 <= latency_ms).all()
    assert (latency_ms <= bounds[:, 1] + 0.3).all()


def test_the_line_for_the_config_holds_what_was_corrected_before(tmp_path):
    take(tmp_path, 30.0, corrected_ms=20.0)
    row, _ = measure(tmp_path)
    assert f"set latency_ms: {20 + row.value:.3f} of voice" in row.message


def test_a_latency_that_may_be_none_is_no_reason_to_change_the_config(tmp_path):
    take(tmp_path, 0.0)
    row, _ = measure(tmp_path)
    assert "keep latency_ms as it is" in row.message
    assert "set latency_ms" not in row.message


def test_claps_are_given_as_frames(tmp_path):
    take(tmp_path, 10.0)
    frames = [int(np.ceil(second * 25)) for second in FLASHES_S]
    row, events = measure(tmp_path, events=frames)
    assert [int(event["frame"]) for event in events] == frames
    assert row.value == pytest.approx(10, abs=5)


def test_frames_that_are_not_there_are_named(tmp_path):
    take(tmp_path, 0.0, seconds=2.0)
    with pytest.raises(InputError, match="50 frames, not a frame 900"):
        measure(tmp_path, events=[3, 900])


def test_a_recording_without_events_is_filtered_and_says_what_to_do(tmp_path):
    write_camera(tmp_path, "front", stamps(25, 2))
    write_microphone(tmp_path, "voice", 2.0)
    row, events = measure(tmp_path)
    assert (row.outcome, row.reason, events) == ("filtered", "no_event", [])
    assert "record a few flashes" in row.message


def test_a_sound_far_from_every_picture_belongs_to_none():
    times = np.arange(100, dtype=np.int64) * 40_000_000
    events, bounds, sounds = bounds_ms(times, np.array([0, 10, 50]), np.array([405_000_000, 3_500_000_000]))
    assert events.tolist() == [1]
    assert bounds.tolist() == [[5.0, 45.0]]
    assert sounds.tolist() == [405_000_000]


@given(
    st.floats(-200, 200),
    st.lists(st.floats(0, 1), min_size=1, max_size=30),
    st.lists(st.floats(-400, 400), max_size=3),
)
def test_the_common_interval_holds_the_truth_where_most_events_are_right(truth, shares, wrong):
    right = [[truth - share * 40, truth + (1 - share) * 40] for share in shares]
    others = [[value, value + 40] for value in wrong]
    found = common_interval(np.array(right + others))
    if len(right) > 2 * len(others):
        assert found.agreeing >= len(right)
        assert abs(found.value_ms - truth) <= 40
    if not others:
        assert abs(found.value_ms - truth) <= found.half_width_ms + 1e-9


def test_a_flash_that_grows_over_two_frames_begins_with_the_first():
    luma = np.array([90, 90, 140, 200, 200, 90, 90, np.nan, 90, 200, 90])
    assert flash_frames(luma).tolist() == [2, 9]
    assert flash_frames(np.full(10, 90.0)).tolist() == []
    assert flash_frames(np.empty(0)).tolist() == []
