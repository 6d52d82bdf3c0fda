"""Windows for training, of landmarks and sound or of poses, from a dataset's folder, its shards, or the seed's form.

    windows = Windows("results/datasets/visemes", "train")
    windows[0]["pose"]     # float32 (64, 136), normalised
    windows[0]["audio"]    # float32 (40960,)
    DataLoader(windows, batch_size=32, shuffle=True)

`Windows` has a length and items, which is what torch's DataLoader asks of a dataset; `batches` needs numpy alone.
"""

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Of a folder without a card: how the seed takes its landmarks.
SEEDS_WAY: dict[str, Any] = {"mean": "lm_mean.npy", "std": "lm_std.npy", "epsilon": 1e-6, "origin": 33}

# The origin of poses: the mean of the keypoints of a frame that have a place.
MIDDLE = "middle"
# Adopted windows are linked, and may hold them in another precision.
FLOAT32 = ("pose", "audio", "log_mel", "mfcc", "pitch")

Window = dict[str, Any]


def middle_of(pose: np.ndarray) -> np.ndarray:
    """Mean of the points of each frame that have a place, float (T, D, 1), of points (T, D, K); 0 where none has.

    As `scripts/datasets/pose_shape.py` has it, which is not there where rushes is installed.
    """
    seen = np.isfinite(pose)
    count = np.maximum(seen.sum(axis=2, keepdims=True), 1)
    mean: np.ndarray = np.where(seen, pose, 0).sum(axis=2, keepdims=True) / count
    return mean


class Windows(Sequence[Window]):
    """The windows of a split, in a fixed order.

    normalise: `pose` becomes float32 (T, 136), relative to the point `origin` of each frame, minus the mean and divided
    by the deviation of the train windows, x row then y row; else it is float32 (T, 2, 68) in pixels. Of poses of K
    keypoints it is (T, 3 K), relative to their middle, or (T, 3, K) in the world's unit; NaN where there is none.
    shards: read `shards/{split}/*.tar` instead of the files, which suits a store that dislikes small ones.
    Raises FileNotFoundError where there is no such split, or no statistics, ValueError where shards are not those of
    the index.
    """

    def __init__(self, folder: str | Path, split: str, *, normalise: bool = True, shards: bool = False) -> None:
        self.folder, self.split = Path(folder), split
        self._places = self._of_shards() if shards else self._of_files()
        if not self._places:
            raise FileNotFoundError(f"{self.folder} has no windows of the split `{split}`")
        card = self.folder / "card.json"
        self.way = json.loads(card.read_text(encoding="utf-8"))["normalisation"] if card.exists() else SEEDS_WAY
        self.statistics = self._statistics() if normalise else None

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[position] for position in range(*number.indices(len(self)))]
        path, offset, size = self._places[number]
        with path.open("rb") as file:
            file.seek(offset)
            content = io.BytesIO(file.read(size) if size else file.read())
        with np.load(content, allow_pickle=False) as arrays:
            window: Window = {name: arrays[name] for name in arrays.files}
        if "audio" in window:
            window["audio"] = window["audio"][0]
        if self.statistics is not None:
            window["pose"] = self._normalised(window["pose"])
        return window | {name: window[name].astype(np.float32, copy=False) for name in FLOAT32 if name in window}

    def batches(self, size: int, *, shuffle: bool = False, seed: int = 0, epoch: int = 0) -> Iterator[Window]:
        """Stacked windows, `size` at a time, the last ones fewer; another order each epoch if shuffled."""
        order = np.random.default_rng([seed, epoch]).permutation(len(self)) if shuffle else np.arange(len(self))
        for first in range(0, len(order), size):
            chosen = [self[int(number)] for number in order[first : first + size]]
            yield {name: np.stack([window[name] for window in chosen]) for name in chosen[0]}

    def _normalised(self, pose: np.ndarray) -> np.ndarray:
        assert self.statistics is not None
        pose, origin = pose.astype(np.float64), self.way["origin"]
        home = middle_of(pose) if origin == MIDDLE else pose[:, :, origin : origin + 1]
        flat = (pose - home).reshape(len(pose), -1)
        mean, std = self.statistics
        return np.asarray((flat - mean) / (std + self.way["epsilon"]), np.float32)

    def _statistics(self) -> tuple[np.ndarray, np.ndarray]:
        mean, std = (np.load(self.folder / self.way[name], allow_pickle=False) for name in ("mean", "std"))
        return mean, std

    def _of_files(self) -> list[tuple[Path, int, int]]:
        indexed = self._indexed()
        if indexed is None:
            return [(path, 0, 0) for path in sorted((self.folder / self.split).glob("*/*.npz"))]
        return [(self.folder / file, 0, 0) for _, file in indexed]

    def _indexed(self) -> list[tuple[str, str]] | None:
        """Sample and file of each window of the split; None of a folder without an index."""
        index = self.folder / "index.parquet"
        if not index.exists():
            return None
        import pyarrow.parquet as pq

        rows = pq.read_table(index, columns=["sample", "file", "split"], partitioning=None).to_pylist()
        return [(row["sample"], row["file"]) for row in rows if row["split"] == self.split]

    def _of_shards(self) -> list[tuple[Path, int, int]]:
        found, packed = [], []
        for shard in sorted((self.folder / "shards" / self.split).glob("*.tar")):
            with tarfile.open(shard, "r:") as tar:
                for entry in tar:
                    if entry.name.endswith(".npz"):
                        found.append((shard, entry.offset_data, entry.size))
                        packed.append(entry.name.removesuffix(".npz").replace("%2E", "."))
        indexed = self._indexed()
        if found and indexed is not None and sorted(packed) != sorted(sample for sample, _ in indexed):
            raise ValueError(
                f"{self.folder}: the shards of `{self.split}` hold {len(packed)} windows that are not the index's "
                f"{len(indexed)}: make the dataset again, with `shards` among its formats"
            )
        return found
