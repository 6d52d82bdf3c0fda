"""Landmarks of sounds: any length and rate, what is refused, and what is kept of each."""

import http.server
import json
import subprocess
import threading
import tracemalloc
import zipfile
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import ledger
from scripts.common.checkpoint_names import find_checkpoint, is_tensorflow
from scripts.common.errors import ConfigError, InputError
from scripts.models import requests_again, result_names
from scripts.models.checkpoint import IDENTITY, read_checkpoint
from scripts.models.infer_landmarks import infer_landmarks
from scripts.models.sounds import read_sound
from scripts.models.speech_gate import speech_stretches
from scripts.models.speech_inference import Speaker, blend, presence, window_starts
from scripts.models.spoken_stretches import LOUDNESS, SILERO, stretches_by
from scripts.planning.config import checked, schema
from tests.unit.speaking_checkpoint import make_checkpoint, write_speech
from tests.unit.test_speech_and_cuts import sound_of

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def checkpoint(trained):
    return trained[0]


def settings_of(**changes: Any) -> dict[str, Any]:
    return checked(changes, schema("config")["properties"]["inference"], "inference")


def infer(root, files, checkpoint, *, audio_dir=None, face=None, dataset=None, unusable=None, **changes):
    """Results of `files` in `root`/landmarks, and the rows of the ledger."""
    inputs = dataset or {"card": None, "mean": None, "std": None}
    infer_landmarks(
        files,
        checkpoint,
        face,
        inputs["card"],
        inputs["mean"],
        inputs["std"],
        root / "landmarks",
        root / "ledger.parquet",
        audio_dir=str(audio_dir or root / "sounds"),
        settings=settings_of(**changes),
        unusable=unusable or {},
    )
    return root / "landmarks", ledger.rows(ledger.read([root / "ledger.parquet"]))


@pytest.mark.parametrize(("seconds", "rate_hz", "channels"), [(0.05, 8000, 1), (2.56, 16_000, 1), (7.3, 44_100, 2)])
def test_a_sound_of_any_length_and_rate_has_a_face_for_each_of_its_frames(
    tmp_path, checkpoint, seconds, rate_hz, channels
):
    file = write_speech(tmp_path / "sounds" / "a.wav", seconds, rate_hz, channels=channels)
    folder, (row,) = infer(tmp_path, [file], checkpoint)
    pose = np.load(folder / "a.npy", allow_pickle=False)
    assert (pose.dtype, pose.shape) == (np.float32, (int(np.ceil(seconds * 25 - 1e-9)), 68, 2))
    assert np.isfinite(pose).all()
    assert np.abs(pose[:, 33]).max() < 1e-3
    assert (row.item, row.outcome) == ("a.wav", "written")


def test_the_rate_of_a_sound_changes_little(tmp_path, checkpoint):
    poses = []
    for rate_hz in (16_000, 48_000):
        file = write_speech(tmp_path / f"{rate_hz}" / "a.wav", 4, rate_hz)
        folder, _ = infer(tmp_path / f"{rate_hz}", [file], checkpoint, audio_dir=file.parent)
        poses.append(np.load(folder / "a.npy"))
    assert np.abs(poses[0] - poses[1]).mean() < 0.05 * np.abs(poses[0] - poses[0].mean(axis=0)).max() + 0.05


def test_json_has_the_parts_of_the_face_and_the_text_beside_a_sound_is_kept(tmp_path, checkpoint):
    file = write_speech(tmp_path / "sounds" / "deep" / "a b.wav", 3)
    text = file.with_suffix(".txt")
    text.write_text("bin blue at f two now")
    folder, _ = infer(tmp_path, [file, text], checkpoint)
    content = json.loads((folder / "deep" / "a b.json").read_text())
    pose = np.load(folder / "deep" / "a b.npy")
    parts = np.concatenate([np.array(content[name]) for name in ("head", "eyes", "mouth")], axis=1)
    assert [len(content[name][0]) for name in ("head", "eyes", "mouth")] == [36, 12, 20]
    assert np.abs(parts - pose).max() < 1e-3
    assert (content["fps"], content["frames"], content["text"]) == ("25", 75, "bin blue at f two now")
    assert content["speech"]
    assert (folder / "deep" / "a b.txt").read_text() == "bin blue at f two now"


