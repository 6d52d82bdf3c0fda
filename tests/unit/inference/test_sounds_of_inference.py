"""Of a folder or a zip every sound is made, or is a row that says why not."""

import json
import subprocess
import tracemalloc
import zipfile

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
import torch

from scripts.common.errors import InputError
from scripts.models import result_names
from scripts.models.checkpoint import IDENTITY, read_checkpoint
from scripts.models.sounds import read_sound
from scripts.models.speech_inference import Speaker
from tests.unit.inference.inferred import infer, zip_of
from tests.unit.speaking_checkpoint import write_speech

pytestmark = pytest.mark.torch


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
