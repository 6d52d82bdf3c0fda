"""Constant frame rate without losing time."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import ledger, manifest
from scripts.common.bgr_picture import to_bgr
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.video import VideoReader, fitted, orientation, plane_arrays, turn_of
from scripts.media.conform_video import carried_gaps, choose_frames, conform_video, instants
from tests.unit.made_media import NS, Pictures, numbered, numbers_in, picture_of, run_import, write_media

REPO = Path(__file__).parents[2]
RATES = ["25", "30000/1001", "50", "24000/1001", "12"]


def ns(milliseconds):
    return np.array(milliseconds, np.int64) * 1_000_000


@st.composite
def frame_times(draw):
    steps = draw(st.lists(st.integers(1_000, 300_000_000), min_size=1, max_size=60))
    return draw(st.integers(-(10**9), 2 * 10**18)) + np.cumsum(np.array(steps, np.int64))


def conform(folder, made, *, fps="25", name="front", **changes):
    """Conform a camera of an import. Returns the paths of the video and its table."""
    settings = {"recording": "take", "camera": name, "fps": fps, "crf": 18, "preset": "ultrafast", **changes}
    video, frames = folder / f"{name}.conformed.mp4", folder / f"{name}.conformed.frames.parquet"
    conform_video(
        made.video(name),
        made.folder / f"{name}.frames.parquet",
        made.folder / "manifest.json",
        video,
        frames,
        folder / "conform.ledger.parquet",
        **settings,
    )
    return video, FrameTable.read(frames)


def hand_made(folder, times_ns, *, stop_ns=None, **columns):
    """The table and manifest of a video that stands in `folder` as front.mp4."""
    table = FrameTable.make((times_ns - times_ns[0]) // 1000, times_ns, **columns)
    table.write(folder / "front.frames.parquet")
    entry = manifest.picture_entry(table, **({} if stop_ns is None else {"stop_ns": stop_ns}))
    manifest.write(folder / "manifest.json", recording="take", source=[], streams={"front": entry})


class Folder:
    """Stands for an import that a test has laid out by hand."""

    def __init__(self, folder):
        self.folder = folder

    def video(self, name):
        return self.folder / f"{name}.mp4"


def test_a_gap_holds_the_last_frame_and_keeps_the_length():
    source = ns([0, 40, 80, 400, 440])
    shown = choose_frames(source, start_ns=0, stop_ns=480_000_000, fps=Fraction(25))
    assert shown.tolist() == [0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 4]


def test_outside_the_source_nothing_is_shown():
    shown = choose_frames(ns([120, 160, 200]), 0, 400_000_000, Fraction(25))
    assert shown.tolist() == [-1, -1, -1, 0, 1, 2, -1, -1, -1, -1]


def test_the_last_frame_stays_until_its_known_end():
    shown = choose_frames(ns([0, 40]), 0, 200_000_000, Fraction(25), end_ns=200_000_000)
    assert shown.tolist() == [0, 1, 1, 1, 1]


def test_a_single_frame_is_shown():
    assert choose_frames(ns([0]), 0, 80_000_000, Fraction(25)).tolist() == [0, -1]


def test_a_source_of_twice_the_rate_gives_every_second_frame_whatever_the_rounding():
    exact = instants(2000, Fraction(60000, 1001), Fraction(0))
    for rounded in (exact, exact // 1000 * 1000, (exact + 500) // 1000 * 1000, exact + 1):
        shown = choose_frames(rounded, 0, int(exact[-1]), Fraction(30000, 1001))
        assert shown.tolist() == list(range(0, 2 * len(shown), 2))


def test_a_length_that_lacks_a_rounding_of_its_last_frame_keeps_it():
    almost, short = 480_000_000 - 700_000, 480_000_000 - 900_000
    assert len(choose_frames(ns([0, 40]), 0, almost, Fraction(25))) == 12
    assert len(choose_frames(ns([0, 40]), 0, short, Fraction(25))) == 11


def test_instants_are_exact_after_a_day():
    rate, count = Fraction(30000, 1001), 30 * 86_400
    last = instants(count, rate, Fraction(1, 2))[-1]
    assert last == int((count - Fraction(1, 2)) / rate * NS)


@given(frame_times(), st.sampled_from(RATES), st.integers(-(10**8), 10**8), st.integers(0, 3 * 10**9))
def test_no_output_frame_shows_what_begins_after_its_middle(times, fps, before, length):
    rate, start = Fraction(fps), int(times[0]) - before
    shown = choose_frames(times, start, start + length, rate)
    for k, source in enumerate(shown.tolist()):
        middle = start + (k + Fraction(1, 2)) / rate * NS
        assert source < 0 or times[source] <= middle
        assert source < 0 or source + 1 == len(times) or times[source + 1] > middle - 1001


@given(frame_times(), st.sampled_from(RATES), st.integers(0, 3 * 10**9))
def test_the_output_has_the_length_of_the_timeline_and_never_goes_back(times, fps, length):
    rate, start = Fraction(fps), int(times[0])
    shown = choose_frames(times, start, start + length, rate)
    inside = shown[shown >= 0]
    assert 0 <= length * rate / NS - len(shown) + Fraction(2, 100) < 1
    assert (np.diff(inside) >= 0).all()
    assert (np.diff(np.flatnonzero(shown >= 0)) == 1).all()


@given(frame_times(), st.sampled_from(RATES))
def test_whatever_lasts_longer_than_an_output_frame_is_seen_within_half_a_frame(times, fps):
    rate, start, stop = Fraction(fps), int(times[0]), int(times[-1])
    shown = choose_frames(times, start, stop, rate)
    half = NS / rate / 2
    for source in range(len(times) - 1):
        if times[source + 1] - times[source] > 2 * half + 2000 and times[source] + 4 * half < stop:
            seen = np.flatnonzero(shown == source)
            assert len(seen)
            onset = start + int(seen[0]) / rate * NS
            assert abs(onset - int(times[source])) <= half + 1001


def test_a_gap_is_told_by_the_first_output_frame_after_it():
    gaps = np.array([0, 0, 300, 0, 50, 70])
    shown = np.array([-1, 0, 1, 1, 3, 3, 5, -1], np.int32)
    assert carried_gaps(gaps, shown).tolist() == [0, 0, 0, 0, 300, 0, 120, 0]


@pytest.fixture(scope="module")
def jumpy(tmp_path_factory):
    """Pictures at uneven times with B-frames and a gap, from 2.5 s on; imported."""
    steps = [0.033, 0.05, 0.02, 0.04] * 12
    steps[20] = 0.6
    times = 2.5 + np.cumsum([0.0, *steps])
    folder = tmp_path_factory.mktemp("jumpy")
    path = write_media(folder / "take.mp4", Pictures(times.tolist()))
    return run_import(folder / "media", path, microphones={})


@pytest.mark.parametrize("fps", ["25", "30000/1001"])
def test_every_conformed_picture_is_the_one_that_its_table_names(jumpy, tmp_path, fps):
    video, table = conform(tmp_path, jumpy, fps=fps)
    assert numbers_in(video) == table.source_frame.tolist()
    source = jumpy.frames()
    assert (table.time_ns == source.time_ns[table.source_frame]).all()
    assert table.gap_before_ns.sum() == source.gap_before_ns.sum() > 0.5e9


def test_the_table_tells_the_times_and_keyframes_of_the_encoded_file(jumpy, tmp_path):
    video, table = conform(tmp_path, jumpy, fps="30000/1001")
    with VideoReader(video) as reader:
        found = [(round(p.pts * p.time_base * 10**6), p.key_frame) for p in reader]
    assert found == list(zip(table.pts_us.tolist(), table.keyframe.tolist(), strict=True))
    assert table.pts_us[3] == 100_100
    assert np.flatnonzero(table.keyframe)[0] == 0


def test_the_ledger_counts_the_frames(jumpy, tmp_path):
    _, table = conform(tmp_path, jumpy)
    (row,) = ledger.rows(ledger.read([tmp_path / "conform.ledger.parquet"]))
    assert (row.step, row.item, row.outcome, row.value) == ("conform_video", "front", "written", len(table))


def test_the_same_bytes_come_out_on_one_core(jumpy, tmp_path):
    video, _ = conform(tmp_path, jumpy)
    once = video.read_bytes()
    (tmp_path / "alone").mkdir()
    call = (
        "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from pathlib import Path\n"
        "from tests.unit.test_conform_video import Folder, conform\n"
        "conform(Path(sys.argv[1]), Folder(Path(sys.argv[2])))"
    )
    arguments = [sys.executable, "-c", call, str(tmp_path / "alone"), str(jumpy.folder)]
    subprocess.run(arguments, cwd=REPO, check=True, env={**os.environ, "PYTHONPATH": str(REPO)})
    assert (tmp_path / "alone" / video.name).read_bytes() == once


def test_before_and_after_the_source_the_picture_is_black(tmp_path):
    write_media(tmp_path / "front.mp4", Pictures([k / 25 for k in range(10)]))
    hand_made(tmp_path, ns([k * 40 for k in range(10)]))
    facts = manifest.read(tmp_path / "manifest.json")
    streams = {**facts["streams"], "voice": {"kind": "sound", "start_ns": -200_000_000, "stop_ns": 0}}
    later = {"kind": "video", "start_ns": 0, "stop_ns": 600_000_000}
    manifest.write(tmp_path / "manifest.json", recording="take", source=[], streams={**streams, "side": later})
    video, table = conform(tmp_path, Folder(tmp_path))
    assert table.source_frame.tolist() == [-1] * 5 + list(range(10)) + [-1] * 5
    assert table.time_ns[:6].tolist() == ns([-200, -160, -120, -80, -40, 0]).tolist()
    with VideoReader(video) as reader:
        means = [to_bgr(picture).mean() for picture in reader]
    assert max(means[:5] + means[-5:]) < 2 < 40 < min(means[5:-5])


def test_damage_is_told_where_it_is_shown(tmp_path):
    write_media(tmp_path / "front.mp4", Pictures([k / 50 for k in range(10)]))
    damaged = np.arange(10) == 4
    hand_made(tmp_path, ns([k * 20 for k in range(10)]), tainted=damaged)
    _, table = conform(tmp_path, Folder(tmp_path))
    assert table.source_frame.tolist() == [0, 2, 4, 6, 8]
    assert table.tainted.tolist() == [False, False, True, False, False]


def test_where_a_damaged_frame_does_not_decode_the_one_before_it_stands_still(tmp_path):
    # As after a lost packet of HEVC: frames 3 and 4 stand in the table, and no decoder shows them.
    shown = [0, 1, 2, 5, 6]
    write_media(tmp_path / "front.mp4", Pictures([k / 25 for k in shown], draw=lambda k: numbered(shown[k])))
    hand_made(tmp_path, ns([k * 40 for k in range(7)]), tainted=np.isin(np.arange(7), [3, 4]))
    video, table = conform(tmp_path, Folder(tmp_path))
    assert numbers_in(video) == [0, 1, 2, 2, 2, 5, 6]
    assert table.source_frame.tolist() == [0, 1, 2, 2, 2, 5, 6]
    assert table.tainted.tolist() == [False, False, False, True, True, False, False]


def overwrite_packets(path, numbers):
    """Put bytes without meaning in the place of packets, in the order of the file."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    with path.open("r+b") as file:
        for number in numbers:
            file.seek(places[number][0])
            file.write(b"\xaa" * places[number][1])


