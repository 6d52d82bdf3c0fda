"""Speech and cuts as interval tables: found where people who listened and looked have found them."""

import json
import subprocess
from hashlib import sha256
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import ledger
from scripts.common.clock import Clock
from scripts.common.empty import write_empty
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.intervals import Intervals
from scripts.common.speech import CHUNK, SHA256, SpeechNetwork, packaged_weights, speech_segments
from scripts.faces.detect_cuts import detect_cuts
from scripts.faces.detect_speech import detect_speech
from scripts.planning.config import load_config
from tests.unit.examples import REPO, conformed_frames

CUTS = load_config({})["faces"]["cuts"]
RULE = {"threshold": 0.5, "min_speech_s": 0.25, "min_silence_s": 0.1, "pad_s": 0.03}


def sound_of(path: Path, rate: int = 16_000) -> np.ndarray:
    """The sound of a file as ffmpeg resamples it, int16."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-ac", "1", "-ar", str(rate)]
    done = subprocess.run([*command, "-f", "s16le", "-"], capture_output=True, check=True, stdin=subprocess.DEVNULL)
    return np.frombuffer(done.stdout, np.int16)


def speech(folder: Path, sound: np.ndarray, rate: int = 16_000, start_ns: int = 0) -> tuple[Intervals, ledger.Row]:
    soundfile.write(folder / "voice.wav", sound, rate, subtype="PCM_16")
    Clock(start_ns, float(rate), rate, len(sound), 1).write(folder / "clock")
    paths = folder / "voice.wav", folder / "clock", folder / "speech", folder / "ledger"
    detect_speech(*paths, recording="a", microphone="voice", rule=RULE)
    (row,) = ledger.rows(ledger.read([folder / "ledger"]))
    return Intervals.read(folder / "speech"), row


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_the_speech_of_a_grid_clip_is_where_its_word_alignment_has_it(data, tmp_path, rate):
    """0.49 to 2.21 s, within 0.06 s, by the alignment that comes with the corpus."""
    lines = (data / "faces" / "grid" / "swwp2s.align").read_text().splitlines()
    words = [line.split() for line in lines if not line.endswith("sil")]
    start_s, stop_s = int(words[0][0]) / 25_000, int(words[-1][1]) / 25_000
    start_ns = 7 * 10**9
    found, row = speech(tmp_path, sound_of(data / "faces" / "grid" / "id2_vcd_swwp2s.mpg", rate), rate, start_ns)
    assert len(found) == 1
    assert (found.start_ns[0] - start_ns) / 1e9 == pytest.approx(start_s, abs=0.06)
    assert (found.stop_ns[0] - start_ns) / 1e9 == pytest.approx(stop_s, abs=0.06)
    assert found.first[0] / rate == pytest.approx((found.start_ns[0] - start_ns) / 1e9, abs=1e-6)
    assert 0.9 < found.score[0] <= 1
    assert (row.step, row.item, row.outcome) == ("detect_speech", "voice", "written")
    assert row.value == pytest.approx((found.stop_ns - found.start_ns).sum() / 1e9)


def test_silence_tones_and_noise_are_no_speech(tmp_path):
    time_s = np.arange(48_000) / 16_000
    noise = np.random.default_rng(0).normal(0, 0.05, 48_000)
    for number, sound in enumerate((np.zeros(48_000), 0.5 * np.sin(2 * np.pi * 440 * time_s), noise)):
        folder = tmp_path / str(number)
        folder.mkdir()
        found, row = speech(folder, sound)
        assert (len(found), row.value) == (0, 0)


@pytest.mark.torch
def test_the_likelihoods_are_those_of_silero_s_own_program(data):
    torch = pytest.importorskip("torch", reason="torch is not installed: `make test` brings it")
    utils = pytest.importorskip("silero_vad.utils_vad")
    sound = sound_of(data / "faces" / "grid" / "lbax4n.mpg").astype(np.float32) / 32768
    own = utils.OnnxWrapper(str(packaged_weights()), force_onnx_cpu=True)
    whole = torch.from_numpy(np.pad(sound, (0, -len(sound) % CHUNK)))
    expected = [own(chunk, 16_000).item() for chunk in whole.split(CHUNK)]
    # In pieces that fit no chunk: the network must not notice.
    pieces = np.split(sound, [100, 1_000, 1_001, 20_000])
    np.testing.assert_allclose(SpeechNetwork(packaged_weights()).likelihoods(pieces), expected, atol=1e-6)


def likelihoods(pattern: str) -> np.ndarray:
    """`#` is speech, `-` doubtful, a blank silence; a chunk a letter."""
    return np.array([{"#": 0.9, "-": 0.4, " ": 0.01}[letter] for letter in pattern])


def chunks(pattern: str, **changes: float) -> list[tuple[float, float]]:
    rule = {**RULE, "pad_s": 0.0, **changes}
    found = speech_segments(likelihoods(pattern), CHUNK * len(pattern), **rule)
    return [(start / CHUNK, stop / CHUNK) for start, stop in found]


def test_a_stretch_of_speech_goes_from_its_first_sure_chunk_to_its_last():
    assert chunks("   ###########--      ") == [(3, 14)]
    assert chunks("##########") == [(0, 10)]
    assert chunks("        ") == []


def test_short_pauses_belong_to_speech_and_short_speech_is_none():
    assert chunks("##########   ##########") == [(0, 23)]
    assert chunks("##########    ##########") == [(0, 10), (14, 24)]
    assert chunks("##########--------##########") == [(0, 28)]
    assert chunks("  #######     ########  ") == [(14, 22)]


def test_a_pad_begins_earlier_but_not_before_the_middle_of_the_pause():
    assert chunks("    ##########      ##########", pad_s=2 * CHUNK / 16_000) == [(2, 14), (18, 30)]
    assert chunks("    ##########      ##########", pad_s=9 * CHUNK / 16_000) == [(0, 14), (17, 30)]


@settings(max_examples=50)
@given(st.text("#- ", max_size=60))
def test_stretches_are_in_order_apart_and_inside_of_the_sound(pattern):
    found = speech_segments(likelihoods(pattern) if pattern else np.empty(0), CHUNK * len(pattern), **RULE)
    edges = [edge for pair in found for edge in pair]
    assert edges == sorted(edges)
    assert all(start < stop for start, stop in found)
    assert not edges or (edges[0] >= 0 and edges[-1] <= CHUNK * len(pattern))


def scenes_of(folder: Path, video: Path, frames: int, start_ns: int = 0) -> tuple[Intervals, ledger.Row]:
    conformed_frames(frames).write(folder / "frames")
    (folder / "manifest").write_text(json.dumps({"timeline": {"start_ns": start_ns, "stop_ns": 0}}))
    inputs = video, folder / "frames", folder / "manifest"
    outputs = folder / "scenes", folder / "ledger"
    detect_cuts(*inputs, *outputs, recording="a", camera="front", fps="30000/1001", rule=CUTS)
    (row,) = ledger.rows(ledger.read([folder / "ledger"]))
    return Intervals.read(folder / "scenes"), row


def test_the_cuts_of_the_hamilton_clip_are_where_people_saw_them_and_scenedetect_finds_them(data, tmp_path):
    from scenedetect import ContentDetector, detect

    video, start_ns = data / "faces" / "misc" / "short_hamilton_clip.mp4", 5 * 10**9
    found, row = scenes_of(tmp_path, video, 275, start_ns)
    assert row.value == 3
    np.testing.assert_allclose((found.start_ns[1:] - start_ns) / 1e9, [0.667, 2.736, 7.040], atol=0.001)
    assert found.first.tolist() == [first.frame_num for first, _ in detect(str(video), ContentDetector())]
    assert found.stop.tolist() == [*found.first[1:], 275]
    assert (found.score[1:] >= 27).all()


def test_a_clip_without_a_cut_is_one_scene(data, tmp_path):
    found, row = scenes_of(tmp_path, data / "faces" / "grid" / "bbaf2n.mpg", 75)
    assert (found.first.tolist(), found.stop.tolist(), row.value) == ([0], [75], 0)


def test_what_failed_before_is_said_once_and_its_table_is_empty(tmp_path):
    FrameTable.empty().write(tmp_path / "frames")
    Clock.empty().write(tmp_path / "clock")
    for name in ("voice.wav", "front.mp4", "manifest"):
        (tmp_path / name).touch()
    outputs = tmp_path / "speech", tmp_path / "ledger"
    with pytest.raises(InputError) as caught:
        detect_speech(
            tmp_path / "voice.wav", tmp_path / "clock", *outputs, recording="a", microphone="voice", rule=RULE
        )
    assert caught.value.reason == ledger.UPSTREAM
    with pytest.raises(InputError) as caught:
        detect_cuts(
            tmp_path / "front.mp4", tmp_path / "frames", tmp_path / "manifest", tmp_path / "scenes",
            tmp_path / "ledger", recording="a", camera="front", fps="25", rule=CUTS,
        )  # fmt: skip
    assert caught.value.reason == ledger.UPSTREAM
    for name in ("voice.speech.parquet", "front.scenes.parquet"):
        write_empty(tmp_path / name, name)
        assert len(Intervals.read(tmp_path / name)) == 0


def test_the_network_of_speech_is_the_one_that_is_registered():
    entry = yaml.safe_load((REPO / "config" / "models.yaml").read_text())["silero_vad.onnx"]
    assert entry["sha256"] == SHA256
    assert sha256(packaged_weights().read_bytes()).hexdigest() == SHA256
    assert entry["package"] in (REPO / "requirements.txt").read_text()
