"""Why a window is not taken: pure decisions over frame numbers, each with its value and its limit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, Self

import numpy as np

from scripts.common import filler
from scripts.common.clock import Clock
from scripts.common.face_shape import STABLE, eye_distance
from scripts.common.frame_table import FrameTable
from scripts.common.intervals import Intervals
from scripts.common.sync_scores import SyncScores
from scripts.datasets.speakers import Faces

# Reason, side of a recording as `Recorded` names it, and its word.
EDGES = (("av_start", -1, "start"), ("av_length", 1, "end"))


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
    hole in the sound that the frame lies in.  tainted: bool.  scene: int, number of the frame's scene.
    speech_s: float, speech in the frame, in seconds.  clipped: float, share of its samples at the end of the scale.
    """

    instant_ns: np.ndarray
    period_ns: int
    no_picture: np.ndarray
    no_sound: np.ndarray
    stands_still_s: np.ndarray
    silent_s: np.ndarray
    tainted: np.ndarray
    scene: np.ndarray
    speech_s: np.ndarray
    clipped: np.ndarray

    @classmethod
    def of(
        cls,
        table: FrameTable,
        clock: Clock,
        fps: Fraction,
        *,
        scenes: Intervals | None = None,
        speech: Intervals | None = None,
        clipped: np.ndarray | None = None,
    ) -> Self:
        """From a conformed frame table and the clock of the conformed sound.

        scenes, of frames: without them there is one; speech, of samples: without it everything is speech.
        clipped: float (N,).
        """
        count = len(table)
        number = np.arange(count, dtype=np.int64)
        instant = clock.start_ns + (number * 10**9 * fps.denominator) // fps.numerator
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
            no_picture=filler.no_picture(table),
            no_sound=no_sound,
            stands_still_s=filler.stands_still(table),
            silent_s=silent,
            tainted=table.tainted,
            scene=np.zeros(count, int) if scenes is None else np.searchsorted(scenes.first, number, side="right"),
            speech_s=np.full(count, float(1 / fps)) if speech is None else _speech_s(speech, count, clock, fps),
            clipped=np.zeros(count) if clipped is None else clipped,
        )

    def span_ns(self, first: int, count: int) -> tuple[int, int]:
        """Start and end of `count` frames from `first`, nanoseconds on the recording's clock."""
        return int(self.instant_ns[first]), int(self.instant_ns[first + count - 1]) + self.period_ns


def _speech_s(speech: Intervals, count: int, clock: Clock, fps: Fraction) -> np.ndarray:
    """Seconds of speech in each frame, float (N,)."""
    edges = np.array([float(k * clock.nominal_rate_hz / fps) for k in range(count + 1)])
    # Speech up to each edge: it grows by one a sample inside of an interval.
    before = np.zeros(count + 1)
    for first, stop in zip(speech.first, speech.stop, strict=True):
        before += np.clip(edges, first, stop) - first
    spoken: np.ndarray = np.diff(before) / clock.nominal_rate_hz
    return spoken


def spoken_for(excluded: Sequence[Exclusion], start_ns: int, stop_ns: int) -> Reject | None:
    """The exclusion that a window touches."""
    for exclusion in excluded:
        if exclusion.start_ns < stop_ns and start_ns < exclusion.stop_ns:
            shared = min(exclusion.stop_ns, stop_ns) - max(exclusion.start_ns, start_ns)
            return Reject("excluded", shared / 1e9, 0.0, exclusion.reason)
    return None


def check_window(
    recorded: Recorded, faces: Faces, first: int, count: int, limits: Mapping[str, float]
) -> Reject | None:
    """The first reason against the `count` frames from `first`, or None: the window is taken."""
    frames = slice(first, first + count)
    return (
        _check_streams(recorded, frames, limits)
        or _check_pictures(recorded, faces, frames)
        or _check_face(faces, first, count, limits)
        or _check_sound(recorded, frames, limits)
    )


def _check_streams(recorded: Recorded, frames: slice, limits: Mapping[str, float]) -> Reject | None:
    for reason, side, where in EDGES:
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
    cuts = len(np.unique(recorded.scene[frames])) - 1
    if cuts:
        return Reject("cut", cuts, 0, f"the picture is cut {'once' if cuts == 1 else f'{cuts} times'}")
    return None


def _check_pictures(recorded: Recorded, faces: Faces, frames: slice) -> Reject | None:
    """No face is missed by the detector where there is no picture: the limits of the streams leave room for sound."""
    unseen = faces.count[frames] == 0
    for reason, side, where in EDGES:
        lacking = int(np.count_nonzero(unseen & (recorded.no_picture[frames] == side)))
        if lacking:
            return Reject(reason, lacking, 0, f"{lacking} frames without picture at the {where}, which show no face")
    return None


def _check_sound(recorded: Recorded, frames: slice, limits: Mapping[str, float]) -> Reject | None:
    spoken, least = float(recorded.speech_s[frames].sum()), limits.get("no_speech", 0.0)
    if spoken < least:
        return Reject("no_speech", spoken, least, f"{spoken:.2f} s of speech")
    clipped, most = float(recorded.clipped[frames].mean()), limits.get("clipping", 1.0)
    if clipped > most:
        return Reject("clipping", clipped, most, f"{clipped:.1%} of the sound stands at the end of the scale")
    return None


def _check_face(faces: Faces, first: int, count: int, limits: Mapping[str, float]) -> Reject | None:
    seen = faces.count[first : first + count]
    without = int(np.count_nonzero(seen == 0))
    if without:
        return Reject("no_face", without, 0, f"{without} of {count} frames show no face")
    if faces.speaker == "only" and seen.max() > 1:
        return Reject("multi_face", int(seen.max()), 1, f"up to {int(seen.max())} faces at once")
    rows = faces.rows(first, count)
    if rows is None:
        tracks = faces.tracks_in(first, count)
        return Reject("jump", tracks, 1, f"{tracks} faces follow each other")
    pose = faces.pose(rows)
    width = float(np.ptp(pose[:, 0], axis=1).min())
    if width < limits["too_small"]:
        return Reject("too_small", width, limits["too_small"], f"the face is {width:.0f} px wide")
    jump = largest_jump(pose)
    if jump > limits["jump"]:
        return Reject("jump", jump, limits["jump"], f"the face moves by {jump:.2f} inter-ocular distances in a frame")
    return None


def check_sync(
    scores: SyncScores | None, faces: Faces, first: int, count: int, limits: Mapping[str, float]
) -> Reject | None:
    """Whether lips and sound of a window that is taken fit together; nobody asks without scores."""
    rows = faces.rows(first, count) if scores is not None else None
    if scores is None or rows is None:
        return None
    confidence, shift = scores.judge(int(faces.landmarks.track[rows[0]]), first, count)
    least, most = limits.get("low_sync", 0.0), limits.get("sync_offset", np.inf)
    if confidence < least:
        return Reject("low_sync", confidence, least, f"lips and sound fit with a confidence of {confidence:.2f}")
    if abs(shift) > most:
        return Reject("low_sync", abs(shift), most, f"the sound fits the lips {shift:+d} frames away")
    return None


def largest_jump(pose: np.ndarray) -> float:
    """Largest move between two frames of the points that do not speak, in inter-ocular distances.

    pose: float (N, 2, 68) pixels.
    """
    centre = pose[:, :, STABLE].mean(axis=2)
    moves = np.linalg.norm(np.diff(centre, axis=0), axis=1)
    return float((moves / np.maximum(eye_distance(pose.transpose(0, 2, 1))[1:], 1e-6)).max(initial=0.0))
