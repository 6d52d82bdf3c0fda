"""Lenses with derivatives: OpenCV's pinhole and fisheye models, forwards for adjustment, backwards for rays.

Intrinsics are one vector: fx, fy, cx, cy and the distortions k1, k2, p1, p2, k3, or k1 … k4 of a fisheye.
"""

import numpy as np

from scripts.common.calibration_file import Camera

PINHOLE = 9
FISHEYE = 8
NEWTON_STEPS = 20
NEAR = 1e-9


def pinhole(focal_px: float) -> np.ndarray:
    """The intrinsics of a lens that bends nothing, its middle at 0, float64 (9,)."""
    return np.array([focal_px, focal_px, *np.zeros(PINHOLE - 2)])


def intrinsics_of(camera: Camera) -> np.ndarray:
    """The vector of a camera's intrinsics, float64 (9,), fisheye (8,)."""
    matrix = camera.matrix
    return np.array([matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], *camera.distortions])


def project(seen: np.ndarray, lens: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of points before a camera, with derivatives.

    seen: float64 (N, 3) in the camera's frame.  lens: float64 (9,) or (8,), or (N, 9), (N, 8).
    Returns pixels (N, 2), by point (N, 2, 3), by intrinsics (N, 2, 9 or 8).
    """
    lens = np.broadcast_to(lens, (len(seen), np.shape(lens)[-1]))
    depth = np.where(np.abs(seen[:, 2]) > NEAR, seen[:, 2], NEAR)
    x, y = seen[:, 0] / depth, seen[:, 1] / depth
    bend = _fisheye if lens.shape[1] == FISHEYE else _pinhole
    bent, by_plane, by_bend = bend(x, y, lens[:, 4:])
    focal, centre = lens[:, :2], lens[:, 2:4]
    pixels = focal * bent + centre
    plane = np.zeros((len(seen), 2, 3))
    plane[:, 0, 0] = plane[:, 1, 1] = 1 / depth
    plane[:, 0, 2], plane[:, 1, 2] = -x / depth, -y / depth
    by_point = focal[:, :, None] * (by_plane @ plane)
    by_lens = np.zeros((len(seen), 2, lens.shape[1]))
    by_lens[:, 0, 0], by_lens[:, 1, 1] = bent[:, 0], bent[:, 1]
    by_lens[:, 0, 2] = by_lens[:, 1, 3] = 1
    by_lens[:, :, 4:] = focal[:, :, None] * by_bend
    return pixels, by_point, by_lens


def _pinhole(x: np.ndarray, y: np.ndarray, bends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    k1, k2, p1, p2, k3 = bends.T
    square = x * x + y * y
    radial = 1 + square * (k1 + square * (k2 + square * k3))
    bent = np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x),
            y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=1,
    )
    by_plane = np.empty((len(x), 2, 2))
    by_plane[:, 0, 0], by_plane[:, 0, 1], by_plane[:, 1, 1] = _pinhole_slopes(x, y, bends)
    by_plane[:, 1, 0] = by_plane[:, 0, 1]
    by_bend = np.empty((len(x), 2, 5))
    for row, (here, other) in enumerate(((x, y), (y, x))):
        by_bend[:, row, 0], by_bend[:, row, 1], by_bend[:, row, 4] = here * square, here * square**2, here * square**3
        by_bend[:, row, 2 + row] = 2 * here * other
        by_bend[:, row, 3 - row] = square + 2 * here * here
    return bent, by_plane, by_bend


def _pinhole_slopes(x: np.ndarray, y: np.ndarray, bends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The symmetric slope of bent by plane coordinates: xx, xy, yy. bends: (N, 5) or (5,)."""
    k1, k2, p1, p2, k3 = bends.T
    across, down = x * x, y * y
    square = across + down
    radial = 1 + square * (k1 + square * (k2 + square * k3))
    rise = 2 * (k1 + square * (2 * k2 + 3 * square * k3))
    return (
        radial + across * rise + 2 * p1 * y + 6 * p2 * x,
        x * y * rise + 2 * p1 * x + 2 * p2 * y,
        radial + down * rise + 6 * p1 * y + 2 * p2 * x,
    )


def _fisheye(x: np.ndarray, y: np.ndarray, bends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    radius = np.maximum(np.hypot(x, y), NEAR)
    angle = np.arctan(radius)
    powers = angle[:, None] ** np.array([3, 5, 7, 9])
    scale = (angle + (powers * bends).sum(axis=1)) / radius
    bent = np.stack([x * scale, y * scale], axis=1)
    by_plane = np.empty((len(x), 2, 2))
    by_plane[:, 0, 0], by_plane[:, 0, 1], by_plane[:, 1, 1] = _fisheye_slopes(x, y, bends)
    by_plane[:, 1, 0] = by_plane[:, 0, 1]
    by_bend = np.stack([x[:, None] * powers, y[:, None] * powers], axis=1) / radius[:, None, None]
    return bent, by_plane, by_bend


def _fisheye_slopes(x: np.ndarray, y: np.ndarray, bends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The symmetric slope of bent by plane coordinates: xx, xy, yy. bends: (N, 4) or (4,)."""
    k1, k2, k3, k4 = bends.T
    radius = np.maximum(np.hypot(x, y), NEAR)
    angle = np.arctan(radius)
    square = angle * angle
    scale = angle * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4)))) / radius
    slope = 1 + square * (3 * k1 + square * (5 * k2 + square * (7 * k3 + square * 9 * k4)))
    rise = (slope / (1 + radius * radius) - scale) / (radius * radius)
    return scale + x * x * rise, x * y * rise, scale + y * y * rise


def slopes(x: np.ndarray, y: np.ndarray, lens: np.ndarray) -> np.ndarray:
    """By how many pixels plane coordinates (N,), those of `rays`, move a pixel: float64 (2, 2, N).

    lens: float64 (9,) or (8,).
    """
    bend = _fisheye_slopes if len(lens) == FISHEYE else _pinhole_slopes
    across, both, down = bend(x, y, lens[4:])
    fx, fy = lens[:2]
    return np.array([[fx * across, fx * both], [fy * both, fy * down]])


def rays(camera: Camera, pixels: np.ndarray) -> np.ndarray:
    """Undistorted, normalised coordinates of pixels, float64 (N, 2) to (N, 2), by Newton's method; NaN stays NaN.

    A pixel that the lens puts nowhere (beyond the fold of its polynomial) is NaN, too.
    """
    lens = intrinsics_of(camera)
    bend = _fisheye if camera.fisheye else _pinhole
    target = (pixels - lens[2:4]) / lens[:2]
    plane = _unbent(target, lens[4:]) if camera.fisheye else target.copy()
    bends = np.broadcast_to(lens[4:], (len(pixels), len(lens) - 4))
    open_ = np.flatnonzero(np.isfinite(target).all(axis=1))
    plane[np.setdiff1d(np.arange(len(pixels)), open_)] = np.nan
    for _ in range(NEWTON_STEPS):
        if not len(open_):
            break
        bent, slope, _ = bend(plane[open_, 0], plane[open_, 1], bends[open_])
        miss = target[open_] - bent
        turn = slope[:, 0, 0] * slope[:, 1, 1] - slope[:, 0, 1] * slope[:, 1, 0]
        turn = np.where(np.abs(turn) > NEAR, turn, np.nan)
        across = (slope[:, 1, 1] * miss[:, 0] - slope[:, 0, 1] * miss[:, 1]) / turn
        down = (slope[:, 0, 0] * miss[:, 1] - slope[:, 1, 0] * miss[:, 0]) / turn
        plane[open_] += np.stack([across, down], axis=1)
        far = np.abs(np.stack([across, down], axis=1)).max(axis=1)
        open_ = open_[(far > 1e-10) & np.isfinite(far)]
    if len(open_):
        plane[open_] = np.nan
    return plane


def _unbent(target: np.ndarray, bends: np.ndarray) -> np.ndarray:
    """A first guess of a fisheye's plane: the angle as if the lens bent nothing, kept below a right angle."""
    bent = np.maximum(np.hypot(target[:, 0], target[:, 1]), NEAR)
    angle = np.clip(bent / (1 + bends[0] * bent**2), 0, 1.4)
    unbent: np.ndarray = target * (np.tan(angle) / bent)[:, None]
    return unbent
