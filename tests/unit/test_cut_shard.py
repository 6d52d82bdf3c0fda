"""Clips are what the table, the cuts or the subtitles say, each encoded once, with its own grid and its own sound."""

import itertools
import json
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.sample_media import decode_sound
from scripts.common import lots
from scripts.common.frame_table import FrameTable
from scripts.common.video_item import read_sound
from scripts.datasets import clip_copies, clip_sound, cut_item
from scripts.datasets.clip_picture import grid, shape_of
from scripts.datasets.clip_times import Clip, divided, filtered, keyframe_bounds
from scripts.datasets.cut_task import CutTask
from scripts.datasets.decode_times import decode_times
from scripts.datasets.smart_copy import Packet, pieces_of
from tests.unit.shard_maker import (
    FOUR,
    GREEN,
    RATE_HZ,
    RED,
    Made,
    cut,
    fetch,
    make,
    plan,
    scan,
    scene_video,
    settings_of,
    square_in,
    tone,
    write_table,
)

FPS = 25


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return scene_video(tmp_path_factory.mktemp("video") / "four.mp4", FOUR)


@pytest.fixture(scope="module")
def ready(tmp_path_factory, video) -> Made:
    """A lot that is scanned; tests cut it by settings of their own."""
    root = tmp_path_factory.mktemp("ready")
    row = {"url": str(video), "caption": "all of it", "clips": [[0.5, 1.5], [1.02, 2.9]], "language": "en"}
    table = write_table(root / "t.jsonl", json.dumps(row))
    made = Made(root / "lots", settings_of(table, fetch={"allowed_roots": [str(video.parent)]}))
    fetch(made, plan(made.root, table, made.settings)["lots"][0])
    scan(made)
    return made


@pytest.fixture
def cut_by(ready, tmp_path):
    """Cut the lot by changed settings."""

    def do(**changes) -> Made:
        made = Made(tmp_path / "cut", settings_of(ready.root.parent / "t.jsonl", **changes))
        made.root.mkdir(exist_ok=True)
        for file in ready.root.glob("lot00000.*"):
            (made.root / file.name).write_bytes(file.read_bytes())
        cut(made)
        return made

    return do


def frames_in(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]


def times_in(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(picture.pts * picture.time_base) for picture in container.decode(video=0)]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return 99.0 if error == 0 else 10 * np.log10(255**2 / error)


def shown_frames(clip: Path, source: list[np.ndarray]) -> list[int]:
    """The source frame that each frame of a clip looks most like."""
    return [max(range(len(source)), key=lambda k: psnr(picture, source[k])) for picture in frames_in(clip)]


def pitch_start_s(path: Path) -> float:
    """Where in `tone` the sound of a clip begins, by its best match."""
    sound, rate = read_sound(f"file:{path}", Fraction(0))
    assert rate == RATE_HZ
    whole = tone(4 * RATE_HZ)
    part = sound[0, 2000:6000]
    scores = np.correlate(whole, part, "valid")
    energy = np.sqrt(np.convolve(whole**2, np.ones(len(part)), "valid"))
    return float(np.argmax(scores / energy) - 2000) / RATE_HZ


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


def test_cuts_at_a_lower_frame_rate_stand_beside_the_others(tmp_path, video):
    table = write_table(tmp_path / "t.txt", str(video))
    fetch = {"allowed_roots": [str(video.parent)]}
    made = make(tmp_path / "made", table, fetch=fetch, scan={"fps": [5], "min_scene_frames": 3})
    said = made.clips["000000000"].meta
    assert [start for start, _ in said["cuts_s_5"]] == pytest.approx([0, 1, 2, 3], abs=0.2)
    assert "slow_changes" not in str(said)


def test_clips_of_speech_are_what_is_said(tmp_path, data):
    """GRID's swwp2s: its alignment has words from 0.49 to 2.21 s."""
    video = data / "faces" / "grid" / "id2_vcd_swwp2s.mpg"
    table = write_table(tmp_path / "t.txt", str(video))
    fetch = {"allowed_roots": [str(video.parent)]}
    made = make(tmp_path / "made", table, fetch=fetch, clips="speech")
    assert made.clips[min(made.clips)].start_s == pytest.approx(0.49, abs=0.1)
    assert made.clips[max(made.clips)].stop_s == pytest.approx(2.21, abs=0.1)


