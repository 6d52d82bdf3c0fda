"""RTMPose (SimCC) by onnxruntime, with its own way into the model and out of it: one person a picture."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from scripts.cameras.detectors.interface import Found
from scripts.common.keypoints import Skeleton

# As mmpose trained it: RGB, values from 0 to 255.
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
STD = np.array([58.395, 57.12, 57.375], np.float32)
# A box is widened before it is cut, and SimCC splits every pixel of the model's picture in two.
PADDING = 1.25
SPLIT = 2.0
SURE = 0.3


class RtmPose:
    """A top-down model. The box is the known region, or the whole picture at first and then what the last pose covered.

    settings: names, skeleton.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0]
        self._size = int(self._input.shape[3]), int(self._input.shape[2])
        self.skeleton = Skeleton.of(settings["names"], settings["skeleton"])
        self._box: np.ndarray | None = None

    def detect(self, pictures: list[np.ndarray], regions: np.ndarray | None = None) -> list[Found]:
        """See `Detector`. Pictures go through one by one, for each box follows from the pose before."""
        known = np.full((len(pictures), 3, 2), np.nan) if regions is None else regions
        found = []
        for picture, region in zip(pictures, known, strict=True):
            if np.isfinite(region).all():
                self._box = np.concatenate([region[1], region[2]])
            found.append(self._one(picture))
        return found

    def _one(self, picture: np.ndarray) -> Found:
        high, wide = picture.shape[:2]
        box = self._box if self._box is not None else np.array([0.0, 0.0, wide, high])
        uv, score = self._in_box(picture, box)
        sure = score >= SURE
        if sure.sum() >= max(3, len(score) // 3):
            low, top = uv[sure].min(axis=0), uv[sure].max(axis=0)
            self._box = np.concatenate([low, top]) if (top - low).min() > 8 else None
        else:
            self._box = None
        return uv[None], np.clip(score, 0, 1)[None]

    def _in_box(self, picture: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints (K, 2) px and scores (K,) of the person in a box: left, top, right, bottom."""
        wide, high = self._size
        middle, extent = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * PADDING
        scale = max(extent[0] / wide, extent[1] / high)
        move = np.array([[1 / scale, 0, wide / 2 - middle[0] / scale], [0, 1 / scale, high / 2 - middle[1] / scale]])
        cut = cv2.warpAffine(picture, move, self._size, flags=cv2.INTER_LINEAR)
        values = ((cut[..., ::-1].astype(np.float32) - MEAN) / STD).transpose(2, 0, 1)[None]
        across, down = self._session.run(None, {self._input.name: np.ascontiguousarray(values)})[:2]
        across, down = np.asarray(across)[0], np.asarray(down)[0]
        if len(across) != len(self.skeleton.names):
            raise ValueError(f"the model gives {len(across)} keypoints, the config names {len(self.skeleton.names)}")
        cells = np.stack([across.argmax(axis=1), down.argmax(axis=1)], axis=1) / SPLIT
        score = np.minimum(across.max(axis=1), down.max(axis=1)).astype(np.float64)
        return (cells - [wide / 2, high / 2]) * scale + middle, score
