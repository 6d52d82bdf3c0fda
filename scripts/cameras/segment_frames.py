"""Where the subject is in each picture of a camera: its middle and its box, for what looks at a part of the picture."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from scripts.cameras.detectors.heatmaps import load_model
from scripts.cameras.detectors.interface import Detector
from scripts.cameras.detectors.segmenters import Background, Brightness, MapModel
from scripts.cameras.detectors.stream import batches, write_found
from scripts.common import ledger
from scripts.common.bgr_picture import to_bgr
from scripts.common.errors import RunError, UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.job import run
from scripts.common.video import VideoReader

STEP = "segment_frames"
# Pictures whose median is the empty scene.
SCENES = 25


def segment_frames(
    video: Path,
    frames: Path,
    weights: Path | None,
    out_segments: Path,
    out_ledger: Path,
    *,
    recording: str,
    camera: str,
    settings: dict[str, Any],
    accelerator: str,
) -> None:
    """Write `middle`, `upper_left` and `lower_right` of the subject in every frame, as keypoints.

    settings: backend (brightness, background, onnx, torchscript), batch, and what the back end wants. Raises InputError
    if the import failed.
    """
    table = FrameTable.read(frames)
    if not len(table):
        raise UpstreamError(f"{recording}, {camera}")
    segmenter = make_segmenter(settings, video, weights, accelerator)
    written, seen = write_found(segmenter, batches(video, frames, len(table), settings["batch"]), None, out_segments)
    message = f"found in {written} of {seen} frames ({settings['backend']})"
    row = ledger.Row(STEP, recording, camera, "written", value=float(written), message=message)
    ledger.write(out_ledger, [row])


def make_segmenter(settings: dict[str, Any], video: Path, weights: Path | None, accelerator: str) -> Detector:
    """The back end that the config names. Raises RunError if its weights are missing or no model."""
    backend = settings["backend"]
    if backend == "brightness":
        return Brightness(settings)
    if backend == "background":
        return Background(empty_scene(video), settings)
    if weights is None or not weights.is_file():
        raise RunError(f"{backend}: the weights {weights} are missing")
    return MapModel(load_model(backend, weights, accelerator), settings)


def empty_scene(video: Path) -> np.ndarray:
    """The median of grey pictures from all along a video, uint8 (height, width).

    Of keyframes, which are cheap to decode; of every picture where there are few of them.
    """
    pictures = _spread(_grey(video, keyframes=True))
    if len(pictures) < 5:
        pictures = _spread(_grey(video, keyframes=False))
    if not pictures:
        return np.zeros((1, 1), np.uint8)
    middle: np.ndarray = np.median(np.stack(pictures), axis=0).astype(np.uint8)
    return middle


def _spread(pictures: Iterator[np.ndarray]) -> list[np.ndarray]:
    """SCENES of them or more, evenly, however many come: every other one goes whenever there are twice as many."""
    kept: list[np.ndarray] = []
    every = 1
    for number, picture in enumerate(pictures):
        if number % every:
            continue
        kept.append(picture)
        if len(kept) == 2 * SCENES:
            kept, every = kept[::2], 2 * every
    return kept


def _grey(video: Path, *, keyframes: bool) -> Iterator[np.ndarray]:
    with VideoReader(video) as reader:
        if keyframes:
            reader.stream.codec_context.skip_frame = "NONKEY"
        try:
            shape = None
            for picture in reader:
                grey = np.asarray(cv2.cvtColor(to_bgr(picture), cv2.COLOR_BGR2GRAY))
                shape = shape or grey.shape
                if grey.shape == shape:
                    yield grey
        except av.error.FFmpegError:
            return


if __name__ == "__main__":
    run(segment_frames)
