"""A recording as its landmarks see it: the first seconds, with the sound, to be looked at in a browser.

Each track has its colour. A hollow point was imputed, a dim and dashed face was interpolated between its
neighbours in time. Below the picture stand the number of the frame and its time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import cv2
import numpy as np
import soundfile
from av.video.reformatter import ColorRange

from scripts.common.job import progress, run
from scripts.common.landmarks import Landmarks
from scripts.common.video import (
    ENCODER_THREADS,
    EXACT,
    VideoReader,
    as_yuv420p,
    even,
    instant_of,
    pixel_shape,
    upright,
)

Colour = tuple[int, int, int]

MAX_WIDTH_PX = 640
# A small picture is enlarged, so that the points of its face stand apart.
MAX_SCALE = 2
CRF = 23
PRESET = "veryfast"

# Blue, green, red; bright, and told apart by the colour-blind.
TRACK_COLOURS = [(120, 230, 0), (0, 190, 255), (255, 200, 90), (220, 130, 230), (90, 240, 245), (255,) * 3]
DARK = (25, 25, 25)
LIGHT = (235, 235, 235)
QUIET = (165, 165, 165)
DIM = 0.6

# The 68 points in the order of a pencil; True: the last is joined to the first.
CONTOURS = [
    (range(17), False),
    (range(17, 22), False),
    (range(22, 27), False),
    (range(27, 31), False),
    (range(31, 36), False),
    (range(36, 42), True),
    (range(42, 48), True),
    (range(48, 60), True),
    (range(60, 68), True),
]
DASH_PX = 3.0

# OpenCV draws to 1 / 2**SHIFT of a pixel.
SHIFT = 4
FAR_PX = 20_000

CAPTION_PX = 22
FONT = "sans"
TEXT_PX = 13
TEXT_WEIGHT = 400
# A canvas on which no text needs a second line.
ROOM_PX = 4096
CARD_SIZE = (480, 270)
CARD_TEXT = "no video: see the ledger"
CARD_TEXT_PX = 22
CARD_FRAMES = 25

# What AAC can carry; any other rate is heard at the last one.
AAC_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
AAC_FRAME = 1024
AAC_BITS_PER_SAMPLE = 4


@dataclass(frozen=True)
class Face:
    """One row of the landmarks. points: float (68, 2), pixels of the overlay, NaN where unknown."""

    track: int
    points: np.ndarray
    imputed: np.ndarray
    interpolated: bool


def faces_of(landmarks: Landmarks, frame: int, scale: tuple[float, float]) -> list[Face]:
    """The faces of a frame in a picture of other size; one without any coordinates is none."""
    rows = np.flatnonzero(landmarks.frame == frame)
    # A coordinate names the middle of its pixel, in both sizes.
    points = (landmarks.points[rows].astype(np.float64) + 0.5) * scale - 0.5
    return [
        Face(int(landmarks.track[row]), face, landmarks.imputed, bool(landmarks.interpolated[row]))
        for row, face in zip(rows, points, strict=True)
        if np.isfinite(face).all(axis=1).any()
    ]


def shown_size(width: int, height: int, shape: Fraction | None) -> tuple[int, int]:
    """Even size of the overlay: square pixels, MAX_WIDTH_PX wide, but at most MAX_SCALE times what it was.

    shape: width of a pixel over its height; None counts as square.
    """
    wide = width * (shape or Fraction(1))
    scale = min(Fraction(MAX_SCALE), MAX_WIDTH_PX / wide)
    return even(round(wide * scale)), even(round(height * scale))


def known_runs(line: np.ndarray) -> list[np.ndarray]:
    """The stretches of a line, float (N, 2), between its unknown points."""
    known = np.isfinite(line).all(axis=1)
    edges = np.flatnonzero(np.diff(known, prepend=False, append=False))
    return [line[first:stop] for first, stop in edges.reshape(-1, 2)]


def dashes(line: np.ndarray, length: float) -> list[np.ndarray]:
    """Every other stretch of `length` along a line, float (N, 2), each as its two ends, float (2, 2)."""
    steps = np.hypot(*np.diff(line, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    starts = np.arange(0.0, along[-1], 2 * length)
    ends = np.minimum(starts + length, along[-1])
    at = np.stack([starts, ends], axis=1)
    return list(np.stack([np.interp(at, along, line[:, k]) for k in (0, 1)], axis=2))


def draw_face(canvas: np.ndarray, face: Face) -> None:
    """Draw contours and points into `canvas`, uint8 (height, width, 3)."""
    colour = TRACK_COLOURS[face.track % len(TRACK_COLOURS)]
    if face.interpolated:
        colour = (round(colour[0] * DIM), round(colour[1] * DIM), round(colour[2] * DIM))
    for indices, closed in CONTOURS:
        pieces = known_runs(face.points[[*indices, indices[0]] if closed else list(indices)])
        if face.interpolated:
            pieces = [dash for piece in pieces for dash in dashes(piece, DASH_PX)]
        cv2.polylines(canvas, [_fixed(piece) for piece in pieces], False, colour, 1, cv2.LINE_AA, SHIFT)
    known = np.isfinite(face.points).all(axis=1)
    points, radius = face.points[known], point_radius(face.points[known])
    for point, imputed in zip(_fixed(points).tolist(), face.imputed[known].tolist(), strict=True):
        if imputed:
            _disc(canvas, point, radius + 1, colour)
            _disc(canvas, point, radius, DARK)
        else:
            _disc(canvas, point, radius + 0.7, DARK)
            _disc(canvas, point, radius, colour)


def point_radius(points: np.ndarray) -> float:
    """Radius of a point in pixels, by the size of the face, so that the eyes of a small one stay eyes."""
    return float(np.clip(np.ptp(points, axis=0).max() / 110, 0.9, 2.5))


def draw_caption(canvas: np.ndarray, left: str, right: str = "") -> None:
    """Write into the lowest CAPTION_PX rows; `right` is left out where there is no room for it."""
    height, width = canvas.shape[:2]
    size = TEXT_PX if width >= 2 * CARD_SIZE[0] // 3 else TEXT_PX - 3
    baseline = height - CAPTION_PX // 2 + size // 2 - 1
    _write(canvas, left, 6, baseline, size, LIGHT)
    start = width - 6 - _text_width(right, size)
    if right and start > 18 + _text_width(left, size):
        _write(canvas, right, start, baseline, size, QUIET)


def caption(frame: int, time: Fraction, faces: int) -> str:
    """What stands below a frame."""
    found = {0: "no face", 1: "1 face"}.get(faces, f"{faces} faces")
    return f"frame {frame}   {float(time):.3f} s   {found}"


def draw_card() -> np.ndarray:
    """The picture that stands for a video that failed."""
    canvas = np.full((CARD_SIZE[1], CARD_SIZE[0], 3), DARK, np.uint8)
    left = (CARD_SIZE[0] - _text_width(CARD_TEXT, CARD_TEXT_PX)) // 2
    _write(canvas, CARD_TEXT, left, (CARD_SIZE[1] + CARD_TEXT_PX) // 2, CARD_TEXT_PX, LIGHT)
    return canvas


def draw_overlay(
    video: Path, landmarks: Landmarks, seconds: float, remarks: Sequence[str] = ()
) -> Iterator[tuple[np.ndarray, Fraction, Fraction]]:
    """The pictures before `seconds`, uint8 (height, width, 3), with the times when each comes and goes."""
    # The decimal that a person wrote: the float 0.2 lies a little beyond the fifth frame of 25 fps.
    end = Fraction(str(seconds))
    with VideoReader(video) as reader:
        period = 1 / Fraction(reader.stream.average_rate or 25)
        for frame, coded in enumerate(reader):
            time = instant_of(coded)
            if time is None or time >= end:
                return
            picture = upright(coded)
            width, height = shown_size(picture.width, picture.height, pixel_shape(reader, coded))
            small = picture.reformat(width, height, "bgr24", interpolation=EXACT, threads=1)
            canvas = np.full((height + CAPTION_PX, width, 3), DARK, np.uint8)
            canvas[:height] = small.to_ndarray()
            faces = faces_of(landmarks, frame, (width / picture.width, height / picture.height))
            for face in faces:
                draw_face(canvas[:height], face)
            guessed = ["interpolated"] if any(face.interpolated for face in faces) else []
            draw_caption(canvas, caption(frame, time, len(faces)), ", ".join([*remarks, *guessed]))
            yield canvas, time, time + period
            progress(frame + 1)


def read_sound(sound: Path, seconds: float) -> tuple[np.ndarray, int]:
    """The first channel before `seconds`, float32 (N,), at a rate that AAC knows; empty where it failed."""
    if not sound.stat().st_size:
        return np.empty(0, np.float32), AAC_RATES_HZ[-1]
    with soundfile.SoundFile(sound) as file:
        rate_hz = file.samplerate
        signal = file.read(round(seconds * rate_hz), dtype="float32", always_2d=True)[:, 0]
    if rate_hz in AAC_RATES_HZ:
        return signal, rate_hz
    heard_hz = AAC_RATES_HZ[-1]
    # To listen to, a straight line between two samples is good enough.
    at = np.arange(len(signal) * heard_hz // rate_hz) * (rate_hz / heard_hz)
    return np.interp(at, np.arange(len(signal)), signal).astype(np.float32), heard_hz


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


def render_overlay(video: Path, sound: Path, landmarks: Path, out_video: Path, *, seconds: float) -> None:
    """Draw `landmarks` into the first `seconds` of `video` and put the sound beside it.

    video, sound: conformed, so both begin at time 0; of zero bytes where they failed. A failed video becomes
    a card of a second that says so.
    """
    signal, rate_hz = read_sound(sound, seconds)
    if video.stat().st_size:
        shown = draw_overlay(video, Landmarks.read(landmarks), seconds, [] if len(signal) else ["no sound"])
    else:
        times = [Fraction(k, CARD_FRAMES) for k in range(CARD_FRAMES + 1)]
        shown = ((draw_card(), time, until) for time, until in pairwise(times))
        signal = signal[:0]
    first = next(shown)
    with OverlayWriter(out_video, first[0].shape[1::-1], signal, rate_hz) as writer:
        writer.write(*first)
        for picture in shown:
            writer.write(*picture)


def _fixed(points: np.ndarray) -> np.ndarray:
    """Pixels as OpenCV's fixed point numbers."""
    fixed: np.ndarray = np.rint(np.clip(points, -FAR_PX, FAR_PX) * 2**SHIFT).astype(np.int32)
    return fixed


def _disc(canvas: np.ndarray, point: list[int], radius: float, colour: Colour) -> None:
    cv2.circle(canvas, point, round(radius * 2**SHIFT), colour, -1, cv2.LINE_AA, SHIFT)


def _write(canvas: np.ndarray, text: str, left: int, baseline: int, size: int, colour: Colour) -> None:
    cv2.putText(canvas, text, (left, baseline), colour, cv2.FontFace(FONT), size, TEXT_WEIGHT)


def _text_width(text: str, size: int) -> int:
    room = (ROOM_PX, ROOM_PX)
    return int(cv2.getTextSize(room, text, (0, size), cv2.FontFace(FONT), size, TEXT_WEIGHT)[2])


if __name__ == "__main__":
    run(render_overlay)
