"""A recording as its landmarks see it: the first seconds, with the sound, to be looked at in a browser.

Each track has its colour. A hollow point was imputed, a dim and dashed face was interpolated between its
neighbours in time. Below the picture stand the number of the frame and its time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import soundfile

from scripts.common.aac_rates import AAC_RATES_HZ
from scripts.common.job import progress, run
from scripts.common.landmarks import Landmarks
from scripts.common.packets import instant_of
from scripts.common.video import EXACT, VideoReader, even, pixel_shape, upright
from scripts.reports.overlay_writer import SHIFT, OverlayWriter, draw_disc, fixed, text_width, write_text

MAX_WIDTH_PX = 640
# A small picture is enlarged, so that the points of its face stand apart.
MAX_SCALE = 2

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

CAPTION_PX = 22
TEXT_PX = 13
CARD_SIZE = (480, 270)
CARD_TEXT = "no video: see the ledger"
CARD_TEXT_PX = 22
CARD_FRAMES = 25

# At which a sound is heard whose own rate AAC has not.
HEARD_HZ = 48_000


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
        cv2.polylines(canvas, [fixed(piece) for piece in pieces], False, colour, 1, cv2.LINE_AA, SHIFT)
    known = np.isfinite(face.points).all(axis=1)
    points, radius = face.points[known], point_radius(face.points[known])
    for point, imputed in zip(fixed(points).tolist(), face.imputed[known].tolist(), strict=True):
        if imputed:
            draw_disc(canvas, point, radius + 1, colour)
            draw_disc(canvas, point, radius, DARK)
        else:
            draw_disc(canvas, point, radius + 0.7, DARK)
            draw_disc(canvas, point, radius, colour)


def point_radius(points: np.ndarray) -> float:
    """Radius of a point in pixels, by the size of the face, so that the eyes of a small one stay eyes."""
    return float(np.clip(np.ptp(points, axis=0).max() / 110, 0.9, 2.5))


def draw_caption(canvas: np.ndarray, left: str, right: str = "") -> None:
    """Write into the lowest CAPTION_PX rows; `right` is left out where there is no room for it."""
    height, width = canvas.shape[:2]
    size = TEXT_PX if width >= 2 * CARD_SIZE[0] // 3 else TEXT_PX - 3
    baseline = height - CAPTION_PX // 2 + size // 2 - 1
    write_text(canvas, left, 6, baseline, size, LIGHT)
    start = width - 6 - text_width(right, size)
    if right and start > 18 + text_width(left, size):
        write_text(canvas, right, start, baseline, size, QUIET)


def caption(frame: int, time: Fraction, faces: int) -> str:
    """What stands below a frame."""
    found = {0: "no face", 1: "1 face"}.get(faces, f"{faces} faces")
    return f"frame {frame}   {float(time):.3f} s   {found}"


def draw_card() -> np.ndarray:
    """The picture that stands for a video that failed."""
    canvas = np.full((CARD_SIZE[1], CARD_SIZE[0], 3), DARK, np.uint8)
    left = (CARD_SIZE[0] - text_width(CARD_TEXT, CARD_TEXT_PX)) // 2
    write_text(canvas, CARD_TEXT, left, (CARD_SIZE[1] + CARD_TEXT_PX) // 2, CARD_TEXT_PX, LIGHT)
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
        return np.empty(0, np.float32), HEARD_HZ
    with soundfile.SoundFile(sound) as file:
        rate_hz = file.samplerate
        signal = file.read(round(seconds * rate_hz), dtype="float32", always_2d=True)[:, 0]
    if rate_hz in AAC_RATES_HZ:
        return signal, rate_hz
    # To listen to, a straight line between two samples is good enough.
    at = np.arange(len(signal) * HEARD_HZ // rate_hz) * (rate_hz / HEARD_HZ)
    return np.interp(at, np.arange(len(signal)), signal).astype(np.float32), HEARD_HZ


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


if __name__ == "__main__":
    run(render_overlay)
