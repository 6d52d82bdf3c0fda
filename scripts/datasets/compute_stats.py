"""Mean and standard deviation over the train windows, as the models take them: `(x - lm_mean) / (lm_std + eps)`."""

import logging
from pathlib import Path

import numpy as np

from scripts.common.errors import RunError
from scripts.common.job import run
from scripts.common.landmarks import POINTS
from scripts.common.statistics import Moments, merge_all
from scripts.datasets import split_table

log = logging.getLogger("rushes")


def compute_stats(stats: list[Path], splits: Path, out_mean: Path, out_std: Path) -> None:
    """Merge the moments of each train recording, in the order of `stats`.

    stats: one `{recording}.stats.npz` each.  Writes float64 (136,) each: x row then y row, relative to the nose tip;
    of poses of K keypoints (3 K,): x row, y row, z row, relative to their middle. Coordinates of a keypoint that is
    nowhere seen get mean 0 and deviation 1; they are NaN anyway. Without any train window everything is NaN.
    Raises RunError if recordings have different keypoints.
    """
    members = split_table.read(splits)
    train = [path for path in stats if members[path.name.removesuffix(".stats.npz")].split == "train"]
    found = [moments for moments in map(Moments.read, train) if moments.count.any()]
    sizes = {len(moments.count) for moments in found}
    if len(sizes) > 1:
        raise RunError(f"recordings of one dataset have {sorted(sizes)} coordinates a frame; they need the same points")
    if not sizes:
        log.warning("There is no train window to take statistics of: reports/ledger.tsv counts why.")
        _save(out_mean, np.full(2 * POINTS, np.nan))
        _save(out_std, np.full(2 * POINTS, np.nan))
        return
    whole = merge_all(found, sizes.pop())
    measured = whole.count > 0
    _save(out_mean, whole.mean)
    _save(out_std, np.where(measured, whole.std, 1.0))


def _save(path: Path, array: np.ndarray) -> None:
    with path.open("wb") as file:
        np.save(file, array)


if __name__ == "__main__":
    run(compute_stats)
