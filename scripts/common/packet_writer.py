"""Stream copy into MP4: encoded pictures as they are, each with its true time in microseconds.

A file made so has the time base 1/1,000,000 and its first picture at PTS 0. Codecs with B-frames send pictures in
the order of decoding: their DTS are the sorted PTS, delayed by as many pictures as the codec reorders.
"""

import heapq
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.video.stream import VideoStream

from scripts.common import mp4
from scripts.common.errors import InputError, is_machine_fault

TIME_BASE = Fraction(1, 1_000_000)
# The µs of the track hold for the whole file.
MP4_OPTIONS = {"movie_timescale": "1000000", "video_track_timescale": "1000000"}
# Distance of the DTS that stand before the first picture; any would do.
LEAD_US = 1_000
# Steps between two pictures of a track are 31 bits of its time scale.
LONGEST_STEP_US = 2**31 - 1


class PacketWriter:
    """Writes the packets of one video to `path`.

    `template`: a stream of an open container, with the codec's parameters. `reorder`: how many pictures the codec
    reorders at most, 0 without B-frames.
    """

    def __init__(self, path: Path, template: VideoStream, *, reorder: int = 0) -> None:
        self._path = path
        self._reorder = reorder
        self._pending: list[int] = []
        self._last_dts: int | None = None
        self._steps = (0, 0)
        self._count = 0
        with disk_errors(path):
            self._container = mp4.create(path, **MP4_OPTIONS)
            # opaque: the codec is copied by its parameters, so that one without an encoder here (AV1) will do, too.
            self._stream = self._container.add_stream_from_template(template, opaque=True)
        self._stream.time_base = TIME_BASE
        mp4.tag(self._stream, template.codec_context.name)

    def fits(self, pts_us: int) -> bool:
        """Whether a picture can still be given this time: after all that is decoded before it, and not taken."""
        return (self._last_dts is None or pts_us > self._last_dts) and pts_us not in self._pending

    def write(self, data: "bytes | memoryview | av.Packet[Any]", pts_us: int, *, keyframe: bool) -> None:
        """Append a packet, in the order of decoding. `pts_us` must fit."""
        if not self.fits(pts_us):
            raise ValueError(f"no room for a picture at {pts_us} µs after DTS {self._last_dts} µs")
        packet = data if isinstance(data, av.Packet) else av.Packet(data)  # type: ignore[arg-type]
        packet.stream = self._stream
        packet.time_base = TIME_BASE
        packet.pts = pts_us
        packet.dts = self._next_dts(pts_us)
        check_step(self._steps[1])
        # The steps of the DTS are what counts; a duration only for the last packet, and not that of a gap.
        packet.duration = min(self._steps) or max(self._steps)
        packet.is_keyframe = keyframe
        try:
            self._container.mux_one(packet)
        except av.FFmpegError as error:
            raise _disk_error(error, self._path) from error

    def close(self) -> None:
        """Finish the file."""
        with disk_errors(self._path):
            self._container.close()

    def _next_dts(self, pts_us: int) -> int:
        heapq.heappush(self._pending, pts_us)
        if self._count < self._reorder:
            dts = self._pending[0] - (self._reorder - self._count) * LEAD_US
        else:
            dts = heapq.heappop(self._pending)
        if self._last_dts is not None:
            dts = max(dts, self._last_dts + 1)
            self._steps = (self._steps[1], dts - self._last_dts)
        self._last_dts = dts
        self._count += 1
        return dts


def check_step(step_us: int) -> None:
    """Raise InputError for a pause between two pictures that the file could not tell."""
    if step_us > LONGEST_STEP_US:
        raise InputError(
            "long_pause",
            f"{step_us / 1e6:.0f} s without a picture, and MP4 holds at most {LONGEST_STEP_US // 1_000_000}: make two "
            "recordings of it by the columns `start` and `end`",
            value=step_us / 1e6,
            limit=LONGEST_STEP_US / 1e6,
        )


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """A full disk, said by ffmpeg, becomes the OSError that it is."""
    try:
        yield
    except av.FFmpegError as error:
        raise _disk_error(error, path) from error


def _disk_error(error: av.FFmpegError, path: Path) -> Exception:
    if is_machine_fault(error) or isinstance(error, PermissionError):
        return OSError(error.errno, error.strerror, str(path))
    return error
