"""Sightings as two linear equations each, whose misses are the reprojection error in pixels.

Of a point (x, y, z) in a camera's frame they are p x + q y - c z = 0 and s y - d z = 0. A step in the plane of a lens
is another number of pixels near its edge than in its middle: p, q and s are the root of that metric where the point is
seen, so that a fisheye's sightings count by what they miss in the picture. Of a lens that bends nothing they are
constants, which stand in the camera's pose.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scripts.cameras import lens


@dataclass(frozen=True)
class Lines:
    """Sightings of N points by C cameras.

    sightings: by camera c, d (2, N), or c, d, p, q, s (5, N) of a lens that bends.  poses: float (C, 3, 4), world to
    camera, with the constants of the others.  unit_px: so many pixels are 1 (the mean focal length: squares of numbers
    around 1 hold in float32).
    """

    sightings: list[np.ndarray]
    poses: np.ndarray
    unit_px: float

    @classmethod
    def of(cls, rays: np.ndarray, poses: np.ndarray, lenses: Sequence[np.ndarray], unit_px: float) -> "Lines":
        """From normalised coordinates without NaN, float64 (C, 2, N)."""
        found = [_sightings(ray, vector, unit_px) for ray, vector in zip(rays, lenses, strict=True)]
        own = poses.copy()
        for pose, vector in zip(own, lenses, strict=True):
            if not vector[4:].any() and len(vector) == lens.PINHOLE:
                pose[:2] *= vector[:2, None] / unit_px
        return cls(found, own, unit_px)

    def astype(self, kind: type) -> "Lines":
        """In another precision."""
        return Lines([mine.astype(kind, copy=False) for mine in self.sightings], self.poses.astype(kind), self.unit_px)

    def take(self, place: np.ndarray) -> "Lines":
        """Those of some points."""
        return Lines([mine.take(place, axis=1) for mine in self.sightings], self.poses, self.unit_px)

    def equations(self, camera: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Factors of x, y, z and 1 of the world in both equations of a camera, each (N,)."""
        c, d, *metric = self.sightings[camera]
        pose = self.poses[camera]
        if not metric:
            return [pose[0, k] - c * pose[2, k] for k in range(4)], [pose[1, k] - d * pose[2, k] for k in range(4)]
        p, q, s = metric
        return (
            [p * pose[0, k] + q * pose[1, k] - c * pose[2, k] for k in range(4)],
            [s * pose[1, k] - d * pose[2, k] for k in range(4)],
        )

    def errors(self, xyz: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Squared errors in px² of points (3, N), (C, N); inf where unseen or behind the camera."""
        square = np.empty(seen.shape, xyz.dtype)
        scale = xyz.dtype.type(self.unit_px**2)
        with np.errstate(all="ignore"):
            for index, (pose, (c, d, *metric)) in enumerate(zip(self.poses, self.sightings, strict=True)):
                x, y, z = pose[:, :3] @ xyz + pose[:, 3:]
                inverse = 1 / z
                x *= inverse
                y *= inverse
                if metric:
                    p, q, s = metric
                    x *= p
                    x += q * y
                    y *= s
                x -= c
                y -= d
                x *= x
                y *= y
                x += y
                x *= scale
                # NaN is no error that is small enough.
                square[index] = np.where(seen[index] & (z > 0) & (x < np.inf), x, np.inf)
        return square


def _sightings(ray: np.ndarray, vector: np.ndarray, unit_px: float) -> np.ndarray:
    if not vector[4:].any() and len(vector) == lens.PINHOLE:
        return ray * (vector[:2, None] / unit_px)
    (a, b), (c, d) = lens.slopes(ray[0], ray[1], vector) / unit_px
    # The triangular root of the metric: a miss in the plane is as long in it as in the picture.
    p = np.maximum(np.sqrt(a * a + c * c), lens.NEAR)
    q, s = (a * b + c * d) / p, (a * d - b * c) / p
    out: np.ndarray = np.stack([p * ray[0] + q * ray[1], s * ray[1], p, q, s])
    return out
