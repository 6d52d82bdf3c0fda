"""Points in 3D from their pixels in several cameras: weighted, robust, and without a loop over points.

Every camera adds nine terms to a point's normal equations. They are made once; the sum over any set of cameras (a pair,
all, the inliers) is then a sum of terms, solved in closed form by the adjugate of a symmetric 3x3 matrix.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from scripts.cameras import lens
from scripts.cameras.lines import Lines
from scripts.common.calibration_file import Calibration, rotation_matrix

CHUNK = 16_384
# Columns of the nine terms: the upper triangle of the matrix, and the right side.
UPPER = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
# A covariance is never smaller than that of errors of half a pixel: three points on a line prove nothing.
SMALLEST_PX = 0.5


@dataclass(frozen=True)
class Rig:
    """Cameras as arrays. poses: float64 (C, 3, 4), world to camera.  lenses: one vector a camera, see lens.py."""

    names: tuple[str, ...]
    poses: np.ndarray
    lenses: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, calibration: Calibration, names: tuple[str, ...]) -> "Rig":
        """The cameras `names` of a calibration, in that order."""
        cameras = [calibration.cameras[name] for name in names]
        poses = [np.column_stack([rotation_matrix(c.rotation), c.translation]) for c in cameras]
        return cls(names, np.array(poses), tuple(lens.intrinsics_of(camera) for camera in cameras))

    def of_cameras(self, places: Sequence[int]) -> "Rig":
        """Some of the cameras, by their places."""
        some = list(places)
        return Rig(tuple(self.names[i] for i in some), self.poses[some], tuple(self.lenses[i] for i in some))

    def lines(self, rays: np.ndarray) -> Lines:
        """Sightings from normalised coordinates without NaN, float64 (C, 2, N)."""
        unit_px = float(np.mean([vector[:2] for vector in self.lenses]))
        return Lines.of(rays, self.poses, self.lenses, unit_px)

    def slopes(self, rays: np.ndarray) -> np.ndarray:
        """By how many pixels normalised coordinates (C, 2, …) move a pixel there, float64 (C, 2, 2, …)."""
        flat = rays.reshape(*rays.shape[:2], -1)
        found = [lens.slopes(mine[0], mine[1], vector) for mine, vector in zip(flat, self.lenses, strict=True)]
        return np.array(found).reshape(len(rays), 2, 2, *rays.shape[2:])


@dataclass(frozen=True)
class Points:
    """Triangulated points. xyz: float64 (N, 3), NaN where fewer than two cameras agree.  error_px: float64 (N,), median
    over the inliers.  cameras: uint8 (N,), how many saw it.  inliers: bool (C, N).  covariance: float64 (N, 3, 3)."""

    xyz: np.ndarray
    error_px: np.ndarray
    cameras: np.ndarray
    inliers: np.ndarray
    covariance: np.ndarray


def undistorted(calibration: Calibration, pixels: Mapping[str, np.ndarray]) -> np.ndarray:
    """Normalised coordinates of every camera's pixels, (N, 2) each, as float64 (C, 2, N); NaN stays NaN."""
    return np.stack([lens.rays(calibration.cameras[name], uv.astype(np.float64)).T for name, uv in pixels.items()])


def triangulate(
    rays: np.ndarray, weights: np.ndarray, rig: Rig, *, robust: bool = True, limit_px: float = 10.0, single: bool = True
) -> Points:
    """Points from normalised coordinates.

    rays: float (C, 2, N), NaN where a camera does not see the point.  weights: float (C, N), at least 0; 0 is unseen.
    robust: where the solution of all cameras is further than limit_px from one of them, every pair of cameras proposes
    a point, the one that the cameras bear out best (truncated squares) wins, and is fitted again to its inliers.
    single: look for the consensus in float32, at half the time; the last fit is always in float64.
    """
    count = rays.shape[2]
    out = Points(
        np.full((count, 3), np.nan),
        np.full(count, np.nan),
        np.zeros(count, np.uint8),
        np.zeros((len(rays), count), bool),
        np.full((count, 3, 3), np.nan),
    )
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        _chunk(rays[:, :, part], weights[:, part], rig, robust, limit_px, single, out, start)
    return out


def solve_all(rays: np.ndarray, weights: np.ndarray, rig: Rig) -> np.ndarray:
    """The plain weighted linear solution of all cameras, float64 (N, 3); NaN below two cameras."""
    count = rays.shape[2]
    xyz = np.empty((3, count))
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        lines, weight, seen = _clean(rays[:, :, part], weights[:, part], rig)
        summed = _summed_terms(lines, weight)
        xyz[:, part] = np.where(seen.sum(axis=0) >= 2, _solve(summed), np.nan)
    return xyz.T


