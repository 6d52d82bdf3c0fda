"""The picture of a clip: which frames on its own grid, scaled by one side, cropped and padded about the centre."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np

from scripts.common.frame_table import FrameTable
from scripts.common.video import blank_like, plane_arrays, turn_of, upright

# What lies this close to the middle of an output frame counts as not yet shown: times are rounded.
TIE_NS = 1000
# A last frame that lacks no more than this share of itself counts.
ROUNDING = 0.02


def grid(frames: FrameTable, start_s: float, stop_s: float, fps: Fraction | None) -> tuple[np.ndarray, np.ndarray]:
    """Source frames that a clip shows, int64 (M,), and their times after its start in microseconds, int64 (M,).

    The grid begins at the clip's own start: frame k shows what is on screen at the middle of its time. Without `fps`
    the source's frames are taken as they are.
    """
    start_ns, stop_ns = round(start_s * 1e9), round(stop_s * 1e9)
    if fps is None:
        first, stop = np.searchsorted(frames.time_ns, [start_ns - TIE_NS, stop_ns - TIE_NS])
        shown = np.arange(first, stop)
        times = (frames.time_ns[first:stop] - start_ns + 500) // 1000
        return shown, np.maximum(times, 0)
    count = max(1, int((stop_ns - start_ns) / 1e9 * float(fps) + ROUNDING))
    k = np.arange(count, dtype=np.float64)
    middles = start_ns + (k + 0.5) * 1e9 / float(fps)
    shown = np.searchsorted(frames.time_ns, middles - TIE_NS, side="right") - 1
    last = max(0, int(np.searchsorted(frames.time_ns, stop_ns - TIE_NS)) - 1)
    first = int(np.searchsorted(frames.time_ns, start_ns - TIE_NS))
    return np.clip(shown, min(first, last), last), np.rint(k * 1e6 / float(fps)).astype(np.int64)


@dataclass(frozen=True)
class Shape:
    """scaled: size of the whole picture; crop: what is taken of its middle; canvas: what that stands on."""

    scaled: tuple[int, int]
    crop: tuple[int, int]
    canvas: tuple[int, int]


def shape_of(
    width: int,
    height: int,
    *,
    out_width: int,
    out_height: int,
    resize: Sequence[str],
    pixel_shape: Fraction = Fraction(1),
) -> Shape:
    """How a picture of `width` x `height` becomes the wanted one; 0 leaves a side as it is. All sides are even.

    It is scaled to the wanted height, and to the wanted width where no height is given.  pixel_shape: width of a pixel
    over its height; those of the wanted picture are square.
    """
    scaled = (width if pixel_shape == 1 else _scaled_side(width, pixel_shape), height)
    if "scale" in resize and out_height:
        scaled = (_scaled_side(width, pixel_shape * out_height / height), out_height)
    elif "scale" in resize and out_width:
        scaled = (out_width, _scaled_side(height, Fraction(out_width, width) / pixel_shape))
    crop = scaled
    box = (out_width or out_height, out_height or out_width)
    if "crop" in resize and any(box):
        crop = (min(scaled[0], box[0]), min(scaled[1], box[1]))
    canvas = crop
    if "pad" in resize and any(box):
        canvas = (max(crop[0], box[0]), max(crop[1], box[1]))
    return Shape(scaled, (_even(crop[0]), _even(crop[1])), (_even(canvas[0]), _even(canvas[1])))


def _scaled_side(side: int, factor: Fraction) -> int:
    return max(2, round(side * factor / 2) * 2)


def _even(side: int) -> int:
    return max(2, side + side % 2)


class Scaler:
    """Scales pictures by ffmpeg's own filter, which places the chroma as the program does."""

    def __init__(self) -> None:
        self._form: tuple[Any, ...] = ()
        self._graph: Any = None

    def scaled(self, picture: av.VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
        """The picture in another size."""
        form = (picture.width, picture.height, picture.format.name, picture.colorspace, picture.color_range, size)
        if form != self._form:
            self._form, self._graph = form, _scale_graph(picture, size)
        self._graph.vpush(picture)
        return self._graph.vpull()


def _scale_graph(picture: av.VideoFrame, size: tuple[int, int]) -> Any:
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1, 1_000_000)
    )
    scale = graph.add("scale", f"{size[0]}:{size[1]}:flags=bicubic+accurate_rnd+bitexact")
    sink = graph.add("buffersink")
    source.link_to(scale)
    scale.link_to(sink)
    graph.configure()
    return graph


def shaped(picture: av.VideoFrame, shape: Shape, scaler: Scaler) -> av.VideoFrame:
    """A yuv420p picture in its wanted shape."""
    if (picture.width, picture.height) != shape.scaled:
        picture = scaler.scaled(picture, shape.scaled)
    if shape.scaled == shape.canvas:
        return picture
    canvas = blank_like(picture, *shape.canvas)
    inner = (min(picture.width, shape.crop[0]), min(picture.height, shape.crop[1]))
    # Even offsets, so that the chroma stays in its place.
    take = [(have - want) // 4 * 2 for have, want in zip((picture.width, picture.height), inner, strict=True)]
    put = [(have - want) // 4 * 2 for have, want in zip(shape.canvas, inner, strict=True)]
    for plane, (target, source) in enumerate(zip(plane_arrays(canvas), plane_arrays(picture), strict=True)):
        half = 1 if plane == 0 else 2
        part = source[take[1] // half :, take[0] // half :]
        rows, columns = ((side + half - 1) // half for side in (inner[1], inner[0]))
        part = part[:rows, :columns]
        place = target[put[1] // half :, put[0] // half :][: part.shape[0], : part.shape[1]]
        place[:] = part[: place.shape[0], : place.shape[1]]
        if shape.canvas[0] - inner[0] == 1 and plane == 0:
            target[:, inner[0]] = target[:, inner[0] - 1]
        if shape.canvas[1] - inner[1] == 1 and plane == 0:
            target[inner[1]] = target[inner[1] - 1]
    return canvas


class Shaper:
    """Brings pictures of an item, as a reader has read them, into the shape of its clips."""

    def __init__(self, video: dict[str, Any]) -> None:
        """video: width, height and resize of the settings."""
        self._video = video
        # Width of a coded pixel over its height.
        self.pixel_shape = Fraction(1)
        self._source: tuple[int, int, bool] | None = None
        self._shape: Shape | None = None
        self._scaler = Scaler()

    def shaped(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The picture upright, yuv420p, with square pixels, scaled, cropped and padded."""
        lies = turn_of(picture)[0]
        picture = upright(picture)
        if self._shape is None or (picture.width, picture.height, lies) != self._source:
            self._source = (picture.width, picture.height, lies)
            width, height, resize = (self._video[name] for name in ("width", "height", "resize"))
            self._shape = shape_of(
                picture.width,
                picture.height,
                out_width=width,
                out_height=height,
                resize=resize,
                pixel_shape=1 / self.pixel_shape if lies else self.pixel_shape,
            )
        return shaped(picture, self._shape, self._scaler)
