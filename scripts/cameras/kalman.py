"""The Kalman filter and the Rauch-Tung-Striebel smoother of many points at once.

The state of a point is its place and velocity; between frames it is accelerated at random. What is seen has the
covariance of the triangulation, times a factor that is learned together with the acceleration. R. E. Kalman 1960;
H. E. Rauch, F. Tung, C. T. Striebel 1965.
"""

from dataclasses import dataclass

import numpy as np

from scripts.cameras.series import Series, chunks, stretches

# Standard deviation of the velocity of a point at its first frame, units/s: anything.
FASTEST = 1e4
# Rows that are smoothed at a time, and of the neighbours: what is further off has no weight.
CHUNK, OVERLAP = 4096, 256
# What is learned from, at most: stretches of so many rows.
LEARNED_ROWS, LEARNED_STRETCHES = 256, 4
# Candidates: the acceleration as a part of what second differences show, and the factor of the covariance.
ACCELERATIONS = tuple(2.0**-k for k in range(8))
FACTORS = (1 / 16, 0.25, 1.0, 4.0, 16.0, 64.0)
# A second round about the best of them, by which both are multiplied.
FINER_ACCELERATIONS = tuple(2.0 ** (k / 2) for k in range(-1, 2))
FINER_FACTORS = tuple(2.0 ** (k / 3) for k in range(-3, 4))
PASSES = 3
# Of Student's distribution, whose tails bear wild points.
FREEDOM = 4
# The share of its covariance by which Student's likelihood fits best to what is distributed normally in space: the z
# of E[(FREEDOM + 3) x / (FREEDOM z + x)] = 3, where x is distributed as chi squared of three dimensions.
NORMAL_SCALE = 0.75589
EYE = np.eye(3)


@dataclass(frozen=True)
class Motion:
    """How points move and how well they are seen.

    acceleration: float64 (K,), standard deviation in units/s².  factor: float64 (K,), of the covariance.
    """

    acceleration: np.ndarray
    factor: np.ndarray


@dataclass(frozen=True)
class Track:
    """States over time: mean float64 (T, K, 6), place and velocity; covariance float64 (T, K, 6, 6)."""

    mean: np.ndarray
    covariance: np.ndarray


def smooth(series: Series, acceleration: float, gate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, Motion]:
    """Smoothed points, their covariance, which points were outliers, and the motion.

    acceleration: units/s², 0: learned by keypoint.  gate: a point further off than so many standard deviations counts
    for less, the further the less. Returns xyz float64 (T, K, 3), NaN outside of
    segments, covariance float64 (T, K, 3, 3), outliers bool (T, K).
    """
    motion = learn(series, acceleration)
    begins, inside = series.begins(), series.bridged()
    noise = series.noise() * motion.factor[:, None, None]
    xyz, covariance = np.full(series.xyz.shape, np.nan), np.full(series.covariance.shape, np.nan)
    wild = np.zeros(series.seen.shape, bool)
    for read, keep, inner in chunks(len(series), CHUNK, OVERLAP):
        points, seen, start = series.xyz[read], series.seen[read], begins[read].copy()
        # A stretch that began before the chunk begins with its first point in it.
        start[np.argmax(seen, axis=0), np.arange(seen.shape[1])] |= seen.any(axis=0)
        scale = np.ones(seen.shape)
        inverse = np.linalg.inv(noise[read])
        for _ in range(PASSES):
            track = rts(points, noise[read] * scale[..., None, None], seen, start, motion.acceleration, series.step_s)
            miss = np.where(seen[..., None], points - track.mean[..., :3], 0)
            square = np.einsum("tki,tkij,tkj->tk", miss, inverse, miss)
            scale = np.maximum(1, square / gate**2)
        xyz[keep], wild[keep] = track.mean[inner][..., :3], (scale[inner] > 1)
        covariance[keep] = track.covariance[inner][..., :3, :3]
    xyz[~inside], covariance[~inside] = np.nan, np.nan
    return xyz, covariance, wild, motion


