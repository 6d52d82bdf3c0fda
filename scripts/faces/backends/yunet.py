"""Faces found by YuNet, through OpenCV, in pictures of at most 480 px."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from scripts.common.bgr_picture import Picture, small_bgr
from scripts.faces.backends import unreadable

# Longer side of the picture that the detector sees. Faces below about 2 % of it are not found; with 640, at 1.8 times
# the time, those of 1.5 % were, and landmarks trembled as much.
LONGEST_SIDE = 480
# Boxes that overlap more than this show the same face.
SAME_FACE = 0.3
# Smaller faces have no landmarks worth the name.
LEAST_SIDE_PX = 12.0
LEVEL = threading.Lock()


class YuNet:
    """Detects faces in one picture after the other; fastest if they are of one size."""

    parallel = True

    def __init__(self, weights: Path, *, min_score: float) -> None:
        """min_score: detections below are no faces, 0 … 1. Raises RunError if the weights cannot be read."""
        self._weights, self._min_score = weights, min_score
        # OpenCV's detector serves one thread at a time.
        self._own = threading.local()
        self._opened()

    def __call__(self, picture: Picture) -> np.ndarray:
        """See `FaceDetector`."""
        small, span = small_bgr(picture, LONGEST_SIDE)
        detector = self._opened()
        seen = small.shape[1::-1]
        if self._own.size != seen:
            self._own.size = seen
            detector.setInputSize(seen)
        _, found = detector.detect(small)
        if found is None:
            return np.empty((0, 4))
        corners = np.hstack([found[:, :2], found[:, :2] + found[:, 2:4]])
        boxes: np.ndarray = corners.astype(np.float64) * np.tile(span, 2)
        height, width = picture.shape[:2]
        large = (boxes[:, 2:] - boxes[:, :2]).min(axis=1) >= LEAST_SIDE_PX
        # Outside the picture there is nothing to find.
        inside = (boxes[:, 2:] > 1).all(axis=1) & (boxes[:, :2] < (width - 1, height - 1)).all(axis=1)
        kept: np.ndarray = boxes[large & inside]
        return kept

    def _opened(self) -> Any:
        """This thread's detector."""
        if not hasattr(self._own, "detector"):
            with quiet_opencv():
                try:
                    self._own.detector = cv2.FaceDetectorYN.create(
                        str(self._weights), "", (320, 320), self._min_score, SAME_FACE
                    )
                except cv2.error as error:
                    raise unreadable(self._weights, "YuNet", error) from error
            self._own.size = None
        return self._own.detector


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """No warnings: OpenCV 5 gives one at every start, that its default target is the default target.

    One thread at a time, for the level is that of the whole process.
    """
    with LEVEL:
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            yield
        finally:
            cv2.utils.logging.setLogLevel(level)