def test_an_item_in_which_nobody_speaks_is_filtered(tmp_path, video):
    fetch = {"allowed_roots": [str(video.parent)]}
    made = make(tmp_path / "made", write_table(tmp_path / "t.txt", str(video)), fetch=fetch, clips="speech")
    assert made.outcomes("cut") == {"000000000": "no_clips"}


def test_an_item_whose_speech_could_not_be_heard_has_failed(tmp_path, video):
    fetch = {"allowed_roots": [str(video.parent)]}
    made = make(tmp_path / "made", write_table(tmp_path / "t.txt", str(video)), fetch=fetch, clips="speech")
    lots.write_speech(made.lot("speech.parquet"), {"000000000": lots.Speech([], "crashed", "its process died")})
    cut(made)
    assert [(row.outcome, row.reason) for row in made.rows("cut")] == [("failed", "crashed")]


@pytest.mark.parametrize(
    "clips",
    [
        [1, 3],
        "[1, 3]",
        5,
        "NaN",
        [[1, 2, 3]],
        [[]],
        [[-1, 2]],
        "[[0, Infinity]]",
        [["a", "b"]],
        ["12", "34"],
        "[" * 9999,
    ],
)
def test_a_row_whose_clips_nobody_can_read_fails_alone(tmp_path, video, clips):
    rows = [json.dumps({"url": str(video), "clips": given}) for given in (clips, [[0, 1]])]
    fetch = {"allowed_roots": [str(video.parent)]}
    made = make(tmp_path / "made", write_table(tmp_path / "t.jsonl", *rows), fetch=fetch)
    assert made.outcomes("fetch") == {"000000000": "clips", "000000001": ""}
    assert list(made.clips) == ["000000001_00000"]


@pytest.mark.parametrize(
    ("subtitles", "ends"),
    [
        ([["00:00:01.000", 2, "hi"]], {"000000000_00000": ""}),
        ('[["0:01", "0:02", "hi"]]', {"000000000_00000": ""}),
        ([[None, 1, "hi"]], {"000000000": "subtitles"}),
        ([{"start": 0, "end": 1, "text": "hi"}], {"000000000": "subtitles"}),
        ("a.srt", {"000000000": "subtitles"}),
        ("", {"000000000": "no_clips"}),
    ],
)
def test_subtitles_come_as_lists_or_text_and_fail_alone(tmp_path, video, subtitles, ends):
    table = write_table(tmp_path / "t.jsonl", json.dumps({"url": str(video), "subtitles": subtitles}))
    fetch = {"allowed_roots": [str(video.parent)]}
    made = make(tmp_path / "made", table, fetch=fetch, clips="subtitles")
    assert made.outcomes("cut") == ends
    assert [(clip.start_s, clip.caption) for clip in made.clips.values()] == [(1, "hi")] * ("" in ends.values())


def test_every_clip_ends_once_and_filters_give_their_reason(cut_by):
    for filters, reason in [
        ({"min_brightness": 250}, "min_brightness"),
        ({"max_brightness": 5}, "max_brightness"),
        ({"min_motion": 200}, "min_motion"),
        ({"max_motion": 0.001}, "max_motion"),
        ({"min_sharpness": 1e9}, "min_sharpness"),
        ({"min_caption": 100}, "min_caption"),
        ({"languages": ["de"]}, "languages"),
    ]:
        made = cut_by(clips="cuts", filters=filters)
        assert set(made.outcomes("cut").values()) == {reason}
        assert made.clips == {}
    assert {row.message for row in made.rows("cut")} == {"its language is 'en'; wanted: de"}
    assert set(cut_by(clips="cuts", filters={"languages": ["en"]}).outcomes("cut").values()) == {""}


