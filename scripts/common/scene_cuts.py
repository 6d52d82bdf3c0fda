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
        return change_between(before, hsv)


def change_between(hsv: np.ndarray, other: np.ndarray) -> float:
    """Mean change of hue, saturation and value between two pictures of one size, uint8 (height, width, 3)."""
    return sum(cv2.mean(cv2.absdiff(hsv, other))[:3]) / 3


class CutRule:
    """Where scenes begin, told as soon as the change of content up to a frame says so."""

    def __init__(self, min_scene_frames: int) -> None:
        self._shortest = min_scene_frames
        self._frame = self._last = self._merge_from = 0
        self._merging = self._found_one = False

    def see(self, above: bool) -> int | None:
        """The frame that begins a new scene, if the next frame's change settles one. above: it reaches the threshold.

        It is the frame itself, or an earlier one after cuts that were merged.
        """
        frame = self._frame
        self._frame += 1
        if self._shortest <= 0:
            return frame if above else None
        long_enough = frame - self._last >= self._shortest
        if above:
            self._last = frame
        if self._merging:
            if long_enough and not above and self.doubtful is not None:
                self._merging = False
                return self._last
        elif above and long_enough:
            self._found_one = True
            return frame
        elif above and self._found_one:
            self._merging, self._merge_from = True, frame
        return None

    @property
    def doubtful(self) -> int | None:
        """The frame that will begin a scene unless another cut follows within the shortest scene; None without."""
        return self._last if self._merging and self._last - self._merge_from >= self._shortest else None


def find_cuts(change: np.ndarray, threshold: float = 27.0, min_scene_frames: int = 15) -> list[int]:
    """Numbers of the frames that begin a new scene. change: float (N,), the score of each frame."""
    above = np.asarray(change) >= threshold
    if min_scene_frames <= 0:
        return np.flatnonzero(above).tolist()
    rule = CutRule(min_scene_frames)
    return [cut for cut in map(rule.see, above.tolist()) if cut is not None]


def scenes(frames: int, cuts: list[int]) -> list[tuple[int, int]]:
    """First frame and the frame after the last, of each scene."""
    edges = [0, *cuts, frames]
    return [(start, stop) for start, stop in pairwise(edges) if stop > start]
