"""Where in a picture the subject is: its middle and the box around it, as keypoints of every frame."""

from typing import Any

import cv2
import numpy as np

from scripts.cameras.detectors.heatmaps import cut_square, model_input
from scripts.cameras.detectors.interface import REGION, Found, nothing
from scripts.common.keypoints import Skeleton

# Of a model's map, what is at least so high as this share of its highest cell belongs to the subject.
SHARE = 0.5


def largest(mask: np.ndarray, weight: np.ndarray, least: int) -> tuple[np.ndarray, float] | None:
    """The largest blob of a mask, uint8 (h, w): float64 (3, 2) of REGION in px, and its area; None below `least`.

    weight: float (h, w), by which the middle is weighted.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 2:
        return None
    best = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    left, top, wide, high, area = (int(value) for value in stats[best])
    if area < least:
        return None
    part = (slice(top, top + high), slice(left, left + wide))
    mine = weight[part] * (labels[part] == best)
    total = max(float(mine.sum()), 1e-12)
    down, across = np.mgrid[top : top + high, left : left + wide]
    middle = [float((across * mine).sum()) / total, float((down * mine).sum()) / total]
    return np.array([middle, [left, top], [left + wide - 1, top + high - 1]]), float(area)


class Brightness:
    """The largest bright or dark blob. settings: colour (bright or dark), threshold, min_area_px."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.skeleton = Skeleton(REGION)
        self._settings = settings

    def detect(self, pictures: list[np.ndarray], regions: np.ndarray | None = None) -> list[Found]:
        """See `Detector`."""
        return [self._one(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)) for picture in pictures]

    def _one(self, grey: np.ndarray) -> Found:
        value = 255 - grey if self._settings["colour"] == "dark" else grey
        mask = (value >= self._settings["threshold"]).astype(np.uint8)
        return as_found(largest(mask, np.ones(mask.shape), self._settings["min_area_px"]))


class Background:
    """The largest blob that differs from the empty scene. settings: threshold, min_area_px.

    scene: uint8 (height, width), the median of pictures of all the video.
    """

    def __init__(self, scene: np.ndarray, settings: dict[str, Any]) -> None:
        self.skeleton = Skeleton(REGION)
        self._scene, self._settings = scene, settings

    def detect(self, pictures: list[np.ndarray], regions: np.ndarray | None = None) -> list[Found]:
        """See `Detector`."""
        return [self._one(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)) for picture in pictures]

    def _one(self, grey: np.ndarray) -> Found:
        if grey.shape != self._scene.shape:
            return nothing(len(REGION))
        apart = cv2.absdiff(grey, self._scene)
        mask = cv2.morphologyEx(
            (apart >= self._settings["threshold"]).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3))
        )
        return as_found(largest(mask, np.ones(mask.shape), self._settings["min_area_px"]))


class MapModel:
    """A model that gives one map of the whole picture: a heat map of the middle, or a mask.

    settings: input_px, grey, mean, std.
    """

    def __init__(self, model: Any, settings: dict[str, Any]) -> None:
        self.skeleton = Skeleton(REGION)
        self._model, self._settings = model, settings

    def detect(self, pictures: list[np.ndarray], regions: np.ndarray | None = None) -> list[Found]:
        """See `Detector`. The confidence is the height of the map. Raises ValueError for more than one map."""
        side = self._settings["input_px"]
        whole = [(0.0, 0.0, float(picture.shape[1]), float(picture.shape[0])) for picture in pictures]
        cuts = [cut_square(picture, box, side) for picture, box in zip(pictures, whole, strict=True)]
        maps = self._model(np.stack([model_input(cut, self._settings) for cut in cuts]))
        if maps.ndim != 4 or maps.shape[1] != 1:
            raise ValueError(f"the model gives {maps.shape}, not one map a picture (B, 1, h, w)")
        return [self._one(cells, picture.shape[:2]) for cells, picture in zip(maps[:, 0], pictures, strict=True)]

    def _one(self, cells: np.ndarray, size: tuple[int, int]) -> Found:
        top = float(cells.max())
        if top <= 0:
            return nothing(len(REGION))
        found = largest((cells >= SHARE * top).astype(np.uint8), np.maximum(cells, 0), 1)
        assert found is not None
        scale = np.array([size[1] / cells.shape[1], size[0] / cells.shape[0]])
        places = found[0].copy()
        places[1] -= 0.5
        places[2] += 0.5
        return ((places + 0.5) * scale - 0.5)[None], np.full((1, len(REGION)), min(top, 1.0))


def as_found(blob: tuple[np.ndarray, float] | None) -> Found:
    """A blob as a person of three keypoints, or no person."""
    return nothing(len(REGION)) if blob is None else (blob[0][None], np.ones((1, len(REGION))))
