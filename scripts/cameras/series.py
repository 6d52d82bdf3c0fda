"""Series of points over time: on a grid of time, where they are whole, where they have a gap, and in chunks."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Series:
    """The points of one person at evenly spaced frames.

    xyz: float64 (T, K, 3), NaN where there is none.  covariance: float64 (T, K, 3, 3).  step_s: time from a frame to
    the next.  max_gap: frames without a point that are bridged.
    """

    xyz: np.ndarray
    covariance: np.ndarray
    step_s: float
    max_gap: int

    def __len__(self) -> int:
        return len(self.xyz)

    @property
    def seen(self) -> np.ndarray:
        """Where there is a point, bool (T, K)."""
        found: np.ndarray = np.isfinite(self.xyz).all(axis=-1)
        return found

    def segments(self, keypoint: int) -> list[slice]:
        """The stretches of a keypoint that are smoothed as one, from a point to a point."""
        return segments(self.seen[:, keypoint], self.max_gap)

    def part(self, rows: slice) -> "Series":
        """Some frames of it."""
        return Series(self.xyz[rows], self.covariance[rows], self.step_s, self.max_gap)

    def begins(self) -> np.ndarray:
        """Where a stretch of a keypoint begins, bool (T, K)."""
        out = np.zeros_like(self.seen)
        for keypoint in range(out.shape[1]):
            out[[part.start for part in self.segments(keypoint)], keypoint] = True
        return out

    def bridged(self) -> np.ndarray:
        """Where a point is or may be filled in, bool (T, K)."""
        out = np.zeros_like(self.seen)
        for keypoint in range(out.shape[1]):
            for part in self.segments(keypoint):
                out[part, keypoint] = True
        return out

    def noise(self) -> np.ndarray:
        """The covariance, float64 (T, K, 3, 3); where there is none, the keypoint's usual size, or 1."""
        finite = np.isfinite(self.covariance).all(axis=(-1, -2))
        out = self.covariance.copy()
        for keypoint in range(out.shape[1]):
            good = finite[:, keypoint] & self.seen[:, keypoint]
            size = np.median(np.trace(out[good, keypoint], axis1=-2, axis2=-1)) / 3 if good.any() else 1.0
            out[~finite[:, keypoint], keypoint] = np.eye(3) * size
        return out


def segments(seen: np.ndarray, max_gap: int) -> list[slice]:
    """Stretches from a point to a point with at most max_gap missing in a row; seen: bool (T,)."""
    places = np.flatnonzero(seen)
    if not len(places):
        return []
    split = np.flatnonzero(np.diff(places) > max_gap + 1)
    starts, stops = places[np.append(0, split + 1)], places[np.append(split, -1)] + 1
    return [slice(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]


def usual_step_ns(time_ns: np.ndarray) -> float:
    """The median time from a frame to the next; a second where there is but one."""
    return float(np.median(np.diff(time_ns))) if len(time_ns) > 1 else 1e9


def grid_places(time_ns: np.ndarray, most_missing: int | None = None) -> np.ndarray:
    """Where each frame stands among evenly spaced ones, int64 (T,), from 0: a frame that all cameras lost leaves a gap.

    time_ns: int64 (T,), rising.  most_missing: a longer gap is one of so many frames.
    """
    periods = np.rint(np.diff(time_ns) / usual_step_ns(time_ns)).astype(np.int64)
    steps = np.clip(periods, 1, None if most_missing is None else most_missing + 1)
    return np.append(np.zeros(min(len(time_ns), 1), np.int64), np.cumsum(steps))


def on_grid(values: np.ndarray, places: np.ndarray, axis: int = 0) -> np.ndarray:
    """Values of frames along an axis at their places, NaN between them."""
    shape = list(values.shape)
    shape[axis] = int(places[-1]) + 1 if len(places) else 0
    out = np.full(shape, np.nan)
    out[(slice(None),) * axis + (places,)] = values
    return out


def bridge(values: np.ndarray) -> np.ndarray:
    """Fill NaN on a line from the point before to the one after, float64 (N, D); the first and last are points."""
    seen = np.isfinite(values).all(axis=1)
    if seen.all():
        return values
    places = np.arange(len(values))
    return np.column_stack([np.interp(places, places[seen], column[seen]) for column in values.T])


def chunks(count: int, size: int, overlap: int) -> Iterator[tuple[slice, slice, slice]]:
    """Chunks of a long series: rows to read, rows to keep, and where those stand in what was read."""
    for start in range(0, count, size):
        stop = min(start + size, count)
        first, last = max(start - overlap, 0), min(stop + overlap, count)
        yield slice(first, last), slice(start, stop), slice(start - first, stop - first)


def stretches(count: int, size: int, most: int) -> list[slice]:
    """At most `most` stretches of `size` rows, evenly spread, to learn from; all rows if there are not more."""
    if count <= size * most:
        return [slice(0, count)]
    starts = np.linspace(0, count - size, most).astype(int)
    return [slice(int(a), int(a) + size) for a in starts]
