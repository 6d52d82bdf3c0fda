"""A calibration in which one camera fits nothing is refused, however well the others do."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.cameras import lens
from scripts.cameras.board import Board
from scripts.cameras.bundle import Scene, turned
from scripts.cameras.calibrate_cameras import calibrate_cameras
from scripts.cameras.calibration_gate import refuse_poor
from scripts.common.calibration_file import Calibration
from scripts.common.errors import InputError
from tests.unit.arena_room import SETTINGS

BOARD = {"kind": "chessboard", "columns": 7, "rows": 6, "square_mm": 40.0, "marker_mm": 30.0}
BOARD |= {"dictionary": "DICT_4X4_50", "inverted": False, "legacy": False, "dot": False}
SIZE = (1280, 800)
VIEWS = 24
LENS = np.array([800.0, 800, 640, 400, -0.1, 0.02, 0, 0, 0])
# Side by side, turned inwards.
PLACES = np.array([[0, 0, 0, 0, 0, 0], [0, 0.3, 0, -350, 0, 50], [0, -0.3, 0, 350, 0, 50]], float)
# What becomes of (pixels, corners) of a camera in a view; None: it is left as it is.
Spoiled = Callable[[int, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def corners(folder: Path, spoiled: dict[int, Spoiled]) -> list[Path]:
    """Tables of the corners that three cameras see of a board in VIEWS places, of some cameras spoiled."""
    generator = np.random.default_rng(1)
    points = Board.of(BOARD).points_mm
    paths = []
    turns = generator.uniform(-0.6, 0.6, (VIEWS, 3))
    moves = generator.uniform([-200, -150, 900], [0, 0, 1300], (VIEWS, 3))
    for camera, place in enumerate(PLACES):
        found = []
        for view in range(VIEWS):
            world = turned(np.tile(turns[view], (len(points), 1)), points)[0] + moves[view]
            mine = turned(np.tile(place[:3], (len(points), 1)), world)[0] + place[3:]
            pixels = lens.project(mine, LENS)[0] + generator.normal(0, 0.15, (len(points), 2))
            inside = ((pixels > 0) & (pixels < SIZE)).all(axis=1)
            seen, numbers = pixels[inside], np.flatnonzero(inside)
            if camera in spoiled:
                seen, numbers = spoiled[camera](view, seen, numbers)
            found.append((np.full(len(seen), view), numbers, *seen.T))
        columns = dict(zip(("frame", "corner", "x", "y"), map(np.concatenate, zip(*found, strict=True)), strict=True))
        size = {name: np.full(len(columns["x"]), side) for name, side in zip(("width", "height"), SIZE, strict=True)}
        paths.append(folder / f"{camera}.parquet")
        pq.write_table(pa.table({**columns, **size}), paths[-1])
    return paths


def calibrated(folder: Path, spoiled: dict[int, Spoiled]) -> Path:
    out = folder / "calibration.toml", folder / "calibration.json", folder / "ledger.parquet"
    settings = {**SETTINGS, "starts": 1}
    paths = corners(folder, spoiled)
    calibrate_cameras(paths, *out, recording="r", cameras=list("abc"), board=BOARD, settings=settings)
    return folder


def garbage(view: int, pixels: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    noise = np.random.default_rng(view).normal(0, 60, pixels.shape)
    return pixels + noise * (view % 2), numbers


def from_the_other_end(_view: int, pixels: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return pixels, len(Board.of(BOARD).points_mm) - 1 - numbers


def mirrored(_view: int, pixels: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return pixels * np.array([-1, 1]) + np.array([SIZE[0], 0]), numbers


@pytest.mark.parametrize("spoil", [garbage, from_the_other_end, mirrored])
def test_a_camera_of_three_that_fits_nothing_fails_the_calibration(tmp_path, spoil):
    with pytest.raises(InputError, match=r"of c .*\(a 0\..*views shared: a\+b \d+") as caught:
        calibrated(tmp_path, {2: spoil})
    assert caught.value.reason == "bad_fit"
    assert not (tmp_path / "calibration.toml").exists()


def test_a_few_wild_corners_are_dropped_and_counted_by_camera(tmp_path):
    def wild(view: int, pixels: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return pixels + np.array([90.0, 0]) * (view == 5), numbers

    card = json.loads((calibrated(tmp_path, {1: wild}) / "calibration.json").read_text())
    dropped = {name: facts["corners_dropped"] for name, facts in card["cameras"].items()}
    assert dropped["b"] > 10
    assert sum(dropped.values()) == card["corners_dropped"]
    assert card["cameras"]["b"]["views"] == VIEWS - 1
    camera = Calibration.read(tmp_path / "calibration.toml").cameras["b"]
    assert camera.matrix[0, 0] == pytest.approx(800, rel=0.01)


def judged(medians: list[float], views: list[set[int]], focal: float = 800.0) -> None:
    lenses = [np.r_[focal, focal, LENS[2:]] for _ in medians]
    scene = Scene(lenses, PLACES, np.zeros((0, 6)))
    errors = [np.full(9, median) for median in medians]
    refuse_poor("r", list("abc"), scene, [SIZE] * 3, errors, views, 1.0)


def test_a_camera_is_held_by_three_views_of_cameras_that_are_held():
    few = {0, 1, 2, 3, 4, 5}
    judged([0.2, 0.3, 1.0], [few, {3, 4, 5, 6, 7, 8}, {6, 7, 8}])
    with pytest.raises(InputError, match=r"c shares 2 views with the others, 3 are wanted \(a 0\.200"):
        judged([0.2, 0.3, 0.4], [few, {3, 4, 5, 6, 7}, {6, 7, 8, 9}])
    with pytest.raises(InputError, match=r"b shares 0 views .*; c shares 0 views"):
        judged([0.2, 0.3, 0.4], [few, {6, 7, 8, 9}, {6, 7, 8, 9}])


def test_the_gate_is_every_cameras_own_and_an_impossible_lens_is_none():
    every = [set(range(9))] * 3
    with pytest.raises(InputError, match=r"r: median error of c 1\.500 px, limit 1 ") as caught:
        judged([0.1, 0.1, 1.5], every)
    assert (caught.value.value, caught.value.limit) == (1.5, 1.0)
    with pytest.raises(InputError, match="9 of 9 corners of b fit nothing"):
        judged([0.1, np.inf, 0.1], every)
    for focal in (-800.0, 20.0, 3e5):
        with pytest.raises(InputError, match="a would have a focal length of"):
            judged([0.1, 0.1, 0.1], every, focal)
