"""Calibration boards: what is printed on them, where their corners are, and how they are found in a picture.

Corners are numbered row by row, as OpenCV numbers them; the board is the one that the config describes, and no other.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from scripts.cameras.markers import MarkerFinder, dictionary_of

# Half the side of the largest window in which a corner is refined, and when that ends.
WIDEST_WINDOW = 11
UNTIL = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
# A dot is what differs from its square by so much of the step from black to white, and so many times more than
# anything in the middle of another corner square does: noise and uneven light stay below a tenth.
DOT_SHARE = 0.2
DOT_TIMES = 3.0


@dataclass(frozen=True)
class Turn:
    """A turn after which a board looks the same. numbers: int (N,), what each corner is called then, points_mm: float64
    (N, 3), where that is.  home: 4x4, from the board as it is to the board as it was numbered."""

    numbers: np.ndarray
    points_mm: np.ndarray
    home: np.ndarray


@dataclass(frozen=True)
class Board:
    """A board of `columns` by `rows`: squares of a chessboard or a ChArUco board, markers of an ArUco grid.

    kind: chessboard, charuco or aruco_grid.  square_mm: side of a square, or from one marker of a grid to the
    next.  marker_mm: side of a marker.  dot: one at the first corner tells which way round a chessboard lies.
    """

    kind: str
    columns: int
    rows: int
    square_mm: float
    marker_mm: float
    dictionary: str
    inverted: bool
    legacy: bool
    dot: bool

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Board":
        """The board that the config describes."""
        return cls(**{name: settings[name] for name in cls.__dataclass_fields__})

    @property
    def points_mm(self) -> np.ndarray:
        """Where each corner is on the board, float64 (N, 3), z = 0."""
        if self.kind == "aruco_grid":
            return self._grid_points()
        columns, rows = self.columns - 1, self.rows - 1
        across, down = np.meshgrid(np.arange(columns), np.arange(rows))
        flat = np.stack([across.ravel(), down.ravel(), np.zeros(columns * rows)], axis=1)
        if self.kind == "charuco":
            flat[:, :2] += 1
        return flat * self.square_mm

    def _grid_points(self) -> np.ndarray:
        corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float64) * self.marker_mm
        places = [[c * self.square_mm, r * self.square_mm, 0] for r in range(self.rows) for c in range(self.columns)]
        return (np.array(places, np.float64)[:, None] + corners).reshape(-1, 3)

    @property
    def turns(self) -> list[Turn]:
        """The turns that nothing on the board tells from none: of a chessboard without a beginning."""
        if self.kind != "chessboard" or self.dot or (self.columns + self.rows) % 2:
            return []
        return [self._turn(quarters) for quarters in self.quarters if quarters]

    @property
    def quarters(self) -> tuple[int, ...]:
        """By how many quarters of a turn OpenCV may number a chessboard's corners otherwise."""
        return (0, 1, 2, 3) if self.columns == self.rows else (0, 2)

    def turned_numbers(self, quarters: int) -> np.ndarray:
        """Numbers of a chessboard's corners, int (N,), row by row of the board that was turned."""
        shape = (self.rows - 1, self.columns - 1)
        return np.rot90(np.arange(shape[0] * shape[1]).reshape(shape), quarters).ravel()

    def _turn(self, quarters: int) -> Turn:
        numbers, points = self.turned_numbers(quarters), self.points_mm
        # The first row and column of corners turn with the board: three corners tell where its axes go.
        moved = points[numbers]
        across, down = moved[1] - moved[0], moved[self.columns - 1] - moved[0]
        there = np.eye(4)
        there[:3, 0], there[:3, 1] = across / self.square_mm, down / self.square_mm
        there[:3, 3] = moved[0]
        return Turn(numbers, moved, np.linalg.inv(there))

    def picture(self, pixels_per_mm: float, margin_px: int = 0) -> np.ndarray:
        """The board as it is printed, uint8 (height, width): ChArUco and ArUco grids."""
        size = tuple(round(n * self.square_mm * pixels_per_mm) for n in (self.columns, self.rows))
        if self.kind == "charuco":
            drawn: np.ndarray = self._charuco().generateImage(size, marginSize=0)
        else:
            gap = self.square_mm - self.marker_mm
            grid = cv2.aruco.GridBoard((self.columns, self.rows), self.marker_mm, gap, dictionary_of(self.dictionary))
            inner = tuple(s - round(gap * pixels_per_mm) for s in size)
            drawn = grid.generateImage(inner, marginSize=0)
        drawn = np.pad(drawn, margin_px, constant_values=255)
        return 255 - drawn if self.inverted else drawn

    def _charuco(self) -> Any:
        size = (self.columns, self.rows)
        board = cv2.aruco.CharucoBoard(size, self.square_mm, self.marker_mm, dictionary_of(self.dictionary))
        board.setLegacyPattern(self.legacy)
        return board


