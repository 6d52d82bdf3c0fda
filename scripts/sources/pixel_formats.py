"""Raw images of ROS messages as pictures that hold every one of their bits.

Encodings are those of sensor_msgs/image_encodings and foxglove's RawImage. What has floating point becomes 16 bit with
a scale: value = offset + scale x code, and code 0 for what is no number or lies outside of the range.
"""

from dataclasses import dataclass, field

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from scripts.common.errors import InputError

# Encoding: pixel format as ffmpeg calls it, bytes of a pixel in the first plane.
PACKED = {
    "bgr8": ("bgr24", 3), "rgb8": ("rgb24", 3), "8uc3": ("bgr24", 3),
    "bgra8": ("bgra", 4), "rgba8": ("rgba", 4), "8uc4": ("bgra", 4),
    "mono8": ("gray", 1), "8uc1": ("gray", 1),
    "yuv422": ("uyvy422", 2), "uyvy": ("uyvy422", 2), "yuv422_yuy2": ("yuyv422", 2), "yuyv": ("yuyv422", 2),
    "bayer_rggb8": ("bayer_rggb8", 1), "bayer_bggr8": ("bayer_bggr8", 1),
    "bayer_gbrg8": ("bayer_gbrg8", 1), "bayer_grbg8": ("bayer_grbg8", 1),
    "mono16": ("gray16le", 2), "16uc1": ("gray16le", 2), "16sc1": ("gray16le", 2),
    "rgb16": ("rgb48le", 6), "bgr16": ("rgb48le", 6), "16uc3": ("rgb48le", 6),
    "rgba16": ("rgba64le", 8), "bgra16": ("rgba64le", 8), "16uc4": ("rgba64le", 8),
    "bayer_rggb16": ("gray16le", 2), "bayer_bggr16": ("gray16le", 2),
    "bayer_gbrg16": ("gray16le", 2), "bayer_grbg16": ("gray16le", 2),
}  # fmt: skip
# Blue first; they are stored red first.
REVERSED = {"bgr16", "16uc3", "bgra16", "16uc4"}
# Luma in a plane of its own, both chromas in a second one.
PLANAR = {"nv12": "nv12", "nv21": "nv21", "nv24": "nv24"}
FLOATS: dict[str, "np.dtype[np.floating]"] = {"32fc1": np.dtype("<f4"), "64fc1": np.dtype("<f8")}
ENCODINGS = (*PACKED, *PLANAR, *FLOATS)
# Codes of a float image: 0 is no value.
CODES = 65_535

# What FFV1 stores without loss, by what a picture is; bayer mosaics as they are, one value a pixel.
LOSSLESS = {
    "gray": "gray", "rgb24": "bgr0", "bgr24": "bgr0", "rgba": "bgra", "bgra": "bgra",
    "uyvy422": "yuv422p", "yuyv422": "yuv422p", "nv12": "yuv420p", "nv21": "yuv420p", "nv24": "yuv444p",
    "gray16le": "gray16le", "rgb48le": "rgb48le", "rgba64le": "rgba64le",
    "gray16be": "gray16le", "rgb48be": "rgb48le", "rgba64be": "rgba64le",
    "ya8": "gray", "pal8": "bgra", "monob": "gray", "monow": "gray",
}  # fmt: skip


@dataclass(frozen=True)
class FloatRange:
    """Values of float images that have a code. unit: for the manifest."""

    low: float = 0.0
    high: float = 65.534
    unit: str = "m"

    @property
    def scale(self) -> float:
        """What one code is worth."""
        return (self.high - self.low) / (CODES - 1) if self.high > self.low else 1.0

    @property
    def offset(self) -> float:
        """Value of code 0, if it were one."""
        return self.low - self.scale


@dataclass
class Pixels:
    """What the pixels of a camera are, for the manifest. clipped: values of float images beyond the range."""

    encoding: str
    facts: dict[str, object] = field(default_factory=dict)
    clipped: int = 0


class SmallImageError(ValueError):
    """An image has fewer bytes than its size asks for."""


def is_deep(layout: str) -> bool:
    """Whether a pixel format has more than 8 bits a channel."""
    return any(component.bits > 8 for component in av.VideoFormat(layout, 2, 2).components)


def read_image(
    data: memoryview,
    height: int,
    width: int,
    encoding: str,
    step: int,
    *,
    big_endian: bool,
    pixels: Pixels,
    span: FloatRange,
) -> av.VideoFrame:
    """The picture of a raw image whose rows are `step` bytes apart.

    Raises InputError for an unknown encoding, SmallImageError for too few bytes.
    """
    name = encoding.strip().lower()
    if name in FLOATS:
        kind = FLOATS[name].newbyteorder(">" if big_endian else "<")
        values = _rows(data, height, width * kind.itemsize, step).view(kind).astype(np.float64)
        return _gray16(_codes(values, span, pixels))
    if name in PLANAR:
        return _planar(data, height, width, step, PLANAR[name])
    if name not in PACKED:
        raise InputError("unsupported", f"its encoding `{encoding}` cannot be exported; known: {', '.join(ENCODINGS)}")
    layout, size = PACKED[name]
    rows = _rows(data, height, width * size, step)
    if is_deep(layout):
        samples = rows.view(">u2" if big_endian else "<u2").astype("<u2")
        if name == "16sc1":
            pixels.facts |= {"scale": 1.0, "offset": -32768.0}
            samples = samples ^ np.uint16(0x8000)
        if name in REVERSED:
            # ffmpeg's own reordering of 16 bit BGRA mixes up channels.
            pixels_of = samples.reshape(height, width, -1)
            order = [2, 1, 0, 3][: pixels_of.shape[2]]
            samples = np.ascontiguousarray(pixels_of[:, :, order]).reshape(height, -1)
        rows = samples.view(np.uint8)
    return _filled(layout, width, height, [rows])


