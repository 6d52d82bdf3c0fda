"""Clips that are copied: from keyframe to keyframe, or, smart, but for their edges."""

import itertools
import json
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import lots
from scripts.common.video_item import read_sound
from scripts.datasets import clip_copies, clip_sound, cut_item
from scripts.datasets.clip_times import Clip, keyframe_bounds
from scripts.datasets.cut_task import CutTask
from scripts.datasets.decode_times import decode_times
from scripts.datasets.smart_copy import Packet, pieces_of
from tests.unit.clips.clip_contents import FPS, frames_in, pitch_start_s
from tests.unit.numbered_video import times_in
from tests.unit.shard_maker import (
    FOUR,
    make,
    scene_video,
    settings_of,
    write_table,
)


def test_a_copy_begins_with_the_keyframe_before(cut_by):
    made = cut_by(precision="keyframe")
    first = made.clips["000000000_00000"]
    assert (first.start_s, first.stop_s) == (0.48, 1.5)
    with av.open(str(made.unpack(first.key))) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert len(list(container.decode(video=0))) == 26
        assert container.streams.audio


@pytest.mark.parametrize("precision", ["exact", "smart", "keyframe", "keyframe_adjusted"])
def test_a_clip_after_the_end_or_without_a_length_is_none(tmp_path, video, precision):
    row = json.dumps({"url": str(video), "clips": [[100, 200], [2, 2], [3, 1], [0, 2]]})
    fetch = {"allowed_roots": [str(video.parent)]}
    made = make(tmp_path / "made", write_table(tmp_path / "t.jsonl", row), fetch=fetch, precision=precision)
    names = [f"000000000_{number:05d}" for number in range(4)]
    assert made.outcomes("cut") == dict(zip(names, ("empty", "empty", "empty", ""), strict=True))
    assert list(made.clips) == names[3:]


def test_more_cuts_than_keyframes_lose_no_clip(tmp_path):
    video = scene_video(tmp_path / "a.mp4", FOUR, gop=300)
    rows = json.dumps({"url": str(video), "clips": [[k / 4, k / 4 + 0.25] for k in range(16)]})
    made = make(tmp_path / "made", write_table(tmp_path / "t.jsonl", rows), precision="keyframe")
    assert len(made.clips) == 16


def test_adjusted_copies_say_what_they_dropped(cut_by):
    made = cut_by(precision="keyframe_adjusted")
    assert [(c.start_s, c.stop_s) for c in made.clips.values()] == [(0.96, 1.44), (1.44, 2.88)]
    assert keyframe_bounds(Clip(0.5, 0.9), [0, 0.48, 0.96], 4, inwards=True)[0] >= 0.9
    row = made.rows("cut")[0]
    assert (row.outcome, row.start_ns, row.stop_ns) == ("written", 960_000_000, 1_440_000_000)
    said = made.clips["000000000_00000"].meta
    assert (said["asked_start_s"], said["asked_stop_s"], said["dropped_s"]) == (0.5, 1.5, pytest.approx(0.52))


def test_a_scene_between_two_keyframes_is_filtered_with_a_reason(tmp_path):
    video = scene_video(tmp_path / "a.mp4", FOUR, gop=300)
    row = json.dumps({"url": str(video), "clips": [[0.2, 0.8], [0, 4]]})
    made = make(tmp_path / "made", write_table(tmp_path / "t.jsonl", row), precision="keyframe_adjusted")
    assert made.outcomes("cut")["000000000_00000"] == "no_keyframe"
    assert made.outcomes("cut")["000000000_00001"] == ""


def pixels(path: Path, start_s: float = 0, stop_s: float = 1e9) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        shown = [(float(p.pts * p.time_base), p.to_ndarray(format="gray")) for p in container.decode(video=0)]
    return [picture for time_s, picture in shown if start_s - 1e-4 <= time_s < stop_s - 1e-4]


def test_a_smart_clip_has_every_frame_and_copies_whole_gops_bit_by_bit(cut_by, video):
    made = cut_by(precision="smart")
    assert [(c.start_s, c.stop_s) for c in made.clips.values()] == [(0.5, 1.5), (1.02, 2.9)]
    for clip in made.clips.values():
        source, cut_pixels = pixels(video, clip.start_s, clip.stop_s), pixels(made.unpack(clip.key))
        assert len(cut_pixels) == len(source)
        assert all(np.abs(one.astype(int) - other).mean() < 8 for one, other in zip(cut_pixels, source, strict=True))
        # GOPs of 12 frames: those from 24 on lie whole inside the first clip, those from 36 on inside the second.
        first = round(clip.start_s * FPS + 0.49)
        whole = range(24, 36) if clip.start_s < 1 else range(36, 72)
        assert all(np.array_equal(cut_pixels[k - first], source[k - first]) for k in whole)
        assert not all(np.array_equal(*pair) for pair in zip(cut_pixels, source, strict=True))
        assert abs(pitch_start_s(made.unpack(clip.key)) - clip.start_s) < 0.03