@pytest.mark.parametrize(
    ("codec", "options", "lost", "leaning"),
    [
        ("mjpeg", {"qscale": "2"}, [3], [3]),
        ("libx264", {"crf": "10", "x264-params": "bframes=0:keyint=5:scenecut=0"}, [3], [3, 4]),
        ("libx264", {"crf": "10", "x264-params": "bframes=0:keyint=5:scenecut=0"}, [5], [5, 6, 7, 8, 9]),
    ],
)
def test_what_does_not_decode_costs_its_own_frames_and_not_the_camera(tmp_path, codec, options, lost, leaning):
    turned = lambda number: np.ascontiguousarray(np.rot90(numbered(number), -1))  # noqa: E731
    pictures = Pictures([k / 25 for k in range(12)], codec=codec, options=options, draw=turned, rotation=90)
    if codec == "mjpeg":
        pictures.pix_fmt = "yuvj420p"
    write_media(tmp_path / "front.mp4", pictures)
    overwrite_packets(tmp_path / "front.mp4", lost)
    keyframe = np.ones(12, bool) if codec == "mjpeg" else np.arange(12) % 5 == 0
    hand_made(tmp_path, ns([k * 40 for k in range(12)]), keyframe=keyframe)
    video, table = conform(tmp_path, Folder(tmp_path))
    assert np.flatnonzero(table.tainted).tolist() == leaning
    numbers = numbers_in(video)
    assert numbers[lost[0]] == lost[0] - 1
    assert [numbers[k] for k in range(12) if k not in leaning] == [k for k in range(12) if k not in leaning]
    (row,) = ledger.rows(ledger.read([tmp_path / "conform.ledger.parquet"]))
    assert row.outcome == "written"
    assert row.message.startswith(f"{12 - len(set(table.source_frame))} frames do not decode")


