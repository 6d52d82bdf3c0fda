"""Encoded pictures, or copied ones, with mixed sound in one MP4; the same bytes on every run.

Both begin at 0 and each picture stands at its own microsecond. Pictures are encoded by a thread of their own, while
the next ones are composed.
"""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import av
import numpy as np

from scripts.common import mp4
from scripts.common.encoder import THREADS, Coding
from scripts.common.packet_writer import MP4_OPTIONS, TIME_BASE, disk_errors
from scripts.common.timeline import NS

# Pictures that wait for the encoder.
QUEUE = 4
# Sound is written so far ahead of the pictures.
LEAD_S = Fraction(1, 2)
# PCM is packed: bare in an MP4 it is a noise to players of 2022.
SOUND_CODECS = {"aac": ("aac", "fltp"), "pcm": ("alac", "s32p")}
# A keyframe stands at least so often.
GOP_S = 2
# Steps between two samples of a track are 31 bits of its time scale.
LONGEST_STEP = 2**31 - 1
# Of a single picture.
USUAL_RATE = Fraction(25)


def time_base_for(longest_step_us: int) -> Fraction:
    """Microseconds, or the finest coarser unit in which the longest step between two pictures fits into MP4."""
    base = TIME_BASE
    while longest_step_us * TIME_BASE / base >= LONGEST_STEP:
        base *= 10
    return base


def encoder_rate(period_ns: int) -> Fraction:
    """About how many pictures a second there are, for the encoder's plans, from their median distance."""
    if not period_ns:
        return USUAL_RATE
    return min(max(Fraction(NS, period_ns).limit_denominator(1001), Fraction(1, 1000)), Fraction(1000))


class Sound(Protocol):
    """What sounds beside the pictures: see `placed_sound.Mix`."""

    sides: int
    samples: int
    rate_hz: int

    def read(self, count: int) -> np.ndarray:
        """The next samples, float32 (sides, count)."""


@dataclass(frozen=True)
class SoundCoding:
    """codec: aac or pcm (24 bit, packed without loss as ALAC); kbps: of each side, for aac."""

    codec: str
    kbps: int = 96


class SoundTrack:
    """The sound stream of a container, written as far as it is asked for."""

    def __init__(self, container: Any, sound: Sound, coding: SoundCoding) -> None:
        name, self._form = SOUND_CODECS[coding.codec]
        self._container, self._sound, self._done = container, sound, 0
        self._stream = mp4.add_sound(container, name, sound.rate_hz, sound.sides)
        context = self._stream.codec_context
        context.time_base = self._stream.time_base = Fraction(1, sound.rate_hz)
        if coding.codec == "aac":
            context.bit_rate = coding.kbps * 1000 * sound.sides

    def write_until(self, instant_s: Fraction) -> None:
        """Write all sound before `instant_s`, and a little more."""
        wanted = min(self._sound.samples, int((instant_s + LEAD_S) * self._sound.rate_hz))
        while self._done < wanted:
            count = min(mp4.SOUND_BLOCK, self._sound.samples - self._done)
            self._mux(self._frame(self._sound.read(count)))
            self._done += count

    def finish(self) -> None:
        """Write the rest."""
        self.write_until(Fraction(self._sound.samples, self._sound.rate_hz))
        self._mux(None)

    def _frame(self, block: np.ndarray) -> av.AudioFrame:
        if self._form == "s32p":
            # 24 bits stand in the upper bytes.
            block = np.clip(np.rint(block.astype(np.float64) * 2**23), -(2**23), 2**23 - 1).astype(np.int32) << 8
        return mp4.sound_frame(block, self._done, self._sound.rate_hz, self._form)

    def _mux(self, frame: av.AudioFrame | None) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


class ProductWriter:
    """Encodes yuv420p pictures of one even size into `path`, with a sound beside them or without.

    Use it in `with`; pictures are encoded in the background, and an error comes up at the next call or at the end.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        coding: Coding,
        *,
        rate: Fraction,
        longest_step_us: int = 0,
        sound: Sound | None = None,
        sound_coding: SoundCoding | None = None,
    ) -> None:
        """rate: pictures a second, for the encoder's plans; each picture says its own time.

        longest_step_us: from one picture to the next; MP4 holds 35 minutes in microseconds, more in coarser units.
        """
        self._path = path
        self._base = time_base_for(longest_step_us)
        self._last = -1
        self._pts: list[int] = []
        self._keyframes: set[int] = set()
        options = {**MP4_OPTIONS, "video_track_timescale": str(self._base.denominator)}
        with disk_errors(path):
            self._container = mp4.create(path, **options)
        self._stream = mp4.add_pictures(self._container, coding, rate, threads=THREADS)
        context = self._stream.codec_context
        context.width, context.height = size
        context.pix_fmt = "yuv420p"
        context.gop_size = max(1, round(GOP_S * rate))
        context.time_base = self._stream.time_base = self._base
        self._sound = SoundTrack(self._container, sound, sound_coding or SoundCoding("aac")) if sound else None
        self._queue: queue.Queue[tuple[av.VideoFrame, int] | None] = queue.Queue(QUEUE)
        self._error: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._encode_all)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._queue.put(None)
        self._thread.join()
        try:
            with disk_errors(self._path):
                self._container.close()
        finally:
            if self._error is not None and kind is None:
                raise self._error

    def write(self, picture: av.VideoFrame, pts_us: int) -> None:
        """Take a picture that nobody else changes; `pts_us` must increase."""
        if self._error is not None:
            raise self._error
        self._queue.put((picture, pts_us))

    @property
    def is_keyframe(self) -> np.ndarray:
        """Which of the pictures are keyframes, bool (N,). To be asked when all are written."""
        return np.array([pts in self._keyframes for pts in self._pts], bool)

    def _encode_all(self) -> None:
        try:
            with disk_errors(self._path):
                for picture, pts_us in self._taken():
                    self._last = max(self._last + 1, round(pts_us * TIME_BASE / self._base))
                    self._pts.append(self._last)
                    picture.pts, picture.time_base = self._last, self._base
                    picture.pict_type = av.video.frame.PictureType.NONE
                    self._mux(picture)
                    if self._sound:
                        self._sound.write_until(pts_us * TIME_BASE)
                self._mux(None)
                if self._sound:
                    self._sound.finish()
        except BaseException as error:
            self._error = error
            while not self._ended:
                self._ended = self._queue.get() is None

    def _taken(self) -> Iterator[tuple[av.VideoFrame, int]]:
        while (item := self._queue.get()) is not None:
            yield item
        self._ended = True

    def _mux(self, picture: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(picture):
            if packet.is_keyframe:
                self._keyframes.add(round(packet.pts * packet.time_base / self._base))
            self._container.mux(packet)
