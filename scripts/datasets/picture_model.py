"""A user's own onnx model that looks at pictures of clips."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from scripts.common.annotation import ClipTask, sampled
from scripts.common.errors import RunError

# Of a clip of one picture.
SHORTEST_S = 1e-3


class PictureModel:
    """One input, float32 (B, 3, S, S), red first; its first output is what counts."""

    def __init__(self, model: Path, settings: dict[str, Any], *, threads: int) -> None:
        """settings: size, frames, mean, std. Raises RunError if the model cannot be used."""
        self._model, self._settings = model, settings
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        # onnxruntime's own exceptions share no other base.
        except Exception as error:
            raise RunError(f"{model} is no onnx model: {' '.join(str(error).split())[:200]}") from error
        self._input = self._session.get_inputs()[0].name
        self._mean = np.array(settings["mean"], np.float32) * 255
        self._std = np.array(settings["std"], np.float32) * 255

    def __call__(self, tasks: Sequence[ClipTask]) -> list[np.ndarray]:
        """The output for each clip: (frames, …), a row for each of its pictures."""
        pictures = [self._pictures(task) for task in tasks]
        batch = np.concatenate(pictures)
        try:
            found = np.asarray(self._session.run(None, {self._input: batch})[0])
        except Exception as error:
            raise RunError(f"{self._model} fails: {' '.join(str(error).split())[:200]}") from error
        if len(found) != len(batch):
            raise RunError(f"{self._model} answers {len(found)} rows for {len(batch)} pictures")
        return np.split(found, np.cumsum([len(part) for part in pictures])[:-1])

    def _pictures(self, task: ClipTask) -> np.ndarray:
        """The middles of `frames` equal parts of a clip, float32 (frames, 3, size, size)."""
        size, count = self._settings["size"], self._settings["frames"]
        # So many a second that picture k is the one in the middle of part k.
        rate = str(Fraction(count) / Fraction(max(task.seconds, SHORTEST_S)))
        chosen = [self._square(picture, size) for picture in islice(sampled(task.url, rate, height=size), count)]
        # A clip whose pictures end before it does shows its last one to the end.
        chosen += chosen[-1:] * (count - len(chosen))
        return (np.stack(chosen).astype(np.float32) - self._mean).transpose(0, 3, 1, 2) / self._std.reshape(3, 1, 1)

    def _square(self, picture: np.ndarray, size: int) -> np.ndarray:
        side = min(picture.shape[:2])
        top, left = ((length - side) // 2 for length in picture.shape[:2])
        inner = picture[top : top + side, left : left + side]
        return cv2.resize(inner, (size, size), interpolation=cv2.INTER_AREA) if side != size else inner
