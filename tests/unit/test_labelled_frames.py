"""Every extracted picture carries the number and the label that it should; seeking gives what a whole decode gives."""

import tarfile
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.camera_pictures import rounded
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.video import VideoReader
from scripts.datasets.labelled_frames import rows_by_count, rows_by_time, segments, slack_of, stretches
from scripts.datasets.picture_form import Form
from tests.unit.examples import every_ms
from tests.unit.frame_dataset import extract, interval, of_import, recorded
from tests.unit.made_media import UNEVEN, numbered, picture_of, run_import

OF_NASA = [interval("start", 0, 0.02), interval("sky", 1.0, 1.3), interval("end", 12.9, 20)]


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Six seconds of ten pictures a second."""
    return recorded(tmp_path_factory.mktemp("recording"))


@pytest.fixture(scope="module")
def nasa(tmp_path_factory, data):
    """Stream 3 of the clip of NASA."""
    clip = data / "video" / "nasa" / "nasa_13013.mp4"
    return run_import(
        tmp_path_factory.mktemp("nasa"), clip, cameras={"front": {"file": 0, "stream": 3}}, microphones={}
    )


def table_of(count: int, step_ms: float = 100) -> FrameTable:
    times = every_ms(step_ms, count)
    return FrameTable.make(times // 1000, times, keyframe=np.arange(count) % 10 == 0)


def test_a_frame_belongs_to_the_interval_that_holds_its_instant_and_not_to_the_one_that_stops_there():
    table = table_of(10)
    slack_ns = slack_of(table.period_ns)
    assert rows_by_time(table, interval("a", 0.2, 0.5), slack_ns) == (2, 5)
    assert rows_by_time(table, interval("b", 0.5, 0.5), slack_ns) == (5, 5)
    assert rows_by_time(table, interval("c", 0.45, 0.55), slack_ns) == (5, 6)
    assert rows_by_time(table, interval("d", 3, 4), slack_ns) == (10, 10)


@pytest.mark.parametrize(
    ("start", "stop"), [("10", "20"), ("10.5", "19.5"), ("0", "3"), ("29.97", "29.98"), ("100", "500")]
)
def test_the_old_rule_takes_the_frames_between_start_and_stop_that_are_neither(start, stop):
    rate = Fraction(30000, 1001)
    edges = [round(Fraction(edge) / rate * 10**9) for edge in (start, stop)]
    one = interval("a", 0, 1).__class__("t", "s", "", "", "a", edges[0], edges[1], 1)
    first, end = rows_by_count(np.arange(200), one, 0, rate)
    exact = [Fraction(edge) * rate / 10**9 for edge in edges]
    assert list(range(first, end)) == [n - 1 for n in range(1, 201) if exact[0] < n < exact[1]]


SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 15), st.sampled_from("abc")), min_size=1, max_size=8)


@given(SPANS, st.sampled_from(["first", "longest", "priority", "multilabel", "drop"]))
def test_every_labelled_frame_is_in_exactly_one_segment_and_the_rule_chooses_its_label(spans, rule):
    intervals = [interval(label, first, first + length, line) for line, (first, length, label) in enumerate(spans)]
    ranges = [(first, first + length) for first, length, _ in spans]
    found = segments(ranges, intervals, rule, ["c", "b"])
    assert all(one.stop <= other.first for one, other in pairwise(found))
    label_of = {row: segment for segment in found for row in range(segment.first, segment.stop)}
    for row in range(60):
        active = [k for k, (first, stop) in enumerate(ranges) if first <= row < stop]
        assert (row in label_of) == bool(active)
        if not active:
            continue
        labels = sorted({intervals[k].label for k in active})
        wanted = {
            "first": intervals[active[0]].label,
            "longest": intervals[max(active, key=lambda k: (spans[k][1], -k))].label,
            "priority": min(labels, key="cba".index),
            "multilabel": "+".join(labels),
            "drop": labels[0] if len(labels) == 1 else "",
        }
        assert label_of[row].label == wanted[rule]
        assert label_of[row].labels == tuple(labels)


def test_a_priority_does_not_heed_the_case_as_a_map_does_not():
    intervals = [interval("Run", 0, 2), interval("sit", 1, 3), interval("lie", 1, 3)]
    for priority in (["SIT", "run"], ["sit", "Run"], [" Sit", "RUN"]):
        found = segments([(0, 20), (10, 30), (10, 30)], intervals, "priority", priority)
        assert [(one.first, one.stop, one.label) for one in found] == [(0, 10, "Run"), (10, 20, "sit"), (20, 30, "sit")]


def test_overlaps_that_are_an_error_name_both_lines():
    intervals = [interval("walk", 0, 2, 4), interval("run", 1, 3, 9)]
    with pytest.raises(InputError, match=r"`walk` \(line 4\) and `run` \(line 9\) overlap"):
        segments([(0, 20), (10, 30)], intervals, "error")
    assert len(segments([(0, 20), (10, 30)], [interval("walk", 0, 2), interval("walk", 1, 3)], "error")) == 2


@given(st.sets(st.integers(0, 299), min_size=1), st.sets(st.integers(1, 299)))
def test_what_is_decoded_covers_every_wanted_row_and_jumps_only_over_gaps_with_a_keyframe_inside(rows, keyframes):
    wanted = np.array(sorted(rows))
    keys = np.array(sorted({0, *keyframes}))
    parts = list(stretches(wanted, keys))
    assert np.concatenate([part for _, part in parts]).tolist() == wanted.tolist()
    reached = -1
    for start, part in parts:
        assert start in keys
        assert start <= part[0]
        assert not ((keys > start) & (keys <= part[0])).any()
        if reached >= 0:
            assert start > reached
        reached = part[-1]


def test_every_picture_carries_the_number_and_the_label_that_it_should(recording, tmp_path):
    labels = [interval("walk", 1, 2, 1), interval("run", 2, 2.55, 2), interval("walk", 4.95, 9, 3)]
    found = of_import(tmp_path, recording, labels)
    wanted = [(k, "walk") for k in range(10, 20)] + [(k, "run") for k in range(20, 26)]
    wanted += [(k, "walk") for k in range(50, 60)]
    assert [(row["frame"], row["label"]) for row in found.rows] == wanted
    assert found.numbers() == [number for number, _ in wanted]
    assert [row["time_ns"] for row in found.rows] == [number * 10**8 for number, _ in wanted]
    assert [row["place"] for row in found.rows] == [*range(10), *range(6), *range(10)]
    assert found.rows[0]["name"] == "take_c1_000010"


def test_frames_of_every_outcome_add_up_to_those_of_the_video(recording, tmp_path):
    labels = [interval("walk", 1, 3, 1), interval("run", 2, 4, 2), interval("late", 70, 80, 3)]
    found = of_import(tmp_path, recording, labels, overlaps="drop", stride=3, excluded=[(1.0, 1.05, "blurred")])
    assert found.counts == {
        ("written", ""): 7,
        ("filtered", "overlap"): 10,
        ("filtered", "stride"): 12,
        ("filtered", "excluded"): 1,
        ("filtered", "unlabelled"): 30,
        ("filtered", "no_frame"): 0,
    }
    assert sum(found.counts.values()) == 60
    assert len({(row.recording, row.item) for row in found.ledger}) == len(found.ledger)


def test_the_live_preset_names_and_numbers_as_the_old_system_did(recording, tmp_path):
    live = {"names": "S{subject}C{camera}{frame:06d}", "first_frame": 1, "edges": "open_counts", "rate": "10"}
    labels = [interval("a", 1, 2, 1), interval("b", 1.5, 2.5, 2)]
    found = of_import(tmp_path, recording, labels, **live, fields={"subject": "5", "camera": "2"})
    # 10 < n < 20 is a; b has what is left of 15 < n < 25.
    assert [row["name"] for row in found.rows] == [f"S5C2{n:06d}" for n in range(11, 25)]
    assert [row["label"] for row in found.rows] == ["a"] * 9 + ["b"] * 5
    assert found.numbers() == [n - 1 for n in range(11, 25)]


def test_frames_of_a_clip_are_those_that_others_have_decoded_bit_by_bit(nasa, data, tmp_path):
    found = of_import(tmp_path, nasa, OF_NASA)
    by_frame = {row["frame"]: row for row in found.rows}
    for number in (0, 35, 389):
        known = cv2.imread(str(data / "video" / "nasa" / f"ref_stream3_frame{number:06d}.png"))
        assert (found.picture(by_frame[number]) == known).all()


@pytest.mark.parametrize(
    "form", [{}, {"size": 64, "format": "jpg"}, {"stride": 5}], ids=["png", "small jpg", "every fifth"]
)
def test_seeking_gives_what_a_whole_decode_gives_byte_for_byte(nasa, tmp_path, form, monkeypatch):
    sought = of_import(tmp_path / "sought", nasa, OF_NASA, **form)
    # Nothing is a reason to seek, or to leave a picture out.
    monkeypatch.setattr("scripts.datasets.labelled_frames.SEEK_ROWS", 10**6)
    monkeypatch.setattr("scripts.datasets.extract_labelled_frames.is_among", lambda rows, row: True)
    whole = of_import(tmp_path / "whole", nasa, OF_NASA, **form)
    assert sought.tar.read_bytes() == whole.tar.read_bytes()
    assert sought.rows == whole.rows


def test_only_what_is_labelled_is_decoded(nasa, tmp_path, monkeypatch):
    shown = []
    plain = VideoReader.__iter__

    def counted(self):
        for picture in plain(self):
            shown.append(round(picture.pts * picture.time_base * 1_000_000))
            yield picture

    monkeypatch.setattr(VideoReader, "__iter__", counted)
    found = of_import(tmp_path, nasa, [interval("end", 12.9, 20)])
    table = FrameTable.read(nasa.folder / "front.frames.parquet")
    rows = [row["frame"] for row in found.rows]
    before = int(np.flatnonzero(table.keyframe & (table.frame <= rows[0]))[-1])
    assert before > 0
    needed = {int(pts) for pts in table.pts_us[rows]}
    with VideoReader(nasa.folder / "front.mp4") as reader:
        reader.wanted = lambda instant: False
        others_come_from = {round(picture.pts * picture.time_base * 1_000_000) for picture in plain(reader)}
    needed |= {pts for pts in others_come_from if pts >= table.pts_us[before]}
    assert sorted(shown) == sorted(needed)
    assert len(shown) < 390 - before


@given(st.integers(-(10**12), 10**12), st.sampled_from([1, 2, 1000, 1001, 30000, 90000, 10**6]))
def test_times_are_rounded_as_fractions_are(over, under):
    assert rounded(over, under) == round(Fraction(over, under))


def test_uneven_times_choose_frames_by_their_own_instants(tmp_path):
    made = recorded(tmp_path / "uneven", count=1)
    from tests.unit.made_media import Pictures, write_media

    video = write_media(tmp_path / "uneven.mp4", Pictures(UNEVEN))
    made = run_import(tmp_path / "media", video, microphones={})
    found = of_import(tmp_path / "out", made, [interval("a", UNEVEN[3] - 1e-5, UNEVEN[10] - 1e-5)])
    assert found.numbers() == list(range(3, 10))


@pytest.mark.parametrize(
    ("resize", "size", "wanted"),
    [
        ("squash", 64, (64, 64)),
        ("squash", [80, 40], (40, 80)),
        ("short_side", 60, (60, 80)),
        ("crop", 64, (64, 64)),
        ("pad", 64, (64, 64)),
    ],
)
def test_pictures_have_the_size_and_show_the_same(resize, size, wanted):
    # A bright left half and a dark right one, 160 x 120.
    image = np.full((120, 160), 40, np.uint8)
    image[:, :80] = 200
    rgb = Form.of(size, resize, "png", 90).pixels(picture_of(image))
    assert rgb.shape == (*wanted, 3)
    middle, edge = rgb[wanted[0] // 2, :, 0].astype(int), wanted[1] // 2
    assert middle[edge - 3] - middle[edge + 3] > 120
    bars = [int(rgb[k, 2, 0]) for k in (0, -1)]
    assert (max(bars) == 0) == (resize == "pad")


def test_a_shrunk_pixel_is_the_mean_of_what_it_covers():
    image = np.random.default_rng(5).integers(16, 236, (120, 160)).astype(np.uint8)
    rgb = Form.of([16, 12], "squash", "png", 90).pixels(picture_of(image))
    mean = image.reshape(12, 10, 16, 10).mean(axis=(1, 3))
    assert np.abs(rgb[..., 1] - (mean - 16) * 255 / 219).max() < 1.6


@pytest.mark.parametrize("resize", ["squash", "short_side", "crop", "pad"])
def test_a_picture_does_not_depend_on_those_before_it(resize):
    rng = np.random.default_rng(8)
    sizes = [(120, 160), (90, 160), (120, 160), (40, 30), (120, 160)]
    pictures = [picture_of(rng.integers(16, 236, size).astype(np.uint8)) for size in sizes]
    kept = Form.of(64, resize, "png", 90)
    for picture in pictures:
        assert (kept.pixels(picture) == Form.of(64, resize, "png", 90).pixels(picture)).all()


def test_jpg_has_the_same_quality_from_the_first_to_the_last(recording, tmp_path):
    found = of_import(tmp_path, recording, [interval("all", 0, 9)], format="jpg", quality=80)
    with tarfile.open(found.tar) as archive:
        tables = set()
        for member in archive:
            payload = archive.extractfile(member).read()
            start = payload.index(b"\xff\xdb")
            tables.add(payload[start : start + 67])
    assert len(tables) == 1
    assert len(found.rows) == 60


def test_a_camera_whose_import_failed_has_no_pictures(tmp_path, recording):
    FrameTable.empty().write(tmp_path / "none.frames.parquet")
    paths = (tmp_path / "none.mp4", tmp_path / "none.frames.parquet", recording.folder / "manifest.json")
    with pytest.raises(InputError, match="its import failed"):
        extract(tmp_path, *paths, [interval("a", 0, 1)])


def test_frames_of_a_camera_without_intervals_are_unlabelled(recording, tmp_path):
    found = of_import(tmp_path, recording, [])
    assert found.rows == []
    assert found.counts == {("filtered", "unlabelled"): 60}


def test_the_number_in_a_small_jpg_can_still_be_read(recording, tmp_path):
    found = of_import(tmp_path, recording, [interval("all", 0, 9)], size=[160, 120], format="jpg", quality=60)
    assert found.numbers() == list(range(60))
    assert numbered(3).shape == (120, 160)
