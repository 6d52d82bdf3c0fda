"""Why a window is not taken: pure decisions over frame numbers, each with its value and its limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Self

import numpy as np

from scripts.common.clock import Clock
from scripts.common.frame_table import FrameTable
from scripts.common.landmarks import POINTS, Landmarks

# iBUG 68: nose and eyes hardly move against the skull; the outer corners of the eyes are 36 and 45.
STABLE = np.r_[27:48]
EYE_CORNERS = (36, 45)


class Reject(NamedTuple):
    """Reason code, the value that decided, its limit, and a line for a person."""

    reason: str
    value: float
    limit: float
    message: str


class Exclusion(NamedTuple):
    """A stretch on the recording's clock that a person has ruled out."""

    start_ns: float
    stop_ns: float
    reason: str

    @classmethod
    def of(cls, entry: Sequence[object], origin_ns: float) -> Self:
        """From (start_s, stop_s, reason), seconds from the recording's start `origin_ns`; None is start or end."""
        start, stop, reason = entry
        start_ns = -np.inf if start is None else origin_ns + float(str(start)) * 1e9
        stop_ns = np.inf if stop is None else origin_ns + float(str(stop)) * 1e9
        return cls(start_ns, stop_ns, str(reason))


@dataclass(frozen=True)
class Recorded:
    """What was really recorded, per conformed frame; arrays of shape (N,).

    instant_ns: int64, where the frame stands.  no_picture, no_sound: -1 before the start, 1 after the end, else 0.
    stands_still_s: float, length of the gap whose missing picture the frame repeats.  silent_s: float, length of the
    hole in the sound that the frame lies in.  tainted: bool.
    """

    instant_ns: np.ndarray
    period_ns: int
    no_picture: np.ndarray
    no_sound: np.ndarray
    stands_still_s: np.ndarray
    silent_s: np.ndarray
    tainted: np.ndarray

    @classmethod
    def of(cls, table: FrameTable, clock: Clock, fps: Fraction) -> Self:
        """From a conformed frame table and the clock of the conformed sound."""
        count = len(table)
        number = np.arange(count, dtype=np.int64)
        instant = clock.start_ns + (number * 10**9 * fps.denominator) // fps.numerator
        shown = np.flatnonzero(table.source_frame >= 0)
        first, last = (shown[0], shown[-1]) if len(shown) else (count, count)
        no_picture = np.where(number < first, -1, np.where(number > last, 1, 0))
        samples_per_frame = Fraction(clock.nominal_rate_hz) / fps
        no_sound = np.zeros(count, int)
        silent = np.zeros(count)
        for gap in clock.gaps:
            start = int(gap.start_sample / samples_per_frame)
            stop = int(np.ceil(float(gap.stop_sample / samples_per_frame)))
            if gap.reason == "hole":
                silent[start:stop] = (gap.stop_sample - gap.start_sample) / clock.nominal_rate_hz
            else:
                no_sound[start:stop] = -1 if gap.reason == "before_start" else 1
        return cls(
            instant_ns=instant,
            period_ns=int(10**9 / fps),
            no_picture=no_picture,
            no_sound=no_sound,
            stands_still_s=_stands_still(table, no_picture, fps),
            silent_s=silent,
            tainted=table.tainted,
        )

    def span_ns(self, first: int, count: int) -> tuple[int, int]:
        """Start and end of `count` frames from `first`, nanoseconds on the recording's clock."""
        return int(self.instant_ns[first]), int(self.instant_ns[first + count - 1]) + self.period_ns


def _stands_still(table: FrameTable, no_picture: np.ndarray, fps: Fraction) -> np.ndarray:
    """Length of the gap in which a frame only repeats the picture before the gap, else 0; float (N,) seconds."""
    still = np.zeros(len(table))
    new = np.flatnonzero(np.r_[True, np.diff(table.source_frame) != 0])
    for position, start in enumerate(new):
        gap_ns = table.gap_before_ns[start]
        if gap_ns > 0 and no_picture[start] == 0:
            shown_from = new[position - 1] if position else start
            still[shown_from + 1 : start] = gap_ns / 1e9
    return still


