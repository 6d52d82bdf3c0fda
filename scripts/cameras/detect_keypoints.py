"""Keypoints in the pictures of one camera, by one of several back ends behind one interface."""

from pathlib import Path
from typing import Any

import numpy as np

from scripts.cameras.detectors.aruco import Aruco
from scripts.cameras.detectors.function import Function
from scripts.cameras.detectors.given import read_given
from scripts.cameras.detectors.heatmaps import Heatmaps, load_model
from scripts.cameras.detectors.interface import REGION, Detector
from scripts.cameras.detectors.markers import Markers
from scripts.cameras.detectors.rtmpose import RtmPose
from scripts.cameras.detectors.stream import batches, write_found
from scripts.common import ledger
from scripts.common.errors import InputError, RunError, UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.job import run
from scripts.common.keypoints import Keypoints, KeypointWriter, Skeleton

STEP = "detect_keypoints"


def detect_keypoints(
    video: Path,
    frames: Path,
    weights: Path | None,
    segments: Path | None,
    given: Path | None,
    out_keypoints: Path,
    out_ledger: Path,
    *,
    recording: str,
    camera: str,
    settings: dict[str, Any],
    accelerator: str,
) -> None:
    """Write the keypoints of every frame of `video`, which is decoded once; see scripts/common/keypoints.py.

    settings: backend, batch, and what the back end wants.  weights: the model, or the user's Python file.  segments:
    where the subject is, by segment_frames.  given: another program's file. Raises InputError if the import failed or
    `given` cannot be read.
    """
    table = FrameTable.read(frames)
    if not len(table):
        raise UpstreamError(f"{recording}, {camera}")
    if given is not None:
        written, seen = _copy_given(given, out_keypoints, len(table), settings)
    else:
        detector = make_detector(settings, weights, accelerator)
        regions = regions_of(segments, len(table))
        pictures = batches(video, frames, len(table), settings["batch"])
        written, seen = write_found(detector, pictures, regions, out_keypoints)
    message = f"{written} rows of {seen} frames that decode; {len(table)} in the table ({settings['backend']})"
    row = ledger.Row(STEP, recording, camera, "written", value=float(written), message=message)
    ledger.write(out_ledger, [row])


def make_detector(settings: dict[str, Any], weights: Path | None, accelerator: str) -> Detector:
    """The back end that the config names. Raises RunError if its weights are missing or no model."""
    backend = settings["backend"]
    if backend == "aruco":
        return Aruco(settings)
    if backend == "markers":
        return Markers(settings)
    if weights is None or not weights.is_file():
        raise RunError(f"{backend}: the weights {weights} are missing")
    if backend == "function":
        return Function(weights, settings)
    if backend != "rtmpose":
        return Heatmaps(load_model(backend, weights, accelerator), settings)
    try:
        return RtmPose(weights, settings)
    except Exception as error:  # whatever the library of the model raises
        raise RunError(f"{backend}: {weights.name} is no model that can be read ({error})") from error


def regions_of(segments: Path | None, count: int) -> np.ndarray | None:
    """Where the subject is in each frame, float64 (count, 3, 2), NaN where that is not known; None without a file."""
    if segments is None:
        return None
    found = Keypoints.read(segments)
    regions = np.full((count, len(REGION), 2), np.nan)
    if found.skeleton.names:
        regions[found.frame] = found.uv
    return regions


def _copy_given(given: Path, target: Path, count: int, settings: dict[str, Any]) -> tuple[int, int]:
    """Rows of another program's file whose frames the video has. Raises InputError if it has frames beyond.

    Bones of the config go before those of the file, which most have not.
    """
    skeleton, rows = read_given(given, settings["names"])
    if settings["skeleton"]:
        try:
            skeleton = Skeleton.of(skeleton.names, settings["skeleton"])
        except ValueError as error:
            raise InputError("no_keypoint", f"{given.name}: {error}") from None
    last = -1
    with KeypointWriter(target, skeleton, source=given.name) as writer:
        for frame, person, uv, confidence in rows:
            if not 0 <= frame < count:
                raise InputError(
                    "frame_count", f"{given.name}: frame {frame}, but the video has {count}", value=frame, limit=count
                )
            writer.add_person(frame, person, uv, np.where(np.isfinite(uv).all(axis=1), confidence, 0))
            last = max(last, frame)
    return writer.written, last + 1


if __name__ == "__main__":
    run(detect_keypoints)
