"""Filters of a stretch of points that has no gap: nothing is moved in time.

Each takes float64 (N, D) at evenly spaced frames and returns the same shape. What is too short for a filter comes back
as it is.
"""

import numpy as np
from scipy.interpolate import make_smoothing_spline
from scipy.linalg import eigh
from scipy.optimize import minimize_scalar
from scipy.signal import butter, sosfiltfilt

# A median absolute deviation of normal numbers times this is their standard deviation.
MAD = 1.4826
# make_smoothing_spline wants as many.
FEWEST_OF_SPLINE = 5


def odd_width(window_s: float, fps: float) -> int:
    """Frames of a window, an odd number of at least 3."""
    return max(2 * round(window_s * fps / 2 - 0.5) + 1, 3)


def median(values: np.ndarray, width: int) -> np.ndarray:
    """The running median by coordinate; near an end windows are shorter on both sides. width: odd number of frames."""
    half = width // 2
    places = np.arange(len(values))
    reach = np.minimum(places, places[::-1])
    beyond = np.abs(np.arange(-half, half + 1)) > reach[:, None]
    windows = np.where(beyond[:, None], np.nan, _windows(values, half))
    out: np.ndarray = np.nanmedian(windows, axis=-1)
    return out


def hampel(values: np.ndarray, width: int, deviations: float) -> tuple[np.ndarray, np.ndarray]:
    """Points further than `deviations` MADs from the running median in any coordinate become it; with which they are.

    Hampel's identifier: the MAD of each window, times 1.4826; near an end its window is shorter on one side. Returns
    float64 (N, D) and bool (N,).
    """
    windows = _windows(values, width // 2)
    middle = np.nanmedian(windows, axis=-1)
    spread = MAD * np.nanmedian(np.abs(windows - middle[..., None]), axis=-1)
    # Rounding is no deviation.
    wild = (np.abs(values - middle) > deviations * spread + 1e-9 * np.abs(middle).max()).any(axis=1)
    return np.where(wild[:, None], middle, values), wild


def _windows(values: np.ndarray, half: int) -> np.ndarray:
    """Windows around each row, (N, D, 2 half + 1); NaN beyond the ends."""
    padded = np.pad(values, ((half, half), (0, 0)), constant_values=np.nan)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=0)


def butterworth(values: np.ndarray, cutoff: float, order: int) -> np.ndarray:
    """A Butterworth low pass, forwards and backwards, as scipy's filtfilt does it, in second-order sections.

    cutoff: as a part of the Nyquist frequency, between 0 and 1. Stretches of at most 3 (order + 1) rows come back.
    """
    if len(values) <= 3 * (order + 1):
        return values
    sections = butter(order, cutoff, output="sos")
    out: np.ndarray = sosfiltfilt(sections, values, axis=0)
    return out


def spline_penalty(values: np.ndarray) -> float:
    """The penalty of the natural cubic smoothing spline that generalised cross-validation finds best; NaN if too short.

    values: float64 (N, D), NaN where there is none; time counts in rows. G. Wahba, Spline models for observational
    data, 1990, chapter 4. The smoother is diagonal in the eigenvectors of Reinsch's penalty matrix, so one costs N
    operations; all coordinates share one.
    """
    seen = np.isfinite(values).all(axis=1)
    count = int(seen.sum())
    if count < FEWEST_OF_SPLINE:
        return float("nan")
    roots, vectors = eigh(_reinsch(np.flatnonzero(seen).astype(float)))
    roots = np.maximum(roots, 0)
    # Straight lines cost nothing.
    roots[:2] = 0
    power = ((vectors.T @ values[seen]) ** 2).sum(axis=1)

    def score(log_penalty: float) -> float:
        left = 1 - 1 / (1 + np.exp(log_penalty) * roots)
        return float((power * left**2).sum() / max(left.sum(), 1e-12) ** 2)

    # From where the stiffest shape is left alone to where the softest is gone.
    low, high = -np.log(roots[-1]) - 3, -np.log(roots[2]) + 3
    grid = np.linspace(low, high, 41)
    best = int(np.argmin([score(x) for x in grid]))
    around = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    found = minimize_scalar(score, bounds=around, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def _reinsch(places: np.ndarray) -> np.ndarray:
    """The matrix K of the penalty f' K f of natural cubic splines through f at `places`, (N, N)."""
    step = np.diff(places)
    count = len(places)
    second = np.zeros((count, count - 2))
    inner = np.arange(count - 2)
    second[inner, inner] = 1 / step[:-1]
    second[inner + 1, inner] = -1 / step[:-1] - 1 / step[1:]
    second[inner + 2, inner] = 1 / step[1:]
    band = np.diag((step[:-1] + step[1:]) / 3) + np.diag(step[1:-1] / 6, 1) + np.diag(step[1:-1] / 6, -1)
    out: np.ndarray = second @ np.linalg.solve(band, second.T)
    return (out + out.T) / 2


def spline(values: np.ndarray, penalty: float) -> np.ndarray:
    """The natural cubic smoothing spline at every row; NaN rows do not count, and are filled.

    penalty: of `spline_penalty`.
    """
    seen = np.isfinite(values).all(axis=1)
    if seen.sum() < FEWEST_OF_SPLINE or not np.isfinite(penalty):
        return values
    places = np.arange(len(values), dtype=float)
    out: np.ndarray = make_smoothing_spline(places[seen], values[seen], lam=penalty)(places)
    return out
