"""The form of a dataset's pictures: size, shape and coding, made where they are decoded."""

from dataclasses import dataclass, field
from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from scripts.common import jpeg
from scripts.common.video import blank_like, plane_arrays, upright

# Pixels as ffmpeg and torchcodec show them; the accurate conversion differs where the colour changes.
AS_SHOWN = Interpolation.BICUBIC | Interpolation.BITEXACT
WHOLE_COLOUR = Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
SHRUNK = Interpolation.AREA | WHOLE_COLOUR
GROWN = Interpolation.BICUBIC | WHOLE_COLOUR
PNG_COMPRESSION = 6


@dataclass(frozen=True)
class Form:
    """size: (width, height), or the shorter side twice for `short_side`; None: as it is.  resize: squash, short_side,
    crop or pad.  quality: of jpg."""

    size: tuple[int, int] | None
    resize: str
    format: str
    quality: int
    # Kept from picture to picture: a new one makes its filters anew.
    _scaler: VideoReformatter = field(default_factory=VideoReformatter, repr=False, compare=False)

    @classmethod
    def of(cls, size: int | list[int], resize: str, form: str, quality: int) -> "Form":
        """From a dataset's settings; size 0: as it is."""
        sides = [size, size] if isinstance(size, int) else size
        return cls((sides[0], sides[1]) if sides[0] else None, resize, form, quality)

    def encode(self, rgb: np.ndarray) -> bytes:
        """Pixels, uint8 (H, W, 3), red first, as a file of the format; the same bytes on every run."""
        if self.format == "jpg":
            return jpeg.encode_pixels(rgb, self.quality)
        coded = cv2.imencode(".png", rgb[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, PNG_COMPRESSION])[1]
        return bytes(coded)

    def pixels(self, picture: av.VideoFrame, pixel_shape: Fraction | None = None) -> np.ndarray:
        """The upright picture in this form, uint8 (H, W, 3), red first.

        pixel_shape: width of a pixel over its height, which every form but `squash` keeps to.
        """
        picture = upright(picture)
        shape = Fraction(picture.width, picture.height) * (pixel_shape or 1)
        if self.size is None:
            return self._scaled(picture, (picture.width, picture.height))
        if self.resize == "squash":
            return self._scaled(picture, self.size)
        if self.resize == "short_side":
            side = self.size[0]
            wide = shape >= 1
            return self._scaled(picture, (_side(side * shape), side) if wide else (side, _side(side / shape)))
        if self.resize == "crop":
            return self._scaled(middle(picture, shape, Fraction(*self.size)), self.size)
        return self._padded(picture, shape, self.size)

    def _scaled(self, picture: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
        """A yuv420p picture as uint8 (height, width, 3), red first: each pixel the mean of the area that it covers.

        Shrunk and made colours in one pass, with the colour planes at full size: no edge of colour is smeared.
        """
        width, height = size
        if (picture.width, picture.height) == size:
            form, how = "rgb24", AS_SHOWN
        else:
            grown = width > picture.width or height > picture.height
            form, how = "gbrp", GROWN if grown else SHRUNK
        made = self._scaler.reformat(picture, width=width, height=height, format=form, interpolation=how, threads=1)
        if form == "rgb24":
            return np.asarray(made.to_ndarray())
        green, blue, red = plane_arrays(made)
        return np.asarray(cv2.merge((red, green, blue)))

    def _padded(self, picture: av.VideoFrame, shape: Fraction, size: tuple[int, int]) -> np.ndarray:
        """All of a picture in the middle of a black one."""
        width, height = size
        inner = (
            (width, min(height, _side(width / shape)))
            if shape >= Fraction(width, height)
            else (
                min(width, _side(height * shape)),
                height,
            )
        )
        canvas = np.zeros((height, width, 3), np.uint8)
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        canvas[top : top + inner[1], left : left + inner[0]] = self._scaled(picture, inner)
        return canvas


def _side(length: Fraction) -> int:
    return max(1, round(length))


def middle(picture: av.VideoFrame, shape: Fraction, wanted: Fraction) -> av.VideoFrame:
    """The middle of a picture, of the `wanted` width over height. shape: of the whole as it is shown."""
    width, height = picture.width, picture.height
    if shape > wanted:
        width = max(2, round(width * wanted / shape) // 2 * 2)
    else:
        height = max(2, round(height * shape / wanted) // 2 * 2)
    # Even offsets, so that the colour stays in its place.
    left, top = (picture.width - width) // 4 * 2, (picture.height - height) // 4 * 2
    cut = blank_like(picture, width, height)
    for index, (target, source) in enumerate(zip(plane_arrays(cut), plane_arrays(picture), strict=True)):
        half = 1 if index == 0 else 2
        part = source[top // half :, left // half :]
        target[:] = part[: target.shape[0], : target.shape[1]]
    return cut
