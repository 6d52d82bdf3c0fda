"""Corners of ArUco markers: motion capture without a model."""

from typing import Any

import cv2
import numpy as np

from scripts.cameras.detectors.interface import Found, nothing
from scripts.cameras.markers import MarkerFinder
from scripts.common.keypoint_names import corner_names
from scripts.common.keypoints import Skeleton


class Aruco:
    """The four corners of every listed marker, `{number}.a` to `{number}.d`; one person, the markers together.

    Bones are those of `skeleton`, or, without any, the edges of the markers.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._numbers = {number: place for place, number in enumerate(settings["markers"])}
        names = corner_names(settings["markers"])
        rings = [(4 * m + c, 4 * m + (c + 1) % 4) for m in range(len(self._numbers)) for c in range(4)]
        bones = settings["skeleton"]
        self.skeleton = Skeleton.of(names, bones) if bones else Skeleton(tuple(names), tuple(rings))
        self._finder = MarkerFinder(settings["dictionary"])

    def detect(self, pictures: list[np.ndarray], regions: np.ndarray | None = None) -> list[Found]:
        """See `Detector`. A corner is there, with confidence 1, or not."""
        return [self._one(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)) for picture in pictures]

    def _one(self, grey: np.ndarray) -> Found:
        uv = np.full((len(self._numbers), 4, 2), np.nan)
        for number, four in zip(*self._finder.find(grey), strict=True):
            place = self._numbers.get(int(number))
            if place is not None:
                uv[place] = four
        if not np.isfinite(uv).any():
            return nothing(4 * len(self._numbers))
        flat = uv.reshape(1, -1, 2)
        return flat, np.isfinite(flat[:, :, 0]).astype(np.float64)
