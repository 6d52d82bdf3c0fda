"""Mean and standard deviation that can be merged: count, mean and M2 per coordinate.

Merging follows Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
variances" (1979): equal to a computation over all values at once to rounding.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Moments:
    """count: int64 (D,), values seen.  mean: float64 (D,).  m2: float64 (D,), sum of squared deviations."""

    count: np.ndarray
    mean: np.ndarray
    m2: np.ndarray

    @classmethod
    def empty(cls, dimensions: int) -> Self:
        """Moments of no values."""
        return cls(np.zeros(dimensions, np.int64), np.zeros(dimensions), np.zeros(dimensions))

    @classmethod
    def of(cls, values: np.ndarray) -> Self:
        """Moments of `values`, float (N, D); NaN is no value."""
        values = np.asarray(values, np.float64)
        seen = np.isfinite(values)
        count = seen.sum(axis=0)
        total = np.where(seen, values, 0.0).sum(axis=0)
        mean = np.divide(total, count, out=np.zeros(values.shape[1]), where=count > 0)
        m2 = np.where(seen, (values - mean) ** 2, 0.0).sum(axis=0)
        return cls(count.astype(np.int64), mean, m2)

    def merge(self, other: "Moments") -> "Moments":
        """Moments of the values of both."""
        count = self.count + other.count
        weight = np.divide(other.count, count, out=np.zeros(len(count)), where=count > 0)
        delta = other.mean - self.mean
        return Moments(count, self.mean + delta * weight, self.m2 + other.m2 + delta**2 * self.count * weight)

    @property
    def std(self) -> np.ndarray:
        """Population standard deviation, float64 (D,); 0 where nothing was seen."""
        return np.sqrt(np.divide(self.m2, self.count, out=np.zeros(len(self.count)), where=self.count > 0))

    def write(self, path: Path) -> None:
        """Write as npz, the same bytes on every run."""
        np.savez(path, count=self.count, mean=self.mean, m2=self.m2)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(arrays["count"], arrays["mean"], arrays["m2"])


def merge_all(moments: Iterable[Moments], dimensions: int) -> Moments:
    """Moments of all values together, merged in the given order."""
    whole = Moments.empty(dimensions)
    for part in moments:
        whole = whole.merge(part)
    return whole
