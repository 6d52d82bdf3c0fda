"""Keypoints in space from those in the pictures of all cameras, by the calibration of the recording."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from scripts.cameras.calibration_size import Size, same_size
from scripts.cameras.picture_size import picture_size
from scripts.cameras.sightings import Sightings
from scripts.cameras.triangulation import Points, triangulate
from scripts.common import ledger
from scripts.common.aligned_frames import AlignedFrames
from scripts.common.calibration_file import Calibration, Camera
from scripts.common.errors import InputError
from scripts.common.job import run
from scripts.common.keypoints import Poses, Skeleton

STEP = "triangulate_keypoints"


def triangulate_keypoints(
    keypoints: list[Path],
    videos: list[Path],
    aligned: Path,
    calibration: Path,
    out_points: Path,
    out_ledger: Path,
    *,
    recording: str,
    cameras: list[str],
    settings: dict[str, Any],
) -> None:
    """Write one row a common frame and person; see scripts/common/keypoints.py, Poses.

    settings: persons, min_confidence, max_error_px, min_cameras, exclude (names of cameras). Cameras are taken by name.
    Raises InputError if alignment, calibration or all detections failed, the cameras' keypoints differ, or a camera's
    pictures are not as large as those that it was calibrated with.
    """
    seen = Sightings.read(keypoints, aligned, calibration, recording, cameras, settings)
    lenses = Calibration.read(calibration).cameras
    for name, video in zip(cameras, videos, strict=True):
        if name in seen.rig.names:
            _refuse_other_size(lenses[name], picture_size(video), recording)
    used, shape = len(seen.rig.names), seen.sure.shape[1:]
    flat = (seen.rays.reshape(used, 2, -1), seen.sure.reshape(used, -1))
    points = triangulate(*flat, seen.rig, limit_px=settings["max_error_px"])
    poses = _poses(points, seen.table, seen.skeleton, shape, settings, sha256(calibration.read_bytes()).hexdigest())
    poses.write(out_points)
    good = np.isfinite(poses.xyz[..., 0])
    error = float(np.median(poses.error_px[good])) if good.any() else float("nan")
    blind = [name for name, sure in zip(seen.rig.names, seen.sure, strict=True) if not sure.any()]
    said = f", of which {', '.join(blind)} saw nothing" if blind else ""
    message = f"{good.mean():.1%} of {good.size} points, median error {error:.2f} px, {used} cameras{said}"
    if seen.left_out:
        message += f"; {seen.left_out} detections left out, beyond the {settings['persons']} surest of their frame"
    row = ledger.Row(STEP, recording, recording, "written", value=None if np.isnan(error) else error, message=message)
    ledger.write(out_ledger, [row])


def _refuse_other_size(camera: Camera, size: Size | None, recording: str) -> None:
    if size and all(camera.size) and not same_size(size, camera.size):
        (width, height), (old_width, old_height) = size, camera.size
        raise InputError(
            "other_size",
            f"{recording}, {camera.name}: its pictures are {width}x{height}, and those of the board were"
            f" {old_width}x{old_height}; record the board as this, or name its calibration.toml in the sheet's column"
            " calibration: a file is scaled",
        )


def _poses(
    points: Points,
    table: AlignedFrames,
    skeleton: Skeleton,
    shape: tuple[int, ...],
    settings: dict[str, Any],
    calibration: str,
) -> Poses:
    """Rows in the order of person and frame."""
    frames, persons, count = shape
    inliers = points.inliers.sum(axis=0)
    poor = inliers < settings["min_cameras"]
    xyz = np.where(poor[:, None], np.nan, points.xyz)
    order = np.arange(frames * persons).reshape(frames, persons).T.ravel()

    def ordered(values: np.ndarray) -> np.ndarray:
        return values.reshape(frames * persons, count, *values.shape[1:])[order]

    return Poses(
        skeleton,
        frame=np.tile(np.arange(frames, dtype=np.int64), persons),
        person=np.repeat(np.arange(persons, dtype=np.int32), frames),
        time_ns=np.tile(table.time_ns, persons),
        xyz=ordered(xyz),
        error_px=ordered(points.error_px).astype(np.float32),
        cameras=ordered(points.cameras),
        inliers=ordered(inliers).astype(np.uint8),
        covariance=ordered(points.covariance),
        facts={"unit": "mm", "calibration": calibration, "max_error_px": settings["max_error_px"]},
    )


if __name__ == "__main__":
    run(triangulate_keypoints)
