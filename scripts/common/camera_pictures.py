"""The pictures of a camera by the rows of its frame table: matched by time, never by count."""

from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np

from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.video import VideoReader, turn_of

# The ticks of an original time base do not fall on microseconds.
TIME_TOLERANCE_US = 2


def microseconds(picture: av.VideoFrame) -> int:
    """When a picture is presented, rounded."""
    pts, base = picture.pts, picture.time_base
    return 0 if pts is None or base is None else rounded(pts * base.numerator * 1_000_000, base.denominator)


def rounded(over: int, under: int) -> int:
    """`over` / `under`, which is positive, rounded with halves to even, in a fifth of the time of fractions."""
    whole, rest = divmod(over, under)
    return whole + (2 * rest > under or (2 * rest == under and whole % 2 == 1))


def row_at(rows_us: np.ndarray, time_us: int) -> int | None:
    """The row whose time is `time_us`, but for rounding; None if there is none."""
    row = int(np.searchsorted(rows_us, time_us - TIME_TOLERANCE_US))
    return row if row < len(rows_us) and rows_us[row] <= time_us + TIME_TOLERANCE_US else None


class CameraPictures:
    """Decodes a camera once, and shows it row after row.

    `strangers` counts pictures that belong to no row.
    """

    def __init__(self, video: Path, frames: FrameTable) -> None:
        self._rows_us = frames.pts_us
        self._reader = VideoReader(video)
        self._pictures = iter(self._reader)
        self._shown: tuple[int, av.VideoFrame] | None = None
        self._next: tuple[int, av.VideoFrame] | None = None
        self._passed = self._asked = -1
        self._lost: list[tuple[int, int]] = []
        self.strangers = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._reader.__exit__(kind, error, trace)

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of the first picture, upright; None if nothing decodes. To be asked before `at`."""
        if self._next is None:
            self._next = self._read()
        if self._next is None:
            return None
        picture = self._next[1]
        return (picture.height, picture.width) if turn_of(picture)[0] else (picture.width, picture.height)

    def at(self, row: int) -> tuple[int, av.VideoFrame] | None:
        """The last row up to `row` that decodes, and its picture as coded; None if none does. Rows must not fall."""
        self._asked = max(self._asked, row)
        while True:
            if self._next is None:
                self._next = self._read()
            if self._next is None or self._next[0] > row:
                return self._shown
            if self._next[0] > self._passed + 1:
                self._lost.append((self._passed + 1, self._next[0]))
            self._passed = self._next[0]
            self._shown, self._next = self._next, None

    def lost(self) -> np.ndarray:
        """The rows that do not decode, int64, up to the last one that has been asked for."""
        stretches = [*self._lost, (self._passed + 1, self._asked + 1)]
        return np.concatenate([np.arange(first, stop, dtype=np.int64) for first, stop in stretches])

    def check(self, product: str, camera: str) -> None:
        """Raises InputError if pictures have been met that are no frames of the table."""
        if self.strangers:
            message = f"{product}: {self.strangers} pictures of {camera} are no frames of its table"
            raise InputError("frame_count", f"{message}; import the recording again", value=self.strangers, limit=0)

    def _read(self) -> tuple[int, av.VideoFrame] | None:
        for picture in self._pictures:
            row = row_at(self._rows_us, microseconds(picture))
            if row is not None and row > self._passed:
                return row, picture
            self.strangers += 1
        return None
