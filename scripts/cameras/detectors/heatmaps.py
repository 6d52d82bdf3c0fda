"""Models that give a heat map a keypoint, as ONNX or TorchScript: a lab's own HRNet, and the like."""

import importlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from scripts.cameras.detectors.interface import Found
from scripts.common.keypoints import Skeleton

# Half the side of the window around the highest cell over which the peak is averaged.
AROUND = 2


class OnnxModel:
    """An ONNX file that turns pictures float32 (B, C, H, W) into heat maps (B, K, h, w)."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Heat maps of a batch."""
        return np.asarray(self._session.run(None, {self._input: batch})[0], np.float32)


class TorchModel:
    """The same as TorchScript, on the accelerator."""

    def __init__(self, path: Path, accelerator: str) -> None:
        # By its name, for the env of the stage has none: rigs with a TorchScript model get one that has.
        self._torch = importlib.import_module("torch")
        self._device = "cuda" if accelerator != "cpu" and self._torch.cuda.is_available() else "cpu"
        self._model = self._torch.jit.load(str(path), map_location=self._device).eval()

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Heat maps of a batch."""
        with self._torch.inference_mode():
            out = self._model(self._torch.from_numpy(batch).to(self._device))
        return np.asarray(out.float().cpu().numpy(), np.float32)


class Heatmaps:
    """Crop, contrast, model, peaks. One person a picture.

    settings: input_px (side of the square that the model sees), crop_px (side of the square in the picture; 0: all of
    it), clahe, grey, mean and std (of values from 0 to 1), peaks (soft or argmax), names, skeleton.
    centroid: a model whose single heat map, over the whole picture, says where the middle of the crop is.
    """

    def __init__(self, model: Any, centroid: Any, settings: dict[str, Any]) -> None:
        self._model, self._centroid, self._settings = model, centroid, settings
        self.skeleton = Skeleton.of(settings["names"], settings["skeleton"])
        self._clahe = cv2.createCLAHE(2.0, (8, 8)) if settings["clahe"] else None

    def detect(self, pictures: list[np.ndarray]) -> list[Found]:
        """See `Detector`. The confidence is the height of the peak."""
        if not pictures:
            return []
        boxes = self._boxes(pictures)
        side = self._settings["input_px"]
        batch = np.stack([self._input(_cut(p, box, side)) for p, box in zip(pictures, boxes, strict=True)])
        maps = self._model(batch)
        if maps.ndim != 4 or maps.shape[1] != len(self.skeleton.names):
            raise ValueError(
                f"the model gives {maps.shape}, not heat maps of {len(self.skeleton.names)} keypoints (B, K, h, w)"
            )
        cells, heights = peaks(maps, soft=self._settings["peaks"] == "soft")
        size = np.array(maps.shape[:1:-1], np.float64)
        found = []
        for (left, top, wide, high), cell, height in zip(boxes, cells, heights, strict=True):
            uv = (cell + 0.5) / size * [wide, high] + [left - 0.5, top - 0.5]
            found.append((uv[None], np.clip(height, 0, 1)[None]))
        return found

    def _boxes(self, pictures: list[np.ndarray]) -> list[tuple[float, float, float, float]]:
        """Left, top, width, height of what the model sees of each picture, in px from its outer corner."""
        crop = self._settings["crop_px"]
        if not crop:
            return [(0.0, 0.0, float(p.shape[1]), float(p.shape[0])) for p in pictures]
        if self._centroid is None:
            middles = [(p.shape[1] / 2, p.shape[0] / 2) for p in pictures]
        else:
            side = self._settings["input_px"]
            whole = [(0.0, 0.0, float(p.shape[1]), float(p.shape[0])) for p in pictures]
            batch = np.stack([self._input(_cut(p, box, side)) for p, box in zip(pictures, whole, strict=True)])
            maps = self._centroid(batch)[:, :1]
            cells, _ = peaks(maps, soft=True)
            shares = (cells[:, 0] + 0.5) / np.array(maps.shape[:1:-1])
            middles = [tuple(share * [p.shape[1], p.shape[0]]) for share, p in zip(shares, pictures, strict=True)]
        return [(x - crop / 2, y - crop / 2, float(crop), float(crop)) for x, y in middles]

    def _input(self, picture: np.ndarray) -> np.ndarray:
        if self._clahe is not None:
            lab = cv2.cvtColor(picture, cv2.COLOR_BGR2LAB)
            lab[..., 0] = self._clahe.apply(np.ascontiguousarray(lab[..., 0]))
            picture = cv2.cvtColor(lab, cv2.COLOR_LAB2BGR)
        grey = self._settings["grey"]
        values = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[..., None] if grey else picture[..., ::-1]
        scaled = (values / np.float32(255) - np.float32(self._settings["mean"])) / np.float32(self._settings["std"])
        return np.ascontiguousarray(scaled.transpose(2, 0, 1), np.float32)


def _cut(picture: np.ndarray, box: tuple[float, float, float, float], side: int) -> np.ndarray:
    """The box of a picture as a square of `side` pixels; what lies outside repeats the edge."""
    left, top, wide, high = box
    move = np.array([[side / wide, 0, -left * side / wide], [0, side / high, -top * side / high]])
    # Boxes are told from outer corners, OpenCV's from the middle of the first pixel.
    move[:, 2] += 0.5 * (move[:, 0] + move[:, 1]) - 0.5
    return cv2.warpAffine(picture, move, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def peaks(maps: np.ndarray, *, soft: bool) -> tuple[np.ndarray, np.ndarray]:
    """Places of the highest cells (x, y), float64 (B, K, 2), and their heights, (B, K). maps: float (B, K, h, w).

    soft: the mean place of the cells around the highest, by their heights above the lowest of them.
    """
    batch, count, height, width = maps.shape
    flat = maps.reshape(batch * count, -1)
    best = flat.argmax(axis=1)
    tops = flat[np.arange(len(flat)), best].reshape(batch, count)
    row, column = np.divmod(best, width)
    if not soft:
        return np.stack([column, row], axis=1).reshape(batch, count, 2).astype(np.float64), tops
    wide = np.pad(maps.reshape(-1, height, width), ((0, 0), (AROUND, AROUND), (AROUND, AROUND)), constant_values=np.nan)
    steps = np.arange(2 * AROUND + 1)
    place = np.arange(len(flat))[:, None, None]
    window = wide[place, row[:, None, None] + steps[:, None], column[:, None, None] + steps[None, :]].astype(np.float64)
    window = np.nan_to_num(window - np.nanmin(window, axis=(1, 2), keepdims=True))
    total = np.maximum(window.sum(axis=(1, 2)), 1e-12)
    across = (window.sum(axis=1) @ (steps - AROUND)) / total
    down = (window.sum(axis=2) @ (steps - AROUND)) / total
    return np.stack([column + across, row + down], axis=1).reshape(batch, count, 2), tops
