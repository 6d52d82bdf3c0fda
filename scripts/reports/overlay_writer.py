"""A video to look at in a browser, with sound, and what is drawn and written into its pictures."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange

from scripts.common.video import ENCODER_THREADS, as_yuv420p

Colour = tuple[int, int, int]

CRF = 23
PRESET = "veryfast"

# OpenCV draws to 1 / 2**SHIFT of a pixel.
SHIFT = 4
FAR_PX = 20_000

FONT = "sans"
TEXT_WEIGHT = 400
# A canvas on which no text needs a second line.
ROOM_PX = 4096

AAC_FRAME = 1024
AAC_BITS_PER_SAMPLE = 4


class OverlayWriter:
    """h264 and AAC in an MP4 that a browser plays while it loads; the same bytes on every run."""

    def __init__(self, path: Path, size: tuple[int, int], signal: np.ndarray, rate_hz: int) -> None:
        """size: even width and height.  signal: float32 (N,), begins with the first picture."""
        options = {"fflags": "+bitexact", "movflags": "+faststart"}
        self._container = av.open(f"file:{path}", "w", format="mp4", options=options)
        self._pictures = self._add_pictures(size)
        self._signal, self._rate_hz, self._heard = signal, rate_hz, 0
        self._sound = self._add_sound() if len(signal) else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self._container.mux(self._pictures.encode(None))
            if self._sound is not None:
                self._container.mux(self._sound.encode(None))
        self._container.close()

    def write(self, canvas: np.ndarray, time: Fraction, until: Fraction) -> None:
        """Write a picture, uint8 (height, width, 3), that stands from `time` to `until`, and its sound."""
        picture = as_yuv420p(av.VideoFrame.from_ndarray(canvas, format="bgr24"))
        picture.pts, picture.time_base = round(time / self._pictures.time_base), self._pictures.time_base
        self._container.mux(self._pictures.encode(picture))
        self._write_sound(round(until * self._rate_hz))

    def _add_pictures(self, size: tuple[int, int]) -> Any:
        # Without B-frames no player has to start the picture at a time other than 0.
        options = {"crf": str(CRF), "preset": PRESET, "x264-params": "cpu-independent=1:bframes=0"}
        stream = self._container.add_stream("libx264", rate=25, options=options)
        context = stream.codec_context
        context.width, context.height = size
        context.pix_fmt, context.color_range = "yuv420p", ColorRange.MPEG
        context.colorspace = as_yuv420p(av.VideoFrame(*size, "bgr24")).colorspace
        context.thread_count, context.thread_type = ENCODER_THREADS, "FRAME"
        context.flags |= av.codec.context.Flags.bitexact.value
        context.time_base = stream.time_base = Fraction(1, 90_000)
        return stream

    def _add_sound(self) -> Any:
        stream = self._container.add_stream("aac", rate=self._rate_hz, layout="mono")
        context = stream.codec_context
        context.format, context.bit_rate = "fltp", AAC_BITS_PER_SAMPLE * self._rate_hz
        context.thread_count = 1
        context.flags |= av.codec.context.Flags.bitexact.value
        return stream

    def _write_sound(self, stop: int) -> None:
        stop = min(stop, len(self._signal))
        while self._sound is not None and self._heard < stop:
            block = self._signal[None, self._heard : min(stop, self._heard + AAC_FRAME)]
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout="mono")
            frame.sample_rate, frame.time_base = self._rate_hz, Fraction(1, self._rate_hz)
            frame.pts = self._heard
            self._container.mux(self._sound.encode(frame))
            self._heard += block.shape[1]


def fixed(points: np.ndarray) -> np.ndarray:
    """Pixels as OpenCV's fixed point numbers."""
    fixed: np.ndarray = np.rint(np.clip(points, -FAR_PX, FAR_PX) * 2**SHIFT).astype(np.int32)
    return fixed


def draw_disc(canvas: np.ndarray, point: list[int], radius: float, colour: Colour) -> None:
    """Draw a disc; `point` in fixed point numbers."""
    cv2.circle(canvas, point, round(radius * 2**SHIFT), colour, -1, cv2.LINE_AA, SHIFT)


def write_text(canvas: np.ndarray, text: str, left: int, baseline: int, size: int, colour: Colour) -> None:
    """Write one line, `size` pixels high."""
    cv2.putText(canvas, text, (left, baseline), colour, cv2.FontFace(FONT), size, TEXT_WEIGHT)


def text_width(text: str, size: int) -> int:
    """How wide a line is, in pixels."""
    room = (ROOM_PX, ROOM_PX)
    return int(cv2.getTextSize(room, text, (0, size), cv2.FontFace(FONT), size, TEXT_WEIGHT)[2])