def test_a_clip_of_which_nothing_says_the_language_is_filtered_with_that_word(tmp_path, video):
    table = write_table(tmp_path / "t.txt", str(video))
    fetch = {"allowed_roots": [str(video.parent)]}
    made = make(tmp_path / "made", table, fetch=fetch, filters={"languages": ["de", "en"]})
    (row,) = made.rows("cut")
    said = "its language is not known; wanted: de, en"
    assert (row.outcome, row.reason, row.message) == ("filtered", "languages", said)


def test_a_frozen_and_a_black_clip_are_known_by_their_shares():
    filters = dict.fromkeys(("min_caption",), 0) | {"languages": [], "max_freeze": 0.5, "max_black": 0.5}
    clip = Clip(0, 1, scores={"freeze": 0.9, "black": 0.1})
    assert filtered(clip, min_s=0, filters=filters, caption="", language="") == ("max_freeze", 0.9, 0.5)
    clip = Clip(0, 1, scores={"freeze": 0.1, "black": 0.9})
    assert filtered(clip, min_s=0, filters=filters, caption="", language="") == ("max_black", 0.9, 0.5)


def test_sound_is_resampled_and_mixed(cut_by):
    made = cut_by(clips="cuts", audio={"rate_hz": 8000, "channels": 2})
    with av.open(str(made.unpack("000000000_00001"))) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.sample_rate, stream.codec_context.channels) == (8000, 2)


@pytest.mark.parametrize(("channels", "kept"), [(7, 7), (8, 8), (16, 8)])
def test_a_sound_of_many_channels_is_cut_as_any_other(tmp_path, channels, kept):
    """A tone of 60 Hz, which a channel of low tones holds, too; the further the channel, the louder."""
    one = np.sin(2 * np.pi * 60 * np.arange(2 * 48_000) / 48_000)
    whole = (one[:, None] * 0.05 * (1 + np.arange(channels)) * 32_767).astype("<i2")
    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((channels, 2, 48_000, len(whole), "NONE", ""))
        file.writeframes(whole.tobytes())
    made = make(tmp_path / "made", write_table(tmp_path / "t.txt", str(sound)), max_s=1)
    assert made.outcomes("cut") == {"000000000_00000": "", "000000000_00001": ""}
    read = read_sound(f"file:{made.unpack('000000000_00000')}", Fraction(0))
    assert read is not None
    loudness = np.sqrt((read[0][:, 4800:43_200] ** 2).mean(axis=1))
    assert len(loudness) == kept
    if channels == kept:
        assert loudness == pytest.approx(0.05 * (1 + np.arange(channels)) / np.sqrt(2), rel=0.05)
    assert len(decode_sound(made.unpack("000000000_00001").read_bytes())[0]) == kept


def test_modalities_are_written_as_they_are_asked_for(cut_by):
    made = cut_by(clips="cuts", encode_formats={"audio": "m4a", "frames": "npy"}, video={"fps": 5, "height": 40})
    clip = made.clips["000000000_00002"]
    assert [part["ending"] for part in clip.parts] == ["m4a", "npy"]
    pictures = np.load(made.unpack(clip.key, "npy"), allow_pickle=False)
    assert pictures.shape == (5, 40, 40, 3)
    assert abs(pitch_start_s(made.unpack(clip.key, "m4a")) - 2) < 0.002
    made = cut_by(clips="cuts", encode_formats={"frames": "jpg"})
    assert made.unpack("000000000_00002", "jpg").read_bytes()[:2] == b"\xff\xd8"


def test_an_item_without_the_modality_that_is_wanted_fails_with_its_name(tmp_path):
    silent = scene_video(tmp_path / "silent.mp4", FOUR[:1], sound=False)
    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 16_000, 16_000, "NONE", ""))
        file.writeframes(bytes(32_000))
    table = write_table(tmp_path / "t.txt", str(silent), str(sound))
    for wanted, ends in (({"audio": "m4a"}, ["no_sound", ""]), ({"frames": "jpg"}, ["", "no_pictures"])):
        made = make(tmp_path / next(iter(wanted)), table, encode_formats=wanted)
        assert list(made.outcomes("cut").values()) == ends
        said = [row.message for row in made.rows("cut") if row.outcome == "failed"]
        assert said in (
            ["it has no sound that can be decoded"],
            ["it has no picture, and nothing else is wanted of it"],
        )


