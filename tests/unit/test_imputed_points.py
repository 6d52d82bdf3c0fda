"""Points that no network measured, from the windows to the face of a trained model: openseeface's 60 and 64."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from scripts.common.errors import InputError
from scripts.common.landmarks import Landmarks
from scripts.datasets import split_table
from scripts.datasets.compute_stats import compute_stats
from scripts.datasets.extract_windows import extract_windows
from scripts.faces.backends.openseeface import IBUG, INNER_CORNERS, complete
from scripts.models.checkpoint import IDENTITY, read_checkpoint
from scripts.models.landmark_layout import in_pixels
from scripts.models.speech_inference import Speaker
from scripts.models.window_samples import Windows, files_of
from tests.unit.examples import conformed_clock, conformed_frames
from tests.unit.speech_model import train
from tests.unit.talking_windows import speak, write_dataset
from tests.unit.test_extract_windows import LIMITS

pytestmark = pytest.mark.torch

MEMBERS = {"a": "train", "b": "val"}


def write_imputed_dataset(folder: Path) -> dict[str, Any]:
    """The talking face as openseeface finds it, in windows and statistics that the rules' own functions write."""
    inputs = write_dataset(folder, MEMBERS, seconds=5.2)
    for seed, name in enumerate(MEMBERS):
        pose, sound = speak(5.2, 100 + seed)
        points = complete(pose.transpose(0, 2, 1)[:, IBUG])
        frames = len(points)
        given = {what: folder / f"{name}.{what}" for what in ("frames", "sound.wav", "clock", "landmarks")}
        conformed_frames(frames).write(given["frames"])
        conformed_clock(frames).write(given["clock"])
        soundfile.write(given["sound.wav"], sound, 16_000)
        Landmarks.make(
            np.arange(frames), np.zeros(frames, int), points, np.ones(frames),
            frames=frames, backend="openseeface", imputed=tuple(INNER_CORNERS),
        ).write(given["landmarks"])  # fmt: skip
        for file in (folder / "npz" / name).iterdir():
            file.unlink()
        (folder / "npz" / name).rmdir()
        extract_windows(
            *given.values(),
            folder / "npz" / name,
            *(folder / f"{name}.{what}" for what in ("index.parquet", "stats.npz", "ledger.parquet")),
            recording=name, fps="25", window_frames=64, hop=32, limits=LIMITS, start_s=0.0, excluded=[],
        )  # fmt: skip
    split_table.write(folder / "splits.tsv", {n: split_table.Membership(n, s) for n, s in MEMBERS.items()})
    compute_stats([folder / f"{n}.stats.npz" for n in MEMBERS], folder / "splits.tsv", inputs["mean"], inputs["std"])
    return inputs


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_imputed_dataset(tmp_path_factory.mktemp("imputed"))


@pytest.fixture(scope="module")
def checkpoint(dataset, tmp_path_factory):
    root = tmp_path_factory.mktemp("model")
    train(dataset, root / "lips", root / "working", epochs=1, samples=1)
    return root / "lips" / "checkpoints" / "best.ckpt"


def test_on_silence_the_inner_corners_lie_between_their_neighbours(checkpoint):
    face = Speaker(checkpoint, hop=16).speak(np.zeros(16_000, np.float32), 16_000).pose[0].astype(float)
    for inner, (corner, above, below) in INNER_CORNERS.items():
        lip = (face[above] + face[below]) / 2
        assert np.linalg.norm(face[inner] - (0.8 * face[corner] + 0.2 * lip)) < 1e-3
        assert min(face[corner, 0], lip[0]) < face[inner, 0] < max(face[corner, 0], lip[0])


def test_the_mean_face_of_the_statistics_is_a_face(dataset):
    mean, std = np.load(dataset["mean"]), np.load(dataset["std"])
    face = in_pixels(np.zeros(136), mean, std).T
    for inner, (corner, above, below) in INNER_CORNERS.items():
        assert np.linalg.norm(face[inner] - (0.8 * face[corner] + 0.1 * (face[above] + face[below]))) < 1e-3


def test_no_point_weighs_more_than_others_in_what_a_network_learns(dataset):
    windows = Windows(files_of(dataset["index"], "train"), np.load(dataset["mean"]), np.load(dataset["std"]))
    poses = np.concatenate([windows[number]["pose"].numpy() for number in range(len(windows))])
    sizes = np.abs(poses).mean(axis=0)
    moving = sizes[[number for number in range(136) if number % 68 != 33]]
    assert 0.5 < moving.min() <= moving.max() < 1.2


def test_a_checkpoint_without_statistics_of_a_point_is_refused(checkpoint, tmp_path):
    read = read_checkpoint(checkpoint)
    for name, value in (("mean", 0.0), ("std", 1.0)):
        for coordinate in (60, 64, 128, 132):
            read[IDENTITY][name][coordinate] = value
    torch.save(read, tmp_path / "old.ckpt")
    with pytest.raises(InputError, match=r"no statistics of the points \[60, 64\].*train it again"):
        Speaker(tmp_path / "old.ckpt", hop=16)


def test_a_dataset_without_statistics_of_a_point_is_not_trained_on(dataset, tmp_path):
    changed = dict(dataset)
    for name, value in (("mean", 0.0), ("std", 1.0)):
        numbers = np.load(dataset[name])
        numbers[[60, 128]] = value
        changed[name] = tmp_path / f"{name}.npy"
        np.save(changed[name], numbers)
    with pytest.raises(InputError, match=r"no statistics of the points \[60\].*make it again"):
        train(changed, tmp_path / "lips", tmp_path / "working", epochs=1)
