"""Pictures that come one by one as jpeg: copied as MJPEG."""

import io
from collections import Counter
from pathlib import Path

import av
import numpy as np

from scripts.common.errors import InputError
from scripts.common.packet_writer import PacketWriter
from scripts.sources.held_picture import HeldPicture, Taken
from scripts.sources.picture_table import PictureTable, Video
from scripts.sources.picture_times import Instant
from scripts.sources.wanted_part import WHOLE, Part

JPEG = b"\xff\xd8"
END_OF_JPEG = b"\xff\xd9"


class JpegStream:
    """One camera that sends jpeg; `part` of it is wanted."""

    def __init__(self, path: Path, table: PictureTable, part: Part = WHOLE) -> None:
        self._path = path
        self._table = table
        self._part = part
        self._writer: PacketWriter | None = None
        self._size = (0, 0)
        self._held: HeldPicture[bytes] = HeldPicture(table, self._write)
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
        instant = self._table.times.choose(stamp_ns, log_ns)
        # The reader's memory goes with the message.
        self._held.take(Taken(instant, self._table.messages - 1, bytes(data)))

    def pass_over(self, stamp_ns: int, log_ns: int) -> None:
        """Take note of a picture outside of the part: its time says whether those beside it are right."""
        instant = self._table.times.choose(stamp_ns, log_ns)
        self._held.take(Taken(instant, 0, None))

    def finish(self) -> Video | None:
        """Close the file; None where no picture is in the part. Raises InputError where there is no picture at all."""
        if self._writer is None:
            raise InputError("undecodable", f"none of its {self._table.messages} messages holds a jpeg")
        self._held.release()
        if not len(self._table):
            return None
        self._writer.close()
        tainted = np.frombuffer(self._cut_short, np.bool_)
        return Video(self._table.make(tainted=tainted), "mjpeg", *self._size, copied=True, dropped=self._dropped)

    def _write(self, taken: Taken[bytes], after: Instant | None) -> None:
        if self._writer is None:
            return
        time_ns = self._table.settle(taken.instant, fits=self._writer.fits, after=after)
        if taken.picture is None or not self._part.holds(time_ns):
            return
        pts_us = self._table.enter(time_ns, taken.source, keyframe=True)
        self._cut_short.append(not taken.picture[-64:].rstrip(b"\0").endswith(END_OF_JPEG))
        self._writer.write(taken.picture, pts_us, keyframe=True)

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
