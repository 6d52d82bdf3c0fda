"""Landmarks through time: short gaps filled and marked, trembling smoothed without moving anything in time.

A run is what belongs together: one face in frames that follow each other, within a scene. Nothing is filled or
smoothed from one run's face to another's, or across a cut.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.signal import savgol_filter

from scripts.common.face_shape import eye_distance
from scripts.common.landmarks import Landmarks, face_boxes

METHODS = ("none", "savgol", "one_euro")
# Of the speed, before it decides how much the one-euro filter smooths.
SPEED_CUTOFF_HZ = 1.0


def finished(
    landmarks: Landmarks, scene: np.ndarray, *, interpolate_frames: int, smooth: Mapping[str, Any], fps: float
) -> Landmarks:
    """`landmarks` with gaps of at most `interpolate_frames` filled, then smoothed; see `fill_gaps` and `smoothed`."""
    return smoothed(fill_gaps(landmarks, scene, interpolate_frames), scene, fps=fps, **smooth)


def fill_gaps(landmarks: Landmarks, scene: np.ndarray, longest: int) -> Landmarks:
    """Rows for the frames that lie in a gap of at most `longest` frames of one track and scene, on a line.

    scene: int (frames,), number of each frame's scene.  New rows are marked `interpolated`; their score is the lower
    one of the two beside the gap.
    """
    order = np.lexsort((landmarks.frame, landmarks.track))
    before, after = order[:-1], order[1:]
    gap = landmarks.frame[after] - landmarks.frame[before] - 1
    same = (landmarks.track[after] == landmarks.track[before]) & (
        scene[landmarks.frame[after]] == scene[landmarks.frame[before]]
    )
    short = same & (gap > 0) & (gap <= longest)
    if not short.any():
        return landmarks
    before, after, gap = before[short], after[short], gap[short]
    row = np.repeat(np.arange(len(gap)), gap)
    step = np.arange(len(row)) - np.repeat(np.cumsum(gap) - gap, gap) + 1
    share = (step / (gap[row] + 1))[:, None, None]
    start, stop = (landmarks.points[side[row]].astype(np.float64) for side in (before, after))
    frame = np.concatenate([landmarks.frame, landmarks.frame[before[row]] + step])
    track = np.concatenate([landmarks.track, landmarks.track[before[row]]])
    points = np.concatenate([landmarks.points, (start * (1 - share) + stop * share).astype(np.float32)])
    lower = np.minimum(landmarks.score[before], landmarks.score[after])[row]
    made = np.concatenate([landmarks.interpolated, np.ones(len(row), bool)])
    order = np.lexsort((track, frame))
    return replace(
        landmarks,
        frame=frame[order].astype(np.int32),
        track=track[order].astype(np.int32),
        points=points[order],
        score=np.concatenate([landmarks.score, lower])[order],
        box=face_boxes(points[order]),
        interpolated=made[order],
    )


def smoothed(
    landmarks: Landmarks,
    scene: np.ndarray,
    *,
    fps: float,
    method: str = "none",
    window: int = 7,
    order: int = 2,
    min_cutoff_hz: float = 1.0,
    beta: float = 1.0,
) -> Landmarks:
    """`landmarks` smoothed over time by `method`, one of METHODS; no method moves anything in time.

    window, order: of "savgol", in frames.  min_cutoff_hz, beta: of "one_euro".
    """
    if method not in METHODS:
        raise ValueError(f"method `{method}` is none of {', '.join(METHODS)}")
    if method == "none" or not len(landmarks):
        return landmarks
    points = landmarks.points.copy()
    for rows in runs(landmarks, scene):
        place = landmarks.points[rows].astype(np.float64)
        if method == "savgol":
            points[rows] = savitzky_golay(place, window, order)
        else:
            points[rows] = one_euro(place, fps, min_cutoff_hz, beta)
    return replace(landmarks, points=points, box=face_boxes(points))


def runs(landmarks: Landmarks, scene: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of each run, in its order; rows with an unknown point are in none."""
    known = np.flatnonzero(np.isfinite(landmarks.points).all(axis=(1, 2)))
    order = known[np.lexsort((landmarks.frame[known], landmarks.track[known]))]
    frame, track = landmarks.frame[order], landmarks.track[order]
    other = (np.diff(track) != 0) | (np.diff(frame) != 1) | (np.diff(scene[frame]) != 0)
    yield from (part for part in np.split(order, np.flatnonzero(other) + 1) if len(part))


def savitzky_golay(place: np.ndarray, window: int, order: int) -> np.ndarray:
    """A polynomial of `order` fitted to the `window` frames around each (Savitzky and Golay, 1964). float (N, …).

    A run that is shorter than the window takes the longest odd window that it has; one of at most `order` frames
    stays as it is. At the ends the polynomial of the last whole window goes on.
    """
    window = min(window, len(place) - 1 + len(place) % 2)
    if window <= order:
        return place
    fitted: np.ndarray = savgol_filter(place, window, order, axis=0, mode="interp")
    return fitted


def one_euro(place: np.ndarray, fps: float, min_cutoff_hz: float, beta: float) -> np.ndarray:
    """The one-euro filter (Casiez, Roussel and Vogel, 2012), once forwards and once backwards, and their mean.

    A single pass lags behind the motion; the backward one runs ahead of it by as much. The cut-off rises with the
    speed by `beta` a (inter-ocular distance a second).

    place: float64 (N, 68, 2).
    """
    size = max(float(np.median(eye_distance(place))), 1e-6)
    forwards = _one_pass(place, fps, min_cutoff_hz, beta / size)
    backwards = _one_pass(place[::-1], fps, min_cutoff_hz, beta / size)[::-1]
    mean: np.ndarray = (forwards + backwards) / 2
    return mean


def _one_pass(place: np.ndarray, fps: float, min_cutoff_hz: float, beta: float) -> np.ndarray:
    found = place.copy()
    speed = np.zeros(place.shape[1])
    slow = _share(SPEED_CUTOFF_HZ, fps)
    for k in range(1, len(place)):
        moved = np.linalg.norm(place[k] - found[k - 1], axis=-1) * fps
        speed = speed + slow * (moved - speed)
        share = _share(min_cutoff_hz + beta * speed, fps)[:, None]
        found[k] = found[k - 1] + share * (place[k] - found[k - 1])
    return found


def _share(cutoff_hz: Any, fps: float) -> Any:
    """How much of a new value a low-pass of the first order takes."""
    return 1 / (1 + fps / (2 * np.pi * cutoff_hz))
