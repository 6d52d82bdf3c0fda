"""Landmarks of sounds of any length and rate, and what is kept of each."""

import json

import av
import numpy as np
import pytest
import soundfile

from tests.unit.inference.inferred import infer, zip_of
from tests.unit.speaking_checkpoint import write_speech
from tests.unit.test_speech_and_cuts import sound_of

pytestmark = pytest.mark.torch


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
