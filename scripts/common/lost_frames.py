"""Frames of a table that do not decode: what leans on them, and how the ledger says them."""

from collections.abc import Iterator

import numpy as np

# Further stretches of a list are left to the ellipsis.
MOST_NAMED = 8


def stretches_of(rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """[first, stop) of every run of consecutive frames. rows: int64, rising."""
    for run_of in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
        if len(run_of):
            yield int(run_of[0]), int(run_of[-1]) + 1


def leaning_on(damaged: np.ndarray, keyframe: np.ndarray) -> np.ndarray:
    """Frames that are damaged, or follow one that is before the next keyframe; bool (N,) in and out."""
    frames = np.arange(len(damaged))
    last_damaged = np.maximum.accumulate(np.where(damaged, frames, -1))
    last_key = np.maximum.accumulate(np.where(keyframe & ~damaged, frames, -1))
    return last_damaged > last_key


def listed(rows: np.ndarray) -> str:
    """`6 frames do not decode (101-105, 120)`. rows: int64, rising, at least one."""
    named = [str(first) if stop == first + 1 else f"{first}-{stop - 1}" for first, stop in stretches_of(rows)]
    rest = [f"and {len(named) - MOST_NAMED} more stretches"] if len(named) > MOST_NAMED else []
    count = "1 frame does" if len(rows) == 1 else f"{len(rows)} frames do"
    return f"{count} not decode ({', '.join([*named[:MOST_NAMED], *rest])})"
