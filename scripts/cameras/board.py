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
        return [self._turn(quarters) for quarters in self._quarters() if quarters]

    def _quarters(self) -> tuple[int, ...]:
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
        half = self._half_window or int(np.clip(spacing / 2 - 1, 2, WIDEST_WINDOW))
        pixels = cv2.cornerSubPix(grey, corners, (half, half), (-1, -1), UNTIL).reshape(-1, 2)
        if self.board.dot and not self._dot_first(grey, pixels):
            pixels = pixels[::-1]
        return np.arange(len(pixels)), pixels

    def _dot_first(self, grey: np.ndarray, pixels: np.ndarray) -> bool:
        """Whether the dot is in the corner square before the first corner, and not in that after the last one."""
        return _contrast(grey, self._outer(pixels)) >= _contrast(grey, self._outer(pixels[::-1]))

    def _outer(self, pixels: np.ndarray) -> np.ndarray:
        """The four pixels of the square diagonally before the first corner, float (4, 2)."""
        grid = pixels.reshape(self.board.rows - 1, self.board.columns - 1, 2)
        inner = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
        seen = np.array([grid[0, 0], grid[0, 1], grid[1, 1], grid[1, 0]], np.float32)
        home = cv2.getPerspectiveTransform(inner, seen)
        square = np.array([[[-1, -1], [0, -1], [0, 0], [-1, 0]]], np.float32)
        outer: np.ndarray = cv2.perspectiveTransform(square, home)[0]
        return outer

    def _find_charuco(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        corners, numbers, _, _ = self._charuco.detectBoard(grey)
        if numbers is None or corners is None or not len(numbers):
            return _nothing()
        return np.asarray(numbers).ravel(), np.asarray(corners).reshape(-1, 2)

    def _find_grid(self, grey: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        numbers, corners = self._markers.find(grey)
        known = numbers < self.board.columns * self.board.rows
        return (numbers[known, None] * 4 + np.arange(4)).ravel(), corners[known].reshape(-1, 2)


def _contrast(grey: np.ndarray, square: np.ndarray) -> float:
    """How much the middle of a square differs from its surround, in shares of its brightness."""
    size = 32
    flat = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float32)
    home = cv2.getPerspectiveTransform(square.astype(np.float32), flat)
    seen = cv2.warpPerspective(grey, home, (size, size)).astype(np.float64)
    middle = seen[12:20, 12:20].mean()
    around = np.median(np.concatenate([seen[3:7, 3:-3].ravel(), seen[-7:-3, 3:-3].ravel()]))
    return float(abs(middle - around))


def _nothing() -> tuple[np.ndarray, np.ndarray]:
    return np.empty(0, np.int32), np.empty((0, 2))