def test_what_needs_no_change_stays_as_it_is(tmp_path, video):
    made = make(
        tmp_path / "made", write_table(tmp_path / "t.txt", str(video)), fetch={"allowed_roots": [str(video.parent)]}
    )
    assert made.unpack("000000000").read_bytes() == video.read_bytes()


@pytest.mark.parametrize("clips", ["cuts", "longest_cut", "whole"])
def test_a_single_picture_is_a_scene_as_long_as_its_item(tmp_path, clips):
    table = write_table(tmp_path / "t.txt", str(scene_video(tmp_path / "one.mp4", [(RED, 1)], sound=False)))
    made = make(tmp_path / "made", table, clips=clips, scan={"fps": [5]}, video={"height": 60})
    (clip,) = made.clips.values()
    assert (clip.start_s, clip.stop_s) == (0, 0.04)
    assert len(frames_in(made.unpack(clip.key))) == 1


def test_odd_sizes_sounds_alone_and_single_frames_become_clips(tmp_path):
    one = scene_video(tmp_path / "one.mp4", [(RED, 1)], sound=False)
    silent = scene_video(tmp_path / "silent.mp4", FOUR, sound=False)
    sound = tmp_path / "sound.wav"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        samples = (tone(RATE_HZ) * 32767).astype(np.int16)[None]
        block = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        block.sample_rate = RATE_HZ
        container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    odd = tmp_path / "odd.mkv"
    with av.open(str(odd), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 63, 47, "yuv444p"
        for number in range(10):
            picture = av.VideoFrame.from_ndarray(np.full((47, 63, 3), 20 * number, np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    table = write_table(tmp_path / "t.txt", *map(str, (one, silent, sound, odd)))
    made = make(tmp_path / "made", table, video={"fps": 5})
    assert set(made.outcomes("cut").values()) == {""}
    keys = list(made.clips)
    assert [len(frames_in(made.unpack(key))) for key in (keys[0], keys[1], keys[3])] == [1, 20, 2]
    assert frames_in(made.unpack(keys[3]))[0].shape == (48, 64, 3)
    assert abs(pitch_start_s(made.unpack(keys[2]))) < 0.002


def test_a_second_run_and_other_cores_give_the_same_bytes(cut_by, ready):
    first = cut_by(clips="cuts", video={"fps": 5, "height": 60})
    names = ("clips.tar", "clips.parquet", "cut.ledger.parquet")
    before = [first.lot(name).read_bytes() for name in names]
    from scripts.datasets.cut_shard import cut_shard

    cut_shard(
        *(first.lot(what) for what in ("tar", "items.parquet", "scans.parquet", "frames.parquet")),
        *(None, None),
        *(first.lot(what) for what in names),
        dataset="web",
        settings=first.settings,
        working=str(first.root / "working" / "again"),
        threads=1,
    )
    assert [first.lot(name).read_bytes() for name in names] == before


def test_a_killed_cut_does_not_encode_twice(cut_by, monkeypatch):
    from scripts.common import working
    from scripts.datasets import cut_shard as module

    calls = itertools.count()
    real = module.cut_item
    monkeypatch.setattr(working.Working, "remove", lambda self: None)
    made = cut_by(clips="cuts")
    monkeypatch.setattr(module, "cut_item", lambda task: next(calls) and real(task))
    before = made.lot("clips.tar").read_bytes()
    cut(made)
    assert next(calls) == 0
    assert made.lot("clips.tar").read_bytes() == before


def test_a_late_clip_is_sought_and_is_the_same(tmp_path):
    video = scene_video(tmp_path / "a.mp4", [(RED, 150), (GREEN, 150)], gop=25)
    row = json.dumps({"url": str(video), "clips": [[9.0, 9.6]]})
    made = make(tmp_path / "made", write_table(tmp_path / "t.jsonl", row))
    assert shown_frames(made.unpack("000000000_00000"), frames_in(video)) == list(range(225, 240))
