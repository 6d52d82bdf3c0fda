"""A dot says where a chessboard begins; without one that stands out, a picture of it counts for nothing."""

from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from rushes.synthetic import arena
from scripts.cameras.board import Board, BoardFinder
from scripts.cameras.detect_boards import detect_boards
from scripts.common import ledger
from scripts.common.aligned_frames import AlignedFrames
from scripts.common.errors import InputError
from tests.unit.arena_room import frames_of
from tests.unit.made_media import Pictures, write_media

SIDE = 40


def described(columns: int, rows: int) -> Board:
    return Board("chessboard", columns, rows, 20.0, 0.0, "DICT_4X4_50", inverted=False, legacy=False, dot=True)


def drawn(columns: int, rows: int, radius: float, at: tuple[int, int] = (0, 0)) -> np.ndarray:
    """A chessboard with a dot of `radius` squares in the square `at` (column, row); 0: without one."""
    squares = np.add.outer(np.arange(rows), np.arange(columns)) % 2 * 255
    flat = np.pad(np.kron(squares, np.ones((SIDE, SIDE))).astype(np.uint8), SIDE, constant_values=255)
    if radius:
        middle = tuple(SIDE + SIDE // 2 + SIDE * place for place in at)
        cv2.circle(flat, middle, round(radius * SIDE), 255 - int(flat[middle[::-1]]), -1)
    return flat


def seen(flat: np.ndarray, degrees: float, blur_px: float = 0, noise: float = 0) -> tuple[np.ndarray, np.ndarray]:
    """A picture of it, rolled, tilted and unevenly lit, and the matrix from the print to the picture."""
    height, width = flat.shape
    roll = np.vstack([cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0), [0, 0, 1]])
    roll[:2, 2] += 300 - np.array([width, height]) / 2
    home = np.array([[1.0, 0.04, 0], [-0.03, 0.9, 20], [1e-4, 2e-4, 1]]) @ roll
    picture = cv2.warpPerspective(flat, home, (640, 600), borderValue=255).astype(float)
    if blur_px:
        picture = cv2.GaussianBlur(picture, (0, 0), blur_px)
    picture = (20 + 0.8 * picture) * np.linspace(0.4, 1, 640)
    picture += np.random.default_rng(int(degrees)).normal(0, noise, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8), home


def true_corners(columns: int, rows: int, home: np.ndarray) -> np.ndarray:
    places = described(columns, rows).points_mm[:, :2] / 20 * SIDE + 2 * SIDE - 0.5
    corners: np.ndarray = cv2.perspectiveTransform(places[None], home)[0]
    return corners


@pytest.mark.parametrize(("columns", "rows"), [(6, 6), (7, 7), (7, 5), (8, 5), (8, 6)])
@pytest.mark.parametrize(("radius", "blur_px", "noise"), [(0.2, 0, 0), (0.2, 1.5, 6), (0.35, 0, 3)])
def test_a_board_with_a_dot_is_numbered_from_it_however_it_lies(columns, rows, radius, blur_px, noise):
    for degrees in range(0, 360, 30):
        picture, home = seen(drawn(columns, rows, radius), degrees, blur_px, noise)
        numbers, pixels = BoardFinder(described(columns, rows)).find(picture)
        assert list(numbers) == list(range((columns - 1) * (rows - 1)))
        away = np.linalg.norm(pixels - true_corners(columns, rows, home), axis=1)
        # The dot is in the window of the first corner, if that is as wide as the others'.
        assert away.max() < 0.5


@pytest.mark.parametrize(
    ("columns", "rows", "radius", "at"),
    [(7, 5, 0, (0, 0)), (6, 6, 0, (0, 0)), (7, 5, 0.2, (6, 0)), (7, 5, 0.2, (0, 4)), (7, 5, 0.2, (3, 2))],
    ids=["no dot", "no dot, square", "end of the first row", "start of the last row", "middle"],
)
def test_a_board_whose_beginning_is_not_seen_is_not_found(columns, rows, radius, at):
    finder = BoardFinder(described(columns, rows))
    for degrees in range(0, 360, 30):
        assert len(finder.find(seen(drawn(columns, rows, radius, at), degrees, 1.0, 6)[0])[0]) == 0
    elsewhere = radius > 0 and at != (3, 2)
    assert (finder.dot_elsewhere, finder.dot_unseen) == ((12, 0) if elsewhere else (0, 12))


def test_a_dot_square_that_the_picture_cuts_off_is_no_dot():
    picture, home = seen(drawn(7, 5, 0.2), 0)
    left = int(true_corners(7, 5, home)[:, 0].min()) - 20
    finder = BoardFinder(described(7, 5))
    assert len(finder.find(np.ascontiguousarray(picture[:, left:]))[0]) == 0


def detected(folder: Path, prints: list[np.ndarray]) -> ledger.Row:
    """The row of detect_boards of a video that shows each print once."""
    pictures = [seen(flat, 20)[0] for flat in prints]
    draw = pictures.__getitem__
    write_media(folder / "a.mp4", Pictures([Fraction(n, arena.FPS) for n in range(len(prints))], draw=draw))
    frames_of(list(range(len(prints)))).write(folder / "frames.parquet")
    shown = np.arange(len(prints), dtype=np.int32)[:, None]
    AlignedFrames(("a",), shown[:, 0] * 1_000_000, shown).write(folder / "aligned.parquet")
    given = (folder / name for name in ("a.mp4", "frames.parquet", "aligned.parquet", "corners.parquet", "l.parquet"))
    detect_boards(*given, recording="r", camera="a", board=asdict(described(7, 5)), every=1)
    (row,) = ledger.rows(ledger.read([folder / "l.parquet"]))
    return row


@pytest.mark.parametrize(
    ("radius", "at", "said"),
    [(0, (0, 0), "in 3 no dot was seen: print one, or remove dot: true"), (0.2, (6, 0), "in 3 its dot .*swap columns")],
)
def test_detect_boards_says_why_a_board_with_a_dot_was_not_found(tmp_path, radius, at, said):
    with pytest.raises(InputError, match=f"none of 3 frames shows the chessboard of the config; {said}"):
        detected(tmp_path, [drawn(7, 5, radius, at)] * 3)


def test_the_ledger_says_in_how_many_pictures_no_dot_was_seen(tmp_path):
    row = detected(tmp_path, [drawn(7, 5, 0.2), drawn(7, 5, 0), drawn(7, 5, 0.2)])
    assert (row.outcome, row.value) == ("written", 2)
    assert row.message == "the board in 2 of 3 frames; in 1 no dot was seen: print one, or remove dot: true"
