"""Landmarks by face-alignment's FAN: its network and crops, many faces at a time.

The package itself runs one picture after the other; read its way, the points are the same.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from face_alignment.models import FAN
from face_alignment.utils import crop, flip

from scripts.common.errors import RunError
from scripts.faces.backends import unreadable

log = logging.getLogger("rushes")

MODULES = 4
SIDE_PX = 256
CELLS = 64
# face-alignment's sizes: a detector's box fills this share of CROP_SCALE of the crop, just below its middle.
REFERENCE_SCALES = {"yunet": 165.0, "sfd": 195.0}
CROP_SCALE = 200.0
CENTRE_RISE = 0.12

# How far around the highest cell the soft argmax looks.
PEAK_CELLS = 2

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Fan:
    """2DFAN-4 or 3DFAN-4. Scores: mean height of the peaks of the heat maps."""

    imputed: tuple[int, ...] = ()
    least_score = 0.2

    def __init__(
        self,
        weights: Path,
        *,
        accelerator: str,
        threads: int,
        precision: str = "float32",
        detector: str = "yunet",
        peaks: str = "package",
        flipped: bool = False,
    ) -> None:
        """precision: "float32", or "bfloat16": half the work, points within a cell; only where the machine has it.

        detector: whose boxes come.  peaks: how heat maps are read, "soft" (see `soft_peaks`) or "package".
        flipped: also look at the mirrored face, at twice the cost, as the package does unless told otherwise.
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
        self._reference, self._soft, self._flipped = REFERENCE_SCALES[detector], peaks == "soft", flipped
        self._precision = PRECISIONS[precision]
        if precision == "bfloat16" and not _has_bfloat16(self._device):
            log.info("this processor has no bfloat16, which would take eight times as long: FAN runs in float32")
            self._precision = torch.float32
        self._form = torch.channels_last
        self._network: Any = network.eval().to(self._device, self._precision).to(memory_format=self._form)

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[np.ndarray], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `LandmarkNetwork`."""
        centres, scales = centres_and_scales(boxes, self._reference)
        crops = [crop(*face) for face in zip(pictures, centres, scales, strict=True)]
        # The package wants red first.
        pixels = torch.from_numpy(np.stack(crops)[..., ::-1].transpose(0, 3, 1, 2).copy()).to(self._device)
        shares = (pixels.float() / 255.0).to(self._precision).contiguous(memory_format=self._form)
        found = self._network(shares)[-1]
        if self._flipped:
            found = found + flip(self._network(flip(shares))[-1], is_label=True)
        maps = found.float().cpu().numpy()
        return decode_softly(maps, centres, scales) if self._soft else decode_maps(maps, centres, scales)


def _has_bfloat16(device: Any) -> bool:
    """Whether the machine multiplies in bfloat16; a processor that does not imitates it, eight times slower."""
    cpu: Any = torch.cpu
    return str(device) != "cpu" or cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported()


def centres_and_scales(
    boxes: np.ndarray, reference: float = REFERENCE_SCALES["yunet"]
) -> tuple[np.ndarray, np.ndarray]:
    """Where face-alignment crops for boxes of a detector: centres (N, 2) in px, and sides / CROP_SCALE (N,)."""
    boxes = boxes.astype(np.float64)
    sides = boxes[:, 2:] - boxes[:, :2]
    centres = boxes[:, 2:] - sides / 2.0
    centres[:, 1] -= sides[:, 1] * CENTRE_RISE
    return centres, (boxes[:, 2] - boxes[:, 0] + boxes[:, 3] - boxes[:, 1]) / reference


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
    in_picture = _in_picture(place, centres, scales)
    return np.trunc(in_picture).astype(np.float32), height.mean(axis=-1).astype(np.float32)


def decode_softly(maps: np.ndarray, centres: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points from heat maps by `soft_peaks`, to a part of a pixel; arguments and result as of `decode_maps`."""
    place, height = soft_peaks(maps)
    return _in_picture(place, centres, scales).astype(np.float32), height.mean(axis=-1).astype(np.float32)


def soft_peaks(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the peaks of heat maps lie, finer than their cells: a soft argmax around the highest cell.

    The mean place of the cells within PEAK_CELLS of the highest one, each weighed by its squared height: the square
    keeps the rim of the window, and what noise lies there, out of the mean.

    maps: float32 (N, P, 64, 64).  Returns float64 (N, P, 2), x and y in cells, the middle of the first one at 0.5,
    and float32 (N, P), the heights of the highest cells.
    """
    faces, points = maps.shape[:2]
    flat = maps.reshape(faces, points, CELLS * CELLS)
    peak = flat.argmax(axis=-1)
    height = np.take_along_axis(flat, peak[..., None], axis=-1)[..., 0]
    offsets = np.arange(-PEAK_CELLS, PEAK_CELLS + 1)
    down, right = (grid.ravel() for grid in np.meshgrid(offsets, offsets, indexing="ij"))
    rows, columns = peak[..., None] // CELLS + down, peak[..., None] % CELLS + right
    inside = (rows >= 0) & (rows < CELLS) & (columns >= 0) & (columns < CELLS)
    cells = np.where(inside, rows * CELLS + columns, 0)
    near = np.take_along_axis(flat, cells, axis=-1).astype(np.float64)
    weight = np.where(inside, np.clip(near, 0, None) ** 2, 0.0)
    whole = weight.sum(axis=-1, keepdims=True)
    # Without anything above zero the highest cell itself is all there is.
    weight = np.where(whole > 0, weight / np.maximum(whole, 1e-300), (down == 0) & (right == 0))
    place = np.stack([(weight * columns).sum(axis=-1), (weight * rows).sum(axis=-1)], axis=-1)
    return place + 0.5, height


def _in_picture(place: np.ndarray, centres: np.ndarray, scales: np.ndarray) -> np.ndarray:
    sides = (CROP_SCALE * scales)[:, None, None]
    placed: np.ndarray = (place / CELLS - 0.5) * sides + centres[:, None]
    return placed


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
