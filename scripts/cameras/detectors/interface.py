"""What every back end of detect_keypoints is: names and bones, and keypoints of a batch of pictures."""

from typing import Protocol

import numpy as np

from scripts.common.keypoints import Skeleton

Found = tuple[np.ndarray, np.ndarray]
# Of a given file: frame, person, uv float (K, 2) px, confidence float (K,), NaN where the file has none.
Row = tuple[int, int, np.ndarray, np.ndarray]
# Why a given file cannot be used.
BAD_FILE = "bad_keypoints"
# What segment_frames tells of a frame, as keypoints.
REGION = ("middle", "upper_left", "lower_right")


class Detector(Protocol):
    """A back end. It sees every picture once, in order."""

    skeleton: Skeleton

    def detect(self, pictures: list[np.ndarray], regions: np.ndarray | None = None) -> list[Found]:
        """Persons of each picture, uint8 (height, width, 3) BGR: uv float (I, K, 2) px, confidence float (I, K).

        regions: float (B, 3, 2) px, where in each picture the subject is (REGION), NaN where that is not known; for
        back ends that look at a part of the picture.
        """
        ...


def nothing(count: int) -> Found:
    """No person."""
    return np.empty((0, count, 2)), np.empty((0, count))
