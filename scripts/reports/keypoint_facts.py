"""What a page on keypoints says: how far pictures and space are apart, how sure cameras are, how rigid bones are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from scripts.common.aligned_frames import AlignedFrames
from scripts.common.calibration_file import Calibration
from scripts.common.keypoints import Keypoints, Poses


@dataclass(frozen=True)
class Session:
    """A recording of C cameras, M common frames, P persons, K keypoints.

    uv: float32 (C, M, P, K, 2) px, as detected.  confidence: float32 (C, M, P, K).  points, smoothed: in space.
    min_confidence, exclude: below what, and of which cameras, nothing went into space.
    """

    cameras: tuple[str, ...]
    aligned: AlignedFrames
    uv: np.ndarray
    confidence: np.ndarray
    points: Poses
    smoothed: Poses
    calibration: Calibration
    min_confidence: float
    exclude: tuple[str, ...]

    @classmethod
    def read(
        cls,
        cameras: list[str],
        aligned: Path,
        keypoints: list[Path],
        points: Path,
        smoothed: Path,
        calibration: Path,
        settings: dict[str, Any],
    ) -> Self | None:
        """None if there are no keypoints in space. settings: of the triangulation: persons, min_confidence, exclude."""
        poses = Poses.read(points)
        if not len(poses):
            return None
        table = AlignedFrames.read(aligned)
        found = [Keypoints.read(path) for path in keypoints]
        count = len(poses.skeleton.names)
        dense = [
            mine.by_common_frame(table.of(name), settings["persons"])
            if len(mine.skeleton.names)
            else _nothing(table, settings["persons"], count)
            for name, mine in zip(cameras, found, strict=True)
        ]
        return cls(
            tuple(cameras),
            table,
            np.stack([uv for uv, _ in dense]),
            np.stack([sure for _, sure in dense]),
            poses,
            Poses.read(smoothed),
            Calibration.read(calibration),
            settings["min_confidence"],
            tuple(settings["exclude"]),
        )

    @property
    def used(self) -> np.ndarray:
        """Which of what was detected the points in space are made from, bool (C, M, P, K)."""
        taking = np.array([name not in self.exclude for name in self.cameras])
        sure: np.ndarray = (self.confidence > 0) & (self.confidence >= self.min_confidence)
        return sure & taking[:, None, None, None]

    def projected(self, poses: Poses) -> np.ndarray:
        """Where the cameras see points in space: float64 (C, M, Q, K, 2) px, Q persons, NaN for nowhere."""
        space = in_frames(poses, len(self.aligned))
        flat = space.reshape(-1, 3)
        seen = [
            self.calibration.cameras[name].project(flat) if name in self.calibration.cameras else flat[:, :2] * np.nan
            for name in self.cameras
        ]
        return np.stack(seen).reshape(len(self.cameras), *space.shape[:-1], 2)

    def errors_px(self, poses: Poses) -> np.ndarray:
        """Distance of what was used from what is in space, float64 (C, M, Q, K); NaN where either is missing.

        A camera's persons have no names: each one in space is compared with the one nearest to it.
        """
        detected = np.where(self.used[..., None], self.uv, np.nan)
        apart = np.linalg.norm(self.projected(poses)[:, :, :, None] - detected[:, :, None], axis=-1)
        known = np.isfinite(apart)
        total, count = np.where(known, apart, 0).sum(axis=-1), known.sum(axis=-1)
        nearest = np.where(count > 0, total / np.maximum(count, 1), np.inf).argmin(axis=-1)
        chosen: np.ndarray = np.take_along_axis(apart, nearest[..., None, None], axis=3)[:, :, :, 0]
        return chosen


def _nothing(table: AlignedFrames, persons: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    shape = (len(table), persons, count)
    return np.full((*shape, 2), np.nan, np.float32), np.zeros(shape, np.float32)


def in_frames(poses: Poses, frames: int) -> np.ndarray:
    """Points in space by frame and person, float64 (M, Q, K, 3), NaN for none."""
    persons, place = np.unique(poses.person, return_inverse=True)
    space = np.full((frames, len(persons), *poses.xyz.shape[1:]), np.nan)
    space[poses.frame, place] = poses.xyz
    return space


def medians(errors: np.ndarray) -> np.ndarray:
    """Median of errors (C, M, Q, K) by camera and keypoint, float64 (C, K); NaN where nothing was seen."""
    flat = errors.transpose(0, 3, 1, 2).reshape(errors.shape[0], errors.shape[3], -1)
    return _quantile(flat, 0.5)


def over_time(errors: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames in the middle of at most `bins` stretches, and the median error of each camera there, (C, bins)."""
    stretches = np.array_split(np.arange(errors.shape[1]), min(bins, errors.shape[1]))
    middle = np.array([stretch.mean() for stretch in stretches])
    parts = [_quantile(errors[:, stretch].reshape(len(errors), -1), 0.5) for stretch in stretches]
    return middle, np.stack(parts, axis=1)


def limb_lengths(poses: Poses) -> list[dict[str, Any]]:
    """One row a bone: its ends, how often it was seen, median length in mm, and the spread between 5 % and 95 %."""
    rows = []
    for a, b in poses.skeleton.bones:
        length = np.linalg.norm(poses.xyz[:, a] - poses.xyz[:, b], axis=-1)
        low, middle, high = (float(value) for value in _quantile(length, np.array([0.05, 0.5, 0.95])))
        name = f"{poses.skeleton.names[a]}-{poses.skeleton.names[b]}"
        rows.append({"bone": name, "seen": int(np.isfinite(length).sum()), "median": middle, "spread": high - low})
    return rows


def _quantile(values: np.ndarray, share: Any) -> np.ndarray:
    """Quantiles along the last axis of what is finite; NaN where nothing is."""
    kept = np.isfinite(values).any(axis=-1)
    filled = np.where(kept[..., None], values, 0.0)
    found = np.nanquantile(np.where(np.isfinite(filled), filled, np.nan), share, axis=-1)
    result: np.ndarray = np.where(kept, found, np.nan)
    return result
