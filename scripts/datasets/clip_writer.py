"""A clip as a file: h264, hevc or av1 and AAC in MP4, each encoded once, the same bytes on every run."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import numpy as np

from scripts.common import mp4
from scripts.common.aac_rates import AAC_RATES_HZ
from scripts.common.encoder import Coding

# What is encoded must not depend on the machine; small clips gain nothing by more.
ENCODER_THREADS = 1
# Bits a second of a channel: what ffmpeg's guide for AAC advises, and from where its quick coder is the better one.
CHANNEL_BITRATE = 64_000
US = Fraction(1, 1_000_000)


class ClipWriter:
    """Pictures and a sound into one file; either may be missing."""

    def __init__(
        self,
        path: Path,
        *,
        rate: Fraction | None,
        coding: Coding,
        sound: np.ndarray | None = None,
        rate_hz: int = 0,
        bitrate: int = 0,
    ) -> None:
        """rate: frames a second, None for no picture.  sound: float32 (channels, N), the clip's own.
        bitrate: of the sound, bits a second; 0: CHANNEL_BITRATE a channel.

        With a rate whose pictures come at equal steps, their times are exact in the file.
        """
        self._container = mp4.create(path)
        self._video: Any = None
        self._audio: Any = None
        self._blocks: Iterator[av.AudioFrame] = iter(())
        self._waiting: Any = None
        self.size: tuple[int, int] | None = None
        if rate is not None:
            self._video = mp4.add_pictures(self._container, coding, rate, threads=ENCODER_THREADS)
            self._step = 1 / rate
        if sound is not None:
            self._audio = add_sound(self._container, (sound, rate_hz), bitrate)
            self._blocks = sound_blocks(sound, rate_hz)
            self._waiting = next(self._blocks, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            if self._video is not None and self.size is not None:
                self._mux(self._video.encode(None))
            if self._audio is not None:
                self._sound_until(None)
                self._mux(self._audio.encode(None))
        self._container.close()

    def write(self, picture: av.VideoFrame, time_us: int, *, on_grid: int | None = None) -> None:
        """Write a yuv420p picture at `time_us`; on_grid: its number, where pictures come at equal steps."""
        if self.size is None:
            context = self._video.codec_context
            mp4.take_form(context, picture)
            self.size = context.width, context.height
            base = self._step if on_grid is not None else US
            context.time_base = self._video.time_base = base
        elif (picture.width, picture.height) != self.size:
            # A stream may change its size; its clip must not.
            picture = picture.reformat(width=self.size[0], height=self.size[1], threads=1)
        picture.time_base = self._step if on_grid is not None else US
        picture.pts = time_us if on_grid is None else on_grid
        picture.pict_type = av.video.frame.PictureType.NONE
        self._mux(self._video.encode(picture))
        self._sound_until(Fraction(time_us, 1_000_000))

    def _sound_until(self, instant: Fraction | None) -> None:
        while self._waiting is not None and (instant is None or self._waiting.pts * self._waiting.time_base <= instant):
            self._mux(self._audio.encode(self._waiting))
            self._waiting = next(self._blocks, None)

    def _mux(self, packets: "list[av.Packet[Any]]") -> None:
        for packet in packets:
            self._container.mux(packet)


def add_sound(target: Any, sound: tuple[np.ndarray, int] | None, bitrate: int) -> Any:
    """A stream of AAC for the sound of a clip, float32 (channels, N) with its rate; None without."""
    if sound is None:
        return None
    stream = mp4.add_sound(target, "aac", sound[1], len(sound[0]))
    set_bitrate(stream, bitrate, len(sound[0]))
    return stream


def set_bitrate(stream: Any, bitrate: int, channels: int) -> None:
    """Bits a second of an AAC stream that is not open yet; 0: CHANNEL_BITRATE a channel.

    ffmpeg's quick search for quantizers is better, too, says its manual, where bits are not scarce.
    """
    usual = CHANNEL_BITRATE * channels
    stream.codec_context.bit_rate = bitrate or usual
    if stream.codec_context.bit_rate >= usual:
        stream.codec_context.options = {"aac_coder": "fast"}


def sound_blocks(sound: np.ndarray, rate_hz: int) -> Iterator[av.AudioFrame]:
    """Frames for an encoder, of a sound that is float32 (channels, N)."""
    for start in range(0, sound.shape[1], mp4.SOUND_BLOCK):
        part = sound[:, start : start + mp4.SOUND_BLOCK]
        yield mp4.sound_frame(part, start, rate_hz)


def sound_of_clip(
    sound: np.ndarray, rate_hz: int, start_s: float, stop_s: float, *, out_rate_hz: int, out_channels: int
) -> tuple[np.ndarray, int]:
    """The samples of a clip by time, float32 (channels, N), padded with silence to its length, and their rate."""
    first, stop = round(start_s * rate_hz), round(stop_s * rate_hz)
    part = sound[:, max(0, first) : max(0, stop)]
    if part.shape[1] < stop - first:
        part = np.pad(part, ((0, 0), (0, stop - first - part.shape[1])))
    wanted = out_channels or min(len(part), max(mp4.LAYOUTS))
    if len(part) != wanted:
        part = np.repeat(part.mean(axis=0, keepdims=True), wanted, axis=0)
    rate = out_rate_hz or rate_hz
    if rate not in AAC_RATES_HZ:
        rate = min(AAC_RATES_HZ, key=lambda known: abs(known - rate))
    if rate != rate_hz:
        # Only here: a clip whose rate stays does not wait for its import.
        from scipy.signal import resample_poly

        ratio = Fraction(rate, rate_hz)
        part = resample_poly(part, ratio.numerator, ratio.denominator, axis=1)
    return np.clip(part, -1.0, 1.0).astype(np.float32), rate