def _clean(rays: np.ndarray, weights: np.ndarray, rig: Rig) -> tuple[Lines, np.ndarray, np.ndarray]:
    """Sightings without NaN, weights that are 0 for what is unseen, and what is seen."""
    seen = np.isfinite(rays[:, 0]) & np.isfinite(rays[:, 1]) & (weights > 0)
    values, weight = np.where(seen[:, None], rays, 0), np.where(seen, weights, 0)
    return rig.lines(values.astype(np.float64, copy=False)), weight.astype(np.float64, copy=False), seen


def _terms(lines: Lines, weights: np.ndarray) -> np.ndarray:
    """The nine terms of every camera, (C, 9, N)."""
    out = np.empty((len(weights), 9, weights.shape[1]), weights.dtype)
    for index, target in enumerate(out):
        for column, term in enumerate(_terms_of(lines, weights, index)):
            target[column] = term
    return out


def _summed_terms(lines: Lines, weights: np.ndarray) -> np.ndarray:
    """The sum of the cameras' terms, (9, N)."""
    out = np.zeros((9, weights.shape[1]), weights.dtype)
    for index in range(len(weights)):
        for column, term in enumerate(_terms_of(lines, weights, index)):
            out[column] += term
    return out


def _terms_of(lines: Lines, weights: np.ndarray, camera: int) -> Iterator[np.ndarray]:
    """The nine terms of a camera, one after the other."""
    a, b = lines.equations(camera)
    weight = weights[camera]
    wa, wb = [weight * x for x in a[:3]], [weight * x for x in b[:3]]
    for i, j in UPPER:
        yield wa[i] * a[j] + wb[i] * b[j]
    for i in range(3):
        yield -(wa[i] * a[3] + wb[i] * b[3])


def _adjugate(terms: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The six entries of the adjugate of the symmetric matrices, and the determinants."""
    a, b, c, d, e, f = terms[:6]
    adjugate = [d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b]
    return adjugate, a * adjugate[0] + b * adjugate[1] + c * adjugate[2]


def _solve(terms: np.ndarray) -> np.ndarray:
    """Solutions (3, N) of summed terms (9, N)."""
    (p, q, r, s, t, u), determinant = _adjugate(terms)
    x, y, z = terms[6:]
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / determinant
        out = np.empty((3, terms.shape[1]), terms.dtype)
        for row, (one, two, three) in enumerate(((p, q, r), (q, s, t), (r, t, u))):
            np.multiply(one * x + two * y + three * z, inverse, out=out[row])
    return out


def _chunk(
    rays: np.ndarray,
    weights: np.ndarray,
    rig: Rig,
    robust: bool,
    limit_px: float,
    single: bool,
    out: Points,
    start: int,
) -> None:
    lines, weight, seen = _clean(rays, weights, rig)
    terms = _terms(lines, weight)
    if robust:
        kind = np.float32 if single else np.float64
        inliers, near = _consensus(terms.astype(kind), lines.astype(kind), seen, kind(limit_px**2))
    else:
        inliers, near = seen, _solve(terms.sum(axis=0))
    xyz, square, scale = _refit(terms, lines, seen, inliers, near)
    if robust:
        # Once more with what the better point bears out, so that no camera is lost to a poor pair.
        again = seen & (square <= limit_px**2)
        again = np.where(again.sum(axis=0) >= np.maximum(inliers.sum(axis=0), 2), again, inliers)
        changed = np.flatnonzero((again != inliers).any(axis=0))
        if len(changed):
            part = (terms[:, :, changed], lines.take(changed), seen[:, changed], again[:, changed], xyz[:, changed])
            xyz[:, changed], square[:, changed], scale[:, changed] = _refit(*part)
            inliers = again
    inliers = inliers & (inliers.sum(axis=0) >= 2) & np.isfinite(xyz).all(axis=0)
    stop = start + rays.shape[2]
    out.xyz[start:stop] = np.where(inliers.any(axis=0), xyz, np.nan).T
    out.cameras[start:stop] = seen.sum(axis=0)
    out.inliers[:, start:stop] = inliers
    out.error_px[start:stop] = _nan_median(np.where(inliers, np.sqrt(square), np.nan))
    with np.errstate(divide="ignore", invalid="ignore"):
        even = np.where(inliers, scale / weight, 0)
    out.covariance[start:stop] = _covariance(_weighted(terms, even), inliers, square)


def _weighted(terms: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """The sum of every camera's terms (C, 9, N) by its factor (C, N): (9, N)."""
    out = terms[0] * factors[0]
    product = np.empty_like(out)
    for term, factor in zip(terms[1:], factors[1:], strict=True):
        out += np.multiply(term, factor, out=product)
    return out


def _nan_median(values: np.ndarray) -> np.ndarray:
    """Median over the first axis without NaN, NaN where there is nothing; (C, N) to (N,)."""
    ordered = np.sort(values, axis=0)
    count = np.isfinite(values).sum(axis=0)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(values) - 1)
    place = np.arange(values.shape[1])
    middle: np.ndarray = (ordered[low, place] + ordered[high, place]) / 2
    return middle


