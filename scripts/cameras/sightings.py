"""What all cameras of a recording see of its keypoints, by common frame."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.cameras.association import associate
from scripts.cameras.triangulation import Rig, undistorted
from scripts.common.aligned_frames import AlignedFrames
from scripts.common.calibration_file import Calibration
from scripts.common.errors import InputError, UpstreamError
from scripts.common.keypoints import Keypoints, Skeleton


@dataclass(frozen=True)
class Sightings:
    """Keypoints of M common frames, P persons, K keypoints in C cameras.

    rays: float64 (C, 2, M, P, K), normalised coordinates without distortion, NaN where unseen.  sure: float32
    (C, M, P, K), confidence, 0 where unseen or below what the settings want.  left_out: how many detections are beyond
    the P surest of their frame.
    """

    table: AlignedFrames
    skeleton: Skeleton
    rig: Rig
    rays: np.ndarray
    sure: np.ndarray
    left_out: int

    @classmethod
    def read(
        cls,
        keypoints: list[Path],
        aligned: Path,
        calibration: Path,
        recording: str,
        cameras: list[str],
        settings: dict[str, Any],
    ) -> "Sightings":
        """From the files of the cameras, in their order; several persons are put together across views.

        settings: persons, min_confidence, max_error_px, exclude. Raises InputError if alignment, calibration or all
        detections failed, or the cameras' keypoints differ.
        """
        table = AlignedFrames.read(aligned)
        if not len(table):
            raise UpstreamError(recording, "its cameras were not aligned")
        if not calibration.stat().st_size:
            raise UpstreamError(recording, "its calibration failed")
        known = Calibration.read(calibration)
        used = tuple(name for name in cameras if name not in settings["exclude"])
        if lost := [name for name in used if name not in known.cameras]:
            raise InputError("no_camera", f"{recording}: the calibration has no camera `{lost[0]}`")
        found = {name: Keypoints.read(path) for name, path in zip(cameras, keypoints, strict=True) if name in used}
        skeleton = _skeleton(found, recording)
        dense = {name: _dense(found[name], table.of(name), settings["persons"], len(skeleton.names)) for name in used}
        uv = {name: values[0] for name, values in dense.items()}
        sure = np.stack([values[1] for values in dense.values()])
        sure = np.where(sure >= settings["min_confidence"], sure, 0)
        flat = undistorted(known, {name: values.reshape(-1, 2) for name, values in uv.items()})
        rays = flat.reshape(len(used), 2, *sure.shape[1:])
        rig = Rig.of(known, used)
        if settings["persons"] > 1:
            rays, sure = associate(rays, sure, rig, settings["max_error_px"])
        left_out = sum(found[name].beyond(table.of(name), settings["persons"]) for name in used)
        return cls(table, skeleton, rig, rays, sure, left_out)


def _dense(keypoints: Keypoints, shown: np.ndarray, persons: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints by common frame; a camera whose detection failed sees nothing of the `count` that others have."""
    if keypoints.skeleton.names:
        return keypoints.by_common_frame(shown, persons)
    shape = (len(shown), persons, count)
    return np.full((*shape, 2), np.nan, np.float32), np.zeros(shape, np.float32)


def _skeleton(found: dict[str, Keypoints], recording: str) -> Skeleton:
    """The names that all cameras' files have. Raises InputError if none has any, or they differ."""
    named = {name: keypoints.skeleton for name, keypoints in found.items() if keypoints.skeleton.names}
    if len(named) < 2:
        raise UpstreamError(recording, "fewer than two cameras have keypoints")
    first = next(iter(named))
    for name, skeleton in named.items():
        if skeleton.names != named[first].names:
            raise InputError("names_differ", f"{recording}: the keypoints of {name} are not those of {first}")
    return named[first]
