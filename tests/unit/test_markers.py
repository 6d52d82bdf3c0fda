"""ArUco and AprilTag markers, of a grid and of things that carry them: their corners are where they are drawn."""

import cv2
import numpy as np
import pytest

from scripts.cameras.board import Board, BoardFinder
from scripts.cameras.detectors.aruco import Aruco
from scripts.cameras.first_guess import board_places
from tests.unit.test_calibrate_cameras import observed

# Pixels of the drawing to one of the picture, so that edges are as soft as a camera's.
FINE = 4
SIZE = (640, 480)


def drawn(board, side, seed):
    """A grid whose markers are about `side` pixels wide, turned and seen from the side, and where its corners are."""
    rng = np.random.default_rng(seed)
    sheet = np.pad(board.picture(10), 100, constant_values=255)
    around = rng.uniform(0, 2 * np.pi)
    axis = np.array([np.cos(around), np.sin(around), 0]) * rng.uniform(0, 0.9)
    turn = cv2.Rodrigues(axis)[0] @ cv2.Rodrigues(np.array([0, 0, rng.uniform(0, 2 * np.pi)]))[0]
    scale = side / board.marker_mm
    away = 4 * board.columns * board.square_mm
    lens = np.array([[scale * away, 0, SIZE[0] / 2], [0, scale * away, SIZE[1] / 2], [0, 0, 1]])
    middle = board.points_mm.mean(axis=0)
    shift = np.array([*rng.uniform(-1, 1, 2), away])
    flat = lens @ np.column_stack([turn[:, :2], shift - turn @ middle])
    # A pixel's middle is a whole number, in the sheet, in the drawing and in the picture.
    to_mm = np.array([[0.1, 0, 0.05 - 10], [0, 0.1, 0.05 - 10], [0, 0, 1]])
    to_fine = np.array([[FINE, 0, FINE / 2 - 0.5], [0, FINE, FINE / 2 - 0.5], [0, 0, 1]])
    fine = (SIZE[0] * FINE, SIZE[1] * FINE)
    picture = cv2.warpPerspective(sheet, to_fine @ flat @ to_mm, fine, flags=cv2.INTER_AREA, borderValue=140)
    picture = cv2.GaussianBlur(cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA), (3, 3), 0.6)
    noisy = picture + rng.normal(0, 2, picture.shape)
    true = cv2.perspectiveTransform(board.points_mm[None, :, :2], flat)[0]
    return np.clip(noisy, 0, 255).astype(np.uint8), true


def grid(dictionary, square_mm=20.0, marker_mm=15.0):
    return Board("aruco_grid", 3, 2, square_mm, marker_mm, dictionary, inverted=False, legacy=False, dot=False)


@pytest.mark.parametrize("dictionary", ["DICT_4X4_50", "DICT_7X7_50", "DICT_APRILTAG_36h11"])
@pytest.mark.parametrize(
    ("side", "median_px", "most_px"), [(18, 0.3, 0.45), (30, 0.3, 0.45), (48, 0.24, 0.4), (80, 0.2, 0.32)]
)
def test_corners_of_small_and_of_large_markers_are_where_they_are_drawn(dictionary, side, median_px, most_px):
    """Those of a grid and those of keypoints: a window of one pixel leaves them half a pixel off, a wide one more."""
    board = grid(dictionary)
    finder = BoardFinder(board)
    detector = Aruco({"dictionary": dictionary, "markers": list(range(6)), "skeleton": []})
    of_grid, of_keypoints = [], []
    for seed in range(12):
        picture, true = drawn(board, side, seed)
        numbers, pixels = finder.find(picture)
        of_grid.append(np.linalg.norm(pixels - true[numbers], axis=1))
        for found, _ in detector.detect([cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)]):
            away = np.linalg.norm(found.reshape(-1, 24, 2) - true, axis=2)
            of_keypoints.append(away[np.isfinite(away)])
    for errors in (np.concatenate(of_grid), np.concatenate(of_keypoints)):
        assert len(errors) > 12 * 12
        assert np.median(errors) < median_px
        assert np.percentile(errors, 95) < most_px


def test_a_grid_is_placed_alike_whether_its_sizes_are_written_as_whole_numbers_or_not():
    lens = np.array([800.0, 800, 320, 240, 0, 0, 0, 0, 0])
    places = []
    for square, marker in ((20, 15), (20.0, 15.0)):
        board = grid("DICT_APRILTAG_36h11", square, marker)
        picture, _ = drawn(board, 60, 0)
        seen = observed([(0, 0, *BoardFinder(board).find(picture))], board)
        assert len(seen) == 24
        places.append(board_places(seen, lens)[0])
    assert np.array_equal(*places)