def _refit(
    terms: np.ndarray, lines: Lines, seen: np.ndarray, inliers: np.ndarray, near: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (3, N) that minimise the weighted error in px over the inliers, the squared errors of all cameras, and the
    factors (C, N) by which the terms become pixels: (unit / depth)², 0 for outliers.

    near: points (3, N) from which the depths are taken.
    """
    scale = np.zeros(seen.shape)
    for index, pose in enumerate(lines.poses):
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = pose[2, :3] @ near + pose[2, 3]
            scale[index] = np.where(inliers[index] & (depth > 0), (lines.unit_px / depth) ** 2, 0)
    better = _solve(_weighted(terms, scale))
    xyz = np.where(np.isfinite(better), better, near)
    return xyz, lines.errors(xyz, seen), scale


def _consensus(terms: np.ndarray, lines: Lines, seen: np.ndarray, limit: np.floating) -> tuple[np.ndarray, np.ndarray]:
    """Which cameras bear out the best point of all, bool (C, N), and that point, (3, N).

    If all cameras agree, that is they; if all but one of four or more do, it is the others; else every pair proposes.
    """
    total = terms.sum(axis=0)
    point = _solve(total)
    square = lines.errors(point, seen)
    inliers: np.ndarray = seen & (square <= limit)
    best = np.minimum(square, limit).sum(axis=0)
    count = seen.sum(axis=0)
    open_ = np.flatnonzero((inliers != seen).any(axis=0) & (count > 2))
    # The camera that is furthest off is nearly always the one that is wrong, where one is.
    tried = open_[count[open_] >= 4]
    worst = np.where(seen[:, tried], square[:, tried], -1).argmax(axis=0)
    found = _solve(total[:, tried] - terms[worst, :, tried].T)
    _propose(found, tried, lines, seen, limit, best, inliers, point)
    open_ = open_[inliers[:, open_].sum(axis=0) < np.maximum(count[open_] - 1, 3)]
    lines, some, terms = lines.take(open_), seen[:, open_], terms[:, :, open_]
    chosen, score, places = inliers[:, open_], best[open_], point[:, open_]
    for one, other in combinations(range(len(seen)), 2):
        both = np.flatnonzero(some[one] & some[other])
        found = _solve(terms[one][:, both] + terms[other][:, both])
        _propose(found, both, lines, some, limit, score, chosen, places)
    inliers[:, open_], point[:, open_] = chosen, places
    return inliers, point


def _propose(
    found: np.ndarray,
    place: np.ndarray,
    lines: Lines,
    seen: np.ndarray,
    limit: np.floating,
    best: np.ndarray,
    inliers: np.ndarray,
    point: np.ndarray,
) -> None:
    """Points (3, n) for the columns `place`: where truncated squares are below `best`, they and their inliers count."""
    if not len(place):
        return
    miss = lines.take(place).errors(found, seen.take(place, axis=1))
    score = np.minimum(miss, limit).sum(axis=0)
    better = score < best[place]
    best[place[better]] = score[better]
    inliers[:, place[better]] = miss[:, better] <= limit
    point[:, place[better]] = found[:, better]


def _covariance(terms: np.ndarray, inliers: np.ndarray, square: np.ndarray) -> np.ndarray:
    """Covariance of the points in the world's unit², float64 (N, 3, 3), from the errors of the inliers in px.

    terms: summed, in pixels.
    """
    (p, q, r, s, t, u), determinant = _adjugate(terms)
    freedom = np.maximum(2 * inliers.sum(axis=0) - 3, 1)
    noise = np.maximum(np.where(inliers, square, 0).sum(axis=0) / freedom, SMALLEST_PX**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(inliers.any(axis=0), noise / determinant, np.nan)
        return (np.stack([p, q, r, q, s, t, r, t, u]) * factor).T.reshape(-1, 3, 3)
