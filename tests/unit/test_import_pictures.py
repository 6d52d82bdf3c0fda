"""Pictures of a media file: copied where they can be, each with its own time."""

import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.sources.container import Cut, PacketTable, find_tainted, plan_copy, rescale
from tests.unit.made_media import NS, TONE, UNEVEN, Pictures, Sound, digests, numbers_in, run_import, write_media
from tests.unit.side_by_side import FFMPEG
from tests.unit.test_merge_video_audio import merge


@pytest.mark.parametrize("name", ["take.mp4", "take.mov", "take.mkv", "take.ts", "take.avi"])
def test_packets_are_copied_and_every_picture_keeps_its_time(tmp_path, name):
    times = [0.5 * (name != "take.avi") + k / 25 for k in range(30)]
    path = write_media(tmp_path / name, Pictures(times))
    made = run_import(tmp_path / "media", path, microphones={})
    table = made.frames()
    entry = made.manifest["streams"]["front"]
    assert entry["copied"]
    assert numbers_in(made.video()) == list(range(30))
    source, copy = digests(path), digests(made.video())
    assert [pixels for _, pixels in copy] == [pixels for _, pixels in source]
    assert [time for time, _ in copy] == [Fraction(int(pts), 10**6) for pts in table.pts_us]
    assert table.pts_us[0] == 0
    assert np.abs(np.diff(table.time_ns) - 40_000_000).max() <= 1_000_000
    if name == "take.avi":
        # It numbers its packets; their pictures come out of a decoder in another order.
        assert not any("cut off" in line for line in made.manifest["warnings"])
    else:
        assert table.time_ns.tolist() == [round(time * NS) for time, _ in source]


def test_a_variable_rate_is_kept_to_the_microsecond(tmp_path):
    made = run_import(tmp_path, write_media(tmp_path / "take.mp4", Pictures(UNEVEN)), microphones={})
    table = made.frames()
    assert np.abs(table.time_ns - np.array(UNEVEN) * NS).max() < 1e9 / 90_000
    assert np.abs(table.pts_us * 1000 - table.time_ns).max() <= 500
    assert table.keyframe.tolist() == [k % 10 == 0 for k in range(40)]


def test_avi_pictures_are_put_in_the_order_in_which_they_are_shown(tmp_path):
    path = write_media(tmp_path / "take.avi", Pictures([k / 25 for k in range(20)]))
    with av.open(str(path)) as container:
        times = [picture.pts for picture in container.decode(video=0)]
    assert times != sorted(times)
    made = run_import(tmp_path / "media", path, microphones={})
    assert made.manifest["streams"]["front"]["copied"]
    assert numbers_in(made.video()) == list(range(20))
    assert made.frames().time_ns.tolist() == [k * 40_000_000 for k in range(20)]


def test_what_mp4_does_not_hold_is_encoded_once_and_said(tmp_path):
    raw = Pictures(UNEVEN, codec="rawvideo", options={"threads": "1"})
    made = run_import(tmp_path, write_media(tmp_path / "take.mkv", raw), microphones={})
    entry = made.manifest["streams"]["front"]
    assert (entry["copied"], entry["why_encoded"]) == (False, "MP4 does not hold its codec")
    assert any("encoded anew" in line for line in made.manifest["warnings"])
    assert numbers_in(made.video()) == list(range(40))
    # Matroska counts milliseconds.
    assert np.abs(made.frames().time_ns - np.array(UNEVEN) * NS).max() <= 500_001


@pytest.mark.parametrize("stretch", [(0.0, 1.0), (0.57, 0.0), (0.57, 1.03), (0.4, 1.0)])
@pytest.mark.parametrize("codec", ["libx264", "prores"])
def test_a_stretch_begins_with_the_picture_on_screen(tmp_path, stretch, codec):
    form = {"options": {"threads": "1"}, "pix_fmt": "yuv422p10le"} if codec == "prores" else {}
    pictures = Pictures([1 + k / 25 for k in range(40)], codec=codec, **form)
    path = write_media(tmp_path / "take.mov", Sound([(1, np.tile(TONE, 2))]), pictures)
    start_s, stop_s = stretch
    made = run_import(tmp_path / "media", path, start_s=start_s, stop_s=stop_s)
    first, stop = int(start_s * 25), int(np.ceil((stop_s or 1.6) * 25 - 1e-9))
    numbers = numbers_in(made.video())
    # What decodes leans on pictures that come a little later, which are not shown.
    assert numbers == list(range(first, stop))
    assert len(made.frames()) == stop - first
    assert made.frames().pts_us[0] == 0
    assert made.frames().time_ns[0] == NS + first * 40_000_000
    begin = NS + round(start_s * NS)
    assert made.manifest["timeline"] == {
        "start_ns": begin,
        "stop_ns": NS + round(stop_s * NS) if stop_s else 2_600_000_000,
    }
    assert made.clock().start_ns == begin
    sound = made.sound()[:, 0]
    assert (sound == np.tile(TONE, 2)[round(start_s * 48_000) :][: len(sound)]).all()


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_stretch_may_end_with_any_picture_of_a_codec_that_reorders(tmp_path, codec):
    """What is decoded before the last picture, and shown behind it, is not shown: by this reader, by ffmpeg, merged."""
    options = {"x265-params": "bframes=3:log-level=none"} if codec == "libx265" else {}
    pictures = Pictures([k / 25 for k in range(30)], codec=codec, options=options)
    path = write_media(tmp_path / "take.mkv", Sound([(0, TONE)]), pictures)
    for stop in range(15, 22):
        folder = tmp_path / str(stop)
        made = run_import(folder, path, stop_s=stop / 25)
        assert numbers_in(made.video()) == list(range(stop))
        assert len(made.frames()) == stop
        merged = merge(
            folder,
            folder / "front.mp4",
            folder / "front.frames.parquet",
            sides=(("voice:0",),),
            microphones=("voice",),
        )
        assert frames_by_ffmpeg(folder / "front.mp4") == frames_by_ffmpeg(merged) == stop


