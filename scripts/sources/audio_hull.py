"""The lower convex hull of late stamps: its edge over the mean is the line of time."""

import numpy as np


def lower_hull(x: np.ndarray, y: np.ndarray, over: float | None = None) -> np.ndarray:
    """Indices of the corners of the lower convex hull, ascending. x: float64 (N,), ascending; y: float64 (N,), ns.

    over: only the corners that lead to the edge over this x, and that edge.
    """
    corners = {0, len(x) - 1}
    todo = [(0, len(x) - 1)]
    while todo:
        first, last = todo.pop()
        if last - first < 2 or (over is not None and not x[first] <= over <= x[last]):
            continue
        inside = slice(first + 1, last)
        slope = (y[last] - y[first]) / (x[last] - x[first])
        height = y[inside] - (y[first] + slope * (x[inside] - x[first]))
        lowest = int(np.argmin(height))
        # Stamps are whole ns: less than that is rounding.
        if height[lowest] < -1.0:
            corner = first + 1 + lowest
            corners.add(corner)
            todo += [(first, corner), (corner, last)]
    return np.array(sorted(corners))


def fit_slope(x: np.ndarray, y: np.ndarray, stretches: list[slice]) -> float:
    """The one slope of the lines that lie under all points, one line a stretch, nearest to them in the mean.

    Of the hulls' edges, ascending by slope, it is the one where as much of the points' weight lies before it as
    after: with one stretch, the edge over the mean.
    """
    if len(stretches) == 1:
        return slope_over_mean(x[stretches[0]], y[stretches[0]])
    slopes, weights = [], []
    balance = 0.0
    for stretch in stretches:
        xs, ys = x[stretch], y[stretch]
        if len(xs) < 2:
            continue
        hull = lower_hull(xs, ys)
        runs = np.diff(xs[hull])
        slopes.append(np.diff(ys[hull]) / runs)
        weights.append(runs * len(xs))
        balance += float(np.sum(xs - xs[0]))
    if not slopes:
        return 0.0
    slope, weight = np.concatenate(slopes), np.concatenate(weights)
    order = np.argsort(slope, kind="stable")
    edge = int(np.searchsorted(np.cumsum(weight[order]), balance))
    return float(slope[order][min(edge, len(order) - 1)])


def slope_over_mean(x: np.ndarray, y: np.ndarray) -> float:
    """Slope of the hull's edge over the mean; 0 for less than two points. x, y as in lower_hull."""
    if len(x) < 2:
        return 0.0
    mean = float(np.mean(x))
    hull = lower_hull(x, y, over=mean)
    right = int(np.searchsorted(x[hull], mean))
    left, right = hull[right - 1], hull[right]
    return float((y[right] - y[left]) / (x[right] - x[left]))
