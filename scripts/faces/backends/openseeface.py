"""Landmarks by OpenSeeFace's network through onnxruntime: 66 measured points, and the two it does not know.

The network looks at a face from brows to chin in 224 x 224 px and answers with 198 maps of 28 x 28: how likely
each point lies in a cell, then how far below and how far right of it.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from scripts.common.bgr_picture import Picture, shrink
from scripts.common.landmarks import FOREHEAD, POINTS
from scripts.faces.backends import unreadable

SIDE_PX = 224
CELLS = 28
MEASURED = 66
# Faces that go through the network together: of more, the processor's caches hold less (5.0 ms a face, 5.7 of 16).
TOGETHER = 4
# The offsets are stored as sigmoid(16 x share of the crop's side).
OFFSET_FACTOR = 16.0
# What the network saw in training around the landmarks, in widths and heights of the face.
MARGIN = np.array([0.1, 0.125])
# Colours as in ImageNet, red first.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)

# iBUG number of each of the network's points. It puts the corners of the mouth (48, 54) among the points of
# the inner lip: with 60 and 64 merely left out, the mouth would be turned by one point.
IBUG = np.r_[0:48, 49:54, 55:60, 48, 61:64, 54, 65:68]
# The inner corners: from the outer corner this share of the way to the middle of the next two points of the
# inner lip, as in the tracks of another network (0.19 to 0.22 over 40 frames).
INNER_CORNERS = {60: (48, 61, 67), 64: (54, 63, 65)}
INNER_SHARE = 0.2


class OpenSeeFace:
    """OpenSeeFace's lm_model. Scores: mean height of the peaks, above 0.8 on faces, below 0.4 on none."""

    imputed = tuple(INNER_CORNERS)
    least_score = 0.5

    def __init__(self, weights: Path, *, accelerator: str, threads: int) -> None:
        """Raises RunError if the weights cannot be read."""
        options = onnxruntime.SessionOptions()
        # A thread a call: several threads on each layer of one would wait for each other.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.at_once = max(1, threads)
        wanted = ["CUDAExecutionProvider"] if accelerator.startswith("cuda") else []
        providers = [p for p in wanted if p in onnxruntime.get_available_providers()] + ["CPUExecutionProvider"]
        try:
            self._session = onnxruntime.InferenceSession(str(weights), options, providers=providers)
        # onnxruntime's own exceptions share no other base.
        except Exception as error:
            raise unreadable(weights, "OpenSeeFace", error) from error
        self._input = self._session.get_inputs()[0].name

    def __call__(self, pictures: Sequence[Picture], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `LandmarkNetwork`."""
        corners = crop_corners(boxes)
        crops = np.stack([cut(picture, *corner) for picture, corner in zip(pictures, corners, strict=True)])
        parts = [self._maps(crops[start : start + TOGETHER]) for start in range(0, len(crops), TOGETHER)]
        shares, scores = decode_maps(np.concatenate(parts))
        low, high = corners[:, 0], corners[:, 1]
        # The middle of the crop's first pixel is 0 of the network's way, that of its last pixel is 1.
        half_px = (high - low) / SIDE_PX / 2
        points = shares * (high - low - 2 * half_px)[:, None] + (low + half_px - 0.5)[:, None]
        return complete(points), scores

    def _maps(self, crops: np.ndarray) -> np.ndarray:
        found: np.ndarray = self._session.run(None, {self._input: normalised(crops)})[0]
        return found


def normalised(crops: np.ndarray) -> np.ndarray:
    """Crops as the network wants them. uint8 (N, 224, 224, 3), blue first; returns float32 (N, 3, 224, 224)."""
    planes = np.ascontiguousarray(crops.transpose(0, 3, 1, 2)[:, ::-1]).astype(np.float32)
    planes *= (1 / (255 * DEVIATION))[:, None, None]
    planes -= (MEAN / DEVIATION)[:, None, None]
    return planes


def crop_corners(boxes: np.ndarray) -> np.ndarray:
    """What the network is shown of each box: no forehead, but margins. (N, 4) in; (N, 2, 2) low, high out."""
    low, high = boxes[:, :2].copy(), boxes[:, 2:]
    low[:, 1] += (high[:, 1] - low[:, 1]) * FOREHEAD / (1 + FOREHEAD)
    margin = (high - low) * MARGIN
    return np.stack([low - margin, high + margin], axis=1)


def cut(picture: Picture, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The picture between two corners, in SIDE_PX x SIDE_PX; outside, its edge is repeated. uint8."""
    scale = (high - low) / SIDE_PX
    # Every pixel counts: a large face is first made smaller by areas.
    factor = int(scale.max()) if scale.max() > 2 else 1
    part, low = _around(picture, low, high, factor)
    scale = scale / factor
    shift = low + scale / 2 - 0.5
    to_picture = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    crop: np.ndarray = cv2.warpAffine(
        part,
        to_picture,
        (SIDE_PX, SIDE_PX),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return crop


def _around(picture: Picture, low: np.ndarray, high: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of the picture around a crop, by a whole factor smaller, and the crop's first corner in it."""
    size = np.array(picture.shape[1::-1])
    # One pixel more on each side, between which and the next lines are drawn.
    first = np.clip(np.floor(low).astype(int) - factor, 0, np.maximum(size - factor, 0))
    count = np.ceil((high - first) / factor).astype(int) + 1
    count = np.clip(count, 1, np.maximum((size - first) // factor, 1))
    columns, rows = (slice(start, start + n * factor) for start, n in zip(first, count, strict=True))
    part = picture[rows, columns]
    if factor > 1:
        part = shrink(part, factor, (int(count[1]), int(count[0])))
    return part, (low - first) / factor


def decode_maps(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the 66 points lie in the crop, as shares of its sides, and how sure that is.

    maps: float32 (N, 198, 28, 28).  Returns float64 (N, 66, 2) and float32 (N,).
    """
    flat = maps.reshape(len(maps), 3, MEASURED, CELLS * CELLS)
    cell = flat[:, 0].argmax(axis=-1)
    peak, down, right = np.take_along_axis(flat, cell[:, None, :, None], axis=-1)[..., 0].transpose(1, 0, 2)
    offsets = np.clip(np.stack([right, down], axis=-1).astype(np.float64), 1e-7, 1 - 1e-7)
    shares = np.stack([cell % CELLS, cell // CELLS], axis=-1) / (CELLS - 1)
    return shares + np.log(offsets / (1 - offsets)) / OFFSET_FACTOR, peak.mean(axis=-1)


def complete(points: np.ndarray) -> np.ndarray:
    """The network's 66 points in iBUG's order, and the inner corners of the mouth from their neighbours.

    points: float (N, 66, 2).  Returns float32 (N, 68, 2).
    """
    whole = np.empty((len(points), POINTS, 2))
    whole[:, IBUG] = points
    for inner, (corner, above, below) in INNER_CORNERS.items():
        lip = (whole[:, above] + whole[:, below]) / 2
        whole[:, inner] = whole[:, corner] + INNER_SHARE * (lip - whole[:, corner])
    return whole.astype(np.float32)
