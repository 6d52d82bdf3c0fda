"""Pictures that are encoded once: raw images, png and compressed depth; 8 bit as h264 or without loss, deeper ones as
FFV1 with every bit."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av

from scripts.common.packet_writer import TIME_BASE, disk_errors
from scripts.common.video import VideoWriter, as_yuv420p
from scripts.sources.held_picture import HeldPicture, Taken
from scripts.sources.lossless_writer import LosslessWriter
from scripts.sources.picture_table import PictureTable, Video
from scripts.sources.picture_times import Instant
from scripts.sources.pixel_formats import (
    FloatRange,
    Pixels,
    SmallImageError,
    decode_still,
    is_deep,
    read_compressed_depth,
    read_image,
)
from scripts.sources.wanted_part import WHOLE, Part

PNG = b"\x89PNG\r\n\x1a\n"
PRESET = "veryfast"
# The true rate is in the PTS; the encoder's rate control wants to be told one.
TOLD_FPS = Fraction(30)


@dataclass(frozen=True)
class ImageCoding:
    """How pictures that must be encoded are. raw: h264 or lossless, of 8 bit; crf: of h264; span: of float images."""

    crf: int
    raw: str = "h264"
    span: FloatRange = field(default_factory=FloatRange)


class ImageStream:
    """One camera whose pictures are encoded, each once; `part` of it is wanted."""

    def __init__(self, path: Path, table: PictureTable, coding: ImageCoding, part: Part = WHOLE) -> None:
        self._path, self._table, self._coding, self._part = path, table, coding, part
        self._writer: VideoWriter | LosslessWriter | None = None
        self._pixels = Pixels("")
        self._size = (0, 0)
        self._last_us = -1
        self._held: HeldPicture[av.VideoFrame] = HeldPicture(table, self._write)
        self._fitted = 0
        self._dropped: Counter[str] = Counter()

    def take_raw(
        self,
        stamp_ns: int,
        log_ns: int,
        data: memoryview,
        height: int,
        width: int,
        encoding: str,
        step: int,
        *,
        big_endian: bool = False,
    ) -> None:
        """Encode a raw image; its rows are `step` bytes apart. Raises InputError for an unknown encoding."""
        if self._is_other(encoding):
            return
        span = self._coding.span
        self._take(
            stamp_ns,
            log_ns,
            lambda: read_image(
                data, height, width, encoding, step, big_endian=big_endian, pixels=self._pixels, span=span
            ),
            "smaller than its size says",
        )

    def take_png(self, stamp_ns: int, log_ns: int, data: memoryview) -> None:
        """Decode a png and encode it."""
        if not self._is_other("png"):
            self._take(stamp_ns, log_ns, lambda: decode_still("png", bytes(data)), "no whole png")

    def take_depth(self, stamp_ns: int, log_ns: int, data: memoryview, form: str) -> None:
        """Decode a compressedDepth message and encode it. Raises InputError for other codings than png."""
        if not self._is_other(form):
            span = self._coding.span
            read = lambda: read_compressed_depth(data, form, self._pixels, span)  # noqa: E731
            self._take(stamp_ns, log_ns, read, "no whole png")

    def pass_over(self, stamp_ns: int, log_ns: int) -> None:
        """Take note of a picture outside of the part: its time says whether those beside it are right."""
        instant = self._table.times.choose(stamp_ns, log_ns)
        with disk_errors(self._path):
            self._held.take(Taken(instant, 0, None))

    def finish(self) -> Video | None:
        """Close the file; None where no picture could be written."""
        with disk_errors(self._path):
            self._held.release()
        writer = self._writer
        if writer is None or writer.size is None:
            return None
        notes = [f"{self._fitted} pictures of another size are fitted into that of the first"] * bool(self._fitted)
        pixels = {"encoding": self._pixels.encoding, **self._pixels.facts}
        with disk_errors(self._path):
            if isinstance(writer, LosslessWriter):
                writer.close()
                codec, pixels["stored_as"] = "ffv1", writer.stored_as
            else:
                writer.__exit__(None, None, None)
                codec = "h264"
        if self._pixels.clipped:
            span = self._coding.span
            notes.append(
                f"{self._pixels.clipped} values lie outside of {span.low:g} to {span.high:g} {span.unit} and have no "
                "code; set float_range of the camera"
            )
        return Video(
            self._table.make(keyframes_us=writer.keyframe_pts),
            codec,
            *writer.size,
            copied=False,
            dropped=self._dropped,
            notes=notes,
            pixels=pixels,
        )

    def _is_other(self, encoding: str) -> bool:
        """Whether the camera has begun with another encoding; the message is left out then."""
        self._pixels.encoding = self._pixels.encoding or encoding
        if encoding == self._pixels.encoding:
            return False
        self._dropped["of another encoding"] += 1
        return True

    def _take(self, stamp_ns: int, log_ns: int, read: Callable[[], av.VideoFrame], broken: str) -> None:
        try:
            picture = read()
        except (SmallImageError, av.InvalidDataError, av.EOFError, IndexError):
            self._dropped[broken] += 1
            return
        with disk_errors(self._path):
            writer = self._open(picture)
            if isinstance(writer, LosslessWriter) and not writer.fits(picture):
                self._dropped["of another size"] += 1
                return
            self._fitted += (picture.width, picture.height) != self._size
            instant = self._table.times.choose(stamp_ns, log_ns)
            coded = picture if isinstance(writer, LosslessWriter) else as_yuv420p(picture)
            self._held.take(Taken(instant, self._table.messages - 1, coded))
            if self._part == WHOLE and not len(self._table):
                # The first one makes the writer's form.
                self._held.release()

    def _write(self, taken: Taken[av.VideoFrame], after: Instant | None) -> None:
        if self._writer is None:
            return
        time_ns = self._table.settle(taken.instant, fits=lambda pts_us: pts_us > self._last_us, after=after)
        if taken.picture is None or not self._part.holds(time_ns):
            return
        if isinstance(self._writer, LosslessWriter) and not self._writer.fits(taken.picture):
            self._dropped["of another size"] += 1
        else:
            self._last_us = self._table.enter(time_ns, taken.source, keyframe=False)
            self._writer.write(taken.picture, self._last_us)

    def _open(self, picture: av.VideoFrame) -> VideoWriter | LosslessWriter:
        if self._writer is None:
            self._size = (picture.width, picture.height)
            if self._coding.raw == "lossless" or is_deep(picture.format.name):
                self._writer = LosslessWriter(self._path, rate=TOLD_FPS)
            else:
                self._writer = VideoWriter(
                    self._path, rate=TOLD_FPS, time_base=TIME_BASE, crf=self._coding.crf, preset=PRESET
                )
        return self._writer
