"""Landmarks as the networks see them: relative to the nose tip of their frame, x row then y row, normalised.

What it gives up, the place of the head in the picture, no sound tells.
"""

from typing import Any

import numpy as np

from scripts.common.face_shape import relative_to_nose
from scripts.common.landmarks import POINTS

COORDINATES = 2 * POINTS
EPSILON = 1e-6
# What a checkpoint says about its landmarks; another value of any of them is another layout.
LAYOUT: dict[str, Any] = {"points": "ibug68", "origin": "nose_tip_33", "order": "x_then_y", "unit": "px"}

# Parts of the face that the json of an inference names, as ranges of iBUG's points.
PARTS = {"head": [*range(36)], "eyes": [*range(36, 48)], "mouth": [*range(48, 68)]}


def without_statistics(mean: np.ndarray, std: np.ndarray) -> list[int]:
    """Points of iBUG of which statistics, float (136,) each, say nothing: mean 0 and deviation 1 in x and y.

    So earlier versions wrote the inner corners of the mouth that `openseeface` computes: a face at rest has them at the
    tip of the nose, and a training takes them for half of its loss.
    """
    nothing = (np.asarray(mean) == 0) & (np.asarray(std) == 1)
    return np.flatnonzero(nothing.reshape(2, -1).all(axis=0)).tolist()


def normalised(pose: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """float (N, 2, 68) px to float32 (N, 136); mean, std: float64 (136,). What never moves becomes 0."""
    return np.asarray((relative_to_nose(pose) - mean) / (std + EPSILON), np.float32)


def in_pixels(values: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Normalised (…, 136) to float32 (…, 2, 68) px relative to the nose tip."""
    pixels = np.asarray(values, np.float64) * (std + EPSILON) + mean
    return pixels.astype(np.float32).reshape(*values.shape[:-1], 2, POINTS)