def test_a_video_of_which_most_does_not_decode_is_a_failed_row(tmp_path):
    pictures = Pictures([k / 25 for k in range(8)], codec="mjpeg", pix_fmt="yuvj420p", options={"qscale": "2"})
    write_media(tmp_path / "front.mp4", pictures)
    overwrite_packets(tmp_path / "front.mp4", range(1, 6))
    hand_made(tmp_path, ns([k * 40 for k in range(8)]))
    with pytest.raises(InputError) as error:
        conform(tmp_path, Folder(tmp_path))
    assert (error.value.reason, error.value.value, error.value.limit) == ("undecodable", 5, 4)


@pytest.mark.parametrize(
    ("degrees", "turns", "mirrored"), [(90, 1, False), (180, 2, False), (-90, 3, False), (0, 0, True)]
)
def test_a_turned_picture_comes_out_upright(tmp_path, degrees, turns, mirrored):
    def turned(number):
        image = np.rot90(numbered(number), -turns)
        return np.ascontiguousarray(image[::-1] if mirrored else image)

    pictures = Pictures([0, 0.04, 0.08], draw=turned, rotation=degrees, mirrored=mirrored)
    path = write_media(tmp_path / "take.mp4", pictures)
    made = run_import(tmp_path / "media", path, microphones={})
    video, _ = conform(tmp_path, made)
    assert numbers_in(made.video()) == numbers_in(video) == [0, 1, 2]
    entry = made.manifest["streams"]["front"]
    assert (entry["width"], entry["height"]) == (160, 120)
    with VideoReader(video) as reader:
        picture = next(iter(reader))
    assert (picture.width, picture.height, picture.rotation) == (160, 120, 0)


