"""Faces found by YuNet, through OpenCV, in pictures of at most 480 px."""

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from scripts.faces.backends import unreadable

# Longer side of the picture that the detector sees. Faces below about 2 % of it are not found; with 640, at 1.8 times
# the time, those of 1.5 % were, and landmarks trembled as much.
LONGEST_SIDE = 480
# Boxes that overlap more than this show the same face.
SAME_FACE = 0.3
# Smaller faces have no landmarks worth the name.
LEAST_SIDE_PX = 12.0


class YuNet:
    """Detects faces in one picture after the other; fastest if they are of one size."""

    parallel = True

    def __init__(self, weights: Path, *, min_score: float) -> None:
        """min_score: detections below are no faces, 0 … 1. Raises RunError if the weights cannot be read."""
        self._weights, self._min_score = weights, min_score
        # OpenCV's detector serves one thread at a time.
        self._own = threading.local()
        self._opened()

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """Boxes of the faces, surest first. uint8 (height, width, 3), blue first, in; float64 (N, 4) out."""
        height, width = picture.shape[:2]
        shrink = min(1.0, LONGEST_SIDE / max(height, width))
        if shrink < 1:
            size = max(1, round(width * shrink)), max(1, round(height * shrink))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        detector = self._opened()
        seen = (picture.shape[1], picture.shape[0])
        if self._own.size != seen:
            self._own.size = seen
            detector.setInputSize(seen)
        _, found = detector.detect(picture)
        if found is None:
            return np.empty((0, 4))
        scale = np.array([width / seen[0], height / seen[1]] * 2)
        boxes: np.ndarray = np.hstack([found[:, :2], found[:, :2] + found[:, 2:4]]).astype(np.float64) * scale
        large = (boxes[:, 2:] - boxes[:, :2]).min(axis=1) >= LEAST_SIDE_PX
        # Outside the picture there is nothing to find.
        inside = (boxes[:, 2:] > 1).all(axis=1) & (boxes[:, :2] < (width - 1, height - 1)).all(axis=1)
        kept: np.ndarray = boxes[large & inside]
        return kept

    def _opened(self) -> Any:
        """This thread's detector."""
        if not hasattr(self._own, "detector"):
            level = cv2.utils.logging.getLogLevel()
            # OpenCV 5 warns at every start that its default target is the default target.
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
            try:
                self._own.detector = cv2.FaceDetectorYN.create(
                    str(self._weights), "", (320, 320), self._min_score, SAME_FACE
                )
            except cv2.error as error:
                raise unreadable(self._weights, "YuNet", error) from error
            finally:
                cv2.utils.logging.setLogLevel(level)
            self._own.size = None
        return self._own.detector