def rts(
    points: np.ndarray,
    noise: np.ndarray,
    seen: np.ndarray,
    begins: np.ndarray,
    acceleration: np.ndarray,
    step_s: float,
) -> Track:
    """The smoother. points: float64 (T, K, 3).  noise: float64 (T, K, 3, 3).  seen, begins: bool (T, K).

    A point starts anew where `begins` says; before its first start its state means nothing.
    """
    forward, predicted, _ = _forward(points, noise, seen, begins, acceleration, step_s, keep=True)
    transition = np.eye(6)
    transition[:3, 3:] = EYE * step_s
    mean, covariance = forward.mean, forward.covariance
    for t in range(len(points) - 2, -1, -1):
        inner = ~begins[t + 1]
        gain = np.swapaxes(
            np.linalg.solve(predicted.covariance[t + 1], transition @ covariance[t]),
            -1,
            -2,
        )
        moved = (gain @ (mean[t + 1] - predicted.mean[t + 1])[..., None])[..., 0]
        change = gain @ (covariance[t + 1] - predicted.covariance[t + 1]) @ np.swapaxes(gain, -1, -2)
        mean[t] += np.where(inner[:, None], moved, 0)
        covariance[t] += np.where(inner[:, None, None], (change + np.swapaxes(change, -1, -2)) / 2, 0)
    return Track(mean, covariance)


def _forward(
    points: np.ndarray,
    noise: np.ndarray,
    seen: np.ndarray,
    begins: np.ndarray,
    acceleration: np.ndarray,
    step_s: float,
    *,
    keep: bool,
) -> tuple[Track, Track, np.ndarray]:
    """Filtered and predicted states, if they are to be kept; if not, how badly points were foretold: minus two times
    the logarithm of Student's likelihood without constants, summed, (K,)."""
    count, width = points.shape[:2]
    rows = count if keep else 0
    forward = Track(np.empty((rows, width, 6)), np.empty((rows, width, 6, 6)))
    predicted = Track(np.empty((rows, width, 6)), np.empty((rows, width, 6, 6)))
    variance = acceleration[:, None, None] ** 2 * EYE
    added = variance * step_s**4 / 4, variance * step_s**3 / 2, variance * step_s**2
    place, velocity = np.zeros((width, 3)), np.zeros((width, 3))
    pp, pv, vv = (np.broadcast_to(EYE, (width, 3, 3)).copy() for _ in range(3))
    misfit = np.zeros(width)
    for t in range(count):
        place = place + velocity * step_s
        pp = pp + step_s * (pv + np.swapaxes(pv, -1, -2)) + step_s**2 * vv + added[0]
        pv = pv + step_s * vv + added[1]
        vv = vv + added[2]
        if keep:
            _store(predicted, t, place, velocity, pp, pv, vv)
        inner = seen[t] & ~begins[t]
        innovation = np.where(inner[:, None], points[t] - place, 0)
        total = pp + noise[t]
        inverse = np.where(inner[:, None, None], np.linalg.inv(total), 0)
        if not keep:
            square = np.einsum("ki,kij,kj->k", innovation, inverse, innovation)
            rare = (FREEDOM + 3) * np.log1p(square / (FREEDOM * NORMAL_SCALE))
            misfit += np.where(inner, rare + np.linalg.slogdet(total)[1], 0)
        gain, pull = pp @ inverse, np.swapaxes(pv, -1, -2) @ inverse
        place = place + (gain @ innovation[..., None])[..., 0]
        velocity = velocity + (pull @ innovation[..., None])[..., 0]
        vv = vv - pull @ pv
        pv = pv - gain @ pv
        pp = pp - gain @ pp
        pp, vv = (pp + np.swapaxes(pp, -1, -2)) / 2, (vv + np.swapaxes(vv, -1, -2)) / 2
        if begins[t].any():
            new, block = begins[t][:, None], begins[t][:, None, None]
            place, velocity = np.where(new, points[t], place), np.where(new, 0, velocity)
            pp, pv, vv = np.where(block, noise[t], pp), np.where(block, 0, pv), np.where(block, EYE * FASTEST**2, vv)
        if keep:
            _store(forward, t, place, velocity, pp, pv, vv)
    return forward, predicted, misfit