def test_every_picture_knows_its_turn_whichever_are_still_held(tmp_path):
    path = write_media(tmp_path / "take.mp4", Pictures([k / 25 for k in range(40)], rotation=90))
    with VideoReader(path) as reader:
        held = [picture for k, picture in enumerate(reader) if k % 3]
    assert [turn_of(picture) for picture in held] == [(True, False, True)] * len(held)


def test_mirrors_are_told_from_turns():
    one = 65536
    assert orientation(np.array([one, 0, 0, 0, one, 0, 0, 0, 1])) == (False, False, False)
    assert orientation(np.array([-one, 0, 0, 0, one, 0, 0, 0, 1])) == (False, True, False)
    assert orientation(np.array([0, -one, 0, one, 0, 0, 0, 0, 1])) == (True, False, True)
    assert orientation(np.array([0, one, 0, one, 0, 0, 0, 0, 1])) == (True, False, False)


def test_an_odd_size_is_padded_with_its_edge():
    image = np.arange(161 * 121, dtype=np.int64).reshape(121, 161).astype(np.uint8)
    luma, _, _ = plane_arrays(fitted(picture_of(image), (162, 122)))
    assert (luma[:121, :161] == image).all()
    assert (luma[:121, 161] == image[:, 160]).all()
    assert (luma[121, :161] == image[120]).all()


def test_a_video_of_odd_size_keeps_its_pictures(tmp_path):
    odd = Pictures([0, 0.04, 0.08], codec="mjpeg", options={"strict": "-1"}, draw=lambda k: numbered(k, 161, 121))
    made = run_import(tmp_path / "media", write_media(tmp_path / "take.mov", odd), microphones={})
    video, _ = conform(tmp_path, made)
    assert numbers_in(video) == [0, 1, 2]
    with VideoReader(video) as reader:
        picture = next(iter(reader))
    assert (picture.width, picture.height) == (162, 122)