def read_compressed_depth(data: memoryview, form: str, pixels: Pixels, span: FloatRange) -> av.VideoFrame:
    """The picture of a compressedDepth message: a header of 12 bytes, then a png of 16 bit.

    Of 32FC1 the png holds inverse depths, depth = a / (q - b), with a and b from the header (image_transport's
    compressed_depth). Raises InputError for other codings, av.FFmpegError for a broken png.
    """
    if bytes(data[12:20]) != b"\x89PNG\r\n\x1a\n":
        raise InputError("unsupported", f"its format `{form}` is not compressed as png, which alone is known of it")
    picture = decode_still("png", bytes(data[12:])).reformat(format="gray16le")
    codes = gray16_array(picture)
    if not form.strip().lower().startswith("32fc1"):
        return picture
    a, b = np.frombuffer(data[4:12], "<f4").astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(codes > 0, a / (codes.astype(np.float64) - b), np.nan)
    return _gray16(_codes(depth, span, pixels))


def decode_still(codec: str, data: bytes) -> av.VideoFrame:
    """The one picture of a coded still. Raises av.FFmpegError or IndexError for what is none."""
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, VideoCodecContext)
    return context.decode(av.Packet(data))[0]


def gray16_array(picture: av.VideoFrame) -> np.ndarray:
    """A gray16le picture as uint16 (height, width)."""
    plane = picture.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return np.ascontiguousarray(rows[:, : 2 * picture.width]).view("<u2")


def lossless_form(picture: av.VideoFrame) -> av.VideoFrame:
    """The same picture as FFV1 stores it, bit by bit. Raises InputError for a format that is not known."""
    layout = picture.format.name
    if layout.startswith("bayer_"):
        # A mosaic is one value a pixel: as gray it comes back as it was.
        plane = picture.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : picture.width]
        return _filled("gray", picture.width, picture.height, [rows])
    if layout not in LOSSLESS:
        raise InputError("unsupported", f"its pictures of {layout} cannot be exported without loss")
    target = LOSSLESS[layout]
    if target == layout:
        return picture
    return picture.reformat(format=target, interpolation=av.video.reformatter.Interpolation.POINT, threads=1)


def _rows(data: memoryview, height: int, row: int, step: int) -> np.ndarray:
    """Rows without their padding, uint8 (height, row)."""
    if min(height, row) < 1 or step < row or len(data) < (height - 1) * step + row:
        raise SmallImageError
    return np.ascontiguousarray(np.ndarray((height, row), np.uint8, data, strides=(step, 1)))


def _planar(data: memoryview, height: int, width: int, step: int, layout: str) -> av.VideoFrame:
    luma = _rows(data, height, width, step)
    below = data[height * step :]
    # Chroma of two bytes a pair: half the rows, as wide as luma; nv24 has all rows, twice as wide.
    if layout == "nv24":
        chroma = _rows(below, height, 2 * width, 2 * step)
    else:
        chroma = _rows(below, (height + 1) // 2, (width + 1) // 2 * 2, max(step, (width + 1) // 2 * 2))
    return _filled(layout, width, height, [luma, chroma])


def _codes(values: np.ndarray, span: FloatRange, pixels: Pixels) -> np.ndarray:
    """Codes of float values, uint16; 0 for what is no number or outside of the range."""
    finite = np.isfinite(values)
    inside = finite & (values >= span.low) & (values <= span.high)
    pixels.clipped += int((finite & ~inside).sum())
    pixels.facts |= {"scale": span.scale, "offset": span.offset, "unit": span.unit, "no_value": 0}
    codes = np.where(inside, np.rint((np.where(inside, values, span.low) - span.offset) / span.scale), 0)
    return codes.astype("<u2")


def _gray16(codes: np.ndarray) -> av.VideoFrame:
    return _filled("gray16le", codes.shape[1], codes.shape[0], [codes.astype("<u2").view(np.uint8)])


def _filled(layout: str, width: int, height: int, planes: list[np.ndarray]) -> av.VideoFrame:
    """A picture of the given rows of bytes, uint8 (height, bytes), one array a plane."""
    picture = av.VideoFrame(width, height, layout)
    for plane, rows in zip(picture.planes, planes, strict=False):
        target = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        target[: len(rows), : rows.shape[1]] = rows
    return picture
