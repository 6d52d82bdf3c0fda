"""The windows of a dataset as a network is trained on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch
from torch.utils.data import Dataset

from scripts.common import table_file
from scripts.common.errors import InputError
from scripts.models.landmark_layout import normalised

# Windows are kept in memory up to this size of all of them; beyond, each is read whenever it is needed.
KEPT_BYTES = 2**30


def files_of(index: Path, split: str) -> list[Path]:
    """The windows of a split, in the order of the dataset's index."""
    table = table_file.read(index, columns=["file", "split"])
    return [index.parent / name for name in table.filter(pc.equal(table["split"], split))["file"].to_pylist()]


def read_window(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks float32 (T, 2, 68) px, and sound float32 (N,). Raises InputError for anything else."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            pose, audio = arrays["pose"], arrays["audio"][0]
    except (ValueError, KeyError, IndexError, OSError) as error:
        raise InputError("bad_window", f"{file.name} is no window of landmarks and sound: {error}") from error
    return pose.astype(np.float32), audio.astype(np.float32)


class Windows(Dataset):
    """Normalised windows: a dict of `sound` (N,), `pose` (T, 136), `number`."""

    def __init__(self, files: Sequence[Path], mean: np.ndarray, std: np.ndarray) -> None:
        self.files, self._mean, self._std = list(files), mean, std
        self._kept: dict[int, dict[str, Any]] = {}
        self._room = sum(file.stat().st_size for file in self.files) <= KEPT_BYTES

    @property
    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the train windows."""
        return self._mean, self._std

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> dict[str, Any]:
        if number in self._kept:
            return self._kept[number]
        pose, sound = read_window(self.files[number])
        values = torch.from_numpy(normalised(pose, self._mean, self._std))
        window = {"sound": torch.from_numpy(sound), "pose": values, "number": number}
        if self._room:
            self._kept[number] = window
        return window
