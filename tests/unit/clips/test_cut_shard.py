"""Clips are what the table, the cuts or the subtitles say, and each ends once, with its reason."""

import itertools
import json
import wave
from fractions import Fraction

import av
import numpy as np
import pytest

from rushes.sample_media import decode_sound
from scripts.common import lots
from scripts.common.video_item import read_sound
from scripts.datasets.clip_times import Clip, filtered
from tests.unit.clips.clip_contents import frames_in, pitch_start_s, shown_frames
from tests.unit.shard_maker import (
    FOUR,
    GREEN,
    RATE_HZ,
    RED,
    cut,
    make,
    scene_video,
    tone,
    write_table,
)


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
