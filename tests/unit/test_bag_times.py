"""Times by stamps, where they can be believed: of a camera's pictures, and of a microphone with another zero."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
from hypothesis import assume, given
from hypothesis import strategies as st

from scripts.sources.picture_table import PictureTable
from scripts.sources.stamp_belief import StampTimes, clock_offsets
from tests.unit.bag_maker import (
    COMPRESSED,
    DRIVERS,
    MS,
    PERIOD_NS,
    RAW_AUDIO,
    START_NS,
    Export,
    Ros,
    as_uint8,
    export,
    picture,
)

RAW = "foxglove_msgs/msg/RawAudio"
STAMPED = "audio_common_msgs/msg/AudioDataStamped"
RATE_HZ = 8_000


def stamped(tmp_path: Path, stamps_ns: list[int], logs_ns: list[int], time: str = "auto") -> Export:
    ros = Ros(1)
    jpeg = cv2.imencode(".jpg", picture())[1].tobytes()
    for stamp_ns, log_ns in zip(stamps_ns, logs_ns, strict=True):
        ros.send(log_ns, "/cam", COMPRESSED, header=ros.header(stamp_ns), format="jpeg", data=as_uint8(jpeg))
    return export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {"cam": {"topic": "/cam", "time": time}})


def test_a_stamp_of_zero_is_replaced_by_the_log_time_and_said(tmp_path: Path) -> None:
    grid = [START_NS + k * PERIOD_NS for k in range(6)]
    made = stamped(tmp_path, [0] * 6, grid)
    assert made.frames("cam").time_ns.tolist() == grid
    assert made.manifest["streams"]["cam"]["stamps"] == {"zero_stamps": 6}
    assert "cam: stamps of zero, replaced by the log time less the usual delay: 6" in made.manifest["warnings"]


def test_the_rig_may_ask_for_the_log_time(tmp_path: Path) -> None:
    grid = [START_NS + k * PERIOD_NS for k in range(6)]
    assert stamped(tmp_path, [t - MS for t in grid], grid, "log").frames("cam").time_ns.tolist() == grid


def wrong_at(grid: list[int], wrong: dict[int, int]) -> list[int]:
    return [wrong.get(k, t) for k, t in enumerate(grid)]


@pytest.mark.parametrize(
    ("wrong", "count"),
    [
        ({50: 0}, {"zero_stamps": 1}),
        ({50: 49}, {"repeated_stamps": 1}),
        ({50: 51, 51: 50}, {"stamps_out_of_order": 1}),
        ({50: 150}, {"stamps_out_of_order": 1}),
        ({50: -25}, {"stamps_out_of_order": 1}),
        ({98: 97, 99: 97}, {"repeated_stamps": 1, "stamps_out_of_order": 1}),
    ],
    ids=["zero", "repeated", "swapped", "ahead", "back", "three-alike-at-the-end"],
)
@pytest.mark.parametrize("delay_ms", [1, 41, 200])
def test_a_wrong_stamp_moves_its_own_picture_alone(
    tmp_path: Path, wrong: dict[int, int], count: dict[str, int], delay_ms: int
) -> None:
    # A second without pictures in front of them: its length is not the usual step.
    grid = [START_NS + (k + 25 * (k >= 49)) * PERIOD_NS for k in range(100)]
    at = {k: START_NS + (n + 25 * (n >= 49)) * PERIOD_NS if n else 0 for k, n in wrong.items()}
    made = stamped(tmp_path, wrong_at(grid, at), [t + delay_ms * MS for t in grid])
    off_ms = (made.frames("cam").time_ns - np.array(grid)) / MS
    assert np.flatnonzero(off_ms).tolist() in (list(wrong), list(wrong)[:1], [])
    assert np.abs(off_ms).max() <= PERIOD_NS / MS * len(wrong)
    assert made.manifest["streams"]["cam"]["stamps"] == count


@given(
    steps_ms=st.lists(st.integers(1, 3_000), min_size=3, max_size=40),
    at=st.integers(1, 1_000),
    off_ms=st.integers(-9_000, 9_000),
    delay_ms=st.integers(0, 3_000),
)
def test_whatever_one_stamp_says_all_others_stay(steps_ms: list[int], at: int, off_ms: int, delay_ms: int) -> None:
    true_ns = START_NS + np.cumsum([0, *steps_ms]) * MS
    at = 1 + at % (len(true_ns) - 2)
    stamps = true_ns.copy()
    stamps[at] += off_ms * MS
    # Of two alike nobody knows which one is wrong.
    assume(stamps[at] != stamps[at + 1])
    table = PictureTable("auto", StampTimes(delay_ms * MS))
    instants = [table.times.choose(int(t), int(log) + delay_ms * MS) for t, log in zip(stamps, true_ns, strict=True)]
    latest_us = [-1]
    for k, instant in enumerate(instants):
        after = instants[k + 1] if k + 1 < len(instants) else None
        fits = lambda pts_us: pts_us > latest_us[0]  # noqa: E731
        latest_us[0] = table.place(instant, k, keyframe=True, fits=fits, after=after)
    off_ns = np.abs(table.make().time_ns - true_ns)
    assert np.delete(off_ns, at).max() == 0


def test_packets_whose_next_one_is_not_known_catch_up_after_a_pause_and_a_stamp_that_repeats() -> None:
    table = PictureTable("auto")
    true_ns = [START_NS + (k + 25 * (k >= 49)) * PERIOD_NS for k in range(100)]
    latest_us = -1
    for k, time_ns in enumerate(wrong_at(true_ns, {50: true_ns[49]})):
        fits = lambda pts_us, least=latest_us: pts_us > least  # noqa: E731
        latest_us = table.place(table.times.choose(time_ns, true_ns[k] + MS), k, keyframe=True, fits=fits)
    off_ns = table.make().time_ns - np.array(true_ns)
    assert np.flatnonzero(off_ns).tolist() == [50]
    assert abs(off_ns[50]) == PERIOD_NS // 2


@pytest.mark.parametrize("back_s", [0.6, 3, 8])
def test_a_clock_that_is_set_back_and_right_again_keeps_the_distances(tmp_path: Path, back_s: float) -> None:
    grid = [START_NS + k * PERIOD_NS for k in range(200)]
    stamps = [t - (round(back_s * 1e9) if 60 <= k < 120 else 0) for k, t in enumerate(grid)]
    frames = stamped(tmp_path, stamps, [t + (3 + k % 4) * MS for k, t in enumerate(grid)]).frames("cam")
    assert np.abs(frames.time_ns - np.array(grid)).max() <= PERIOD_NS // 2
    assert not frames.gap_before_ns.any()


def two_cameras(tmp_path: Path, zero_ns: int, time: str = "auto") -> Export:
    """Two cameras at once, of which the second one's clock has its zero elsewhere."""
    ros = Ros(2)
    jpeg = as_uint8(cv2.imencode(".jpg", picture())[1].tobytes())
    for k in range(50):
        time_ns = START_NS + k * PERIOD_NS
        for topic, stamp_ns in (("/a", time_ns), ("/b", time_ns + zero_ns)):
            ros.send(time_ns + 2 * MS, topic, COMPRESSED, header=ros.header(stamp_ns), format="jpeg", data=jpeg)
    cameras = {"a": {"topic": "/a"}, "b": {"topic": "/b", "time": time}}
    return export(ros.write(tmp_path / "two.mcap"), tmp_path / "out", cameras)


