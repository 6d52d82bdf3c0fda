"""How far apart the landmarks of two back ends are, recording by recording: no truth, but a sign of trouble."""

import csv
from pathlib import Path

import numpy as np

from scripts.common.face_shape import eye_distance
from scripts.common.job import run
from scripts.common.landmarks import Landmarks

COLUMNS = ("recording", "camera", "one", "other", "frames_of_both", "frames_of_one", "median", "p95")


def distances(one: Landmarks, other: Landmarks) -> np.ndarray:
    """Mean distance of the points of each frame in which both see one face, in distances of its eyes; float (N,).

    Points that a back end does not measure do not count.
    """
    faces = [_single(landmarks) for landmarks in (one, other)]
    common = sorted(set(faces[0]) & set(faces[1]))
    measured = ~(one.imputed | other.imputed)
    if not common:
        return np.empty(0)
    a, b = (np.stack([found[frame] for frame in common]).astype(np.float64) for found in faces)
    apart = np.linalg.norm(a - b, axis=2)[:, measured].mean(axis=1)
    shares: np.ndarray = apart / np.maximum(eye_distance(a), 1e-6)
    return shares


def _single(landmarks: Landmarks) -> dict[int, np.ndarray]:
    """Points of the frames that show just one face."""
    known = np.flatnonzero(np.isfinite(landmarks.points).all(axis=(1, 2)))
    frames, first, count = np.unique(landmarks.frame[known], return_index=True, return_counts=True)
    return {
        int(frame): landmarks.points[known[at]]
        for frame, at, many in zip(frames, first, count, strict=True)
        if many == 1
    }


def compare_landmarks(ones: list[Path], others: list[Path], out_table: Path, *, pairs: list[list[str]]) -> None:
    """Write a row a pair. pairs: recording, camera, back end of `ones`, back end of `others`, in their order."""
    with out_table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        for path, other_path, pair in zip(ones, others, pairs, strict=True):
            one, other = Landmarks.read(path), Landmarks.read(other_path)
            found = distances(one, other)
            only = max(one.frames_with_face, other.frames_with_face) - len(found)
            figures = [f"{np.median(found):.4f}", f"{np.percentile(found, 95):.4f}"] if len(found) else ["", ""]
            writer.writerow([*pair, len(found), only, *figures])


if __name__ == "__main__":
    run(compare_landmarks)
