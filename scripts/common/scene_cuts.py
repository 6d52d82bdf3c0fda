"""Cuts from the change of content from frame to frame.

The score and the rule are those of PySceneDetect's ContentDetector (B. Castellano, BSD-3): mean change of hue,
saturation and value of a small picture; a cut where it reaches the threshold, and cuts that are closer than the
shortest scene are merged.
"""

from itertools import pairwise

import cv2
import numpy as np


class ContentChange:
    """Change of content against the picture before."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None

    def score(self, bgr: np.ndarray) -> float:
        """Mean change of hue, saturation and value, 0 for the first picture. bgr: uint8 (height, width, 3)."""
        hsv = cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV)
        before, self._before = self._before, hsv
        if before is None or before.shape != hsv.shape:
            return 0.0
        return sum(cv2.mean(cv2.absdiff(hsv, before))[:3]) / 3


def find_cuts(change: np.ndarray, threshold: float = 27.0, min_scene_frames: int = 15) -> list[int]:
    """Numbers of the frames that begin a new scene. change: float (N,), the score of each frame."""
    above = np.asarray(change) >= threshold
    if min_scene_frames <= 0:
        return np.flatnonzero(above).tolist()
    cuts: list[int] = []
    last, merge_from, merging, found_one = 0, 0, False, False
    for frame in range(len(above)):
        long_enough = frame - last >= min_scene_frames
        if above[frame]:
            last = frame
        if merging:
            if long_enough and not above[frame] and last - merge_from >= min_scene_frames:
                merging = False
                cuts.append(last)
        elif above[frame] and long_enough:
            found_one = True
            cuts.append(frame)
        elif above[frame] and found_one:
            merging, merge_from = True, frame
    return cuts


def scenes(frames: int, cuts: list[int]) -> list[tuple[int, int]]:
    """First frame and the frame after the last, of each scene."""
    edges = [0, *cuts, frames]
    return [(start, stop) for start, stop in pairwise(edges) if stop > start]
