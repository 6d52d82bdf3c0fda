"""Chosen frames of a video, decoded once and in order; matched to the frame table by time, never by count."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from scripts.common.bgr_picture import to_bgr
from scripts.common.camera_pictures import microseconds, row_at
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress
from scripts.common.video import VideoReader, as_yuv420p, plane_arrays, turn_of, upright


@dataclass(frozen=True)
class Picture:
    """A decoded picture that becomes an array only when one is asked for."""

    decoded: av.VideoFrame

    def bgr(self) -> np.ndarray:
        """uint8 (height, width, 3), blue first."""
        return to_bgr(self.decoded)

    def grey(self) -> np.ndarray:
        """Full-range luma, uint8 (height, width)."""
        picture = upright(self.decoded) if any(turn_of(self.decoded)) else as_yuv420p(self.decoded)
        return cv2.convertScaleAbs(plane_arrays(picture)[0], alpha=255 / 219, beta=-16 * 255 / 219)


def wanted_pictures(video: Path, frames: Path, wanted: np.ndarray) -> Iterator[tuple[int, Picture]]:
    """(place in `wanted`, picture) of the frames `wanted`, int (M,), strictly increasing, as far as they decode.

    One pass over the video, a picture at a time: memory does not grow with its length.
    """
    rows_us = FrameTable.read(frames).pts_us
    place = 0
    with VideoReader(video) as reader:
        for decoded in reader:
            number = row_at(rows_us, microseconds(decoded))
            if number is None:
                continue
            while place < len(wanted) and wanted[place] < number:
                place += 1
            if place == len(wanted):
                return
            if wanted[place] == number:
                progress(place, len(wanted))
                yield place, Picture(decoded)
                place += 1
