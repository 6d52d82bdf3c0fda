"""Least squares over the points of a body and of neighbouring frames: a banded system, solved by Cholesky's method.

Unknowns are ordered by frame, keypoint and coordinate; a frame reaches two frames further: 6 K bands of 3 T K columns.
Time and memory grow with the number of frames.
"""

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded

# A second difference.
SECOND = (1.0, -2.0, 1.0)


class Bands:
    """Normal equations of T frames of K points. right: float64 (T, K, 3)."""

    def __init__(self, frames: int, keypoints: int) -> None:
        self.shape = (frames, keypoints, 3)
        self._lower = np.zeros((6 * keypoints + 1, *self.shape))
        self.right = np.zeros(self.shape)

    def add_points(self, matrix: np.ndarray, right: np.ndarray) -> None:
        """Terms of single points: float64 (T, K, 3, 3) and (T, K, 3)."""
        for i in range(3):
            for j in range(i + 1):
                self._lower[i - j, :, :, j] += matrix[:, :, i, j]
        self.right += right

    def add_bones(self, bones: np.ndarray, matrix: np.ndarray, pull: np.ndarray) -> None:
        """Terms of differences, second point minus first. bones: int (B, 2).  matrix: float64 (T, B, 3, 3).  pull:
        float64 (T, B, 3), the right side of the second point, and with the other sign of the first."""
        for place, (one, other) in enumerate(bones):
            low, high = min(one, other), max(one, other)
            for i in range(3):
                for j in range(3):
                    if i >= j:
                        self._lower[i - j, :, one, j] += matrix[:, place, i, j]
                        self._lower[i - j, :, other, j] += matrix[:, place, i, j]
                    self._lower[3 * (high - low) + i - j, :, low, j] -= matrix[:, place, i, j]
            self.right[:, other] += pull[:, place]
            self.right[:, one] -= pull[:, place]

    def add_motion(self, precision: np.ndarray) -> None:
        """Terms of second differences over time, float64 (T - 2, K)."""
        count = len(precision)
        step = 3 * self.shape[1]
        for a in range(3):
            for b in range(a + 1):
                self._lower[step * (a - b), b : b + count] += SECOND[a] * SECOND[b] * precision[..., None]

    def solve(self, others: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The solution (T, K, 3), and those (E, T, K, 3) of other right sides (E, T, K, 3)."""
        size = self.right.size
        lower = self._lower.reshape(-1, size)[: min(len(self._lower), size)]
        factor = cholesky_banded(lower, lower=True, check_finite=False)
        sides = self.right.reshape(1, -1)
        if others is not None:
            sides = np.concatenate([sides, others.reshape(len(others), -1)])
        found = cho_solve_banded((factor, True), sides.T, check_finite=False).T
        return found[0].reshape(self.shape), found[1:].reshape(-1, *self.shape)

    def covariance(self) -> np.ndarray:
        """The blocks of single points in the inverse, float64 (T, K, 3, 3).

        Two frames make a block, so the system is block tridiagonal; forwards each block is reduced by the one before,
        backwards its inverse is completed by the one after, as in a Rauch-Tung-Striebel smoother.
        """
        frames, keypoints, _ = self.shape
        width = 6 * keypoints
        blocks = -(-frames // 2)
        lower = np.zeros((len(self._lower), blocks * width))
        lower[:, : self.right.size] = self._lower.reshape(len(self._lower), -1)
        # A frame that is not there, if their number is odd.
        lower[0, self.right.size :] = 1
        row, column = np.indices((width, width))
        reduced: list[np.ndarray] = []
        gains: list[np.ndarray] = []
        inverse = below = np.empty((0, 0))
        for block in range(blocks):
            start = block * width
            here = _dense(lower, start, row - column, column)
            here = np.tril(here) + np.tril(here, -1).T
            if block:
                here -= below @ inverse @ below.T
            inverse = np.linalg.inv(here)
            below = _dense(lower, start, row - column + width, column)
            reduced.append(inverse)
            gains.append(inverse @ below.T)
        out = np.empty((blocks, width // 3, 3, 3))
        whole = reduced[-1]
        place = np.arange(width // 3)
        for block in range(blocks - 1, -1, -1):
            if block < blocks - 1:
                whole = reduced[block] + gains[block] @ whole @ gains[block].T
            out[block] = whole.reshape(width // 3, 3, width // 3, 3)[place, :, place]
        return out.reshape(-1, keypoints, 3, 3)[:frames]


def _dense(lower: np.ndarray, start: int, below: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Entries `below` the diagonal of columns from `start` on; 0 beyond the bands and above the diagonal."""
    inside = (below >= 0) & (below < len(lower))
    out: np.ndarray = np.where(inside, lower[np.where(inside, below, 0), start + column], 0)
    return out
