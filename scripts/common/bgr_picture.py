"""Pictures as OpenCV reads them. Apart from `video`: most of what reads videos needs no OpenCV."""

from collections.abc import Sequence
from typing import Protocol

import av
import cv2
import numpy as np

from scripts.common.video import EXACT, blank_like, plane_arrays, upright

# Matrix coefficients of H.273: unspecified, BT.470 and SMPTE 170M; the latter two are those of BT.601.
OF_BT601 = (2, 5, 6)
# Chroma is scaled up by cubics, which look at two of its pixels to each side: four of the picture.
MARGIN_PX = 4


class Picture(Protocol):
    """What shows faces: an array uint8 (height, width, 3), blue first, or one whose parts are such arrays."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width, 3."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        ...

    def __getitem__(self, part: tuple[slice, slice], /) -> np.ndarray:
        """Rows and columns of it, as an array."""
        ...


class PartsInColour:
    """An upright picture of even sides of which only what is asked for becomes blue, green and red.

    A face is a small part of its picture, and a detector looks at a small copy: colours of the whole cost more than
    either.
    """

    def __init__(self, picture: av.VideoFrame) -> None:
        self._picture = picture
        self._planes = plane_arrays(picture)
        self.shape = (picture.height, picture.width, 3)
        self.nbytes = sum(plane.size for plane in self._planes)

    def __getitem__(self, part: tuple[slice, slice]) -> np.ndarray:
        """Rows and columns, uint8 (height, width, 3), blue first."""
        (top, bottom, _), (left, right, _) = (
            side.indices(size) for side, size in zip(part, self.shape[:2], strict=True)
        )
        if top >= bottom or left >= right:
            return np.empty((max(0, bottom - top), max(0, right - left), 3), np.uint8)
        first = [max(0, start - MARGIN_PX) // 2 * 2 for start in (top, left)]
        stop = [min(size, end + end % 2 + MARGIN_PX) for size, end in zip(self.shape, (bottom, right), strict=False)]
        (y, x), (y_stop, x_stop) = first, stop
        luma, *chroma = self._planes
        halves = [plane[y // 2 : y_stop // 2, x // 2 : x_stop // 2] for plane in chroma]
        around = _bgr([luma[y:y_stop, x:x_stop], *halves], self._picture)
        return around[top - y : bottom - y, left - x : right - x]

    def shrunk(self, factor: int) -> np.ndarray:
        """See `shrink`; both sides are even, where they are not one pixel."""
        luma, *chroma = self._planes
        rows, columns = (max(1, side // (2 * factor) * 2) for side in luma.shape)
        half = (-(-rows // 2), -(-columns // 2))
        small = [shrink(luma, factor, (rows, columns)), *(shrink(plane, factor, half) for plane in chroma)]
        return _bgr(small, self._picture)


def in_colour(picture: av.VideoFrame) -> Picture:
    """The upright picture, whose parts are uint8 (height, width, 3), blue first."""
    picture = upright(picture)
    if picture.width % 2 or picture.height % 2:
        # Its chroma lies beside that of its parts.
        return _by_swscale(picture)
    return PartsInColour(picture)


def to_bgr(picture: av.VideoFrame) -> np.ndarray:
    """The upright picture as uint8 (height, width, 3), blue first: what OpenCV reads."""
    return in_colour(picture)[:, :]


def small_bgr(picture: Picture, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture with its longer side at most `longest`, uint8 (height, width, 3).

    Also how many pixels of the picture each of its pixels spans, float64 (2,), across and down.
    By means of whole pixels to less than twice the size, then by straight lines: a seventh of the time of means of
    parts of pixels.
    """
    height, width = picture.shape[:2]
    factor = max(1, max(height, width) // longest)
    if factor == 1:
        small = picture[:, :]
    elif isinstance(picture, PartsInColour):
        small = picture.shrunk(factor)
    else:
        small = shrink(picture[:, :], factor, (max(1, height // factor), max(1, width // factor)))
    shown = np.minimum(np.array(small.shape[1::-1]) * factor, (width, height))
    scale = min(1.0, longest / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if small.shape[1::-1] != size:
        small = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR))
    return small, shown / size


def shrink(array: np.ndarray, factor: int, shape: tuple[int, int]) -> np.ndarray:
    """Rows and columns of means of `factor` x `factor` pixels, as many as `shape` says; what is over is left out."""
    whole = array[: shape[0] * factor, : shape[1] * factor]
    small: np.ndarray = cv2.resize(whole, shape[::-1], interpolation=cv2.INTER_AREA)
    return small


def _bgr(planes: Sequence[np.ndarray], like: av.VideoFrame) -> np.ndarray:
    """Colours of planes of 4:2:0, those of the picture that they are of."""
    height, width = planes[0].shape
    if like.colorspace in OF_BT601 and not (width % 2 or height % 2):
        # By fixed-point arithmetic like swscale's exact way, within 4 levels of it, at an eighth of its cost.
        joined, start = np.empty((height * 3 // 2, width), np.uint8), 0
        for plane in planes:
            joined.reshape(-1)[start : start + plane.size].reshape(plane.shape)[:] = plane
            start += plane.size
        quick: np.ndarray = cv2.cvtColor(joined, cv2.COLOR_YUV2BGR_I420)
        return quick
    part = blank_like(like, width, height)
    for target, plane in zip(plane_arrays(part), planes, strict=True):
        target[:] = plane
    return _by_swscale(part)


def _by_swscale(picture: av.VideoFrame) -> np.ndarray:
    array: np.ndarray = picture.to_ndarray(format="bgr24", interpolation=EXACT, threads=1)
    return array
