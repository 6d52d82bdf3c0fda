"""Clips show the pictures that their times say, whatever container and codec they are cut from."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from scripts.common.video_item import read_sound
from scripts.datasets import clip_choice, cut_shard
from scripts.datasets.cut_item import cut_item
from scripts.datasets.cut_task import CutTask
from scripts.datasets.scan_item import list_packets, scan_item
from tests.unit.numbered_video import numbered_video, numbers_in, times_in
from tests.unit.shard_maker import RATE_HZ, Made, make, settings_of, tone, write_table

FRAMES = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("numbered")


def cut_of(root: Path, video: Path, clips: list[list[float]], **changes) -> Made:
    table = write_table(root / "t.jsonl", json.dumps({"url": str(video), "clips": clips}))
    return make(root / "made", table, fetch={"allowed_roots": [str(video.parent)]}, **changes)


def shown_in(made: Made) -> list[list[int]]:
    return [numbers_in(made.unpack(key)) for key in sorted(made.clips)]


@pytest.mark.parametrize("precision", ["exact", "smart"])
def test_clips_that_lie_apart_are_cut_of_one_item(tmp_path, folder, precision):
    video = folder / "apart.mp4"
    video = video if video.exists() else numbered_video(video, FRAMES, options={"bf": "2"})
    made = cut_of(tmp_path, video, [[1, 2], [12.5, 13.5], [15, 15.6]], precision=precision)
    assert shown_in(made) == [list(range(25, 50)), list(range(313, 338)), list(range(375, 390))]


@pytest.mark.parametrize(
    ("ending", "options"),
    [
        ("mp4", {"bf": "2"}),
        ("mkv", {"bf": "2"}),
        ("ts", {"bf": "2"}),
        ("ts", {"bf": "0"}),
        ("ts", {"bf": "3", "x264-params": "open-gop=1"}),
        ("flv", {"bf": "2"}),
        ("mov", {"bf": "3", "x264-params": "open-gop=1"}),
    ],
)
@pytest.mark.parametrize("precision", ["exact", "smart"])
def test_a_clip_far_into_an_item_begins_with_its_own_picture(tmp_path, folder, precision, ending, options):
    video = folder / f"far{'_'.join(options.values())}.{ending}"
    video = video if video.exists() else numbered_video(video, FRAMES, options=options)
    made = cut_of(tmp_path, video, [[0.4, 1], [12.48, 13.48]], precision=precision)
    assert shown_in(made) == [list(range(10, 25)), list(range(312, 337))]


def test_an_item_whose_choice_of_clips_fails_is_a_row_and_the_others_are_cut(tmp_path, folder, monkeypatch, caplog):
    video = folder / "apart.mp4"
    video = video if video.exists() else numbered_video(video, FRAMES, options={"bf": "2"})
    rows = [json.dumps({"url": str(video), "caption": caption, "clips": [[0, 1]]}) for caption in ("one", "two")]

    def choose(dataset, item, *told):
        if item.caption == "one":
            raise ZeroDivisionError("by the way")
        return clip_choice.choose(dataset, item, *told)

    monkeypatch.setattr(cut_shard, "choose", choose)
    table = write_table(tmp_path / "t.jsonl", *rows)
    made = make(tmp_path / "made", table, fetch={"allowed_roots": [str(folder)]})
    assert made.outcomes("cut") == {"000000000": "unexpected", "000000001_00000": ""}
    assert "ZeroDivisionError: by the way" in caplog.text


def first_is_keyframe(path: Path) -> bool:
    with av.open(str(path)) as container:
        return next(container.demux(container.streams.video[0])).is_keyframe


# Ending, codec, its options, and whether its clips can be copied.
COPIES = [
    ("mp4", "libx264", {"bf": "2"}, True),
    ("mkv", "libx264", {"bf": "2"}, True),
    ("mkv", "libx264", {"bf": "0"}, True),
    ("ts", "libx264", {"bf": "2"}, True),
    ("ts", "libx264", {"bf": "3", "x264-params": "open-gop=1:b-pyramid=normal"}, True),
    ("mp4", "libx264", {"bf": "3", "x264-params": "open-gop=1:b-pyramid=normal"}, True),
    ("mkv", "libx265", {"x265-params": "log-level=none:bframes=3:open-gop=1"}, True),
    ("mp4", "libsvtav1", {"crf": "15", "preset": "8", "svtav1-params": "keyint=50"}, True),
    ("avi", "mpeg4", {"bf": "2", "qscale": "2"}, False),
    ("avi", "mpeg4", {"bf": "0", "qscale": "2"}, True),
    ("webm", "libvpx", {"crf": "8", "b": "2M", "deadline": "realtime"}, False),
]


@pytest.mark.parametrize(("ending", "codec", "options", "copies"), COPIES)
@pytest.mark.parametrize("precision", ["keyframe", "keyframe_adjusted"])
def test_a_copied_clip_has_its_keyframe_and_every_picture(tmp_path, folder, precision, ending, codec, options, copies):
    video = folder / f"{codec}{'_'.join(options.values())}.{ending}".replace(":", "_")
    video = video if video.exists() else numbered_video(video, FRAMES, codec=codec, options=options)
    made = cut_of(tmp_path, video, [[0, 4.6], [8.5, 12.32]], precision=precision)
    notes = [row.message for row in made.rows("cut")]
    assert len(made.clips) == 2
    for key, clip in made.clips.items():
        path = made.unpack(key)
        shown = list(range(round(clip.start_s * 25), round(clip.stop_s * 25)))
        assert numbers_in(path) == shown
        assert times_in(path) == pytest.approx([k / 25 for k in range(len(shown))], abs=2e-3)
        assert first_is_keyframe(path)
    assert made.clips["000000000_00000"].start_s == 0
    assert all(note.startswith("encoded, not copied: ") for note in notes if note)
    if copies or precision == "keyframe":
        assert any(notes) is not copies


def trimmed(source: Path, path: Path, frames: int) -> Path:
    """A copy that shows no picture before number `frames`, as `ffmpeg -ss -c copy` makes it: with an edit list."""
    with av.open(str(source)) as whole, av.open(str(path), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in whole.streams}
        for packet in whole.demux():
            if packet.size:
                packet.pts, packet.dts = (
                    ticks - round(Fraction(frames, 25) / packet.time_base) for ticks in (packet.pts, packet.dts)
                )
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    return path


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_copy_from_before_the_first_keyframe_that_is_shown_hides_what_leads_in(tmp_path, codec):
    options = {"bf": "2"} if codec == "libx264" else {"qscale": "2"}
    whole = numbered_video(tmp_path / "whole.mp4", 120, codec=codec, options=options)
    video = trimmed(whole, tmp_path / "trimmed.mp4", 18)
    made = cut_of(tmp_path, video, [[0, 1], [0.4, 3.2]], precision="keyframe")
    assert [clip.start_s for clip in made.clips.values()] == [0, 0]
    assert shown_in(made) == [list(range(18, 43)), list(range(18, 98))]
    # What a parser reads through an edit list cannot be hidden: ffmpeg shows it of mpeg4.
    assert all(bool(row.message) is (codec == "mpeg4") for row in made.rows("cut"))


def late_s(clip: Path, start_s: float) -> float:
    """How much later the sound of a clip begins than `tone` at `start_s`."""
    sound = read_sound(f"file:{clip}", Fraction(0))
    assert sound is not None
    part, whole = sound[0][0, 4000:8000], tone(16 * RATE_HZ)
    first = round(start_s * RATE_HZ) + 4000
    lags = range(-1500, 1501)
    scores = [float(part @ whole[first - lag : first - lag + len(part)]) for lag in lags]
    return lags[int(np.argmax(scores))] / RATE_HZ


# MPEG-TS does not say how many samples an encoder of AAC puts ahead.
@pytest.mark.parametrize(("ending", "most_s"), [("mp4", 0.002), ("mkv", 0.002), ("ts", 0.066)])
def test_the_sound_of_a_copied_clip_begins_with_its_pictures(tmp_path, folder, ending, most_s):
    video = folder / f"heard.{ending}"
    numbered_video(video, FRAMES, options={"bf": "2"}, sound="aac")
    made = cut_of(tmp_path, video, [[8.5, 12.32]], precision="keyframe")
    (clip,) = made.clips.values()
    path = made.unpack(clip.key)
    shown = numbers_in(path)
    assert shown == list(range(shown[0], shown[-1] + 1))
    assert shown[-1] in (306, 307)
    assert abs(late_s(path, shown[0] / 25)) <= most_s
    sound = read_sound(f"file:{path}", Fraction(0))
    assert sound is not None
    assert sound[0].shape[1] / RATE_HZ == pytest.approx(clip.stop_s - clip.start_s, abs=0.13)


def test_a_copied_clip_has_the_sound_that_its_item_names(tmp_path, folder):
    pictures, heard = folder / "silent.mp4", folder / "heard.m4a"
    numbered_video(pictures, FRAMES, options={"bf": "2", "sc_threshold": "0"})
    numbered_video(heard.with_suffix(".mp4"), FRAMES, options={"bf": "2"}, sound="aac")
    clips = [("a", 8.0, 12.32)]
    settings = settings_of(write_table(tmp_path / "t.txt"), precision="keyframe")
    task = CutTask(
        url=f"file:{pictures}",
        sound_url=f"file:{heard.with_suffix('.mp4')}",
        frames=scan_item(f"file:{pictures}").frames,
        clips=clips,
        facts={"fps": "25"},
        video=settings["video"],
        audio=settings["audio"],
        formats=settings["encode_formats"],
        precision="keyframe",
        folder=str(tmp_path),
    )
    done = cut_item(task)
    assert (done["parts"], done["failed"], done["notes"]) == ({"a": {"mp4": "a.mp4"}}, {}, {})
    assert numbers_in(tmp_path / "a.mp4") == list(range(200, 308))
    assert abs(late_s(tmp_path / "a.mp4", 8)) <= 0.002


@pytest.mark.parametrize(
    ("codec", "options", "sound", "known"),
    [
        ("libsvtav1", {"preset": "10"}, "aac", ("av1", "aac")),
        ("libx264", {}, "libmp3lame", ("h264", "mp3")),
        ("libvpx-vp9", {"deadline": "realtime"}, "", ("vp9", "")),
    ],
)
def test_a_whole_item_is_taken_byte_by_byte_whichever_program_decodes_it(tmp_path, codec, options, sound, known):
    video = numbered_video(tmp_path / "a.mp4", 30, codec=codec, options=options, sound=sound)
    made = make(tmp_path / "made", write_table(tmp_path / "t.txt", str(video)))
    (clip,) = made.clips.values()
    assert made.unpack(clip.key).read_bytes() == video.read_bytes()
    assert (clip.meta["source_video_codec"], clip.meta["source_audio_codec"]) == known


def codec_of(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.codec.canonical_name


@pytest.fixture(scope="module")
def both_codecs(tmp_path_factory) -> Path:
    """A table of a video in h264 and one in hevc, each once whole and once with a clip of its own."""
    root = tmp_path_factory.mktemp("codecs")
    x265 = {"x265-params": "log-level=none", "preset": "ultrafast"}
    videos = [
        numbered_video(root / "h264.mp4", 30),
        numbered_video(root / "hevc.mp4", 30, codec="libx265", options=x265),
    ]
    rows = [{"url": str(video), "clips": clips} for video in videos for clips in ([], [[0.2, 0.8]])]
    return write_table(root / "t.jsonl", *map(json.dumps, rows))


@pytest.mark.parametrize(
    ("codec", "found", "as_they_are"),
    [
        ("", ["h264", "h264", "hevc", "h264"], [True, False, True, False]),
        ("h264", ["h264", "h264", "h264", "h264"], [True, False, False, False]),
        ("hevc", ["hevc", "hevc", "hevc", "hevc"], [False, False, True, False]),
    ],
)
def test_a_codec_that_is_named_is_that_of_every_clip_and_whole_item(tmp_path, both_codecs, codec, found, as_they_are):
    made = make(tmp_path / "made", both_codecs, video={"codec": codec, "preset": "ultrafast"})
    assert [codec_of(made.unpack(key)) for key in sorted(made.clips)] == found
    assert [made.clips[key].parts[0]["from_item"] for key in sorted(made.clips)] == as_they_are
    assert [len(shown) for shown in shown_in(made)] == [30, 15, 30, 15]


def test_a_copy_that_has_another_codec_than_was_named_is_encoded_and_that_is_said(tmp_path, both_codecs):
    made = make(tmp_path / "made", both_codecs, precision="keyframe", video={"codec": "hevc", "preset": "ultrafast"})
    assert {codec_of(made.unpack(key)) for key in made.clips} == {"hevc"}
    said = {row.item: row.message for row in made.rows("cut") if "_" in row.item}
    assert list(said.values()) == ["encoded, not copied: it is h264, and hevc is asked for", ""]


@pytest.mark.parametrize("precision", ["exact", "keyframe"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_pictures_of_an_avi_that_come_reordered_are_all_there(tmp_path, folder, codec, precision):
    video = folder / f"{codec}.avi"
    video = video if video.exists() else numbered_video(video, FRAMES, codec=codec, options={"bf": "2"})
    made = cut_of(tmp_path, video, [[0.48, 1.48], [12.48, 13.48]], precision=precision)
    for clip, shown in zip(made.clips.values(), shown_in(made), strict=True):
        first = round(clip.start_s * 25)
        assert shown == list(range(first, first + len(shown)))
        assert len(shown) == round((clip.stop_s - clip.start_s) * 25)
        assert (clip.meta["source_frames"], clip.meta["source_undecoded"]) == (FRAMES, 0)
    listed, seen = (look(f"file:{video}").frames for look in (list_packets, scan_item))
    assert listed.pts_us.tolist() == seen.pts_us.tolist()


def test_pictures_whose_time_goes_back_are_counted(tmp_path):
    videos = [numbered_video(tmp_path / f"{number}.ts", 30, options={"bf": "0"}) for number in range(2)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(video.read_bytes() for video in videos))
    facts = scan_item(f"file:{joined}").facts
    assert facts["frames"] + facts["undecoded"] == 60
