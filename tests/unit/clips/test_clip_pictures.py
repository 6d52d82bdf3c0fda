"""Clips that are encoded: each picture once, on a grid of its own, scaled, cropped and padded."""

import json
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.frame_table import FrameTable
from scripts.common.video_item import read_sound
from scripts.datasets.clip_picture import grid, shape_of
from scripts.datasets.clip_times import Clip, divided
from tests.unit.clips.clip_contents import FPS, frames_in, pitch_start_s, psnr, shown_frames
from tests.unit.numbered_video import times_in
from tests.unit.shard_maker import (
    GREEN,
    RED,
    make,
    scene_video,
    square_in,
    write_table,
)


def test_every_scene_is_a_clip_cut_at_its_frame(cut_by, video):
    made = cut_by(clips="cuts")
    assert [(clip.start_s, clip.stop_s) for clip in made.clips.values()] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    source = frames_in(video)
    for number, key in enumerate(made.clips):
        path = made.unpack(key)
        assert shown_frames(path, source) == list(range(25 * number, 25 * number + 25))
        assert times_in(path) == pytest.approx([k / FPS for k in range(25)], abs=1e-6)
        assert abs(pitch_start_s(path) - number) < 0.002


def test_clips_of_the_table_may_overlap_and_start_between_frames(cut_by, video):
    made = cut_by()
    source = frames_in(video)
    first, second = (made.unpack(key) for key in made.clips)
    assert list(made.clips) == ["000000000_00000", "000000000_00001"]
    assert shown_frames(first, source) == list(range(13, 38))  # 0.5 s lies in the middle of frame 12
    assert shown_frames(second, source)[0] in (25, 26)
    for path, length_s in ((first, 1.0), (second, 1.88)):
        sound, rate = read_sound(f"file:{path}", Fraction(0))
        assert abs(sound.shape[1] / rate - length_s) < 0.065  # AAC rounds up to its blocks
    assert abs(pitch_start_s(first) - 0.5) < 0.002
    assert abs(pitch_start_s(second) - 1.02) < 0.002


def test_the_frame_grid_begins_with_each_clip(cut_by, video):
    made = cut_by(clips="cuts", video={"fps": 5})
    source = frames_in(video)
    for number, key in enumerate(made.clips):
        path = made.unpack(key)
        assert times_in(path) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8], abs=1e-6)
        shown = shown_frames(path, source)
        # What is on screen at the middle of each frame's time, never a frame of another scene.
        assert shown == [25 * number + 2 + 5 * k for k in range(5)]


