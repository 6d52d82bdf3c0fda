"""Pictures that come one by one: jpeg is copied as MJPEG, raw images and png are encoded once as h264."""

import io
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from scripts.common.errors import InputError
from scripts.common.packet_writer import TIME_BASE, PacketWriter, disk_errors
from scripts.common.video import VideoWriter, as_yuv420p
from scripts.sources.picture_table import PictureTable, Video

# ROS encoding of an image: as ffmpeg calls it, bytes a pixel.
RAW_FORMATS = {
    "bgr8": ("bgr24", 3),
    "rgb8": ("rgb24", 3),
    "8uc3": ("bgr24", 3),
    "bgra8": ("bgra", 4),
    "rgba8": ("rgba", 4),
    "8uc4": ("bgra", 4),
    "mono8": ("gray", 1),
    "8uc1": ("gray", 1),
}
# png decodes to these; what has more than 8 bits would lose them.
PNG_FORMATS = {"rgb24", "rgba", "gray", "ya8", "pal8", "monob"}
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
END_OF_JPEG = b"\xff\xd9"

PRESET = "veryfast"
# The true rate is in the PTS; the encoder's rate control wants to be told one.
TOLD_FPS = Fraction(30)


class JpegStream:
    """One camera that sends jpeg."""

    def __init__(self, path: Path, table: PictureTable) -> None:
        self._path = path
        self._table = table
        self._writer: PacketWriter | None = None
        self._size = (0, 0)
        self._cut_short = bytearray()
        self._dropped: Counter[str] = Counter()

    def take(self, stamp_ns: int, log_ns: int, data: memoryview) -> None:
        """Write one picture."""
        size = jpeg_size(data)
        if size is None or (self._writer is None and not self._open(data, size)):
            self._dropped["no jpeg"] += 1
            return
        if size != self._size:
            self._dropped["of another size"] += 1
            return
        assert self._writer is not None
        time_ns = self._table.times.choose(stamp_ns, log_ns)
        pts_us = self._table.place(time_ns, self._table.messages - 1, keyframe=True, fits=self._writer.fits)
        self._cut_short.append(not bytes(data[-64:]).rstrip(b"\0").endswith(END_OF_JPEG))
        self._writer.write(data, pts_us, keyframe=True)

    def finish(self) -> Video:
        """Close the file. Raises InputError where no picture could be written."""
        if self._writer is None:
            raise InputError("undecodable", f"none of its {self._table.messages} messages holds a jpeg")
        self._writer.close()
        tainted = np.frombuffer(self._cut_short, np.bool_)
        return Video(self._table.make(tainted=tainted), "mjpeg", *self._size, copied=True, dropped=self._dropped)

    def _open(self, data: memoryview, size: tuple[int, int]) -> bool:
        try:
            with av.open(io.BytesIO(data), format="mjpeg") as probe:
                template = probe.streams.video[0]
                if (template.codec_context.width, template.codec_context.height) == size:
                    self._writer = PacketWriter(self._path, template)
                    self._size = size
        except (av.InvalidDataError, av.EOFError, IndexError):
            pass
        return self._writer is not None


class ImageStream:
    """One camera whose pictures are encoded, each once. crf: libx264's."""

    def __init__(self, path: Path, table: PictureTable, crf: int) -> None:
        self._path = path
        self._table = table
        self._crf = crf
        self._writer: VideoWriter | None = None
        self._size = (0, 0)
        self._last_us = -1
        self._fitted = 0
        self._dropped: Counter[str] = Counter()

    def take_raw(
        self, stamp_ns: int, log_ns: int, data: memoryview, height: int, width: int, encoding: str, step: int
    ) -> None:
        """Encode a raw image; its rows are `step` bytes apart. Raises InputError for an unknown encoding."""
        if encoding.lower() not in RAW_FORMATS:
            known = ", ".join(name for name in RAW_FORMATS if not name.startswith("8uc"))
            raise InputError("unsupported", f"its encoding `{encoding}` cannot be exported yet; known: {known}")
        layout, pixel = RAW_FORMATS[encoding.lower()]
        row = width * pixel
        if min(height, width) < 1 or step < row or len(data) < (height - 1) * step + row:
            self._dropped["smaller than its size says"] += 1
            return
        rows = np.ndarray((height, row), np.uint8, data, strides=(step, 1))
        image = np.ascontiguousarray(rows).reshape((height, width) if pixel == 1 else (height, width, pixel))
        self._encode(stamp_ns, log_ns, av.VideoFrame.from_ndarray(image, format=layout))

    def take_png(self, stamp_ns: int, log_ns: int, data: memoryview) -> None:
        """Decode a png and encode it. Raises InputError where that would lose bits."""
        try:
            picture = av.CodecContext.create("png", "r").decode(av.Packet(bytes(data)))[0]
        except (av.InvalidDataError, av.EOFError, IndexError):
            self._dropped["no whole png"] += 1
            return
        assert isinstance(picture, av.VideoFrame)
        if picture.format.name not in PNG_FORMATS:
            raise InputError("unsupported", f"its png of {picture.format.name} cannot be exported yet; known: 8 bit")
        self._encode(stamp_ns, log_ns, picture)

    def finish(self) -> Video:
        """Close the file. Raises InputError where no picture could be written."""
        if self._writer is None or self._writer.size is None:
            raise InputError("undecodable", f"none of its {self._table.messages} messages holds a whole picture")
        with disk_errors(self._path):
            self._writer.__exit__(None, None, None)
        return Video(
            self._table.make(keyframes_us=self._writer.keyframe_pts),
            "h264",
            *self._writer.size,
            copied=False,
            dropped=self._dropped,
            notes=[f"{self._fitted} pictures of another size are fitted into that of the first"] * bool(self._fitted),
        )

    def _encode(self, stamp_ns: int, log_ns: int, picture: av.VideoFrame) -> None:
        with disk_errors(self._path):
            if self._writer is None:
                self._writer = VideoWriter(self._path, rate=TOLD_FPS, time_base=TIME_BASE, crf=self._crf, preset=PRESET)
                self._size = (picture.width, picture.height)
            self._fitted += (picture.width, picture.height) != self._size
            time_ns = self._table.times.choose(stamp_ns, log_ns)
            self._last_us = self._table.place(
                time_ns, self._table.messages - 1, keyframe=False, fits=lambda pts_us: pts_us > self._last_us
            )
            self._writer.write(as_yuv420p(picture), self._last_us)


def jpeg_size(data: memoryview) -> tuple[int, int] | None:
    """Width and height of a jpeg; None if it is none."""
    if data[:2] != JPEG:
        return None
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[position + 7] << 8 | data[position + 8], data[position + 5] << 8 | data[position + 6]
        position += 2 + (data[position + 2] << 8 | data[position + 3])
    return None
