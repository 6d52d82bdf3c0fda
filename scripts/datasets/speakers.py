"""Whose landmarks a window takes: one track through all of its frames, never two."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from scripts.common.face_shape import lip_opening
from scripts.common.landmarks import Landmarks

SPEAKERS = ("only", "largest", "central", "active")


def lip_motion(points: np.ndarray) -> float:
    """How much the opening of the lips changes from frame to frame, in distances of the eyes. points: (N, 68, 2)."""
    change = np.abs(np.diff(lip_opening(points)))
    return float(change.mean()) if len(change) else 0.0


@dataclass(frozen=True)
class Faces:
    """Landmarks by frame.

    count: int (N,), faces in each frame.  known: int (K,), the rows that show a whole face, by frame and track.
    frame: int (K,), their frames.  speaker: one of SPEAKERS; see `rows`.
    """

    landmarks: Landmarks
    speaker: str
    count: np.ndarray
    known: np.ndarray
    frame: np.ndarray

    @classmethod
    def of(cls, landmarks: Landmarks, frames: int, speaker: str = "only") -> Self:
        """Index the rows of `landmarks` by frame; a face without coordinates is none."""
        if speaker not in SPEAKERS:
            raise ValueError(f"speaker `{speaker}` is none of {', '.join(SPEAKERS)}")
        known = np.flatnonzero(np.isfinite(landmarks.points).all(axis=(1, 2)))
        frame = landmarks.frame[known]
        return cls(landmarks, speaker, np.bincount(frame, minlength=frames), known, frame)

    def _seen(self, first: int, count: int) -> np.ndarray:
        start, stop = np.searchsorted(self.frame, (first, first + count))
        return self.known[start:stop]

    def tracks_in(self, first: int, count: int) -> int:
        """How many tracks the frames show."""
        return len(np.unique(self.landmarks.track[self._seen(first, count)]))

    def rows(self, first: int, count: int) -> np.ndarray | None:
        """Rows of the speaker in the frames, int (count,): of a track that is seen in all of them, None without one.

        Of several: the largest by its boxes, the central one by its mean distance from the middle of the picture, the
        active one by the motion of its lips; the earliest track where two are equal.
        """
        rows = self._seen(first, count)
        tracks, seen = np.unique(self.landmarks.track[rows], return_counts=True)
        whole = [rows[self.landmarks.track[rows] == track] for track in tracks[seen == count]]
        return max(whole, key=self._rank) if whole else None

    def _rank(self, rows: np.ndarray) -> float:
        boxes = self.landmarks.box[rows].astype(np.float64)
        if self.speaker == "active":
            return lip_motion(self.landmarks.points[rows].astype(np.float64))
        if self.speaker == "central":
            middle = np.array([self.landmarks.width, self.landmarks.height]) / 2
            return -float(np.linalg.norm((boxes[:, :2] + boxes[:, 2:]) / 2 - middle, axis=1).mean())
        return float((boxes[:, 2:] - boxes[:, :2]).prod(axis=1).mean())

    def pose(self, rows: np.ndarray) -> np.ndarray:
        """Landmarks of rows, float32 (N, 2, 68)."""
        return np.ascontiguousarray(self.landmarks.points[rows].transpose(0, 2, 1), dtype=np.float32)
