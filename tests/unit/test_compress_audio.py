"""Sound without loss: raw, FLAC and WavPack, decoded by other programs to the same samples."""

import json
import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import ledger
from scripts.common.clock import Clock, Gap
from scripts.common.empty import write_empty
from scripts.common.errors import InputError, RunError
from scripts.media import compress_audio as module
from scripts.media.compress_audio import compress_audio, same
from scripts.media.extract_raw_audio import extract_raw_audio, kept
from tests.unit.folders import contents
from tests.unit.side_by_side import FFMPEG

FORMS = {"PCM_U8": "int16", "PCM_16": "int16", "PCM_24": "int32", "PCM_32": "int32", "FLOAT": "float32"}


def write_noise(folder, channels, form="PCM_24", samples=30_001, rate_hz=48_000, gaps=()):
    """Noise in every bit, and its clock."""
    rng = np.random.default_rng(channels)
    sound = rng.integers(-(2**31), 2**31, (samples, channels)).astype(np.int32)
    soundfile.write(folder / "array.wav", sound if form != "FLOAT" else sound / 2**31, rate_hz, subtype=form)
    clock = Clock(0, float(rate_hz), rate_hz, samples, channels, gaps=[Gap(*gap, "hole") for gap in gaps])
    clock.write(folder / "array.clock.json")
    return folder


def compress(folder, coding, name="folder"):
    compress_audio(
        folder / "array.wav",
        folder / "array.clock.json",
        folder / name,
        folder / "x.ledger.parquet",
        recording="take",
        product=f"array.{coding}",
        microphone="array",
        coding=coding,
    )
    return folder / name, json.loads((folder / name / "channels.json").read_text())


def by_ffmpeg(path, channels, codec, dtype):
    command = [FFMPEG, "-v", "error", "-i", str(path), "-c:a", codec, "-f", codec.removeprefix("pcm_"), "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, dtype).reshape(-1, channels)


def whole(folder):
    return soundfile.read(folder / "array.wav", dtype="int32", always_2d=True)[0]


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 6, 7, 8, 9, 24])
@pytest.mark.parametrize("coding", ["flac", "wavpack"])
def test_groups_of_at_most_eight_channels_hold_every_sample(tmp_path, channels, coding):
    folder, about = compress(write_noise(tmp_path, channels), coding)
    sound = whole(tmp_path)
    assert [channel for group in about["groups"] for channel in group["channels"]] == list(range(channels))
    assert {path.name for path in folder.iterdir()} == {"channels.json", *(g["file"] for g in about["groups"])}
    for group in about["groups"]:
        assert len(group["channels"]) <= 8
        found = by_ffmpeg(folder / group["file"], len(group["channels"]), "pcm_s32le", "<i4")
        assert np.array_equal(found, sound[:, group["channels"]])


@pytest.mark.parametrize("channels", [1, 8, 24])
def test_wavpack_is_read_alike_by_ffmpeg_and_wvunpack(tmp_path, channels):
    """The old system's one file of 24 channels was read by neither as the other wrote it."""
    program = shutil.which("wvunpack")
    if program is None:
        pytest.skip("wvunpack is not installed")
    folder, about = compress(write_noise(tmp_path, channels), "wavpack")
    for group in about["groups"]:
        target = tmp_path / f"{group['file']}.wav"
        subprocess.run([program, "-q", str(folder / group["file"]), "-o", str(target)], check=True)
        unpacked = soundfile.read(target, dtype="int32", always_2d=True)[0]
        count = len(group["channels"])
        assert np.array_equal(unpacked, by_ffmpeg(folder / group["file"], count, "pcm_s32le", "<i4"))
        assert np.array_equal(unpacked, whole(tmp_path)[:, group["channels"]])


