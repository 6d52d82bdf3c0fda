"""Bright or coloured blobs, with identities that last: whatever has one colour, or reflects."""

from typing import Any

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from scripts.cameras.detectors.interface import Found, nothing
from scripts.common.keypoints import Skeleton


class Markers:
    """`marker_1` to `marker_N`: each keeps its blob by distance from where it would be next.

    settings: count, colour (`bright`, `dark`, or lowest and highest [hue, saturation, value] as OpenCV counts them),
    threshold (of brightness), min_area_px, max_step_px (how far a blob moves from one frame to the next).
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self.skeleton = Skeleton(tuple(f"marker_{n + 1}" for n in range(settings["count"])))
        self._last = np.full((settings["count"], 2), np.nan)
        self._step = np.zeros((settings["count"], 2))

    def detect(self, pictures: list[np.ndarray], regions: np.ndarray | None = None) -> list[Found]:
        """See `Detector`. The confidence is how bright a blob is against the threshold, at most 1."""
        return [self._one(picture) for picture in pictures]

    def _one(self, picture: np.ndarray) -> Found:
        places, sure = self._blobs(picture)
        count = len(self._last)
        uv, confidence = np.full((count, 2), np.nan), np.zeros(count)
        known = np.flatnonzero(np.isfinite(self._last[:, 0]))
        free = set(range(len(places)))
        if len(known) and len(places):
            expected = self._last[known] + self._step[known]
            distance = np.linalg.norm(expected[:, None] - places[None], axis=2)
            for row, column in zip(*linear_sum_assignment(distance), strict=True):
                if distance[row, column] <= self._settings["max_step_px"]:
                    uv[known[row]], confidence[known[row]] = places[column], sure[column]
                    free.discard(int(column))
        # A marker that was never seen takes what is left, the largest first.
        new = [place for place in range(count) if not np.isfinite(self._last[place, 0])]
        for place, column in zip(new, sorted(free), strict=False):
            uv[place], confidence[place] = places[column], sure[column]
        seen = np.isfinite(uv[:, 0])
        moved = seen & np.isfinite(self._last[:, 0])
        self._step[moved] = uv[moved] - self._last[moved]
        self._step[~moved] = 0
        self._last[seen] = uv[seen]
        return (uv[None], confidence[None]) if seen.any() else nothing(count)

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
