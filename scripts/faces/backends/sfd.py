"""Faces found by face-alignment's S3FD, in pictures of at most 640 px: a hundred times the work of YuNet."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from face_alignment.detection.sfd.bbox import nms
from face_alignment.detection.sfd.detect import detect
from face_alignment.detection.sfd.net_s3fd import s3fd

from scripts.common.bgr_picture import Picture, small_bgr
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
    def __call__(self, picture: Picture) -> np.ndarray:
        """See `FaceDetector`."""
        small, span = small_bgr(picture, LONGEST_SIDE)
        # The package wants red first, and turns it round itself.
        found = np.asarray(detect(self._network, small[..., ::-1], self._device)[0]).reshape(-1, 5)
        if len(found):
            found = found[nms(found, SAME_FACE)]
        found = found[found[:, 4] > self._min_score]
        boxes: np.ndarray = found[np.argsort(-found[:, 4], kind="stable"), :4].astype(np.float64)
        boxes *= np.tile(span, 2)
        kept: np.ndarray = boxes[(boxes[:, 2:] - boxes[:, :2]).min(axis=1) >= LEAST_SIDE_PX]
        return kept
