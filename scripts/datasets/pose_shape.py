"""How models take poses: relative to the middle of what is seen."""

import numpy as np


def middle_of(pose: np.ndarray) -> np.ndarray:
    """Mean of the points of each frame that have a place, float (T, D, 1), of points (T, D, K); 0 where none has."""
    seen = np.isfinite(pose)
    count = np.maximum(seen.sum(axis=2, keepdims=True), 1)
    mean: np.ndarray = np.where(seen, pose, 0).sum(axis=2, keepdims=True) / count
    return mean