class BoardFinder:
    """Finds one board in pictures."""

    def __init__(self, board: Board, half_window: int = 0) -> None:
        """half_window: pixels, of a chessboard's corners; 0: as wide as no other corner comes into it."""
        self.board = board
        # Chessboards that were left out: their dot did not stand out, or is in another corner than the first.
        self.dot_unseen = self.dot_elsewhere = 0
        self._half_window = half_window
        if board.kind == "charuco":
            self._charuco = cv2.aruco.CharucoDetector(board._charuco())
        elif board.kind == "aruco_grid":
            self._markers = MarkerFinder(board.dictionary)

    def find(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the corners that are seen, int32 (n,), and their pixels, float64 (n, 2). Both may be empty.

        grey: uint8 (height, width).
        """
        if self.board.inverted:
            grey = 255 - grey
        find = {"chessboard": self._find_chessboard, "charuco": self._find_charuco, "aruco_grid": self._find_grid}
        numbers, pixels = find[self.board.kind](grey)
        return numbers.astype(np.int32), pixels.astype(np.float64)

    def _find_chessboard(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        size = (self.board.columns - 1, self.board.rows - 1)
        flags = cv2.CALIB_CB_ADAPTIVE_THRESH + cv2.CALIB_CB_NORMALIZE_IMAGE + cv2.CALIB_CB_FAST_CHECK
        found, corners = cv2.findChessboardCorners(grey, size, flags=flags)
        if not found:
            return _nothing()
        corners = np.ascontiguousarray(corners.reshape(-1, 1, 2), np.float32)
        spacing = np.linalg.norm(np.diff(corners.reshape(size[1], size[0], 2), axis=1), axis=2).min()
        pixels = _refined(grey, corners, self._half_window or spacing / 2 - 1)
        if self.board.dot:
            numbers = self._from_dot(grey, pixels)
            if numbers is None:
                return _nothing()
            pixels = pixels[numbers]
            # Of the corner beside it, a window as wide as that of the others reaches the dot.
            place = cv2.perspectiveTransform(np.ones((1, 1, 2)), _beginning(pixels.reshape(size[1], size[0], 2)))
            pixels[:1] = _refined(grey, place.astype(np.float32), spacing / 4 - 1)
        return np.arange(len(pixels)), pixels

    def _from_dot(self, grey: np.ndarray, pixels: np.ndarray) -> np.ndarray | None:
        """In which order the corners are to be read so that the dot is before the first; None if that cannot be."""
        grid = pixels.reshape(self.board.rows - 1, self.board.columns - 1, 2)
        marks = [_mark(grey, np.rot90(grid, quarters)) for quarters in range(4)]
        quarters = int(np.argmax(marks))
        if marks[quarters] < max(DOT_SHARE, DOT_TIMES * sorted(marks)[-2]):
            self.dot_unseen += 1
            return None
        if quarters not in self.board.quarters:
            self.dot_elsewhere += 1
            return None
        return self.board.turned_numbers(quarters)

    def _find_charuco(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        corners, numbers, _, _ = self._charuco.detectBoard(grey)
        if numbers is None or corners is None or not len(numbers):
            return _nothing()
        return np.asarray(numbers).ravel(), np.asarray(corners).reshape(-1, 2)

    def _find_grid(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        numbers, corners = self._markers.find(grey)
        known = numbers < self.board.columns * self.board.rows
        return (numbers[known, None] * 4 + np.arange(4)).ravel(), corners[known].reshape(-1, 2)


def _refined(grey: np.ndarray, corners: np.ndarray, half_window: float) -> np.ndarray:
    """Corners, float32 (n, 1, 2), to parts of a pixel, (n, 2)."""
    half = int(np.clip(half_window, 2, WIDEST_WINDOW))
    refined: np.ndarray = cv2.cornerSubPix(grey, corners.copy(), (half, half), (-1, -1), UNTIL).reshape(-1, 2)
    return refined


def _beginning(grid: np.ndarray) -> np.ndarray:
    """From squares to pixels where a board begins, 3x3, with the first corner at (1, 1): by its neighbours, as a dot
    beside it moves it itself."""
    places = np.array([[column, row] for row in (1, 2, 3) for column in (1, 2, 3)], np.float64)[1:]
    home: np.ndarray = cv2.findHomography(places, grid[:3, :3].reshape(-1, 2)[1:].astype(np.float64))[0]
    return home


def _mark(grey: np.ndarray, grid: np.ndarray) -> float:
    """How much the middle of the square diagonally before the first corner differs from that of the next square of its
    colour, in shares of the step from black to white; 0 where it is not wholly in the picture.

    grid: pixels of the corners, (rows, columns, 2).
    """
    side = 32
    there = _beginning(grid)
    outer = cv2.perspectiveTransform(np.array([[[0.0, 0], [2, 0], [0, 2]]]), there)[0]
    if not ((outer >= 0) & (outer <= np.array(grey.shape[::-1]) - 1)).all():
        return 0.0
    there = there @ np.diag([1 / side, 1 / side, 1])
    warp = cv2.WARP_INVERSE_MAP + cv2.INTER_LINEAR
    four = cv2.warpPerspective(grey, there, (2 * side, 2 * side), flags=warp).astype(np.float64)
    low, high = side // 2 - 4, side // 2 + 4
    middles = four.reshape(2, side, 2, side)[:, low:high, :, low:high].mean(axis=(1, 3))
    (mine, beside), (below, alike) = middles.tolist()
    share: float = abs(mine - alike) / max(abs((beside + below) / 2 - alike), 1.0)
    return share


def _nothing() -> tuple[np.ndarray, np.ndarray]:
    return np.empty(0, np.int32), np.empty((0, 2))
