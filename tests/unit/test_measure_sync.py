"""Lips and sound that are so many frames apart are found so by a model, and windows of them are filtered."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import onnx
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from scripts.common import ledger
from scripts.common.errors import ConfigError, InputError, RunError
from scripts.common.landmarks import Landmarks
from scripts.common.sync_scores import SHIFTS, SyncScores
from scripts.common.video import VideoWriter
from scripts.datasets.speakers import Faces
from scripts.datasets.window_checks import check_sync
from scripts.faces.measure_sync import lag_of, measure_sync
from scripts.planning.plan import load
from tests.unit.examples import House, face_points, one_face

FRAMES = 90


def save_model(path: Path) -> Path:
    """The brightness of each of five pictures against the loudness of their fifths of the sound."""
    nodes = [
        helper.make_node("ReduceMean", ["face"], ["seen"], axes=[2, 3, 4], keepdims=0),
        helper.make_node("Reshape", ["sound", "shape"], ["parts"]),
        helper.make_node("ReduceMean", ["parts"], ["heard"], axes=[2], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "sync",
        [
            helper.make_tensor_value_info("face", TensorProto.FLOAT, ["b", 5, 3, 224, 224]),
            helper.make_tensor_value_info("sound", TensorProto.FLOAT, ["b", 3200]),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 5]) for name in ("seen", "heard")],
        [numpy_helper.from_array(np.array([-1, 5, 640], np.int64), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def record(folder: Path, late_frames: int) -> Path:
    """Pictures whose brightness and lips change from frame to frame, and a sound as loud as they are, so much later."""
    random = np.random.default_rng(4)
    bright = random.uniform(0.2, 0.8, FRAMES + 2 * SHIFTS)
    with VideoWriter(
        folder / "v.mp4", rate=Fraction(25), time_base=Fraction(1, 25), crf=1, preset="ultrafast"
    ) as writer:
        for number in range(FRAMES):
            level = round(16 + 219 * bright[number + SHIFTS])
            planes = [np.full((288, 360), level, np.uint8), *[np.full((72, 360), 128, np.uint8)] * 2]
            writer.write(av.VideoFrame.from_ndarray(np.concatenate(planes), format="yuv420p"), number)
    loud = bright[SHIFTS - late_frames : SHIFTS - late_frames + FRAMES]
    soundfile.write(folder / "s.wav", np.repeat(loud, 640), 16_000, subtype="PCM_16")
    points = face_points(FRAMES, width=150)
    points[:, 61:64, 1] -= 9 * bright[SHIFTS : SHIFTS + FRAMES, None]
    one_face(points).write(folder / "l.npz")
    return folder


def measured(folder: Path, model: Path | None) -> tuple[SyncScores, str]:
    paths = [folder / name for name in ("v.mp4", "l.npz", "s.wav")]
    outputs = [folder / "sync.parquet", folder / "ledger.parquet"]
    measure_sync(
        *paths, model, *outputs, recording="a", camera="front", backend="openseeface", microphone="voice", fps="25"
    )
    (row,) = ledger.rows(ledger.read([outputs[1]]))
    return SyncScores.read(outputs[0]), row.message


@pytest.mark.parametrize("late", [0, 3, -7])
def test_a_sound_that_is_late_is_found_to_be_so_and_filtered_beyond_the_limit(tmp_path, late):
    scores, message = measured(record(tmp_path, late), save_model(tmp_path / "m.onnx"))
    assert f"{FRAMES - 4} stretches scored" in message
    confidence, shift = scores.judge(0, 0, 64)
    assert shift == late
    assert confidence > 0.2
    people = Faces.of(Landmarks.read(tmp_path / "l.npz"), FRAMES)
    limits = {"low_sync": 0.2, "sync_offset": 5}
    reject = check_sync(scores, people, 10, 64, limits)
    assert (reject is None) == (abs(late) <= 5)
    assert reject is None or (reject.reason, reject.value, reject.limit) == ("low_sync", abs(late), 5)
    unsure = check_sync(scores, people, 10, 64, {"low_sync": 3.0})
    assert unsure is not None
    assert (unsure.reason, unsure.limit) == ("low_sync", 3.0)


def test_without_a_model_nothing_is_scored_and_the_lag_is_called_a_diagnostic(tmp_path):
    scores, message = measured(record(tmp_path, 0), None)
    assert len(scores.frame) == 0
    assert "lips of track 0 +0 frames from the sound" in message
    assert "a diagnostic" in message
    assert check_sync(None, Faces.of(one_face(face_points(64)), 64), 0, 64, {"low_sync": 3}) is None


@pytest.mark.parametrize("still", ["lips", "sound"])
def test_still_lips_and_a_silent_sound_have_no_lag(tmp_path, still):
    record(tmp_path, 0)
    points = face_points(FRAMES, width=150)
    if still == "sound":
        points[::7, 61:64, 1] -= 5
        soundfile.write(tmp_path / "s.wav", np.zeros(FRAMES * 640), 16_000, subtype="PCM_16")
    one_face(points).write(tmp_path / "l.npz")
    _, message = measured(tmp_path, None)
    assert message == "lips of track 0 have no lag: they, or the sound, never change"


@given(st.integers(-10, 10), st.integers(0, 2**31))
def test_the_lag_of_lips_that_follow_the_sound_is_found(lag, seed):
    level = np.convolve(np.random.default_rng(seed).normal(size=200), np.ones(4), "same")
    found = lag_of(np.roll(level, lag)[20:-20], level[20:-20])
    assert found is not None
    assert found[0] == lag
    assert found[1] > 0.9


def test_a_file_that_is_no_sync_model_is_one_line(tmp_path, monkeypatch):
    record(tmp_path, 0)
    (tmp_path / "m.onnx").write_bytes(b"none")
    with pytest.raises(RunError, match="is no onnx model"):
        measured(tmp_path, tmp_path / "m.onnx")
    Landmarks.empty().write(tmp_path / "l.npz")
    with pytest.raises(InputError, match="picture or sound failed, see the ledger of that step"):
        measured(tmp_path, None)
    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    house.sheet(["recording", "rig", "source"], [])
    with pytest.raises(ConfigError, match=r"faces\.sync\.model: none\.onnx is no file"):
        load(house.config(faces={"sync": {"model": "none.onnx"}}))
