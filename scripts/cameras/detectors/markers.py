"""Bright or coloured blobs, with identities that last: whatever has one colour, or reflects."""

from typing import Any

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from scripts.cameras.detectors.interface import Found, nothing
from scripts.common.keypoint_names import blob_names
from scripts.common.keypoints import Skeleton

# In px; no picture is so large.
OUT_OF_REACH = 1e9


class Markers:
    """`marker_1` to `marker_N`, or as they are named: each keeps its blob by distance from where it would be next.

    settings: count, names, skeleton, colour (`bright`, `dark`, or lowest and highest [hue, saturation, value] as OpenCV
    counts them), threshold (of brightness), min_area_px, max_step_px (how far a blob moves from one frame to the next,
    so also for each frame that it was hidden).
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self.skeleton = Skeleton.of(blob_names(settings["count"], settings["names"]), settings["skeleton"])
        self._last = np.full((settings["count"], 2), np.nan)
        self._step = np.zeros((settings["count"], 2))
        self._hidden = np.zeros(settings["count"], int)

    def detect(self, pictures: list[np.ndarray], regions: np.ndarray | None = None) -> list[Found]:
        """See `Detector`. The confidence is how bright a blob is against the threshold, at most 1."""
        return [self._one(picture) for picture in pictures]

    def _one(self, picture: np.ndarray) -> Found:
        places, sure = self._blobs(picture)
        count = len(self._last)
        uv, confidence = np.full((count, 2), np.nan), np.zeros(count)
        known = np.isfinite(self._last[:, 0])
        free = np.arange(len(places))
        # Those that were hidden look further, so they come after those that were not; the never seen take what is left,
        # the largest first.
        for waiting in (known & (self._hidden == 0), known & (self._hidden > 0)):
            markers = np.flatnonzero(waiting)
            rows, columns = self._nearest(markers, places[free])
            uv[markers[rows]], confidence[markers[rows]] = places[free[columns]], sure[free[columns]]
            free = np.delete(free, columns)
        new = np.flatnonzero(~known)[: len(free)]
        uv[new], confidence[new] = places[free[: len(new)]], sure[free[: len(new)]]
        seen = np.isfinite(uv[:, 0])
        moved = seen & known
        self._step[moved] = (uv[moved] - self._last[moved]) / (self._hidden[moved, None] + 1)
        self._step[~moved] = 0
        self._hidden = np.where(seen, 0, self._hidden + 1)
        self._last[seen] = uv[seen]
        return (uv[None], confidence[None]) if seen.any() else nothing(count)

    def _nearest(self, markers: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of `markers` gets which of `places`, as far as each may have come."""
        expected = self._last[markers] + self._step[markers]
        distance = np.linalg.norm(expected[:, None] - places[None], axis=2)
        reach = self._settings["max_step_px"] * (self._hidden[markers] + 1)
        rows, columns = linear_sum_assignment(np.where(distance <= reach[:, None], distance, OUT_OF_REACH))
        near = distance[rows, columns] <= reach[rows]
        return rows[near], columns[near]

    def _blobs(self, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places finer than a pixel, the largest blob first, float64 (B, 2), and how sure each is."""
        colour, threshold = self._settings["colour"], self._settings["threshold"]
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        if isinstance(colour, str):
            grey = 255 - grey if colour == "dark" else grey
            mask = (grey >= threshold).astype(np.uint8)
            weight = np.maximum(grey.astype(np.float64) - threshold + 1, 0)
        else:
            hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
            low, high = np.array(colour[0]), np.array(colour[1])
            mask = (cv2.inRange(hsv, low, high) > 0).astype(np.uint8)
            weight = mask.astype(np.float64)
        number, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        big = [n for n in range(1, number) if stats[n, cv2.CC_STAT_AREA] >= self._settings["min_area_px"]]
        big.sort(key=lambda n: (-stats[n, cv2.CC_STAT_AREA], n))
        places, sure = [], []
        for n in big[: 4 * len(self._last)]:
            left, top, width, height, _ = stats[n]
            part = (slice(top, top + height), slice(left, left + width))
            mine = weight[part] * (labels[part] == n)
            down, across = np.mgrid[top : top + height, left : left + width]
            places.append([(across * mine).sum() / mine.sum(), (down * mine).sum() / mine.sum()])
            sure.append(min(1.0, float(grey[part].max()) / 255))
        return np.array(places).reshape(-1, 2), np.array(sure)
