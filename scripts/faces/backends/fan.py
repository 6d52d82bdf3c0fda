"""Landmarks by face-alignment's FAN: its network, crops and reading of the heat maps, many faces at a time.

The package itself runs one picture after the other; the points are the same.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from face_alignment.models import FAN
from face_alignment.utils import crop

from scripts.common.errors import RunError
from scripts.faces.backends import unreadable

MODULES = 4
SIDE_PX = 256
CELLS = 64
# face-alignment's sizes: a box of YuNet fills REFERENCE_SCALE / CROP_SCALE of the crop, just below its middle.
REFERENCE_SCALE = 165.0
CROP_SCALE = 200.0
CENTRE_RISE = 0.12

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Fan:
    """2DFAN-4. Scores: mean height of the peaks of the heat maps."""

    imputed: tuple[int, ...] = ()
    least_score = 0.2

    def __init__(self, weights: Path, *, accelerator: str, threads: int, precision: str = "float32") -> None:
        """precision: "float32", or "bfloat16" with channels last: half the work, points within a cell.

        Raises RunError if the weights cannot be read or there is no GPU where one was asked for.
        """
        if precision not in PRECISIONS:
            raise RunError(f"precision `{precision}` is none of {', '.join(PRECISIONS)}")
        self._device = _device(accelerator)
        torch.set_num_threads(threads)
        network = FAN(MODULES)
        try:
            network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        # A broken file raises whatever its first wrong byte leads to.
        except Exception as error:
            raise unreadable(weights, "FAN", error) from error
        self._precision = PRECISIONS[precision]
        self._form = torch.contiguous_format if precision == "float32" else torch.channels_last
        self._network: Any = network.eval().to(self._device, self._precision).to(memory_format=self._form)

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[np.ndarray], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `LandmarkNetwork`."""
        centres, scales = centres_and_scales(boxes)
        crops = [crop(*face) for face in zip(pictures, centres, scales, strict=True)]
        # The package wants red first.
        pixels = torch.from_numpy(np.stack(crops)[..., ::-1].transpose(0, 3, 1, 2).copy()).to(self._device)
        shares = (pixels.float() / 255.0).to(self._precision).contiguous(memory_format=self._form)
        maps = self._network(shares)[-1].float().cpu().numpy()
        return decode_maps(maps, centres, scales)


def centres_and_scales(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where face-alignment crops for boxes of YuNet: centres (N, 2) in px, and sides / CROP_SCALE (N,)."""
    boxes = boxes.astype(np.float64)
    sides = boxes[:, 2:] - boxes[:, :2]
    centres = boxes[:, 2:] - sides / 2.0
    centres[:, 1] -= sides[:, 1] * CENTRE_RISE
    return centres, (boxes[:, 2] - boxes[:, 0] + boxes[:, 3] - boxes[:, 1]) / REFERENCE_SCALE


def decode_maps(maps: np.ndarray, centres: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points from heat maps as face-alignment reads them: the peak, a quarter cell to its higher neighbour.

    maps: float32 (N, 68, 64, 64).  Returns float32 (N, 68, 2), whole pixels towards zero as the package's,
    and the mean height of the peaks, float32 (N,).
    """
    faces, points = maps.shape[:2]
    flat = maps.reshape(faces, points, CELLS * CELLS)
    peak = flat.argmax(axis=-1)
    height = np.take_along_axis(flat, peak[..., None], axis=-1)[..., 0]
    cell = np.stack([peak % CELLS, peak // CELLS], axis=-1)
    lean = np.stack([_slope(flat, peak, 1), _slope(flat, peak, CELLS)], axis=-1)
    inside = ((cell > 0) & (cell < CELLS - 1)).all(axis=-1, keepdims=True)
    place = cell + 0.5 + np.where(inside, 0.25 * np.sign(lean), 0.0)
    sides = (CROP_SCALE * scales)[:, None, None]
    in_picture = (place / CELLS - 0.5) * sides + centres[:, None]
    return np.trunc(in_picture).astype(np.float32), height.mean(axis=-1).astype(np.float32)


def _slope(flat: np.ndarray, peak: np.ndarray, step: int) -> np.ndarray:
    """Difference of the two cells beside each peak; (N, 68). At the border of the map it means nothing."""
    after, before = (np.clip(peak + way, 0, flat.shape[-1] - 1)[..., None] for way in (step, -step))
    slope: np.ndarray = np.take_along_axis(flat, after, axis=-1) - np.take_along_axis(flat, before, axis=-1)
    return slope[..., 0]


def _device(accelerator: str) -> torch.device:
    if not accelerator.startswith("cuda"):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise RunError("`accelerator: cuda`, but torch sees no GPU here; set it to cpu, or ask for a GPU")
    return torch.device("cuda")
