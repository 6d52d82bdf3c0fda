"""Models that give a heat map a keypoint, as ONNX or TorchScript: a lab's own HRNet, and the like."""

import importlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from scripts.cameras.detectors.interface import Found
from scripts.common.errors import RunError
from scripts.common.keypoints import Skeleton

# Half the side of the window around the highest cell over which the peak is averaged.
AROUND = 2
# Without a size of its own a crop is so much larger than the region.
MARGIN = 1.25

Box = tuple[float, float, float, float]


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

    settings: input_px (side of the square that the model sees), crop_px (side of the square in the picture; 0: the
    region, or all of the picture), clahe, grey, mean and std (of values from 0 to 1), peaks (soft or argmax), names,
    skeleton.
    """

    def __init__(self, model: Any, settings: dict[str, Any]) -> None:
        self._model, self._settings = model, settings
        self.skeleton = Skeleton.of(settings["names"], settings["skeleton"])
        self._clahe = cv2.createCLAHE(2.0, (8, 8)) if settings["clahe"] else None

    def detect(self, pictures: list[np.ndarray], regions: np.ndarray | None = None) -> list[Found]:
        """See `Detector`. The confidence is the height of the peak."""
        if not pictures:
            return []
        known = np.full((len(pictures), 3, 2), np.nan) if regions is None else regions
        crop, side = self._settings["crop_px"], self._settings["input_px"]
        boxes = [box_of(picture, region, crop) for picture, region in zip(pictures, known, strict=True)]
        batch = np.stack([self._input(cut_square(p, box, side)) for p, box in zip(pictures, boxes, strict=True)])
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

    def _input(self, picture: np.ndarray) -> np.ndarray:
        if self._clahe is not None:
            lab = cv2.cvtColor(picture, cv2.COLOR_BGR2LAB)
            lab[..., 0] = self._clahe.apply(np.ascontiguousarray(lab[..., 0]))
            picture = cv2.cvtColor(lab, cv2.COLOR_LAB2BGR)
        return model_input(picture, self._settings)


def load_model(backend: str, path: Path, accelerator: str) -> Any:
    """The model of a file, by onnxruntime or by torch. Raises RunError if it is none."""
    try:
        return OnnxModel(path) if backend == "onnx" else TorchModel(path, accelerator)
    except Exception as error:  # whatever the library of the model raises
        raise RunError(f"{backend}: {path.name} is no model that can be read ({error})") from error


def model_input(picture: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """A picture as models want it, float32 (1 or 3, height, width), red first. settings: grey, mean, std."""
    values = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[..., None] if settings["grey"] else picture[..., ::-1]
    scaled = (values / np.float32(255) - np.float32(settings["mean"])) / np.float32(settings["std"])
    return np.ascontiguousarray(scaled.transpose(2, 0, 1), np.float32)


def box_of(picture: np.ndarray, region: np.ndarray, crop_px: int) -> Box:
    """Left, top, width, height of what a model sees of a picture, in px from its outer corner.

    A square of `crop_px` around the region's middle, or the picture's; without a size, the region and a margin, or all.
    """
    high, wide = picture.shape[:2]
    known = bool(np.isfinite(region).all())
    if not (crop_px or known):
        return 0.0, 0.0, float(wide), float(high)
    x, y = region[0] + 0.5 if known else (wide / 2, high / 2)
    side = float(crop_px or max(MARGIN * np.ptp(region[1:], axis=0).max(), 8.0))
    return float(x) - side / 2, float(y) - side / 2, side, side


def cut_square(picture: np.ndarray, box: Box, side: int) -> np.ndarray:
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