@pytest.mark.parametrize("packed", [False, True])
def test_a_text_is_kept_byte_by_byte_and_read_as_what_it_is(tmp_path, checkpoint, packed):
    texts = {
        "a.txt": ("Grüße", "utf-8"),
        "b.txt": ("Grüße", "latin-1"),
        "c.txt": ("Grüße\r\n", "utf-16"),
        "d.TXT": ("Grüße", "utf-8-sig"),
        "e.txt": ("", "utf-8"),
    }
    files = [write_speech(tmp_path / "sounds" / f"{name[0]}.wav", 0.1) for name in texts]
    for name, (text, encoding) in texts.items():
        (tmp_path / "sounds" / name).write_bytes(text.encode(encoding))
        files.append(tmp_path / "sounds" / name)
    archive = zip_of(tmp_path / "talk.zip", **{file.name: file.read_bytes() for file in files})
    folder, _ = infer(tmp_path, [archive] if packed else files, checkpoint, audio_dir=archive if packed else None)
    for name, (text, encoding) in texts.items():
        assert (folder / f"{name[0]}.txt").read_bytes() == text.encode(encoding)
        assert json.loads((folder / f"{name[0]}.json").read_text()).get("text", "") == text


def test_silence_shows_the_mean_face_or_the_one_that_is_given(tmp_path, checkpoint, trained):
    file = tmp_path / "sounds" / "a.wav"
    file.parent.mkdir()
    soundfile.write(file, np.zeros(32_000), 16_000)
    folder, _ = infer(tmp_path, [file], checkpoint)
    mean = np.load(trained[1]["mean"]).reshape(2, 68).T
    assert np.abs(np.load(folder / "a.npy") - mean).max() < 1e-3
    face = tmp_path / "face.npy"
    np.save(face, mean * 1.1 + 5)
    (tmp_path / "b").mkdir()
    folder, _ = infer(tmp_path / "b", [file], checkpoint, face=face, audio_dir=file.parent)
    assert np.abs(np.load(folder / "a.npy") - mean * 1.1).max() < 0.05


def test_where_silero_is_asked_the_face_speaks_with_the_words_alone(tmp_path, checkpoint, trained, data):
    """GRID's swwp2s, its words from 0.49 to 2.21 s, then a loud hum from 3.2 s on."""
    words = sound_of(data / "faces" / "grid" / "id2_vcd_swwp2s.mpg", 16_000)[: 3 * 16_000] / 2**15
    hum = 0.3 * np.sin(np.arange(32_000) * 0.05)
    file = tmp_path / "sounds" / "a.wav"
    file.parent.mkdir()
    soundfile.write(file, np.concatenate([words, np.zeros(3_200), hum]), 16_000)
    folder, _ = infer(tmp_path, [file], checkpoint, speech="silero")
    (stretch,) = json.loads((folder / "a.json").read_text())["speech"]
    assert np.abs(np.array(stretch) / 25 - (0.49, 2.21)).max() <= 0.06 + 0.04
    mean = np.load(trained[1]["mean"]).reshape(2, 68).T
    assert np.abs(np.load(folder / "a.npy")[stretch[1] :] - mean).max() < 1e-3
    (tmp_path / "loud").mkdir()
    folder, _ = infer(tmp_path / "loud", [file], checkpoint, audio_dir=file.parent)
    assert json.loads((folder / "a.json").read_text())["speech"][-1][1] > 100


