"""A video to look at in a browser, with sound, and what is drawn and written into its pictures."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import cv2
import numpy as np

from scripts.common import mp4
from scripts.common.encoder import THREADS, Coding
from scripts.common.video import as_yuv420p

Colour = tuple[int, int, int]

CODING = Coding("h264", crf=23, preset="veryfast")
# For the encoder's plans; each picture says its own time.
USUAL_RATE = Fraction(25)

# OpenCV draws to 1 / 2**SHIFT of a pixel.
SHIFT = 4
FAR_PX = 20_000

FONT = "sans"
TEXT_WEIGHT = 400
# A canvas on which no text needs a second line.
ROOM_PX = 4096

AAC_BITS_PER_SAMPLE = 4


class OverlayWriter:
    """h264 and AAC in an MP4 that a browser plays while it loads; the same bytes on every run."""

    def __init__(self, path: Path, size: tuple[int, int], signal: np.ndarray, rate_hz: int) -> None:
        """size: even width and height.  signal: float32 (N,), begins with the first picture."""
        self._container = mp4.create(path, movflags="+faststart")
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
        options = {"x264-params": CODING.options["x264-params"] + ":bframes=0"}
        stream = mp4.add_pictures(self._container, CODING, USUAL_RATE, threads=THREADS, **options)
        context = stream.codec_context
        mp4.take_form(context, as_yuv420p(av.VideoFrame(*size, "bgr24")))
        context.thread_type = "FRAME"
        context.time_base = stream.time_base = Fraction(1, 90_000)
        return stream

    def _add_sound(self) -> Any:
        stream = mp4.add_sound(self._container, "aac", self._rate_hz, 1)
        stream.codec_context.bit_rate = AAC_BITS_PER_SAMPLE * self._rate_hz
        return stream

    def _write_sound(self, stop: int) -> None:
        stop = min(stop, len(self._signal))
        while self._sound is not None and self._heard < stop:
            block = self._signal[None, self._heard : min(stop, self._heard + mp4.SOUND_BLOCK)]
            self._container.mux(self._sound.encode(mp4.sound_frame(block, self._heard, self._rate_hz)))
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
