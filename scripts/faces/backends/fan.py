"""Landmarks by face-alignment's FAN: its network and crops, many faces at a time.

The package itself runs one picture after the other; read its way, the points are the same.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from face_alignment.models import FAN
from face_alignment.utils import flip

from scripts.common.bgr_picture import Picture, stretch
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
# Crops that go through the network at once on a processor: their layers fit into its caches, and 16 took an eighth
# longer in bfloat16, a fifth in float32.
TOGETHER = 4

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
        # Crops of a batch take longer to cut than to look at on a GPU; a processor's threads all work on one.
        self.at_once = 1 if self._device.type == "cpu" else 3
        torch.set_num_threads(threads)
        # Without numbers of its own, which would be drawn at random only to be replaced.
        with torch.device("meta"):
            network = FAN(MODULES)
        try:
            network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True), assign=True)
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
        self._run = self._find_few if self._device.type == "cpu" else Recorded(self._find)

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Picture], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `LandmarkNetwork`."""
        centres, scales = centres_and_scales(boxes, self._reference)
        crops = [crop(*face) for face in zip(pictures, *crop_corners(centres, scales), strict=True)]
        places, heights = self._run(torch.from_numpy(np.stack(crops)).to(self._device))
        points = in_picture(places.cpu().numpy(), centres, scales)
        # The package's points are whole pixels, cut off towards zero.
        return (points if self._soft else np.trunc(points)).astype(np.float32), heights.cpu().numpy()

    def _find_few(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """`_find` of TOGETHER crops at a time."""
        return tuple(torch.cat(found) for found in zip(*map(self._find, pixels.split(TOGETHER)), strict=True))

    def _find(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Places float64 (N, 68, 2) in cells and mean heights float32 (N,) of crops uint8 (N, 256, 256, 3)."""
        # The package wants red first.
        shares = (pixels.flip(-1).permute(0, 3, 1, 2).float() / 255.0).to(self._precision)
        shares = shares.contiguous(memory_format=self._form)
        maps = self._network(shares)[-1]
        if self._flipped:
            maps = maps + flip(self._network(flip(shares))[-1], is_label=True)
        places, heights = (soft_peaks if self._soft else package_peaks)(maps.float())
        return places, heights.mean(dim=-1)


class Recorded:
    """A function of a batch on a GPU, whose kernels are recorded once (a CUDA graph) and then replayed.

    Its thousand launches from Python take nearly as long as the GPU does, and keep other threads from running.
    """

    def __init__(self, work: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._size = 0

    def __call__(self, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """work(batch); a batch of fewer than were recorded is filled up, one of more is recorded anew."""
        with self._lock:
            if len(batch) > self._size:
                self._record(batch)
            self._given[: len(batch)].copy_(batch)
            self._graph.replay()
            return tuple(found[: len(batch)].clone() for found in self._found)

    def _record(self, batch: torch.Tensor) -> None:
        self._size, self._given = len(batch), batch.clone()
        # Libraries choose their kernels and take their memory at the first calls, which must not be recorded.
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(2):
                self._work(self._given)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may go on with their uploads meanwhile.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._found = self._work(self._given)


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


def crop_corners(centres: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What face-alignment cuts out: first pixels (N, 2), and those after the last, each x and y; int64."""
    sides = (CROP_SCALE * scales)[:, None]
    # The package counts the crop's own pixels from 1.
    first, last = ((place / SIDE_PX - 0.5) * sides + centres for place in (1, SIDE_PX))
    return np.trunc(first).astype(np.int64), np.trunc(last).astype(np.int64)


def crop(picture: Picture, first: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """A part of a picture, uint8 (SIDE_PX, SIDE_PX, 3), black where there is no picture: face-alignment's own crop.

    The package's inverts two matrices by torch for each, which takes three times as long as all else.
    """
    return stretch(picture, first, stop, SIDE_PX)


def package_peaks(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the peaks of heat maps lie as face-alignment reads them: a quarter cell to the higher neighbour.

    Arguments and result as of `soft_peaks`.
    """
    flat = maps.flatten(2)
    height, peak = flat.max(dim=-1)
    cell = torch.stack([peak % CELLS, peak // CELLS], dim=-1)
    lean = torch.stack([_slope(flat, peak, 1), _slope(flat, peak, CELLS)], dim=-1)
    inside = ((cell > 0) & (cell < CELLS - 1)).all(dim=-1, keepdim=True)
    return cell + 0.5 + torch.where(inside, 0.25 * lean.sign(), 0.0).double(), height


def soft_peaks(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the peaks of heat maps lie, finer than their cells: a soft argmax around the highest cell.

    The mean place of the cells within PEAK_CELLS of the highest one, each weighed by its squared height: the square
    keeps the rim of the window, and what noise lies there, out of the mean.

    maps: float32 (N, P, 64, 64).  Returns float64 (N, P, 2), x and y in cells, the middle of the first one at 0.5,
    and float32 (N, P), the heights of the highest cells.
    """
    flat = maps.flatten(2)
    height, peak = flat.max(dim=-1)
    offsets = torch.arange(-PEAK_CELLS, PEAK_CELLS + 1, device=maps.device)
    down, right = (grid.flatten() for grid in torch.meshgrid(offsets, offsets, indexing="ij"))
    rows, columns = peak[..., None] // CELLS + down, peak[..., None] % CELLS + right
    inside = (rows >= 0) & (rows < CELLS) & (columns >= 0) & (columns < CELLS)
    cells = torch.where(inside, rows * CELLS + columns, 0)
    near = flat.gather(-1, cells).double()
    weight = torch.where(inside, near.clamp(min=0) ** 2, 0.0)
    whole = weight.sum(dim=-1, keepdim=True)
    # Without anything above zero the highest cell itself is all there is.
    weight = torch.where(whole > 0, weight / whole.clamp(min=1e-300), ((down == 0) & (right == 0)).double())
    place = torch.stack([(weight * columns).sum(dim=-1), (weight * rows).sum(dim=-1)], dim=-1)
    return place + 0.5, height


def in_picture(places: np.ndarray, centres: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Pixels float64 (N, P, 2) of the picture for places (N, P, 2) in cells of the crops' heat maps."""
    sides = (CROP_SCALE * scales)[:, None, None]
    placed: np.ndarray = (places / CELLS - 0.5) * sides + centres[:, None]
    return placed


def _slope(flat: torch.Tensor, peak: torch.Tensor, step: int) -> torch.Tensor:
    """Difference of the two cells beside each peak; (N, 68). At the border of the map it means nothing."""
    after, before = ((peak + way).clamp(0, flat.shape[-1] - 1)[..., None] for way in (step, -step))
    return (flat.gather(-1, after) - flat.gather(-1, before))[..., 0]


def _device(accelerator: str) -> torch.device:
    if not accelerator.startswith("cuda"):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise RunError("`accelerator: cuda`, but torch sees no GPU here; set it to cpu, or ask for a GPU")
    return torch.device("cuda")