def test_debug_adds_a_video_with_the_sound(tmp_path, checkpoint):
    file = write_speech(tmp_path / "sounds" / "a.wav", 1.2, 44_100)
    folder, _ = infer(tmp_path, [file], checkpoint, debug=True)
    with av.open(str(folder / "a.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 30
        assert float(video.streams.audio[0].duration * video.streams.audio[0].time_base) == pytest.approx(1.2, abs=0.1)


def test_a_bad_sound_is_a_row_and_the_others_are_made(tmp_path, checkpoint):
    good = write_speech(tmp_path / "sounds" / "good.wav", 1)
    long = write_speech(tmp_path / "sounds" / "long.wav", 3)
    bad = tmp_path / "sounds" / "bad.wav"
    bad.write_bytes(b"RIFF no sound")
    folder, rows = infer(tmp_path, [bad, good, long], checkpoint, max_s=2)
    assert {row.item: row.reason for row in rows} == {"bad.wav": "no_sound", "good.wav": "", "long.wav": "too_long"}
    assert {file.name for file in folder.iterdir()} == {"good.npy", "good.json"}


@pytest.mark.parametrize("ending", [".flac", ".mp3", ".ogg", ".aiff", ".MP3"])
def test_sounds_of_other_forms_are_sounds_too(tmp_path, checkpoint, ending):
    signal, rate_hz = soundfile.read(write_speech(tmp_path / "a.wav", 2, 48_000))
    file = tmp_path / "sounds" / f"a{ending}"
    file.parent.mkdir()
    soundfile.write(file, signal, rate_hz, format=ending[1:].upper())
    folder, (row,) = infer(tmp_path, [file], checkpoint)
    assert (row.item, row.outcome) == (file.name, "written")
    # A coded sound may end with the last block of its codec.
    assert 50 <= len(np.load(folder / "a.npy", allow_pickle=False)) <= 52


def test_sounds_of_a_form_that_is_not_read_are_filtered_and_said(tmp_path, checkpoint, caplog):
    good = write_speech(tmp_path / "sounds" / "good.wav", 1).rename(tmp_path / "sounds" / "good.WAVE")
    others = [tmp_path / "sounds" / name for name in ("memo.m4a", "film.MP4")]
    for file in others:
        file.write_bytes(b"....ftyp")
    _, rows = infer(tmp_path, [good, *others], checkpoint)
    assert {row.item: (row.outcome, row.reason) for row in rows} == {
        "good.WAVE": ("written", ""),
        "film.MP4": ("filtered", "other_format"),
        "memo.m4a": ("filtered", "other_format"),
    }
    assert "2 of another form left out: film.MP4" in caplog.text
    archive = zip_of(tmp_path / "memos.zip", **{"memo.m4a": b"....ftyp"})
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match=r"memos\.zip holds no sound: memo\.m4a is in a form"):
        infer(tmp_path / "b", [archive], checkpoint, audio_dir=archive)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_twins_of_a_zip_are_rows_and_none_is_taken_for_the_other(tmp_path, checkpoint):
    content = [write_speech(tmp_path / "sounds" / "a.wav", seconds).read_bytes() for seconds in (1, 2)]
    with zipfile.ZipFile(tmp_path / "talk.zip", "w") as archive:
        for name, which in (("a.wav", 0), ("b.wav", 0), ("a.wav", 1)):
            archive.writestr(name, content[which])
    folder, rows = infer(tmp_path, [tmp_path / "talk.zip"], checkpoint, audio_dir=tmp_path / "talk.zip")
    assert [(row.item, row.reason) for row in rows] == [("a.wav", "same_name"), ("b.wav", "")]
    assert "a.wav stands 2 times in talk.zip" in rows[0].message
    assert not (folder / "a.npy").exists()


def test_names_that_cannot_be_written_are_rows_and_the_others_are_made(tmp_path, checkpoint):
    content = write_speech(tmp_path / "sounds" / "a.wav", 1).read_bytes()
    names = ["x" * 300 + ".wav", "y" * 300 + "/a.wav", "z/" * 2000 + "a.wav", "a.npy/b.wav", "a.wav"]
    names += ["no\nbreak.wav", "no\N{NO-BREAK SPACE}break.wav"]
    archive = zip_of(tmp_path / "talk.zip", **dict.fromkeys(names, content))
    folder, rows = infer(tmp_path, [archive], checkpoint, audio_dir=archive)
    assert {row.item[:9]: row.reason for row in rows} == {
        "xxxxxxxxx": "long_name",
        "yyyyyyyyy": "long_name",
        "z/z/z/z/z": "long_name",
        "a.npy/b.w": "",
        "a.wav": "same_name",
        "no\nbreak.": "bad_name",
        "no\N{NO-BREAK SPACE}break.": "",
    }
    assert (folder / "a.npy" / "b.npy").exists()


def test_names_that_differ_in_case_alone_are_two_where_the_file_system_says_so(tmp_path, checkpoint, monkeypatch):
    content = write_speech(tmp_path / "sounds" / "a.wav", 1).read_bytes()
    archive = zip_of(tmp_path / "talk.zip", **dict.fromkeys(["A.wav", "a.wav", "1:a.wav"], content))
    folder, rows = infer(tmp_path, [archive], checkpoint, audio_dir=archive)
    assert [(row.item, row.reason) for row in rows] == [("1:a.wav", ""), ("A.wav", ""), ("a.wav", "")]
    assert sorted(file.name for file in folder.glob("*.npy")) == ["1:a.npy", "A.npy", "a.npy"]
    monkeypatch.setattr(result_names, "_tells_case", lambda folder: False)
    (tmp_path / "b").mkdir()
    _, rows = infer(tmp_path / "b", [archive], checkpoint, audio_dir=archive)
    assert [(row.item, row.reason) for row in rows] == [("1:a.wav", ""), ("A.wav", ""), ("a.wav", "same_name")]


def test_a_sound_that_snakemake_cannot_name_is_a_row(tmp_path, checkpoint):
    good = write_speech(tmp_path / "sounds" / "good.wav", 1)
    _, rows = infer(tmp_path, [good], checkpoint, unusable={"x{1}.wav": "the name x{1}.wav holds a brace"})
    assert [(row.item, row.reason) for row in rows] == [("x{1}.wav", "bad_name"), ("good.wav", "")]


def streamed_flac(file):
    """The bytes of a sound as ffmpeg writes them into a pipe, which do not say how long it is."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(file), "-f", "flac", "pipe:1"]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def test_a_flac_that_does_not_say_its_length_is_read_to_its_end_or_to_the_limit(tmp_path):
    content = streamed_flac(write_speech(tmp_path / "a.wav", 70, 16_000, channels=2))
    signal, rate_hz = read_sound(content, "a", max_s=100)
    assert (len(signal), rate_hz) == (70 * 16_000, 16_000)
    whole, _ = soundfile.read(write_speech(tmp_path / "b.wav", 70))
    assert np.abs(signal - whole).max() < 1e-4
    with pytest.raises(InputError, match=r"a lasts .* s or more, longer than 60") as error:
        read_sound(content, "a", max_s=60)
    assert error.value.reason == "too_long"
    assert 60 < error.value.value < 100


def test_channels_are_averaged_block_by_block(tmp_path):
    """32 channels of 10 s take 61 MB as float32."""
    one = np.random.default_rng(0).normal(0, 0.1, 480_000)
    soundfile.write(tmp_path / "a.wav", np.repeat(one[:, None], 32, axis=1), 48_000)
    content = (tmp_path / "a.wav").read_bytes()
    tracemalloc.start()
    signal, _ = read_sound(content, "a", max_s=100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20e6
    assert np.abs(signal - one).max() < 1e-4


def test_of_two_sounds_that_differ_in_their_ending_none_is_lost(tmp_path, checkpoint):
    files = [write_speech(tmp_path / "sounds" / "a.wav", 1)]
    files.append(files[0].with_suffix(".flac"))
    soundfile.write(files[1], *soundfile.read(write_speech(tmp_path / "b.wav", 2)))
    (tmp_path / "sounds" / "a.txt").write_text("hello")
    folder, rows = infer(tmp_path, [*files, tmp_path / "sounds" / "a.txt"], checkpoint)
    assert {row.item for row in rows if row.outcome == "written"} == {"a.wav", "a.flac"}
    lengths = {name: len(np.load(folder / f"{name}.npy", allow_pickle=False)) for name in ("a.wav", "a.flac")}
    assert lengths == {"a.wav": 25, "a.flac": 50}
    assert (folder / "a.wav.txt").read_text() == (folder / "a.flac.txt").read_text() == "hello"


def test_what_is_no_sound_is_said_without_an_object_of_python(tmp_path, checkpoint):
    bad = tmp_path / "sounds" / "bad.wav"
    bad.parent.mkdir()
    bad.write_bytes(b"no sound")
    _, (row,) = infer(tmp_path, [bad], checkpoint)
    assert row.message == "bad cannot be read as a sound: Format not recognised."


def zip_of(path, **entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_a_zip_is_as_good_as_a_folder(tmp_path, checkpoint):
    file = write_speech(tmp_path / "sounds" / "a.wav", 1)
    archive = zip_of(tmp_path / "talk.zip", **{"x/a.wav": file.read_bytes(), "x/a.txt": "hello"})
    folder, (row,) = infer(tmp_path, [archive], checkpoint, audio_dir=archive)
    assert row.item == "x/a.wav"
    (tmp_path / "b").mkdir()
    other, _ = infer(tmp_path / "b", [file], checkpoint, audio_dir=file.parent)
    assert (folder / "x" / "a.npy").read_bytes() == (other / "a.npy").read_bytes()
    assert (folder / "x" / "a.txt").read_text() == "hello"


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_sound_of_a_packed_zip_is_a_row_and_the_others_are_made(tmp_path, checkpoint, method):
    content = write_speech(tmp_path / "sounds" / "a.wav", 1).read_bytes()
    with zipfile.ZipFile(tmp_path / "talk.zip", "w", method) as archive:
        archive.writestr("a.wav", content)
        archive.writestr("b.wav", content)
    damaged = bytearray((tmp_path / "talk.zip").read_bytes())
    damaged[100:400] = bytes(byte ^ 0xFF for byte in damaged[100:400])
    (tmp_path / "talk.zip").write_bytes(damaged)
    folder, rows = infer(tmp_path, [tmp_path / "talk.zip"], checkpoint, audio_dir=tmp_path / "talk.zip")
    assert [(row.item, row.reason) for row in rows] == [("a.wav", "bad_zip"), ("b.wav", "")]
    assert "a.wav cannot be unpacked" in rows[0].message
    assert (folder / "b.npy").exists()


@pytest.mark.parametrize("name", ["../a.wav", "x/../../a.wav", "/etc/a.wav", "..\\a.wav", "C:\\a.wav"])
def test_a_zip_with_a_name_that_leads_out_of_it_is_refused(tmp_path, checkpoint, name):
    file = write_speech(tmp_path / "sounds" / "a.wav", 1)
    archive = zip_of(tmp_path / "bad.zip", **{"good.wav": file.read_bytes(), name: file.read_bytes()})
    with pytest.raises(InputError, match="leads out of it") as error:
        infer(tmp_path, [archive], checkpoint, audio_dir=archive)
    assert error.value.reason == "zip_name"
    assert list((tmp_path / "landmarks").iterdir()) == []
    assert not (tmp_path.parent / "a.npy").exists()


def test_a_checkpoint_of_other_features_layout_or_kind_is_refused(tmp_path, checkpoint):
    for field, value in (("features", {"name": "mfcc"}), ("layout", {"points": "mediapipe"}), ("kind", "poses")):
        changed = read_checkpoint(checkpoint)
        changed[IDENTITY] = {**changed[IDENTITY], field: value}
        torch.save(changed, tmp_path / "other.ckpt")
        with pytest.raises(InputError, match=f"trained with another {field}") as error:
            Speaker(tmp_path / "other.ckpt", hop=16)
        assert error.value.reason == "checkpoint_differs"


def test_another_dataset_than_the_checkpoint_s_is_refused(tmp_path, checkpoint, trained):
    file = write_speech(tmp_path / "sounds" / "a.wav", 1)
    infer(tmp_path, [file], checkpoint, dataset=trained[1])
    for name, field in (("card", "card_sha256"), ("mean", "mean"), ("std", "std")):
        other = tmp_path / f"other.{name}"
        if name == "card":
            other.write_text("{}")
        else:
            with other.open("wb") as target:
                np.save(target, np.load(trained[1][name]) + 1)
        (tmp_path / name).mkdir()
        with pytest.raises(InputError, match=f"another {field}"):
            infer(tmp_path / name, [file], checkpoint, audio_dir=file.parent, dataset={**trained[1], name: other})


@pytest.mark.parametrize("packed", [False, True])
def test_a_text_that_belongs_to_no_sound_is_kept_at_its_place(tmp_path, checkpoint, packed):
    texts = {
        "notes.txt": b"of the day",
        "deep/words.TXT": b"\xff\xfe",
        "a.txt": b"hello",
        "a.TXT": b"again",
        "memo.txt": b"of a memo",
    }
    write_speech(tmp_path / "sounds" / "a.wav", 1)
    (tmp_path / "sounds" / "deep").mkdir()
    for name, content in {**texts, "memo.m4a": b"....ftyp"}.items():
        (tmp_path / "sounds" / name).write_bytes(content)
    files = sorted(path for path in (tmp_path / "sounds").rglob("*") if path.is_file())
    entries = {str(path.relative_to(tmp_path / "sounds")): path.read_bytes() for path in files}
    archive = zip_of(tmp_path / "talk.zip", **entries)
    folder, rows = infer(
        tmp_path, [archive] if packed else files, checkpoint, audio_dir=archive if packed else tmp_path / "sounds"
    )
    assert [(row.item, row.outcome) for row in rows] == [("a.wav", "written"), ("memo.m4a", "filtered")]
    assert {name: (folder / name).read_bytes() for name in texts} == texts
    assert json.loads((folder / "a.json").read_text())["text"] == "hello"


def test_a_text_whose_name_a_result_has_is_a_row(tmp_path, checkpoint):
    files = [write_speech(tmp_path / "sounds" / "a.wav", 1)]
    files += [files[0].with_suffix(".flac"), *(tmp_path / "sounds" / name for name in ("a.txt", "a.wav.txt"))]
    soundfile.write(files[1], *soundfile.read(files[0]))
    for text in files[2:]:
        text.write_text(text.name)
    folder, rows = infer(tmp_path, files, checkpoint)
    assert [(row.item, row.reason) for row in rows] == [("a.flac", ""), ("a.wav", ""), ("a.wav.txt", "same_name")]
    assert (folder / "a.wav.txt").read_text() == "a.txt"


@pytest.mark.parametrize("packed", [False, True])
def test_a_wav_that_was_cut_off_is_made_and_said(tmp_path, checkpoint, caplog, packed):
    file = write_speech(tmp_path / "sounds" / "deep" / "a.wav", 2)
    content = file.read_bytes()
    half = len(content) // 2
    file.write_bytes(content[:half])
    whole = write_speech(tmp_path / "sounds" / "b.wav", 1)
    archive = zip_of(tmp_path / "talk.zip", **{"deep/a.wav": content[:half], "b.wav": whole.read_bytes()})
    files, audio_dir = ([archive], archive) if packed else ([file, whole], None)
    folder, rows = infer(tmp_path, files, checkpoint, audio_dir=audio_dir)
    said = f"deep/a.wav promises {len(content):,} bytes and holds {half:,}: it was cut off; what is there is taken"
    assert {row.item: (row.outcome, row.message) for row in rows} == {
        "b.wav": ("written", ""),
        "deep/a.wav": ("written", said),
    }
    assert said in caplog.text
    assert len(np.load(folder / "deep" / "a.npy")) == 25


def test_landmarks_that_are_no_numbers_are_a_failed_row(tmp_path, checkpoint):
    changed = read_checkpoint(checkpoint)
    changed["state_dict"] = {name: value * np.nan for name, value in changed["state_dict"].items()}
    torch.save(changed, tmp_path / "blown.ckpt")
    file = write_speech(tmp_path / "sounds" / "a.wav", 1)
    folder, (row,) = infer(tmp_path, [file], tmp_path / "blown.ckpt")
    assert (row.item, row.outcome, row.reason) == ("a.wav", "failed", "no_landmarks")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("scale", [1, 2**31])
def test_the_loudest_sound_that_is_read_has_landmarks(tmp_path, checkpoint, scale):
    file = tmp_path / "sounds" / "a.wav"
    file.parent.mkdir()
    soundfile.write(file, scale * np.sign(np.random.default_rng(0).standard_normal(16_000)), 16_000, "FLOAT")
    folder, (row,) = infer(tmp_path, [file], checkpoint)
    assert row.outcome == "written"
    assert np.isfinite(np.load(folder / "a.npy")).all()


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('it ran')",))


def test_a_checkpoint_with_code_in_it_does_not_run_it(tmp_path):
    torch.save({"state_dict": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(InputError, match="cannot be read as weights alone") as error:
        Speaker(tmp_path / "evil.ckpt", hop=16)
    assert "PyTorch" not in error.value.message
    assert "weights_only" not in error.value.message


def test_weights_that_say_nothing_of_themselves_are_refused(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "bare.ckpt")
    with pytest.raises(InputError, match="does not say which dataset"):
        Speaker(tmp_path / "bare.ckpt", hop=16)


@pytest.mark.parametrize(
    "named", ["model.ckpt-1200", "model.ckpt-1200.index", "checkpoint", "", "model.ckpt-12.data-00000-of-00002"]
)
def test_a_checkpoint_of_tensorflow_1_is_refused_in_a_clear_line(tmp_path, named):
    for ending in (".index", ".meta", ".data-00000-of-00001"):
        (tmp_path / f"model.ckpt-1200{ending}").write_bytes(b"\0")
    for part in range(2):
        (tmp_path / f"model.ckpt-12.data-0000{part}-of-00002").write_bytes(b"\0")
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-1200"\n')
    with pytest.raises(ConfigError, match="is a checkpoint of TensorFlow 1") as error:
        find_checkpoint(str(tmp_path / named), str(tmp_path))
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="TensorFlow 1"):
        read_checkpoint(tmp_path / named)


def test_parts_of_a_checkpoint_of_tensorflow_are_known_by_their_common_name(tmp_path):
    (tmp_path / "model.ckpt-12.data-00001-of-00002").touch()
    (tmp_path / "lips.ckpt").touch()
    (tmp_path / "lips.ckpt.txt").touch()
    assert is_tensorflow(str(tmp_path / "model.ckpt-12"))
    assert is_tensorflow(str(tmp_path))
    assert not is_tensorflow(str(tmp_path / "lips.ckpt"))


def test_a_checkpoint_is_found_by_its_path_by_its_model_and_by_its_step(tmp_path):
    folder = tmp_path / "lips" / "checkpoints"
    folder.mkdir(parents=True)
    for name in ("best.ckpt", "last.ckpt", "epoch_00014.step_0000168.ckpt"):
        (folder / name).touch()
    found = {named: find_checkpoint(named, str(tmp_path)) for named in ("lips", "lips:last", "lips:168")}
    assert [path.removeprefix(f"{folder}/") for path, _ in found.values()] == [
        "best.ckpt",
        "last.ckpt",
        "epoch_00014.step_0000168.ckpt",
    ]
    by_path = [find_checkpoint(path, str(tmp_path)) for path, _ in found.values()]
    assert by_path == list(found.values())
    assert [label for _, label in by_path] == ["lips.best", "lips.last", "lips.step_168"]
    for named, message in (("lisp", "did you mean `lips`"), ("lips:169", "168"), ("../lips", "is no file")):
        with pytest.raises(ConfigError, match=message):
            find_checkpoint(named, str(tmp_path))


def test_a_model_without_a_checkpoint_is_said_with_the_log_of_its_training(tmp_path):
    folder = tmp_path / "results" / "models" / "lips" / "checkpoints"
    folder.mkdir(parents=True)
    for named in ("lips", "lips:last", "lips:77"):
        with pytest.raises(ConfigError, match="lips has no checkpoint: its training failed, or has not run") as error:
            find_checkpoint(named, str(tmp_path / "results" / "models"))
        assert str(error.value).endswith("results/logs/train_speech_landmarks/lips.log")
    (folder / "last.ckpt").touch()
    (folder / "epoch_00014.step_0000168.ckpt").touch()
    for named, which in (("lips", "best"), ("lips:77", "step 77"), ("lips:x", "x")):
        with pytest.raises(ConfigError, match=f"lips has none of `{which}`; it has last, step 168"):
            find_checkpoint(named, str(tmp_path / "results" / "models"))


def test_no_two_checkpoints_are_called_alike(tmp_path):
    files = ["models/lips/checkpoints/best.ckpt", "ck/lips/checkpoints/best.ckpt", "ck2/lips/checkpoints/best.ckpt"]
    files += ["best.ckpt", "best.pt", "a/best.ckpt", "models/lips/checkpoints/best.pt", "models/lips/best.ckpt"]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    labels = [find_checkpoint(str(tmp_path / name), str(tmp_path / "models"))[1] for name in files]
    assert len(set(labels)) == len(files)
    assert labels[0] == "lips.best"
    assert [label.rpartition("-")[0] for label in labels[1:5]] == ["lips.best", "lips.best", "best", "best"]


@given(st.integers(0, 50), st.integers(1, 300), st.integers(2, 64), st.data())
def test_windows_cover_a_stretch_and_equal_ones_blend_to_themselves(first, length, frames, data):
    hop = data.draw(st.integers(1, frames))
    starts = window_starts(first, first + length, frames, hop)
    covered = np.zeros(first + length + frames, bool)
    for start in starts:
        covered[start : start + frames] = True
    assert covered[first : first + length].all()
    assert starts == sorted(set(starts))
    blended, weight = blend(first + length, starts, np.full((len(starts), frames, 2), 7.0))
    assert np.allclose(blended[first:], 7.0)
    assert (weight[first:] > 0).all()


def test_a_stretch_comes_from_rest_and_goes_back():
    assert presence(12, [(2, 10)]).tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25, 0, 0]


def test_the_gate_finds_two_words_and_no_speech_in_silence():
    signal = np.random.default_rng(0).normal(0, 1e-4, 48_000)
    for first, stop in ((8_000, 16_000), (28_000, 40_000)):
        signal[first:stop] += 0.2 * np.sin(np.arange(stop - first) * 0.1)
    found = speech_stretches(signal, 16_000)
    assert len(found) == 2
    for (start, end), (first, stop) in zip(found, ((8_000, 16_000), (28_000, 40_000)), strict=True):
        assert abs(start - first) <= 0.13 * 16_000
        assert abs(end - stop) <= 0.13 * 16_000
    assert speech_stretches(np.zeros(16_000), 16_000) == []
    assert speech_stretches(np.empty(0), 16_000) == []


@pytest.mark.parametrize("offset", [0.2, -0.5])
def test_a_constant_offset_is_no_speech(offset):
    """A microphone's offset, after a second of digital silence: what is said is found as without it."""
    sound = np.zeros(3 * 16_000)
    sound[20_000:32_000] = 0.1 * np.sin(np.arange(12_000) * 0.1)
    moved = sound + np.where(np.arange(len(sound)) < 16_000, 0, offset)
    # But for the step itself, which is one.
    assert speech_stretches(moved, 16_000)[-1] == speech_stretches(sound, 16_000)[-1]
    (word,) = speech_stretches(sound + offset, 16_000)
    assert word == speech_stretches(sound, 16_000)[0]
    assert speech_stretches(np.full(16_007, offset), 16_000) == []


@pytest.mark.parametrize("clip", ["bbaf2n", "id2_vcd_swwp2s", "lbax4n", "pwij3p"])
def test_by_loudness_the_words_of_grid_are_found_where_silero_hears_them(data, clip):
    """To 0.15 s, of which 0.1 s are the margin: the breath and the rumble after bbaf2n's words are none of them."""
    sound = (sound_of(data / "faces" / "grid" / f"{clip}.mpg", 16_000) / 2**15).astype(np.float32)
    (loud,), (heard,) = (stretches_by(name)(sound, 16_000) for name in (LOUDNESS, SILERO))
    assert np.abs(np.subtract(loud, heard)).max() <= 0.15 * 16_000


class Renderer(http.server.BaseHTTPRequestHandler):
    """A render service: fails twice, then refuses the sound `b`, and returns a video for others."""

    calls: list[dict[str, Any]]
    failures: int

    def do_POST(self):
        content = json.loads(self.rfile.read(int(self.headers["content-length"])))
        type(self).calls.append(content)
        if type(self).failures:
            type(self).failures -= 1
            self.send_error(503)
        elif content["name"] == "b":
            self.send_error(400, "no such face")
        else:
            self.send_response(200)
            self.send_header("content-type", "video/mp4")
            self.end_headers()
            self.wfile.write(b"video of " + content["name"].encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def renderer(monkeypatch):
    monkeypatch.setattr(requests_again, "PAUSE_S", 0.01)
    handler = type("Handler", (Renderer,), {"calls": [], "failures": 2})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}/render"
    server.shutdown()
    server.server_close()


def test_a_render_service_is_asked_again_and_one_that_refuses_stops_nothing(tmp_path, checkpoint, renderer):
    handler, url = renderer
    files = [write_speech(tmp_path / "sounds" / f"{name}.wav", 1) for name in "abc"]
    folder, rows = infer(tmp_path, files, checkpoint, request_render=url, retries=3)
    assert [content["name"] for content in handler.calls] == ["a", "a", "a", "b", "c"]
    ended = {(row.step, row.item): (row.outcome, row.reason) for row in rows}
    assert ended["request_render", "b.wav"] == ("failed", "refused")
    assert [ended["infer_landmarks", f"{name}.wav"][0] for name in "abc"] == ["written"] * 3
    assert (folder / "a.render.mp4").read_bytes() == b"video of a"
    assert not (folder / "b.render.mp4").exists()
    assert (folder / "c.render.mp4").exists()


def test_a_render_service_that_is_not_there_is_a_row(tmp_path, checkpoint, monkeypatch):
    monkeypatch.setattr(requests_again, "PAUSE_S", 0.01)
    file = write_speech(tmp_path / "sounds" / "a.wav", 1)
    _, rows = infer(tmp_path, [file], checkpoint, request_render="http://127.0.0.1:9/x", retries=1, timeout_s=1)
    assert [(row.step, row.outcome, row.reason) for row in rows] == [
        ("infer_landmarks", "written", ""),
        ("request_render", "failed", "no_answer"),
    ]