def _store(
    track: Track, t: int, place: np.ndarray, velocity: np.ndarray, pp: np.ndarray, pv: np.ndarray, vv: np.ndarray
) -> None:
    track.mean[t, :, :3], track.mean[t, :, 3:] = place, velocity
    track.covariance[t, :, :3, :3], track.covariance[t, :, 3:, 3:] = pp, vv
    track.covariance[t, :, :3, 3:], track.covariance[t, :, 3:, :3] = pv, np.swapaxes(pv, -1, -2)


def learn(series: Series, acceleration: float) -> Motion:
    """The acceleration and the factor of the covariance under which points are foretold best, by keypoint.

    acceleration: units/s² if it is known, else 0. The likelihood is that of the filter, with Student's distribution,
    over a grid of candidates, then over a finer one about the best, and a few stretches of a long series.
    """
    rows = np.concatenate(
        [np.arange(len(series))[part] for part in stretches(len(series), LEARNED_ROWS, LEARNED_STRETCHES)]
    )
    begins = series.begins()[rows]
    seen = series.seen[rows]
    fresh = np.append(True, np.diff(rows) > 1)
    begins |= _first_after(fresh, seen)
    width = series.xyz.shape[1]
    known = np.full((1, width), acceleration) if acceleration else np.outer(ACCELERATIONS, _usual_acceleration(series))
    stretch = series.xyz[rows], series.noise()[rows], seen, begins, series.step_s
    coarse = _best(*stretch, known, np.tile(np.array(FACTORS)[:, None], width))
    near = coarse.acceleration[None] if acceleration else np.outer(FINER_ACCELERATIONS, coarse.acceleration)
    return _best(*stretch, near, np.outer(FINER_FACTORS, coarse.factor))


def _best(
    points: np.ndarray,
    noise: np.ndarray,
    seen: np.ndarray,
    begins: np.ndarray,
    step_s: float,
    accelerations: np.ndarray,
    factors: np.ndarray,
) -> Motion:
    """The likeliest pair of each keypoint. accelerations: float64 (A, K).  factors: float64 (F, K)."""
    width = points.shape[1]
    acceleration = np.repeat(accelerations, len(factors), axis=0)
    factor = np.tile(factors, (len(accelerations), 1))
    pairs = len(factor)
    points, noise, seen, begins = (
        np.tile(values, (1, pairs, *[1] * (values.ndim - 2))) for values in (points, noise, seen, begins)
    )
    noise = noise * factor.reshape(-1)[:, None, None]
    misfit = _forward(points, noise, seen, begins, acceleration.reshape(-1), step_s, keep=False)[2]
    best = misfit.reshape(pairs, width).argmin(axis=0)
    place = np.arange(width)
    return Motion(acceleration[best, place], factor[best, place])


def _first_after(fresh: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The first point at or after each fresh row, bool (T, K)."""
    out = np.zeros(seen.shape, bool)
    starts = np.flatnonzero(fresh)
    for start, stop in zip(starts, np.append(starts[1:], len(seen)), strict=True):
        part = seen[start:stop]
        out[start + np.argmax(part, axis=0), np.arange(seen.shape[1])] |= part.any(axis=0)
    return out


def _usual_acceleration(series: Series) -> np.ndarray:
    """What second differences of each keypoint usually show, units/s², float64 (K,), never 0."""
    size = np.linalg.norm(np.diff(series.xyz, n=2, axis=0), axis=-1) / np.sqrt(3)
    whole = np.isfinite(size)
    usual = np.array([np.median(size[good, k]) if good.any() else 0 for k, good in enumerate(whole.T)])
    least = usual[usual > 0].min() if (usual > 0).any() else 1e-3
    return np.where(usual > 0, usual, least) / series.step_s**2
