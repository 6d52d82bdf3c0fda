"""Pictures in and out of files: streaming decode, upright; h264 with the same bytes on every run."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from scripts.common import mp4
from scripts.common.encoder import THREADS, Coding
from scripts.common.packets import instant_of, packets, packets_from

# Constants, never the job's threads: what is made must not depend on the machine.
DECODER_THREADS = 2

# Scaling and conversion that give the same pixels on every processor.
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
BLACK = (16, 128, 128)
NOT_TURNED = (False, False, False)

# Titles and names may be in any encoding.
OPEN_OPTIONS: dict[str, Any] = {"metadata_errors": "replace"}


class VideoReader:
    """The pictures of one video stream in display order, one at a time. Read it once.

    `undecoded` counts the packets that the decoder refused; it is whole when the last picture has been read.
    `wanted` says of an instant, in seconds, whether its picture is wanted: others do not come if no picture is
    predicted from them.
    """

    def __init__(self, path: Path, stream: int | None = None, *, threads: int = DECODER_THREADS) -> None:
        """stream: index in the file; without it the first video stream.  threads: pictures decoded at once.

        Raises FFmpegError if it is no video.
        """
        self._path, self._number, self._threads = path, stream, threads
        self._start: Fraction | None = None
        self.undecoded = 0
        self.wanted: Callable[[Fraction], bool] | None = None
        self._rotation: int | None = None
        self._turn = NOT_TURNED
        self._open()

    def _open(self) -> None:
        self._container = av.open(f"file:{self._path}", **OPEN_OPTIONS)
        videos = [found for found in self._container.streams.video if self._number in (None, found.index)]
        if not videos:
            raise av.error.InvalidDataError(0, "no such video stream", str(self._path))
        self.stream = videos[0]
        context = self.stream.codec_context
        context.thread_count, context.thread_type = self._threads, "FRAME"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._container.close()

    def seek(self, pts_us: int) -> None:
        """Go to the keyframe at `pts_us`, or one before it; then iterate anew."""
        self._start = Fraction(pts_us, 1_000_000)

    def packets(self) -> Iterator["av.Packet[Any]"]:
        """Its packets in the order of the file, from where `seek` went."""
        start, self._start = self._start, None
        found = packets_from(self._container, [self.stream], start) if start is not None else None
        if found is None and start is not None:
            self._container.close()
            self._open()
        yield from found or packets(self._container, [self.stream])

    def __iter__(self) -> Iterator[av.VideoFrame]:
        """Pictures as they are coded; see `upright`."""
        for packet in self.packets():
            if self.wanted is not None:
                instant = instant_of(packet)
                needed = instant is None or self.wanted(instant)
                self.stream.codec_context.skip_frame = "DEFAULT" if needed else "NONREF"
            try:
                pictures = self.stream.decode(packet)
            except av.error.FFmpegError:
                self.undecoded += 1
                continue
            for picture in pictures:
                # Side data and their picture hold each other until the next garbage collection, which is hundreds
                # of pictures later: so they are asked for once, and when the angle changes.
                if picture.rotation != self._rotation:
                    self._rotation, self._turn = picture.rotation, matrix_turn(picture)
                if any(self._turn):
                    # A new list for each: PyAV forgets the object with the first picture that goes.
                    picture.opaque = list(self._turn)
                yield picture


class VideoWriter:
    """h264 in MP4, yuv420p, the same bytes whatever the machine and its load.

    Size and colours are those of the first picture. Odd sides are made even by repeating the last row or
    column; a picture of another size is fitted between black bars.
    """

    def __init__(self, path: Path, *, rate: Fraction, time_base: Fraction, crf: int, preset: str) -> None:
        """rate: frames a second; a keyframe stands at least every two seconds."""
        self._container = mp4.create(path)
        self._stream = mp4.add_pictures(self._container, Coding("h264", crf, preset), rate, threads=THREADS)
        context = self._stream.codec_context
        context.thread_type = "FRAME"
        context.gop_size = max(1, round(2 * rate))
        context.time_base = self._stream.time_base = time_base
        self._time_base = time_base
        self._black: av.VideoFrame | None = None
        self.size: tuple[int, int] | None = None
        self.keyframe_pts: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self._mux(None)
        self._container.close()

    def take_form(self, picture: av.VideoFrame, pixel_shape: Fraction | None = None) -> None:
        """Make size and colours those of `picture`; the first `write` does it, too.

        pixel_shape: width of a pixel over its height.
        """
        if self.size is not None:
            return
        context = self._stream.codec_context
        mp4.take_form(context, picture)
        self.size = context.width, context.height = even(picture.width), even(picture.height)
        if pixel_shape:
            context.sample_aspect_ratio = pixel_shape

    def write(self, picture: av.VideoFrame, pts: int) -> None:
        """Write a yuv420p picture at `pts`, in the time base of the writer; `pts` must increase."""
        self.take_form(picture)
        assert self.size is not None
        if (picture.width, picture.height) != self.size:
            picture = fitted(picture, self.size)
        picture.pts, picture.time_base = pts, self._time_base
        # The source's own choice of keyframes must not be forced upon the encoder.
        picture.pict_type = av.video.frame.PictureType.NONE
        self._mux(picture)

    def write_black(self, pts: int) -> None:
        """Write a black picture; a form must have been taken."""
        assert self.size is not None
        if self._black is None:
            self._black = blank(*self.size)
        self.write(self._black, pts)

    def _mux(self, picture: av.VideoFrame | None) -> None:
        if self.size is None:
            return
        for packet in self._stream.encode(picture):
            if packet.is_keyframe and packet.pts is not None:
                self.keyframe_pts.add(round(packet.pts * packet.time_base / self._time_base))
            self._container.mux(packet)


def even(side: int) -> int:
    """The next even number."""
    return side + side % 2


def orientation(matrix: np.ndarray) -> tuple[bool, bool, bool]:
    """How a display matrix turns a picture: (transposed, then mirrored left-right, then mirrored top-bottom).

    matrix: int32 (9,), [a b u  c d v  x y w]: the point (p, q) is shown at (a p + c q, b p + d q). Angles
    between the quarter turns are taken as the nearest one.
    """
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    transposed = abs(a) + abs(d) < abs(b) + abs(c)
    return (True, c < 0, b < 0) if transposed else (False, a < 0, d < 0)


def turn_of(picture: av.VideoFrame) -> tuple[bool, bool, bool]:
    """`orientation` of a picture that a VideoReader has read."""
    turn = cast(list[bool] | None, picture.opaque)
    return (turn[0], turn[1], turn[2]) if turn else NOT_TURNED


def matrix_turn(picture: av.VideoFrame) -> tuple[bool, bool, bool]:
    """`orientation` by the picture's own side data."""
    matrix = cast(SideDataContainer, picture.side_data).get(SideDataType.DISPLAYMATRIX)
    return NOT_TURNED if matrix is None else orientation(np.frombuffer(bytes(matrix), np.int32))


