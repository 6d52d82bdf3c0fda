"""Landmarks from a file, one face or several per source frame, brought onto the conformed frames."""

import zipfile
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from scripts.common.errors import InputError
from scripts.common.landmarks import POINTS, Landmarks, face_boxes
from scripts.faces.face_tracks import Tracker

REASON = "bad_landmarks"
# As frame tables number frames.
LARGEST_FRAME = 2**31
# What writes such a file: numpy's own word for a text or a damaged file is to load it unsafely.
WRITERS = {".npy": "numpy.save", ".npz": "numpy.savez"}


@dataclass(frozen=True)
class GivenLandmarks:
    """Rows of a file, sorted by frame; faces without a known point are left out.

    frame: int64 (R,), source frame.  points: float32 (R, 68, 2).  score: float32 (R,), 1 without one.
    frames: how many source frames the file speaks of; None where only its rows' own numbers are known.
    """

    frame: np.ndarray
    points: np.ndarray
    score: np.ndarray
    frames: int | None


def read_given(path: Path) -> GivenLandmarks:
    """Read .npy (F, 68, 2), .npz (`points` as the npy, or `pose` (F, 2, 68)), or py-feat's .csv.

    An npz may hold `frame` and `score` (F,), a csv the columns frame and FaceScore. Without frame numbers
    row n is source frame n. NaN is no face. Raises InputError if it is anything else.
    """
    readers = {".npy": _read_npy, ".npz": _read_npz, ".csv": _read_csv}
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise InputError(REASON, f"{path}: landmarks are .npy, .npz or .csv, not `{suffix}`")
    try:
        points, frame, score = readers[suffix](path)
        return _checked(points, frame, score)
    except InputError as error:
        raise InputError(REASON, f"{path}: {error.message}", value=error.value, limit=error.limit) from error
    except (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        told = isinstance(error, OSError) or suffix not in WRITERS
        why = error if told else f"it is no {suffix}, or damaged; write it anew by {WRITERS[suffix]}, of numbers alone"
        raise InputError(REASON, f"{path} cannot be read: {why}") from error


def conform_given(given: GivenLandmarks, source_frame: np.ndarray, source_frames: int | None) -> Landmarks:
    """Each conformed frame gets the faces of the source frame that it shows; none outside the source.

    source_frame: int (N,), of the conformed frame table, -1 outside.  source_frames: their number, if known.
    Raises InputError if the file speaks of another number of frames.
    """
    shown = int(source_frame.max(initial=-1)) + 1
    if given.frames is not None:
        wanted = shown if source_frames is None else source_frames
        if given.frames != wanted and (source_frames is not None or given.frames < shown):
            raise InputError(
                REASON,
                f"the landmarks have {given.frames} frames, the video has {wanted}",
                value=given.frames,
                limit=wanted,
            )
    elif source_frames is not None and len(given.frame) and given.frame[-1] >= source_frames:
        raise InputError(
            REASON,
            f"the landmarks speak of frame {given.frame[-1]}, the video has {source_frames} frames",
            value=float(given.frame[-1]),
            limit=source_frames - 1,
        )
    first = np.searchsorted(given.frame, source_frame, side="left")
    stop = np.searchsorted(given.frame, source_frame, side="right")
    faces = stop - first
    frame = np.repeat(np.arange(len(source_frame)), faces)
    row = np.repeat(first, faces) + np.arange(len(frame)) - np.repeat(np.cumsum(faces) - faces, faces)
    points = given.points[row]
    track = _tracks(frame, face_boxes(points).astype(np.float64))
    return Landmarks.make(frame, track, points, given.score[row], frames=len(source_frame), backend="given")


def _tracks(frame: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    tracker, track = Tracker(), np.empty(len(frame), np.int64)
    bounds = [*np.flatnonzero(np.diff(frame, prepend=-1)), len(frame)]
    for start, stop in pairwise(bounds):
        track[start:stop] = tracker.update(int(frame[start]), boxes[start:stop])
    return track


def _read_npy(path: Path) -> tuple[np.ndarray, None, None]:
    points = np.load(path, allow_pickle=False)
    if not isinstance(points, np.ndarray):
        raise InputError(REASON, "this holds several arrays: name it .npz")
    return points, None, None


def _read_npz(path: Path) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    arrays = np.load(path, allow_pickle=False)
    if isinstance(arrays, np.ndarray):
        raise InputError(REASON, "this holds a single array: name it .npy")
    with arrays:
        frame, score = (arrays.get(name) for name in ("frame", "score"))
        if "points" in arrays:
            return arrays["points"], frame, score
        if "pose" in arrays:
            pose = arrays["pose"]
            if pose.ndim != 3 or pose.shape[1:] != (2, POINTS):
                raise InputError(REASON, f"`pose` has shape {pose.shape} instead of (frames, 2, {POINTS})")
            return pose.transpose(0, 2, 1), frame, score
        raise InputError(REASON, f"no `points` or `pose` among its arrays: {', '.join(arrays) or 'none'}")


def _read_csv(path: Path) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    table = pa.csv.read_csv(path)
    names = [f"{axis}_{point}" for axis in "xy" for point in range(POINTS)]
    missing = [name for name in names if name not in table.column_names]
    if missing:
        message = f"{len(missing)} of the columns x_0 … y_{POINTS - 1} are missing, first `{missing[0]}`"
        raise InputError(REASON, message)
    columns = np.array([_numbers(table, name) for name in names]).reshape(2, POINTS, len(table))
    frame, score = (_numbers(table, name) if name in table.column_names else None for name in ("frame", "FaceScore"))
    return columns.transpose(2, 1, 0), frame, score


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    try:
        numbers: np.ndarray = table[name].cast(pa.float64()).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(REASON, f"column `{name}` holds something else than numbers") from error
    return numbers


def _checked(points: np.ndarray, frame: np.ndarray | None, score: np.ndarray | None) -> GivenLandmarks:
    if points.dtype.kind not in "fiu":
        raise InputError(REASON, f"landmarks are numbers, not {points.dtype}")
    if points.ndim != 3 or points.shape[1:] != (POINTS, 2):
        raise InputError(REASON, f"landmarks have shape {points.shape} instead of (frames, {POINTS}, 2)")
    count = len(points)
    for name, column in (("frame", frame), ("score", score)):
        if column is not None and (column.shape != (count,) or column.dtype.kind not in "fiu"):
            raise InputError(REASON, f"`{name}` has shape {column.shape} instead of ({count},)")
    number = np.arange(count) if frame is None else frame
    whole = np.isfinite(number) & (number >= 0) & (number < LARGEST_FRAME) & (number == np.floor(number))
    if not whole.all():
        row = np.flatnonzero(~whole)[0]
        raise InputError(REASON, f"`frame` is {number[row]} in row {row}: no frame number")
    known: np.ndarray = np.where(np.isfinite(points), points, np.nan).astype(np.float32)
    faces = np.flatnonzero(np.isfinite(known).all(axis=2).any(axis=1))
    order = faces[np.argsort(number[faces], kind="stable")]
    scores = np.ones(count) if score is None else score
    return GivenLandmarks(
        frame=number[order].astype(np.int64),
        points=known[order],
        score=scores[order].astype(np.float32),
        frames=count if frame is None else None,
    )
