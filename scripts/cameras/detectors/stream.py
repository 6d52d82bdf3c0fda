"""A video through a back end: decoded once, a batch of pictures in memory, however long it is."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scripts.cameras.detectors.interface import Detector
from scripts.cameras.wanted_pictures import wanted_pictures
from scripts.common.errors import RunError
from scripts.common.keypoints import KeypointWriter

Batch = tuple[list[int], list[np.ndarray]]


def batches(video: Path, frames: Path, count: int, batch: int) -> Iterator[Batch]:
    """Numbers of frames and their pictures, uint8 (height, width, 3) BGR, `batch` at a time."""
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


def write_found(
    detector: Detector, pictures: Iterator[Batch], regions: np.ndarray | None, target: Path
) -> tuple[int, int]:
    """Write what a back end finds. Returns rows written, and frames seen. Raises RunError with what it raised."""
    seen = 0
    with KeypointWriter(target, detector.skeleton) as writer:
        for numbers, batch in pictures:
            seen += len(numbers)
            try:
                found = detector.detect(batch, None if regions is None else regions[numbers])
            except ValueError as error:
                raise RunError(str(error)) from error
            for number, (uv, confidence) in zip(numbers, found, strict=True):
                writer.add(number, uv, confidence)
    return writer.written, seen
