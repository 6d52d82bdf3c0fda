"""ArUco and AprilTag markers in a picture, their corners refined to parts of a pixel."""

from typing import Any

import cv2
import numpy as np

# Half the side of the window in which a corner is refined, in modules, the sides of a marker's bits: a wider one
# reaches the edges of bits, which draw the corner away.
WINDOW_MODULES = 0.75
# In pixels: in a narrower window a corner hardly moves, and a wider one takes the bend of a lens for a corner's.
NARROWEST, WIDEST = 2, 5
UNTIL = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 100, 1e-3)
# Modules of a marker's black border, both sides together.
BORDER = 2


def dictionary_of(name: str) -> Any:
    """OpenCV's predefined dictionary of markers."""
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))


class MarkerFinder:
    """Finds the markers of one dictionary.

    OpenCV's own refinement looks in a window of 0.3 modules, one pixel where markers are small: their corners stay
    where the detector put them, half a pixel off.
    """

    def __init__(self, dictionary: str) -> None:
        alphabet = dictionary_of(dictionary)
        self._modules = alphabet.markerSize + BORDER
        self._detector = cv2.aruco.ArucoDetector(alphabet, cv2.aruco.DetectorParameters())

    def find(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the markers that are seen, int32 (n,), and the pixels of their corners, float64 (n, 4, 2).

        grey: uint8 (height, width).  Corners run clockwise from the marker's own upper left one.
        """
        corners, numbers, _ = self._detector.detectMarkers(grey)
        if numbers is None or not len(numbers):
            return np.empty(0, np.int32), np.empty((0, 4, 2))
        found = [self._refined(grey, np.asarray(four, np.float32).reshape(4, 2)) for four in corners]
        return np.asarray(numbers, np.int32).ravel(), np.array(found, np.float64)

    def _refined(self, grey: np.ndarray, corners: np.ndarray) -> np.ndarray:
        half = int(np.clip(WINDOW_MODULES * width_px(corners) / self._modules, NARROWEST, WIDEST))
        start = corners.reshape(4, 1, 2).copy()
        return np.asarray(cv2.cornerSubPix(grey, start, (half, half), (-1, -1), UNTIL)).reshape(4, 2)


def width_px(corners: np.ndarray) -> float:
    """How wide a marker is where it is narrowest: seen from the side, less than the side. corners: float32 (4, 2)."""
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1).max()
    return float(cv2.contourArea(corners) / longest)
