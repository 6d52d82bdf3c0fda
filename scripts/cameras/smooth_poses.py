"""Keypoints in space, smoothed over time by one of several methods; names, order and units stay."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from scripts.cameras import filters, gimbal, kalman
from scripts.cameras.series import Series, bridge, grid_places, on_grid, stretches, usual_step_ns
from scripts.cameras.sightings import Sightings
from scripts.cameras.triangulation import Rig
from scripts.common import ledger
from scripts.common.errors import InputError, UpstreamError
from scripts.common.job import run
from scripts.common.keypoints import Poses, Skeleton

STEP = "smooth_poses"
# A spline's penalty is learned from so many stretches of so many frames.
LEARNED_ROWS, LEARNED_STRETCHES = 200, 3
# From fewer frames no body is learned that is nearer to the truth than its points.
FEWEST_OF_BODY = 5
# What each method reads of the settings; the facts of the file name them.
READS: dict[str, tuple[str, ...]] = {
    "none": (),
    "median": ("window_s",),
    "hampel": ("window_s", "deviations"),
    "butterworth": ("cutoff_hz", "order"),
    "kalman": ("acceleration", "gate"),
    "gcv": (),
    "gimbal": ("offset_px",),
}
# Methods that call single points wild.
FINDS_OUTLIERS = ("hampel", "kalman")


@dataclass(frozen=True)
class Smoothed:
    """What a method makes of a series, and what it learned.

    xyz: float64 (T, K, 3).  covariance: float64 (T, K, 3, 3).  outliers: bool (T, K).
    """

    xyz: np.ndarray
    covariance: np.ndarray
    outliers: np.ndarray
    learned: dict[str, list[float]] = field(default_factory=dict)


def smooth_poses(
    points: Path,
    keypoints: list[Path],
    aligned: Path | None,
    calibration: Path | None,
    out_smoothed: Path,
    out_ledger: Path,
    *,
    recording: str,
    cameras: list[str],
    triangulate: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    """Write the poses of `points` smoothed, each person alone; see scripts/common/keypoints.py, Poses.

    settings: method, max_gap, and what READS names. At most max_gap frames without a point are filled, with no inliers;
    nothing is smoothed across more. `error_px`, `cameras` and `inliers` stay those of the triangulation.  keypoints,
    aligned, calibration, cameras, triangulate: as of triangulate_keypoints, for gimbal, which looks at the pictures'
    keypoints again. Raises InputError if the triangulation failed, or the method cannot work with what there is.
    """
    poses = Poses.read(points)
    if not poses.skeleton.names:
        raise UpstreamError(recording, "it was not triangulated")
    method = settings["method"]
    seen = None
    if method == "gimbal":
        if not poses.skeleton.bones:
            raise InputError("no_skeleton", f"{recording}: smooth.method gimbal wants bones, its keypoints have none")
        if aligned is None or calibration is None:
            raise TypeError("gimbal wants keypoints, aligned and calibration")
        seen = Sightings.read(keypoints, aligned, calibration, recording, cameras, triangulate)
    xyz, covariance = poses.xyz.copy(), poses.covariance.copy()
    outliers = np.zeros_like(poses.inliers, dtype=bool)
    said = {name: settings[name] for name in ("method", *(("max_gap",) if method != "none" else ()), *READS[method])}
    if method != "none":
        learned = []
        for person in np.unique(poses.person):
            rows = poses.of_person(int(person))
            places = grid_places(poses.time_ns[rows], settings["max_gap"] + 1)
            series = series_of(poses, rows, places, settings["max_gap"])
            if seen is None:
                made = smoothed(series, settings, recording)
            else:
                rays = np.where(seen.sure[:, None] > 0, seen.rays, np.nan)[:, :, poses.frame[rows], person]
                made = by_body(series, on_grid(rays, places, 2), seen.rig, poses.skeleton, settings["offset_px"])
            xyz[rows], covariance[rows], outliers[rows] = (
                values[places] for values in (made.xyz, made.covariance, made.outliers)
            )
            learned.append(made.learned)
        if any(learned):
            said["learned"] = learned
    replace(poses, xyz=xyz, covariance=covariance, facts={**poses.facts, "smoothing": said}).write(out_smoothed)
    ledger.write(out_ledger, [_row(poses, xyz, outliers, recording, method)])


def by_body(series: Series, rays: np.ndarray, rig: Rig, skeleton: Skeleton, offset_px: float) -> Smoothed:
    """A series by gimbal; one of fewer than FEWEST_OF_BODY frames stays as it is. rays: float64 (C, 2, T, K)."""
    nothing = np.zeros_like(series.seen)
    if series.seen.any(axis=1).sum() < FEWEST_OF_BODY:
        return Smoothed(series.xyz, series.covariance, nothing)
    xyz, covariance, body = gimbal.smooth(series, rays, rig, np.array(skeleton.bones), offset_px)
    learned = {"offset_px": body.offset_px.round(3).tolist(), "bones": body.lengths.round(3).tolist()}
    return Smoothed(xyz, covariance, nothing, learned)


def series_of(poses: Poses, rows: np.ndarray, places: np.ndarray, max_gap: int) -> Series:
    """The series of one person, whose rows are given in the order of time, each at its place of the grid."""
    step_s = usual_step_ns(poses.time_ns[rows]) / 1e9
    return Series(on_grid(poses.xyz[rows], places), on_grid(poses.covariance[rows], places), step_s, max_gap)


def smoothed(series: Series, settings: dict[str, Any], recording: str) -> Smoothed:
    """A series by the method of the settings. Raises InputError for a cut-off that the frame rate does not carry."""
    method = settings["method"]
    if method == "kalman":
        xyz, covariance, outliers, motion = kalman.smooth(series, settings["acceleration"], settings["gate"])
        learned = {"acceleration": motion.acceleration.round(3).tolist(), "factor": motion.factor.tolist()}
        return Smoothed(xyz, covariance, outliers, learned)
    fps = 1 / series.step_s
    if method == "butterworth" and len(series) > 1 and settings["cutoff_hz"] >= fps / 2:
        raise InputError(
            "cutoff",
            f"{recording}: smooth.cutoff_hz {settings['cutoff_hz']:g} is not below half its {fps:g} frames a second",
        )
    xyz = np.full(series.xyz.shape, np.nan)
    outliers = np.zeros_like(series.seen)
    for keypoint in range(outliers.shape[1]):
        values = series.xyz[:, keypoint]
        parts = series.segments(keypoint)
        penalty = spline_penalty(values, parts) if method == "gcv" else 0.0
        for part in parts:
            whole = bridge(values[part])
            if method == "median":
                whole = filters.median(whole, filters.odd_width(settings["window_s"], fps))
            elif method == "hampel":
                width = filters.odd_width(settings["window_s"], fps)
                whole, outliers[part, keypoint] = filters.hampel(whole, width, settings["deviations"])
            elif method == "butterworth":
                whole = filters.butterworth(whole, settings["cutoff_hz"] / (fps / 2), settings["order"])
            elif method == "gcv":
                whole = bridge(filters.spline(values[part], penalty))
            xyz[part, keypoint] = whole
    return Smoothed(xyz, series.covariance, outliers & series.seen)


def spline_penalty(values: np.ndarray, parts: list[slice]) -> float:
    """The penalty of a keypoint's spline: the geometric mean over stretches of its longest segment."""
    if not parts:
        return float("nan")
    longest = max(parts, key=lambda part: part.stop - part.start)
    whole = values[longest]
    found = [filters.spline_penalty(whole[rows]) for rows in stretches(len(whole), LEARNED_ROWS, LEARNED_STRETCHES)]
    known = np.array([penalty for penalty in found if np.isfinite(penalty)])
    return float(np.exp(np.log(known).mean())) if len(known) else float("nan")


def _row(poses: Poses, xyz: np.ndarray, outliers: np.ndarray, recording: str, method: str) -> ledger.Row:
    was, now = np.isfinite(poses.xyz[..., 0]), np.isfinite(xyz[..., 0])
    both = was & now
    moved = float(np.median(np.linalg.norm((xyz - poses.xyz)[both], axis=-1))) if both.any() else None
    message = f"{method}: {(now & ~was).sum()} points filled"
    if method in FINDS_OUTLIERS:
        message += f", {outliers.sum()} outliers"
    message += f", {was.sum()} points"
    if moved is not None:
        message += f" moved by {moved:.3g} {poses.facts.get('unit', 'mm')} (median)"
    return ledger.Row(STEP, recording, recording, "written", value=moved, message=message)


if __name__ == "__main__":
    run(smooth_poses)
