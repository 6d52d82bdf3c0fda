"""Pictures as OpenCV reads them. Apart from `video`: most of what reads videos needs no OpenCV."""

from collections.abc import Sequence
from typing import Protocol

import av
import cv2
import numpy as np

from scripts.common.video import BLACK, EXACT, plane_arrays, upright

# Matrix coefficients of H.273: unspecified, BT.470 and SMPTE 170M; the latter two are those of BT.601.
OF_BT601 = (2, 5, 6)
# Chroma is scaled up by straight lines, which look at the next of its pixels: two of the picture.
MARGIN_PX = 2
# Shares of red and of blue in luma, by the matrix coefficients of H.273; what is not named is as in BT.601.
LUMA_SHARES = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}


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

    def stretched(self, first: np.ndarray, stop: np.ndarray, side: int) -> np.ndarray:
        """See `stretch`."""
        luma, *chroma = self._planes
        scale = (stop - first) / side
        # A pixel of chroma lies amid four of luma.
        shift = (first + scale / 2) / 2 - 0.5
        to_chroma = np.array([[scale[0] / 2, 0, shift[0]], [0, scale[1] / 2, shift[1]]])
        stretched = [
            cv2.warpAffine(
                plane,
                to_chroma,
                (side, side),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=black,
            )
            for plane, black in zip(chroma, BLACK[1:], strict=True)
        ]
        planes = cv2.merge([_stretched(luma, first, stop, side, BLACK[0]), *stretched])
        colours: np.ndarray = cv2.transform(planes, to_blue_green_red(self._picture.colorspace))
        return colours


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


def stretch(picture: Picture, first: np.ndarray, stop: np.ndarray, side: int) -> np.ndarray:
    """A part of a picture in `side` x `side` pixels, by straight lines, black where there is no picture.

    first, stop: int (2,), its first pixel, and that after its last, x and y.
    Of `PartsInColour` no more becomes colours than the result: a seventh of the time.
    """
    if isinstance(picture, PartsInColour):
        return picture.stretched(first, stop, side)
    return _stretched(picture, first, stop, side, 0)


def _stretched(pixels: Picture | np.ndarray, first: np.ndarray, stop: np.ndarray, side: int, black: int) -> np.ndarray:
    size = np.array(pixels.shape[1::-1])
    low, high = np.clip(first, 0, size), np.clip(stop, 0, size)
    part = pixels[low[1] : high[1], low[0] : high[0]]
    (left, top), (right, bottom) = (int(n) for n in low - first), (int(n) for n in stop - high)
    if not part.size:
        return np.full((side, side, *pixels.shape[2:]), black, np.uint8)
    if max(left, top, right, bottom) > 0:
        part = cv2.copyMakeBorder(part, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(black,) * 3)
    resized: np.ndarray = cv2.resize(part, (side, side), interpolation=cv2.INTER_LINEAR)
    return resized


def shrink(array: np.ndarray, factor: int, shape: tuple[int, int]) -> np.ndarray:
    """Rows and columns of means of `factor` x `factor` pixels, as many as `shape` says; what is over is left out."""
    whole = array[: shape[0] * factor, : shape[1] * factor]
    small: np.ndarray = cv2.resize(whole, shape[::-1], interpolation=cv2.INTER_AREA)
    return small


def to_blue_green_red(colorspace: int) -> np.ndarray:
    """What makes colours of luma, blue and red difference of limited range, and 1: float64 (3, 4), blue first."""
    red, blue = LUMA_SHARES.get(colorspace, (0.299, 0.114))
    green = 1 - red - blue
    of_blue, of_red = 2 * (1 - blue) / 224, 2 * (1 - red) / 224
    shares = [[1 / 219, of_blue, 0], [1 / 219, -of_blue * blue / green, -of_red * red / green], [1 / 219, 0, of_red]]
    matrix = 255 * np.array(shares)
    return np.hstack([matrix, -(matrix @ BLACK)[:, None]])


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
    luma, *chroma = planes
    whole = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in chroma]
    colours: np.ndarray = cv2.transform(cv2.merge([luma, *whole]), to_blue_green_red(like.colorspace))
    return colours


def _by_swscale(picture: av.VideoFrame) -> np.ndarray:
    array: np.ndarray = picture.to_ndarray(format="bgr24", interpolation=EXACT, threads=1)
    return array