@pytest.mark.parametrize("zero_ns", [5_000_000_000 - START_NS, -1_800 * 10**9, 86_400 * 10**9])
def test_a_camera_whose_clock_was_not_set_is_brought_onto_that_of_the_recording(tmp_path: Path, zero_ns: int) -> None:
    made = two_cameras(tmp_path, zero_ns)
    assert np.abs(made.frames("b").time_ns - made.frames("a").time_ns).max() <= 2 * MS
    timeline = made.manifest["timeline"]
    assert timeline["stop_ns"] - timeline["start_ns"] < 3 * 10**9
    said = f"b: its stamps are those of a clock {zero_ns / 1e9:+.3f} s from the recording's, moved onto it"
    assert said in [
        line.replace(f"{(zero_ns - 2 * MS) / 1e9:+.3f}", f"{zero_ns / 1e9:+.3f}") for line in made.manifest["warnings"]
    ]


def camera_and_microphone(tmp_path: Path, block_ms: int, kind: str, stamp: str, **part: float) -> Export:
    """A camera whose log delay is 2 ms, and a microphone whose clock counts from its own start; both begin at once."""
    ros = Ros(2, {RAW: RAW_AUDIO, **DRIVERS})
    jpeg = as_uint8(cv2.imencode(".jpg", picture())[1].tobytes())
    for k in range(75):
        time_ns = START_NS + k * PERIOD_NS
        ros.send(time_ns + 2 * MS, "/cam", COMPRESSED, header=ros.header(time_ns), format="jpeg", data=jpeg)
    for block, samples in enumerate(np.arange(3 * RATE_HZ, dtype="<i2").reshape(3_000 // block_ms, -1)):
        data = as_uint8(samples.tobytes())
        start_ms, end_ms = block * block_ms, (block + 1) * block_ms
        stamp_ns = (end_ms if stamp == "block_end" else start_ms) * MS
        log_ns = START_NS + end_ms * MS + MS // 2
        if kind == RAW:
            form = {"format": "pcm-s16", "sample_rate": RATE_HZ, "number_of_channels": 1}
            ros.send(log_ns, "/mic", RAW, timestamp=ros.time(stamp_ns), data=data, **form)
        else:
            audio = ros.make("audio_common_msgs/msg/AudioData", data=data)
            ros.send(log_ns, "/mic", kind, header=ros.header(stamp_ns), audio=audio)
    setting = {"topic": "/mic", "stamp": stamp, "rate_hz": RATE_HZ, "channels": 1, "sample_format": "s16le"}
    return export(ros.write(tmp_path / "two.mcap"), tmp_path / "out", {"cam": "/cam"}, {"mic": setting}, **part)


@pytest.mark.parametrize("block_ms", [10, 200, 1_000])
@pytest.mark.parametrize(
    ("kind", "stamp"), [(RAW, "auto"), (RAW, "block_start"), (RAW, "block_end"), (STAMPED, "block_start")]
)
def test_a_microphone_with_another_zero_is_no_block_late(tmp_path: Path, block_ms: int, kind: str, stamp: str) -> None:
    made = camera_and_microphone(tmp_path, block_ms, kind, stamp)
    assert abs(made.clock("mic").start_ns - (START_NS + MS // 2)) <= 1
    apart_s = (START_NS + MS // 2) / 1e9
    said = f"mic: its stamps are those of a clock -{apart_s:.3f} s from the recording's, moved onto it"
    assert said in made.manifest["warnings"]


def test_a_part_of_a_microphone_with_another_zero_begins_with_that_of_the_camera(tmp_path: Path) -> None:
    made = camera_and_microphone(tmp_path, 200, RAW, "auto", start_s=1.0, stop_s=2.0)
    assert made.frames("cam").time_ns[0] == START_NS + 10**9
    assert abs(made.clock("mic").start_ns - (START_NS + 10**9)) <= MS // 8
    first = RATE_HZ - RATE_HZ // 2_000
    samples, _ = soundfile.read(made.folder / "mic.wav", dtype="int16")
    assert samples.tolist() == list(range(first, first + RATE_HZ))


def test_stamps_of_another_clock_are_believed_where_the_rig_says_so(tmp_path: Path) -> None:
    made = two_cameras(tmp_path, -1_800 * 10**9, "stamp")
    assert (made.frames("a").time_ns - made.frames("b").time_ns == 1_800 * 10**9).all()
    assert any("believed, as `time: stamp` asks" in line for line in made.manifest["warnings"])


def test_a_bag_that_was_played_again_keeps_its_stamps() -> None:
    year_ns = 365 * 86_400 * 10**9
    assert clock_offsets([year_ns, year_ns + 3 * MS, None]) == [0, 0, 0]
    assert clock_offsets([year_ns, 2 * MS, None]) == [year_ns, 0, 0]
    assert clock_offsets([]) == []


@pytest.mark.parametrize("back_s", [0.1, 3, 3600])
def test_times_increase_strictly_though_the_clock_jumps_back(tmp_path: Path, back_s: float) -> None:
    grid = [START_NS + k * PERIOD_NS for k in range(12)]
    stamps = [t - (round(back_s * 1e9) if k >= 6 else 0) for k, t in enumerate(grid)]
    made = stamped(tmp_path, stamps, grid, "stamp")
    frames = made.frames("cam")
    assert np.all(np.diff(frames.time_ns) > 0)
    assert np.all(np.diff(frames.pts_us) > 0)
    assert len(made.decode("cam")) == 12
    assert made.manifest["warnings"]


@pytest.mark.parametrize("at", [0, 4, 7])
def test_a_single_stamp_far_off_is_not_believed(tmp_path: Path, at: int) -> None:
    grid = [START_NS + k * PERIOD_NS for k in range(8)]
    stamps = list(grid)
    stamps[at] += 7_200 * 10**9
    made = stamped(tmp_path, stamps, [t + MS for t in grid])
    assert made.frames("cam").time_ns.tolist() == grid
    assert made.manifest["streams"]["cam"]["stamps"] == {"unbelievable_stamps": 1}
    timeline = made.manifest["timeline"]
    assert timeline["stop_ns"] - timeline["start_ns"] == 8 * PERIOD_NS


@pytest.mark.parametrize("step_s", [-7.0, -1.5, 1.5, 7.0])
def test_a_clock_that_is_set_is_named_with_its_step_and_its_place(tmp_path: Path, step_s: float) -> None:
    grid = [START_NS + k * PERIOD_NS for k in range(300)]
    stamps = [t + (round(step_s * 1e9) if k >= 200 else 0) for k, t in enumerate(grid)]
    made = stamped(tmp_path, stamps, [t + (1 + k % 5) * MS for k, t in enumerate(grid)])
    assert made.manifest["streams"]["cam"]["stamps"]["clock_steps"] == 1
    assert f"cam: the clock of its stamps was set by {step_s:+.3f} s at its picture 200" in made.manifest["warnings"]
    assert np.all(np.diff(made.frames("cam").time_ns) > 0)


def test_a_machine_that_was_busy_for_two_seconds_has_set_no_clock(tmp_path: Path) -> None:
    grid = [START_NS + k * PERIOD_NS for k in range(400)]
    free_ns = grid[150] + 2_000 * MS
    logs = [t + MS if k < 150 else max(t + MS, free_ns + (k - 150) * MS) for k, t in enumerate(grid)]
    made = stamped(tmp_path, grid, logs)
    assert made.manifest["streams"]["cam"]["stamps"] == {}
    assert made.frames("cam").time_ns.tolist() == grid