def test_a_change_of_size_is_fitted_into_the_first(tmp_path):
    first = write_media(tmp_path / "a.ts", Pictures([k / 25 for k in range(10)]))
    # The first file is written two frames late, so that its first DTS is 0.
    second = Pictures([(k + 2) / 25 for k in range(10, 20)], draw=lambda k: numbered(k + 10, 240, 180))
    joined = tmp_path / "take.ts"
    joined.write_bytes(first.read_bytes() + write_media(tmp_path / "b.ts", second).read_bytes())
    made = run_import(tmp_path / "media", joined, microphones={})
    video, _ = conform(tmp_path, made)
    assert numbers_in(video) == list(range(20))
    with VideoReader(video) as reader:
        assert {(picture.width, picture.height) for picture in reader} == {(160, 120)}


def test_pictures_of_another_shape_stand_between_black_bars():
    bright = picture_of(np.full((100, 200), 200, np.uint8))
    luma, *chroma = plane_arrays(fitted(bright, (100, 100)))
    assert luma[:22].max() == luma[78:].max() == 16
    assert luma[30:70].min() > 190
    assert {int(plane.min()) for plane in chroma} == {128}


def test_full_range_pictures_become_limited_ones(tmp_path):
    white = Pictures([0, 0.04], codec="mjpeg", pix_fmt="yuvj420p", options={"qscale": "1"})
    white.draw = lambda k: np.full((120, 160), 235, np.uint8)
    made = run_import(tmp_path / "media", write_media(tmp_path / "take.mov", white), microphones={})
    video, _ = conform(tmp_path, made)
    with VideoReader(video) as reader:
        picture = next(iter(reader))
    assert abs(plane_arrays(picture)[0].mean() - 235) < 3


def test_a_table_that_disagrees_with_its_video_is_an_error(tmp_path):
    write_media(tmp_path / "front.mp4", Pictures([k / 25 for k in range(10)]))
    for count in (9, 11):
        hand_made(tmp_path, ns([k * 40 for k in range(count)]))
        with pytest.raises(InputError) as error:
            conform(tmp_path, Folder(tmp_path))
        assert (error.value.reason, error.value.value, error.value.limit) == ("frame_count", 10, count)


def test_streams_of_two_clocks_are_a_failed_row_and_not_years_of_black(tmp_path):
    write_media(tmp_path / "front.mp4", Pictures([k / 25 for k in range(3)]))
    hand_made(tmp_path, ns([0, 40, 80]), stop_ns=400 * 86_400 * NS)
    with pytest.raises(InputError, match=r"400 days: a stream has another clock") as error:
        conform(tmp_path, Folder(tmp_path))
    assert (error.value.reason, error.value.limit) == ("timeline", 31)


def test_a_camera_whose_import_failed_is_blamed_on_that(tmp_path):
    FrameTable.empty().write(tmp_path / "front.frames.parquet")
    (tmp_path / "manifest.json").write_text('{"failed": true}')
    with pytest.raises(InputError) as error:
        conform(tmp_path, Folder(tmp_path))
    assert error.value.reason == ledger.UPSTREAM


def test_less_than_a_frame_is_too_short(tmp_path):
    write_media(tmp_path / "front.mp4", Pictures([0]))
    hand_made(tmp_path, ns([0]), stop_ns=20_000_000)
    with pytest.raises(InputError) as error:
        conform(tmp_path, Folder(tmp_path))
    assert error.value.reason == "short"


def test_traps_of_public_files_come_out_right(data, tmp_path):
    counts = {}
    for name in ("pyfeat/face_noface.mov", "misc/short_hamilton_clip.mp4", "pyfeat/no_face.mp4"):
        made = run_import(tmp_path / Path(name).stem, data / "faces" / name)
        _, table = conform(made.folder, made)
        counts[Path(name).stem] = (len(made.frames()), len(table), int((table.source_frame < 0).sum()))
    assert counts["face_noface"] == (169, 160, 0)
    # The picture starts 0.844 s after the sound: 21 frames are black.
    assert counts["short_hamilton_clip"] == (275, 250, 21)
    assert counts["no_face"][0] == 95