def test_a_smart_clip_plays_in_ffmpeg_with_the_times_of_its_source(cut_by, video):
    import subprocess

    import imageio_ffmpeg

    path = cut_by(precision="smart").unpack("000000000_00001")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "null", "-"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""
    assert times_in(path) == pytest.approx([k / FPS - 1.02 for k in range(26, 73)], abs=1e-4)


def test_smart_clips_that_cannot_be_put_together_are_encoded_and_the_sound_is_read_once(ready, tmp_path, monkeypatch):
    read, settings = [], settings_of(ready.root.parent / "t.jsonl", precision="smart")

    def refuse(self, *arguments):
        raise ValueError("times go back")

    monkeypatch.setattr(clip_copies.SmartCutter, "cut", refuse)
    monkeypatch.setattr(clip_sound, "read_sound", lambda *arguments: read.append(1) or read_sound(*arguments))
    (item,) = ready.items.values()
    scanned = lots.read_scans(ready.lot("scans.parquet"))[item.key]["facts"]
    task = CutTask(
        url=lots.media_url(item, ready.lot("tar")),
        sound_url="",
        frames=lots.read_frames(ready.lot("frames.parquet"))[item.key][0],
        clips=[("a", 0.48, 1.48), ("b", 2, 3)],
        facts=scanned,
        video=settings["video"],
        audio=settings["audio"],
        formats=settings["encode_formats"],
        precision="smart",
        folder=str(tmp_path),
    )
    done = cut_item.cut_item(task)
    assert (set(done["parts"]), done["failed"], len(read)) == ({"a", "b"}, {}, 1)
    assert [len(frames_in(tmp_path / f"{name}.mp4")) for name in "ab"] == [25, 25]


def test_a_smart_clip_without_a_whole_gop_is_encoded(tmp_path):
    video = scene_video(tmp_path / "a.mp4", FOUR, gop=300)
    row = json.dumps({"url": str(video), "clips": [[0.2, 0.8]]})
    made = make(tmp_path / "made", write_table(tmp_path / "t.jsonl", row), precision="smart")
    assert len(pixels(made.unpack("000000000_00000"))) == 15


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=12),
    st.integers(0, 100),
    st.integers(1, 100),
    st.booleans(),
)
def test_a_smart_clip_is_made_of_all_its_pictures_once(gops, start, length, reordered):
    packets = []
    for size in gops:
        first = len(packets)
        order = list(range(first, first + size))
        if reordered and size > 2:
            order[1], order[2] = order[2], order[1]
        packets += [Packet(pts, pts == first) for pts in order]
    pieces = pieces_of(packets, start, start + length)
    if pieces is not None:
        assert start <= pieces.copy_from < pieces.copy_until <= start + length
        ends = {0} | {sum(gops[: k + 1]) for k in range(len(gops))}
        assert pieces.copy_from in ends
        assert pieces.copy_until in ends or pieces.copy_until >= len(packets)
        wanted = set(range(pieces.copy_from, min(pieces.copy_until, len(packets))))
        assert set(pieces.copied) == wanted
        shown = [*range(start, pieces.copy_from), *pieces.copied]
        times = decode_times(shown)
        assert all(a < b for a, b in itertools.pairwise(times))
        assert all(dts <= pts for dts, pts in zip(times, shown, strict=True))


@pytest.mark.parametrize(("codec", "name"), [("h264", "h264"), ("hevc", "hevc"), ("av1", "libdav1d")])
def test_clips_are_encoded_by_the_codec_that_is_asked_for(cut_by, codec, name):
    bytes_of = []
    for _ in range(2):
        made = cut_by(clips="longest_cut", video={"codec": codec, "fps": 5, "preset": "superfast"})
        path = made.unpack(next(iter(made.clips)))
        with av.open(str(path)) as container:
            assert container.streams.video[0].codec_context.name == name
            assert len(list(container.decode(video=0))) == 5
        bytes_of.append(path.read_bytes())
    assert bytes_of[0] == bytes_of[1]
