"""Keypoints in space from those in the pictures of all cameras, by the calibration of the recording."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from scripts.cameras.association import associate
from scripts.cameras.triangulation import Points, Rig, triangulate, undistorted
from scripts.common import ledger
from scripts.common.aligned_frames import AlignedFrames
from scripts.common.calibration_file import Calibration
from scripts.common.errors import InputError
from scripts.common.job import run
from scripts.common.keypoints import Keypoints, Poses, Skeleton

STEP = "triangulate_keypoints"


def triangulate_keypoints(
    keypoints: list[Path],
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
    Raises InputError if alignment, calibration or all detections failed, or the cameras' keypoints differ.
    """
    table = AlignedFrames.read(aligned)
    if not len(table):
        raise InputError(ledger.UPSTREAM, f"{recording}: its cameras were not aligned, see the ledger of that step")
    if not calibration.stat().st_size:
        raise InputError(ledger.UPSTREAM, f"{recording}: its calibration failed, see the ledger of that step")
    known = Calibration.read(calibration)
    used = tuple(name for name in cameras if name not in settings["exclude"])
    if lost := [name for name in used if name not in known.cameras]:
        raise InputError("no_camera", f"{recording}: the calibration has no camera `{lost[0]}`")
    found = {name: Keypoints.read(path) for name, path in zip(cameras, keypoints, strict=True) if name in used}
    skeleton = _skeleton(found, recording)
    dense = {name: found[name].by_common_frame(table.of(name), settings["persons"]) for name in used}
    uv = {name: values[0] for name, values in dense.items()}
    sure = np.stack([values[1] for values in dense.values()])
    sure = np.where(sure >= settings["min_confidence"], sure, 0)
    shape = sure.shape[1:]
    rays = undistorted(known, {name: values.reshape(-1, 2) for name, values in uv.items()}).reshape(
        len(used), 2, *shape
    )
    rig = Rig.of(known, used)
    if settings["persons"] > 1:
        rays, sure = associate(rays, sure, rig, settings["max_error_px"])
    flat = (rays.reshape(len(used), 2, -1), sure.reshape(len(used), -1))
    points = triangulate(*flat, rig, limit_px=settings["max_error_px"])
    poses = _poses(points, table, skeleton, shape, settings, sha256(calibration.read_bytes()).hexdigest())
    poses.write(out_points)
    good = np.isfinite(poses.xyz[..., 0])
    error = float(np.median(poses.error_px[good])) if good.any() else float("nan")
    message = f"{good.mean():.1%} of {good.size} points, median error {error:.2f} px, {len(used)} cameras"
    row = ledger.Row(STEP, recording, recording, "written", value=None if np.isnan(error) else error, message=message)
    ledger.write(out_ledger, [row])


def _skeleton(found: dict[str, Keypoints], recording: str) -> Skeleton:
    """The names that all cameras' files have. Raises InputError if none has any, or they differ."""
    named = {name: keypoints.skeleton for name, keypoints in found.items() if keypoints.skeleton.names}
    if len(named) < 2:
        raise InputError(ledger.UPSTREAM, f"{recording}: fewer than two cameras have keypoints, see their ledgers")
    first = next(iter(named))
    for name, skeleton in named.items():
        if skeleton.names != named[first].names:
            raise InputError("names_differ", f"{recording}: the keypoints of {name} are not those of {first}")
    return named[first]


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