@pytest.mark.parametrize("form", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"])
def test_every_form_of_a_wav_is_packed_without_loss(tmp_path, form):
    folder, about = compress(write_noise(tmp_path, 2, form), "wavpack")
    codec, dtype = ("pcm_f32le", "<f4") if form == "FLOAT" else ("pcm_s32le", "<i4")
    found = by_ffmpeg(folder / about["groups"][0]["file"], 2, codec, dtype)
    wanted = soundfile.read(tmp_path / "array.wav", dtype="float32" if form == "FLOAT" else "int32")[0]
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("form", ["PCM_32", "FLOAT"])
def test_flac_says_what_it_cannot_hold(tmp_path, form):
    with pytest.raises(InputError) as error:
        compress(write_noise(tmp_path, 2, form), "flac")
    assert "ask for wavpack" in error.value.message


def test_a_file_that_decodes_to_other_samples_does_not_count(tmp_path, monkeypatch):
    write = module.WavPack.write
    monkeypatch.setattr(module.WavPack, "write", lambda self, block: write(self, block ^ (1 << 8)))
    with pytest.raises(RunError, match="decodes other samples than went in"):
        compress(write_noise(tmp_path, 2), "wavpack")


def test_without_wvunpack_ffmpeg_alone_verifies(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    with caplog.at_level("INFO"):
        compress(write_noise(tmp_path, 2), "wavpack")
    assert "wvunpack is not installed" in caplog.text


@pytest.mark.parametrize("coding", ["flac", "wavpack"])
def test_the_bytes_are_the_same_again(tmp_path, coding):
    write_noise(tmp_path, 9)
    first, second = compress(tmp_path, coding)[0], compress(tmp_path, coding, "again")[0]
    assert contents(first) == contents(second)


def test_a_microphone_that_failed_is_named(tmp_path):
    for name in ("array.wav", "array.clock.json"):
        write_empty(tmp_path / name, name)
    for coding in ("flac", "wavpack"):
        with pytest.raises(InputError) as error:
            compress(tmp_path, coding)
        assert error.value.reason == ledger.UPSTREAM


@given(st.lists(st.integers(1, 9)), st.lists(st.integers(1, 9)), st.integers(0, 40), st.integers(-1, 39))
def test_two_sounds_are_the_same_in_any_pieces_and_differ_in_one_sample(cuts, others, length, changed):
    sound = np.arange(length)[:, None]
    other = sound.copy()
    if 0 <= changed < length:
        other[changed] += 1

    def pieces(array, lengths):
        edges = [0, *np.cumsum(lengths).tolist()]
        return iter([array[a:b] for a, b in zip(edges, [*edges[1:], len(array)], strict=True) if len(array[a:b])])

    assert same(pieces(sound, cuts), pieces(other, others)) == (not 0 <= changed < length)
    if length:
        assert not same(pieces(sound, cuts), pieces(sound[:-1], others))
        assert not same(pieces(sound[:-1], cuts), pieces(sound, others))


def raw(folder):
    extract_raw_audio(
        folder / "array.wav",
        folder / "array.clock.json",
        folder / "array.raw",
        folder / "raw.ledger.parquet",
        recording="take",
        product="array.raw",
        microphone="array",
    )
    return (folder / "array.raw").read_bytes()


@pytest.mark.parametrize(("form", "codec"), [("PCM_16", "s16le"), ("PCM_24", "s24le"), ("FLOAT", "f32le")])
def test_raw_is_the_payload_without_what_fills_the_gaps(tmp_path, form, codec):
    gaps = [(0, 7), (1_000, 1_500), (29_990, 30_001)]
    write_noise(tmp_path, 3, form, gaps=gaps)
    command = [FFMPEG, "-v", "error", "-i", str(tmp_path / "array.wav"), "-c:a", f"pcm_{codec}", "-f", codec, "-"]
    payload = subprocess.run(command, capture_output=True, check=True).stdout
    width = len(payload) // 30_001
    wanted = b"".join(payload[a * width : b * width] for a, b in [(7, 1_000), (1_500, 29_990)])
    assert raw(tmp_path) == wanted
    row = ledger.rows(ledger.read([tmp_path / "raw.ledger.parquet"]))[0]
    assert row.value == 30_001 - 7 - 500 - 11


@given(st.integers(0, 60), st.integers(0, 60), st.sets(st.integers(0, 60), max_size=8).map(sorted))
def test_what_is_kept_lies_in_no_hole_and_nothing_else_is_left_out(start, length, edges):
    holes = list(zip(edges[::2], edges[1::2], strict=False))
    inside = {sample for first, stop in holes for sample in range(first, stop)}
    found = [sample for first, stop in kept(start, start + length, holes) for sample in range(first, stop)]
    assert found == [sample for sample in range(start, start + length) if sample not in inside]
