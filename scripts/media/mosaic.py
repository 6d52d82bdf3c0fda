"""Several cameras in one picture: a grid of cells, each with the frame that its camera shows.

Cells are filled by a few threads, since scaling and decoding leave Python free; what they make does not depend on
that. Nothing is scaled twice while a camera stands still.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from scripts.common.camera_pictures import CameraPictures
from scripts.common.synchronised import NOTHING, Synchronised
from scripts.common.video import BLACK, EXACT, even, plane_arrays, upright

CELL_THREADS = 2
# What h264 decoders commonly take; larger grids get smaller cells.
LARGEST_SIDE = 8192


@dataclass(frozen=True)
class Cell:
    """Where a camera stands in the picture, in pixels; all even."""

    camera: str
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Layout:
    """A picture of cells; what no cell covers is black."""

    width: int
    height: int
    cells: tuple[Cell, ...]


def rows_of(cameras: Sequence[str], columns: int = 0) -> list[list[str]]:
    """Any number of cameras in rows, as wide as high or wider: 2 x 2, 4 x 2, 4 x 3. columns: 0 for that choice."""
    if not columns:
        columns = -(-len(cameras) // max(1, isqrt(len(cameras))))
    return [list(cameras[first : first + columns]) for first in range(0, len(cameras), columns)]


def lay_out(rows: Sequence[Sequence[str]], cell: tuple[int, int]) -> Layout:
    """A grid of equal cells. rows: names of cameras, "" for an empty cell; cell: width and height in pixels.

    Cells shrink where the picture would be larger than LARGEST_SIDE.
    """
    across, down = max(map(len, rows)), len(rows)
    share = min(Fraction(1), Fraction(LARGEST_SIDE, across * cell[0]), Fraction(LARGEST_SIDE, down * cell[1]))
    width, height = (max(2, int(side * share) // 2 * 2) if share < 1 else even(side) for side in cell)
    cells = [
        Cell(camera, column * width, row * height, width, height)
        for row, names in enumerate(rows)
        for column, camera in enumerate(names)
        if camera
    ]
    return Layout(across * width, down * height, tuple(cells))


class Mosaic:
    """The pictures of a layout, one an instant.

    pictures: of each camera; one without has black cells.  missing: what a cell shows where its camera has no frame, or
    one that does not decode: "black", or "held" for the frame before.
    """

    def __init__(
        self, layout: Layout, pictures: Mapping[str, CameraPictures], instants: Synchronised, missing: str
    ) -> None:
        self._layout = layout
        self._length = len(instants)
        seen = [cell for cell in layout.cells if cell.camera in pictures]
        if len({cell.camera for cell in seen}) < len(seen):
            raise ValueError("a camera stands in two cells; it is decoded once")
        self._windows = [
            _Window(cell, pictures[cell.camera], instants.of(cell.camera), held=missing == "held") for cell in seen
        ]
        self._covered = len(seen) * (seen[0].width * seen[0].height if seen else 0) == layout.width * layout.height

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[av.VideoFrame]:
        """Fresh yuv420p pictures, in the order of the instants. Iterate once."""
        with ThreadPoolExecutor(CELL_THREADS) as pool:
            for instant in range(self._length):
                picture = av.VideoFrame(self._layout.width, self._layout.height, "yuv420p")
                planes = plane_arrays(picture)
                if not self._covered:
                    for plane, value in zip(planes, BLACK, strict=True):
                        plane[:] = value
                paint = [pool.submit(window.paint, planes, instant) for window in self._windows]
                for done in paint:
                    done.result()
                yield picture

    @property
    def shown(self) -> dict[str, np.ndarray]:
        """The frame that each camera has really shown at every instant, int32 (M,), or NOTHING. When all are made."""
        return {window.camera: window.shown for window in self._windows}

    @property
    def lacking(self) -> dict[str, int]:
        """At how many instants each camera had no frame of its own. When all are made."""
        return {window.camera: int(window.lacks.sum()) for window in self._windows}


class _Window:
    """One cell and what it shows."""

    def __init__(self, cell: Cell, pictures: CameraPictures, wanted: np.ndarray, *, held: bool) -> None:
        self._cell, self._pictures, self._wanted = cell, pictures, wanted
        # Where there is no frame, the one before is asked for if it is to be held.
        self._asked = np.maximum.accumulate(wanted) if held and len(wanted) else wanted
        self._is_held = held
        self.camera = cell.camera
        self.shown = np.full(len(wanted), NOTHING, np.int32)
        self.lacks = np.ones(len(wanted), bool)
        self._scaler = VideoReformatter()
        self._row = -1
        self._planes: list[np.ndarray] = []
        self._scaled: av.VideoFrame | None = None

    def paint(self, planes: list[np.ndarray], instant: int) -> None:
        """Fill the cell in the planes of the whole picture."""
        found = self._find(instant)
        if found is not None and found[0] != self._row:
            self._row = found[0]
            # The picture owns the memory of its planes.
            self._scaled = self._fit(upright(found[1]))
            self._planes = plane_arrays(self._scaled)
        for index, plane in enumerate(planes):
            half = 1 if index == 0 else 2
            cell = plane[
                self._cell.top // half : (self._cell.top + self._cell.height) // half,
                self._cell.left // half : (self._cell.left + self._cell.width) // half,
            ]
            if found is None:
                cell[:] = BLACK[index]
            else:
                _centre(cell, self._planes[index], BLACK[index], 2 // half)

    def _find(self, instant: int) -> tuple[int, av.VideoFrame] | None:
        row = int(self._asked[instant])
        found = self._pictures.at(row) if row != NOTHING else None
        self.lacks[instant] = found is None or found[0] != self._wanted[instant]
        if found is None or (self.lacks[instant] and not self._is_held):
            return None
        self.shown[instant] = found[0]
        return found

    def _fit(self, picture: av.VideoFrame) -> av.VideoFrame:
        scale = min(Fraction(self._cell.width, picture.width), Fraction(self._cell.height, picture.height))
        # Multiples of two, so that the chroma stays in its place.
        width, height = (max(2, int(side * scale) // 2 * 2) for side in (picture.width, picture.height))
        if (width, height) == (picture.width, picture.height):
            return picture
        return self._scaler.reformat(picture, width=width, height=height, interpolation=EXACT, threads=1)


def _centre(cell: np.ndarray, plane: np.ndarray, black: int, step: int) -> None:
    """Copy `plane` into the middle of `cell`, which is as large or larger; offsets are multiples of `step`."""
    if plane.shape != cell.shape:
        cell[:] = black
    top, left = ((outer - inner) // (2 * step) * step for outer, inner in zip(cell.shape, plane.shape, strict=True))
    cell[top : top + plane.shape[0], left : left + plane.shape[1]] = plane