@given(
    st.lists(st.integers(10, 60), min_size=2, max_size=60),
    st.integers(0, 500),
    st.integers(50, 1500),
    st.sampled_from([None, Fraction(5), Fraction(30000, 1001), Fraction(60)]),
)
def test_no_frame_of_a_grid_lies_outside_its_clip(steps_ms, start_ms, length_ms, fps):
    times = np.cumsum([0, *steps_ms]).astype(np.int64) * 1_000_000
    table = FrameTable.make(times // 1000, times)
    start_s, stop_s = start_ms / 1000, (start_ms + length_ms) / 1000
    shown, at = grid(table, start_s, stop_s, fps)
    assert len(shown) == len(at)
    assert (np.diff(at) > 0).all()
    inside = [k for k, t in enumerate(times) if start_s * 1e9 - 1000 <= t < stop_s * 1e9 - 1000]
    if inside and len(shown):
        assert set(shown.tolist()) <= set(inside)
    if fps is not None:
        assert len(shown) == max(1, int(length_ms / 1000 * float(fps) + 0.02))


@pytest.mark.parametrize(
    ("source", "wanted", "resize", "scaled", "crop", "canvas"),
    [
        ((640, 360), (224, 224), ["scale", "crop", "pad"], (398, 224), (224, 224), (224, 224)),
        ((360, 640), (224, 224), ["scale", "crop", "pad"], (126, 224), (126, 224), (224, 224)),
        ((640, 360), (224, 224), ["scale"], (398, 224), (398, 224), (398, 224)),
        ((640, 360), (224, 224), ["crop"], (640, 360), (224, 224), (224, 224)),
        ((100, 80), (224, 224), ["pad"], (100, 80), (100, 80), (224, 224)),
        ((100, 80), (224, 224), ["crop", "pad"], (100, 80), (100, 80), (224, 224)),
        ((640, 360), (0, 224), ["scale", "crop", "pad"], (398, 224), (224, 224), (224, 224)),
        ((180, 320), (0, 112), ["scale"], (64, 112), (64, 112), (64, 112)),
        ((320, 180), (160, 0), ["scale"], (160, 90), (160, 90), (160, 90)),
        ((320, 180), (160, 0), ["scale", "crop", "pad"], (160, 90), (160, 90), (160, 160)),
        ((180, 320), (160, 0), ["scale", "crop", "pad"], (160, 284), (160, 160), (160, 160)),
        ((640, 360), (0, 0), ["scale", "crop", "pad"], (640, 360), (640, 360), (640, 360)),
        ((161, 121), (0, 0), ["scale"], (161, 121), (162, 122), (162, 122)),
    ],
)
def test_pictures_are_scaled_by_one_side_cropped_and_padded(source, wanted, resize, scaled, crop, canvas):
    shape = shape_of(*source, out_width=wanted[0], out_height=wanted[1], resize=resize)
    assert (shape.scaled, shape.crop, shape.canvas) == (scaled, crop, canvas)


@pytest.mark.parametrize(
    ("source", "pixel", "wanted", "resize", "scaled", "canvas"),
    [
        ((320, 180), (2, 1), (0, 0), [], (640, 180), (640, 180)),
        ((320, 180), (2, 1), (0, 90), ["scale"], (320, 90), (320, 90)),
        ((320, 180), (2, 1), (320, 0), ["scale"], (320, 90), (320, 90)),
        ((720, 576), (16, 15), (0, 288), ["scale", "crop", "pad"], (384, 288), (288, 288)),
        ((1440, 1080), (4, 3), (224, 224), ["scale", "crop", "pad"], (398, 224), (224, 224)),
        ((320, 180), (1, 2), (0, 0), ["crop"], (160, 180), (160, 180)),
    ],
)
def test_pixels_become_square(source, pixel, wanted, resize, scaled, canvas):
    shape = shape_of(*source, out_width=wanted[0], out_height=wanted[1], resize=resize, pixel_shape=Fraction(*pixel))
    assert (shape.scaled, shape.canvas) == (scaled, canvas)


@pytest.mark.parametrize(
    ("wanted", "size"), [({}, (320, 120)), ({"height": 60, "resize": ["scale"]}, (160, 60)), ({"fps": 5}, (320, 120))]
)
def test_a_picture_of_long_pixels_is_as_wide_as_a_player_shows_it(tmp_path, wanted, size):
    """Its square of 16 x 16 pixels is twice as wide as high."""
    video = scene_video(tmp_path / "long.mp4", [(RED, 25)], pixel=Fraction(2))
    table = write_table(tmp_path / "t.jsonl", json.dumps({"url": str(video), "clips": [[0, 0.5]]}))
    clip = make(tmp_path / "made", table, video=wanted).unpack("000000000_00000")
    with av.open(str(clip)) as container:
        assert container.streams.video[0].sample_aspect_ratio in (None, 1)
        picture = next(container.decode(video=0))
    assert (picture.width, picture.height) == size
    square = square_in(picture.to_ndarray(format="rgb24"), RED)
    assert square == pytest.approx((32 * size[0] / 320, 16 * size[1] / 120), abs=2)


def test_padding_is_centred_and_cropping_takes_the_middle(cut_by):
    padded = frames_in(
        cut_by(clips="whole", video={"width": 200, "height": 160, "resize": ["pad"]}).unpack("000000000")
    )[0]
    assert padded.shape == (160, 200, 3)
    assert padded[:18].max() < 40 > padded[-18:].max()
    assert padded[:, :18].max() < 40 > padded[:, -18:].max()
    assert padded[30:130, 30:170].mean() > 60


def test_one_encode_is_all_that_a_picture_loses(cut_by, video):
    """Not below a reference that decodes, scales and encodes once by the ffmpeg program."""
    import subprocess

    import imageio_ffmpeg

    made = cut_by(clips="cuts", video={"height": 60, "width": 60})
    for number, key in enumerate(made.clips):
        reference = made.root / f"reference{number}.mp4"
        chain = (
            f"trim=start_frame={25 * number}:end_frame={25 * number + 25},setpts=PTS-STARTPTS,scale=-2:60,crop=60:60"
        )
        flags = ["-sws_flags", "bicubic+accurate_rnd", "-an", "-c:v", "libx264", "-crf", "23", "-preset", "medium"]
        program = imageio_ffmpeg.get_ffmpeg_exe()
        subprocess.run([program, "-v", "error", "-i", video, "-vf", chain, *flags, reference], check=True)
        lossless = reference.with_suffix(".mkv")
        subprocess.run(
            [program, "-v", "error", "-i", video, "-vf", chain, *flags[:3], "-c:v", "ffv1", lossless], check=True
        )
        truth = frames_in(lossless)
        ours, theirs = (
            np.mean([psnr(one, other) for one, other in zip(frames_in(path), truth, strict=True)])
            for path in (made.unpack(key), reference)
        )
        assert ours > theirs - 0.1


def test_long_clips_are_divided_and_short_ones_filtered(cut_by):
    made = cut_by(clips="cuts", max_s=0.6, min_s=0.5)
    assert [(clip.start_s, clip.stop_s) for clip in made.clips.values()] == [(k, k + 0.6) for k in range(4)]
    assert list(made.outcomes("cut").values()).count("min_s") == 4
    assert divided([Clip(0, 2.5)], max_s=1, strategy="all") == [Clip(0, 1), Clip(1, 2), Clip(2, 2.5)]
    assert divided([Clip(0, 2.5)], max_s=1, strategy="first") == [Clip(0, 1)]
    assert divided([Clip(0, 2.5)], max_s=0, strategy="first") == [Clip(0, 2.5)]


def test_the_longest_scene_alone(tmp_path):
    video = scene_video(tmp_path / "a.mp4", [(RED, 20), (GREEN, 40), (RED, 30)])
    made = make(tmp_path / "made", write_table(tmp_path / "t.txt", str(video)), clips="longest_cut")
    assert [(clip.start_s, clip.stop_s) for clip in made.clips.values()] == [(0.8, 2.4)]