def pixel_shape(reader: VideoReader, picture: av.VideoFrame) -> Fraction | None:
    """Width of a pixel over its height in the upright `picture`; None where the file does not say."""
    ratio: Fraction | None = reader.stream.sample_aspect_ratio
    if not ratio:
        return None
    return 1 / ratio if turn_of(picture)[0] else ratio


def upright(picture: av.VideoFrame) -> av.VideoFrame:
    """The picture as yuv420p of limited range, turned as its display matrix says: what every reader sees."""
    turn = turn_of(picture)
    picture = as_yuv420p(picture)
    if not any(turn):
        return picture
    transposed, mirrored, flipped = turn
    size = (picture.height, picture.width) if transposed else (picture.width, picture.height)
    turned = blank_like(picture, *size)
    for target, source in zip(plane_arrays(turned), plane_arrays(picture), strict=True):
        part = source.T if transposed else source
        target[:] = part[:: -1 if flipped else 1, :: -1 if mirrored else 1]
    return turned


def as_yuv420p(picture: av.VideoFrame) -> av.VideoFrame:
    """The picture in 8 bit 4:2:0 of limited range; the same object where it is so already."""
    if picture.format.name == "yuv420p" and picture.color_range != ColorRange.JPEG:
        return picture
    if picture.format.name.startswith("bayer_"):
        # On the straight way swscale takes red for blue where it makes the brightness.
        picture = picture.reformat(format="rgb24", interpolation=EXACT, threads=1)
    colours = Colorspace.ITU601 if picture.format.is_rgb else None
    return picture.reformat(
        format="yuv420p",
        interpolation=EXACT,
        dst_colorspace=colours,
        dst_color_range=ColorRange.MPEG,
        threads=1,
    )


def fitted(picture: av.VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
    """A yuv420p picture on a canvas of an even `size`: padded by its own edge, else scaled to fit."""
    width, height = size
    if (even(picture.width), even(picture.height)) != size:
        scale = min(Fraction(width, picture.width), Fraction(height, picture.height))
        # Multiples of two, so that the chroma stays in its place.
        inner = [max(2, int(side * scale) // 2 * 2) for side in (picture.width, picture.height)]
        picture = picture.reformat(width=inner[0], height=inner[1], interpolation=EXACT, threads=1)
        canvas = blank(width, height)
    else:
        canvas = blank_like(picture, width, height)
    left, top = ((width - picture.width) // 4 * 2, (height - picture.height) // 4 * 2)
    for index, (target, source) in enumerate(zip(plane_arrays(canvas), plane_arrays(picture), strict=True)):
        half = 1 if index == 0 else 2
        rows, columns = slice(top // half, None), slice(left // half, None)
        inside = target[rows, columns][: source.shape[0], : source.shape[1]]
        inside[:] = source
        if picture.width + 1 == width:
            target[:, source.shape[1] :] = target[:, source.shape[1] - 1 : source.shape[1]]
        if picture.height + 1 == height:
            target[source.shape[0] :] = target[source.shape[0] - 1 : source.shape[0]]
    return canvas


def blank(width: int, height: int) -> av.VideoFrame:
    """A black yuv420p picture."""
    picture = av.VideoFrame(width, height, "yuv420p")
    for plane, value in zip(plane_arrays(picture), BLACK, strict=True):
        plane[:] = value
    return picture


def blank_like(picture: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """A black yuv420p picture with the colours of another."""
    new = blank(width, height)
    new.colorspace, new.color_range = picture.colorspace, picture.color_range
    new.color_primaries, new.color_trc = picture.color_primaries, picture.color_trc
    return new


def plane_arrays(picture: av.VideoFrame) -> list[np.ndarray]:
    """The planes of an 8 bit planar picture as uint8 (height, width), writable views."""
    return [
        np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in picture.planes
    ]