@dataclass(frozen=True)
class Picked:
    """Landmarks by frame; arrays of shape (N,).

    faces: int, faces in each frame.  row: int, row of the frame's only face, -1 where there is none or several.
    track: int, the track of that face, -1 likewise.
    """

    points: np.ndarray
    imputed: np.ndarray
    faces: np.ndarray
    row: np.ndarray
    track: np.ndarray

    @classmethod
    def of(cls, landmarks: Landmarks, frames: int) -> Self:
        """Index the rows of `landmarks` by frame; a face without coordinates is none."""
        known = np.flatnonzero(np.isfinite(landmarks.points).all(axis=(1, 2)))
        faces = np.bincount(landmarks.frame[known], minlength=frames)
        row, track = np.full(frames, -1), np.full(frames, -1)
        row[landmarks.frame[known]] = known
        row[faces != 1] = -1
        alone = row >= 0
        track[alone] = landmarks.track[row[alone]]
        return cls(landmarks.points, landmarks.imputed, faces, row, track)

    def pose(self, first: int, count: int) -> tuple[int, np.ndarray]:
        """The track of the one face of the frames, and its landmarks float32 (count, 2, 68)."""
        points = self.points[self.row[first : first + count]]
        return int(self.track[first]), np.ascontiguousarray(points.transpose(0, 2, 1), dtype=np.float32)

    def measured(self, pose: np.ndarray) -> np.ndarray:
        """`pose` with NaN where no network measured the point, for statistics."""
        return np.where(self.imputed[None, None, :POINTS], np.nan, pose)


def spoken_for(excluded: Sequence[Exclusion], start_ns: int, stop_ns: int) -> Reject | None:
    """The exclusion that a window touches."""
    for exclusion in excluded:
        if exclusion.start_ns < stop_ns and start_ns < exclusion.stop_ns:
            shared = min(exclusion.stop_ns, stop_ns) - max(exclusion.start_ns, start_ns)
            return Reject("excluded", shared / 1e9, 0.0, exclusion.reason)
    return None


def check_window(recorded: Recorded, picked: Picked, first: int, count: int, limits: dict[str, float]) -> Reject | None:
    """The first reason against the `count` frames from `first`, or None: the window is taken."""
    return _check_streams(recorded, slice(first, first + count), limits) or _check_face(picked, first, count, limits)


def _check_streams(recorded: Recorded, frames: slice, limits: dict[str, float]) -> Reject | None:
    for reason, side, where in (("av_start", -1, "start"), ("av_length", 1, "end")):
        lacking = [int(np.count_nonzero(kind[frames] == side)) for kind in (recorded.no_picture, recorded.no_sound)]
        if max(lacking) > limits[reason]:
            what = "picture" if lacking[0] >= lacking[1] else "sound"
            return Reject(reason, max(lacking), limits[reason], f"{max(lacking)} frames without {what} at the {where}")
    still, silent = float(recorded.stands_still_s[frames].max()), float(recorded.silent_s[frames].max())
    if max(still, silent) > limits["gap"]:
        what = "picture stands still" if still >= silent else "sound is missing"
        return Reject("gap", max(still, silent), limits["gap"], f"the {what} for {max(still, silent):.3f} s")
    damaged = int(np.count_nonzero(recorded.tainted[frames]))
    if damaged:
        return Reject("tainted", damaged, 0, f"{damaged} frames were damaged by a lost packet")
    return None


def _check_face(picked: Picked, first: int, count: int, limits: dict[str, float]) -> Reject | None:
    faces = picked.faces[first : first + count]
    without = int(np.count_nonzero(faces == 0))
    if without:
        return Reject("no_face", without, 0, f"{without} of {count} frames show no face")
    if faces.max() > 1:
        return Reject("multi_face", int(faces.max()), 1, f"up to {int(faces.max())} faces at once")
    tracks = len(np.unique(picked.track[first : first + count]))
    if tracks > 1:
        return Reject("jump", tracks, 1, f"{tracks} faces follow each other")
    _, pose = picked.pose(first, count)
    width = float(np.ptp(pose[:, 0], axis=1).min())
    if width < limits["too_small"]:
        return Reject("too_small", width, limits["too_small"], f"the face is {width:.0f} px wide")
    jump = largest_jump(pose)
    if jump > limits["jump"]:
        return Reject("jump", jump, limits["jump"], f"the face moves by {jump:.2f} inter-ocular distances in a frame")
    return None


def largest_jump(pose: np.ndarray) -> float:
    """Largest move between two frames of the points that do not speak, in inter-ocular distances.

    pose: float (N, 2, 68) pixels.
    """
    eyes = np.linalg.norm(pose[:, :, EYE_CORNERS[0]] - pose[:, :, EYE_CORNERS[1]], axis=1)
    centre = pose[:, :, STABLE].mean(axis=2)
    moves = np.linalg.norm(np.diff(centre, axis=0), axis=1)
    return float((moves / np.maximum(eyes[1:], 1e-6)).max(initial=0.0))