def frames_by_ffmpeg(path):
    """How many pictures a player shows."""
    command = [FFMPEG, "-v", "error", "-i", str(path), "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return sum(not line.startswith("#") for line in lines)


def test_damage_taints_up_to_the_next_keyframe(tmp_path):
    path = write_media(tmp_path / "take.mp4", Pictures([k / 25 for k in range(40)]))
    with av.open(str(path)) as container:
        places = {packet.pts: packet for packet in container.demux(video=0) if packet.size}
        packets = [(packet.pos, packet.size, packet.is_keyframe) for packet in places.values()]
    content = bytearray(path.read_bytes())
    # The second packet after the second keyframe.
    number = [k for k, (_, _, key) in enumerate(packets) if key][1] + 2
    begin, size, _ = packets[number]
    content[begin + size // 3 : begin + size] = bytes(size - size // 3)
    path.write_bytes(content)
    made = run_import(tmp_path / "media", path, microphones={})
    table = made.frames()
    numbers = np.array(numbers_in(made.video()))
    assert len(table) >= 39
    assert set(numbers[~table.tainted].tolist()) >= {*range(11), *range(20, 40)}
    tainted = np.flatnonzero(table.tainted)
    assert len(tainted) >= 7
    assert f"{len(tainted)} frames are tainted" in made.rows[0].message
    assert made.manifest["streams"]["front"]["tainted"] == len(tainted)


def table_of(pts, keys, discard=(), corrupt=()):
    count = len(pts)
    flags = [np.isin(np.arange(count), list(those)) for those in (keys, discard, corrupt)]
    return PacketTable(np.array(pts, np.int64), np.ones(count, np.int64), *flags, Fraction(1, 25))


def test_pictures_between_two_keyframes_lean_on_both():
    # Decoded: I0 P3 B1 B2 | I6 B4 B5 P9 …: 4 and 5 are shown before the keyframe 6 that is decoded before them.
    table = table_of([0, 3, 1, 2, 6, 4, 5, 9, 7, 8], keys=[0, 4])
    plan = plan_copy(table, Cut())
    damaged = np.isin(np.arange(10), [1])
    assert np.flatnonzero(find_tainted(table, plan, damaged)).tolist() == [1, 2, 3, 5, 6]
    assert not find_tainted(table, plan, np.zeros(10, bool)).any()


def test_a_copy_begins_with_a_keyframe_and_hides_what_nobody_asked_for():
    table = table_of([0, 3, 1, 2, 4, 7, 5, 6], keys=[0, 4])
    plan = plan_copy(table, Cut(start_ns=5 * NS // 25))
    assert (plan.first, plan.stop, plan.base, plan.reorder, plan.why_not) == (4, 8, 5, 1, "")
    assert plan_copy(table, Cut(stop_ns=0)) is None
    assert plan_copy(table, Cut(start_ns=3 * NS // 25)).first == 0


def test_what_cannot_be_copied_says_why():
    hidden = table_of([0, 1, 2, 3], keys=[0], discard=[2])
    assert "edit list" in plan_copy(hidden, Cut()).why_not
    before = table_of([-2, -1, 0, 1], keys=[0], discard=[0, 1])
    assert (plan_copy(before, Cut()).why_not, plan_copy(before, Cut()).base) == ("", 0)
    assert "same time" in plan_copy(table_of([0, 1, 1, 2], keys=[0]), Cut()).why_not
    assert "without a time" in plan_copy(table_of([0, 1, np.iinfo(np.int64).min, 2], keys=[0]), Cut()).why_not


@given(st.lists(st.integers(-(10**9), 4 * 10**9), max_size=20), st.sampled_from([1, 12_800, 11_988, 90_000, 10**9]))
def test_ticks_are_rounded_exactly(ticks, per_s):
    exact = [Fraction(tick * NS, per_s) for tick in ticks]
    rounded = rescale(np.array(ticks, np.int64), Fraction(1, per_s), NS)
    assert all(abs(int(a) - b) <= Fraction(1, 2) for a, b in zip(rounded, exact, strict=True))
