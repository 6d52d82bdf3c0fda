"""Pictures without loss: FFV1, each frame a keyframe, with checksums; the same bytes on every run."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from scripts.common import mp4
from scripts.common.packet_writer import MP4_OPTIONS, TIME_BASE
from scripts.sources.pixel_formats import lossless_form

# Constants: slices are coded by themselves, so they are part of what is written.
OPTIONS = {"level": "3", "slices": "4", "slicecrc": "1", "g": "1"}
THREADS = 2


class LosslessWriter:
    """Writes pictures of one size and kind to `path`. size: of the first one."""

    def __init__(self, path: Path, *, rate: Fraction) -> None:
        self._container = mp4.create(path, **MP4_OPTIONS)
        self._stream: Any = self._container.add_stream("ffv1", rate=rate, options=OPTIONS)
        context = self._stream.codec_context
        context.thread_count = THREADS
        mp4.make_bitexact(context)
        context.time_base = self._stream.time_base = TIME_BASE
        self.size: tuple[int, int] | None = None
        self.layout = ""
        self.keyframe_pts: set[int] = set()

    def fits(self, picture: av.VideoFrame) -> bool:
        """Whether a picture has the size and kind of the first one."""
        return self.size is None or (self.size, self.layout) == ((picture.width, picture.height), picture.format.name)

    def write(self, picture: av.VideoFrame, pts_us: int) -> None:
        """Append a picture that fits. Raises InputError for a kind that FFV1 does not store."""
        if self.size is None:
            self.size, self.layout = (picture.width, picture.height), picture.format.name
        stored = lossless_form(picture)
        context = self._stream.codec_context
        if not context.is_open:
            context.width, context.height = self.size
            context.pix_fmt = stored.format.name
        stored.pts, stored.time_base = pts_us, TIME_BASE
        self.keyframe_pts.add(pts_us)
        self._mux(stored)

    def close(self) -> None:
        """Finish the file."""
        self._mux(None)
        self._container.close()

    @property
    def stored_as(self) -> str:
        """Pixel format in the file."""
        return str(self._stream.codec_context.pix_fmt)

    def _mux(self, picture: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(picture):
            self._container.mux(packet)
