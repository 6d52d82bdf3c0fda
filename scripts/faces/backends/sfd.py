"""Faces found by face-alignment's S3FD, in pictures of at most 640 px: a hundred times the work of YuNet."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from face_alignment.detection.sfd.bbox import nms
from face_alignment.detection.sfd.detect import detect
from face_alignment.detection.sfd.net_s3fd import s3fd

from scripts.faces.backends import unreadable
from scripts.faces.backends.yunet import LEAST_SIDE_PX, SAME_FACE

# Longer side of the picture that the detector sees.
LONGEST_SIDE = 640


class Sfd:
    """Detects faces in one picture after the other."""

    parallel = False

    def __init__(self, weights: Path, *, min_score: float, accelerator: str = "cpu") -> None:
        """min_score: detections below are no faces, 0 … 1. Raises RunError if the weights cannot be read."""
        self._device = "cuda" if accelerator.startswith("cuda") else "cpu"
        self._min_score = min_score
        self._network: Any = s3fd()
        try:
            self._network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        # A broken file raises whatever its first wrong byte leads to.
        except Exception as error:
            raise unreadable(weights, "S3FD", error) from error
        self._network.eval().to(self._device)

    @torch.inference_mode()
    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """See `FaceDetector`."""
        height, width = picture.shape[:2]
        shrink = min(1.0, LONGEST_SIDE / max(height, width))
        if shrink < 1:
            size = max(1, round(width * shrink)), max(1, round(height * shrink))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        # The package wants red first, and turns it round itself.
        found = np.asarray(detect(self._network, picture[..., ::-1], self._device)[0]).reshape(-1, 5)
        if len(found):
            found = found[nms(found, SAME_FACE)]
        found = found[found[:, 4] > self._min_score]
        boxes: np.ndarray = found[np.argsort(-found[:, 4], kind="stable"), :4].astype(np.float64)
        boxes *= np.array([width / picture.shape[1], height / picture.shape[0]] * 2)
        kept: np.ndarray = boxes[(boxes[:, 2:] - boxes[:, :2]).min(axis=1) >= LEAST_SIDE_PX]
        return kept
