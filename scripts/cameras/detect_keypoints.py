"""Keypoints in the pictures of one camera, by one of several back ends behind one interface."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from scripts.cameras.detectors.aruco import Aruco
from scripts.cameras.detectors.function import Function
from scripts.cameras.detectors.given import read_given
from scripts.cameras.detectors.heatmaps import Heatmaps, OnnxModel, TorchModel
from scripts.cameras.detectors.interface import Detector
from scripts.cameras.detectors.markers import Markers
from scripts.cameras.detectors.rtmpose import RtmPose
from scripts.common import ledger
from scripts.common.errors import InputError, RunError
from scripts.common.frame_table import FrameTable
from scripts.common.job import run
from scripts.common.keypoints import KeypointWriter
from scripts.common.wanted_pictures import wanted_pictures

STEP = "detect_keypoints"


def detect_keypoints(
    video: Path,
    frames: Path,
    weights: Path | None,
    centroid: Path | None,
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

    settings: backend, batch, and what the back end wants.  weights: the model, or the user's Python file.  centroid: a
    model that says where the crop is.  given: another program's file. Raises InputError if the import failed or `given`
    cannot be read.
    """
    table = FrameTable.read(frames)
    if not len(table):
        raise InputError(ledger.UPSTREAM, f"{recording}, {camera}: the import failed, see its ledger")
    if given is not None:
        written, seen = _copy_given(given, out_keypoints, len(table), settings["names"])
    else:
        detector = make_detector(settings, weights, centroid, accelerator)
        written, seen = _detect(detector, video, frames, len(table), out_keypoints, settings["batch"])
    message = f"{written} rows of {seen} frames that decode; {len(table)} in the table ({settings['backend']})"
    row = ledger.Row(STEP, recording, camera, "written", value=float(written), message=message)
    ledger.write(out_ledger, [row])


def make_detector(settings: dict[str, Any], weights: Path | None, centroid: Path | None, accelerator: str) -> Detector:
    """The back end that the config names. Raises RunError if its weights are missing or no model."""
    backend = settings["backend"]
    if backend == "aruco":
        return Aruco(settings)
    if backend == "markers":
        return Markers(settings)
    if weights is None or not weights.is_file():
        raise RunError(f"{backend}: the weights {weights} are missing")
    try:
        if backend == "function":
            return Function(weights, settings)
        if backend == "rtmpose":
            return RtmPose(weights, settings)
        models = [_model(backend, path, accelerator) if path else None for path in (weights, centroid)]
    except RunError:
        raise
    except Exception as error:  # whatever the library of the model raises
        raise RunError(f"{backend}: {weights.name} is no model that can be read ({error})") from error
    return Heatmaps(models[0], models[1], settings)


def _model(backend: str, path: Path, accelerator: str) -> Any:
    return OnnxModel(path) if backend == "onnx" else TorchModel(path, accelerator)


def _detect(detector: Detector, video: Path, frames: Path, count: int, target: Path, batch: int) -> tuple[int, int]:
    """Rows written, and frames seen. Memory holds one batch of pictures, however long the video is."""
    seen = 0
    with KeypointWriter(target, detector.skeleton) as writer:
        for numbers, pictures in _batches(video, frames, count, batch):
            seen += len(numbers)
            try:
                found = detector.detect(pictures)
            except ValueError as error:
                raise RunError(str(error)) from error
            for number, (uv, confidence) in zip(numbers, found, strict=True):
                writer.add(number, uv, confidence)
    return writer.written, seen


def _batches(video: Path, frames: Path, count: int, batch: int) -> Iterator[tuple[list[int], list[np.ndarray]]]:
    numbers: list[int] = []
    pictures: list[np.ndarray] = []
    for number, picture in wanted_pictures(video, frames, np.arange(count)):
        numbers.append(number)
        pictures.append(picture.bgr())
        if len(numbers) == batch:
            yield numbers, pictures
            numbers, pictures = [], []
    if numbers:
        yield numbers, pictures


def _copy_given(given: Path, target: Path, count: int, names: list[str]) -> tuple[int, int]:
    """Rows of another program's file whose frames the video has. Raises InputError if it has frames beyond."""
    skeleton, rows = read_given(given, names)
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
