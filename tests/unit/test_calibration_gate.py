"""A calibration in which one camera fits nothing is refused, however well the others do."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.cameras import lens
from scripts.cameras.board import Board
from scripts.cameras.bundle import Scene, turned
from scripts.cameras.calibrate_cameras import calibrate_cameras
from scripts.cameras.calibration_gate import advice, refuse_poor
from scripts.common import ledger
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


def corners(folder: Path, spoiled: dict[int, Spoiled], board: dict[str, Any], cameras: int) -> list[Path]:
    """Tables of the corners that cameras see of a board in VIEWS places, of some cameras spoiled."""
    generator = np.random.default_rng(1)
    points = Board.of(board).points_mm
    paths = []
    turns = generator.uniform(-0.6, 0.6, (VIEWS, 3))
    moves = generator.uniform([-200, -150, 900], [0, 0, 1300], (VIEWS, 3))
    for camera, place in enumerate(PLACES[:cameras]):
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


def calibrated(
    folder: Path, spoiled: dict[int, Spoiled], board: dict[str, Any] = BOARD, cameras: int = len(PLACES)
) -> Path:
    out = folder / "calibration.toml", folder / "calibration.json", folder / "ledger.parquet"
    settings = {**SETTINGS, "starts": 1}
    paths = corners(folder, spoiled, board, cameras)
    calibrate_cameras(paths, *out, recording="r", cameras=list("abc")[:cameras], board=board, settings=settings)
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


def test_a_picture_of_which_half_the_corners_are_wild_is_dropped_as_a_whole(tmp_path):
    def half(view: int, pixels: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wild = (view == 5) & (np.arange(len(pixels)) % 2 == 0)
        return pixels + np.array([90.0, 40]) * wild[:, None], numbers

    for share, spoil in (("none", {}), ("half", {1: half})):
        (tmp_path / share).mkdir()
        calibrated(tmp_path / share, spoil)
    card = json.loads((tmp_path / "half" / "calibration.json").read_text())["cameras"]["b"]
    seen = json.loads((tmp_path / "none" / "calibration.json").read_text())["cameras"]["b"]
    assert (card["views"], card["views_dropped"]) == (VIEWS - 1, 1)
    assert card["corners_dropped"] == seen["corners"] - card["corners"] >= 20


def sometimes(share: float, numbers_of: Callable[[int], np.ndarray]) -> Spoiled:
    """What numbers a share of the views otherwise, by the numbers of one of their turns."""
    generator = np.random.default_rng(7)
    chosen = set(generator.permutation(VIEWS)[: round(share * VIEWS)].tolist())

    def spoil(view: int, pixels: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return pixels, numbers_of(view)[numbers] if view in chosen else numbers

    return spoil


def apart_mm(folder: Path, other: Path) -> float:
    """The farthest that a camera's place in one calibration is from that in another, of all but the first camera."""
    one, two = (Calibration.read(path / "calibration.toml").cameras for path in (folder, other))
    places = [[-turned(-c[name].rotation[None], c[name].translation[None])[0][0] for name in c] for c in (one, two)]
    return float(np.linalg.norm(np.subtract(*places), axis=1).max())


@pytest.mark.parametrize(("columns", "rows"), [(8, 6), (7, 5), (6, 6), (7, 7)])
def test_a_board_without_a_beginning_calibrates_as_well_from_whichever_end_each_camera_numbers_it(
    tmp_path, columns, rows
):
    board = {**BOARD, "columns": columns, "rows": rows}
    turns = Board.of(board).turns
    assert len(turns) == (3 if columns == rows else 1)
    folders = [tmp_path / name for name in ("plain", "10", "25", "30", "40", "all", "both")]
    for folder in folders:
        folder.mkdir()

    def turned_numbers(view: int) -> np.ndarray:
        return turns[view % len(turns)].numbers

    shares = (0.1, 0.25, 0.3, 0.4, 1.0)
    spoiled = [{}, *({1: sometimes(share, turned_numbers)} for share in shares)]
    spoiled.append({0: sometimes(0.5, turned_numbers), 1: lambda v, p, n: (p, n if v % 3 else turned_numbers(v)[n])})
    for folder, spoil in zip(folders, spoiled, strict=True):
        calibrated(folder, spoil, board, 2)
        assert json.loads((folder / "calibration.json").read_text())["corners_dropped"] == 0
        assert apart_mm(folder, folders[0]) < 0.01


def from_another_end_in(share: float) -> dict[int, Spoiled]:
    return {1: sometimes(share, lambda _: np.arange(len(Board.of(BOARD).points_mm))[::-1])}


@pytest.mark.parametrize("cameras", [2, 3])
def test_a_few_views_that_are_numbered_wrongly_are_left_out_whole(tmp_path, cameras):
    """Corners of such a view that fit by chance moved the cameras by centimetres."""
    folders = [tmp_path / "plain", tmp_path / "spoiled"]
    for folder, spoiled in zip(folders, ({}, from_another_end_in(0.1)), strict=True):
        folder.mkdir()
        calibrated(folder, spoiled, cameras=cameras)
    assert apart_mm(*folders) < 3
    card = json.loads((folders[1] / "calibration.json").read_text())["cameras"]
    assert card["b"]["views_dropped"] == 2
    (row,) = ledger.rows(ledger.read([folders[1] / "ledger.parquet"]))
    assert f"b {card['b']['median_px']:.3f} px ({card['b']['corners_dropped']} of " in row.message
    assert "corners dropped, 2 whole views" in row.message


@pytest.mark.parametrize(("share", "cameras"), product([0.25, 0.3, 0.4], [2, 3]))
def test_many_views_that_are_numbered_wrongly_fail_the_calibration(tmp_path, share, cameras):
    with pytest.raises(InputError, match=r"b.*; check the board's columns and rows") as caught:
        calibrated(tmp_path, from_another_end_in(share), cameras=cameras)
    assert caught.value.reason == "bad_fit"


def test_boards_with_a_beginning_have_no_turns_and_what_to_check_is_said_of_each():
    assert Board.of({**BOARD, "columns": 8, "dot": True}).turns == []
    assert Board.of(BOARD).turns == []
    assert Board.of({**BOARD, "kind": "charuco", "columns": 8}).turns == []
    assert "has no beginning" in advice(Board.of({**BOARD, "columns": 8}))
    assert "where the dot is" in advice(Board.of({**BOARD, "dot": True}))
    assert "no beginning" not in advice(Board.of(BOARD))


def judged(
    medians: list[Any],
    views: list[set[int]],
    focal: float = 800.0,
    before: list[set[int]] | None = None,
    advice: str = "",
) -> None:
    lenses = [np.r_[focal, focal, LENS[2:]] for _ in medians]
    scene = Scene(lenses, PLACES, np.zeros((0, 6)))
    errors = [np.full(9, median) if np.isscalar(median) else median for median in medians]
    refuse_poor("r", list("abc"), scene, [SIZE] * 3, errors, views, 1.0, before=before or views, advice=advice)


def test_a_camera_is_held_by_three_views_of_cameras_that_are_held():
    few = {0, 1, 2, 3, 4, 5}
    judged([0.2, 0.3, 1.0], [few, {3, 4, 5, 6, 7, 8}, {6, 7, 8}])
    with pytest.raises(InputError, match=r"c shares 2 views with the others, 3 are wanted \(a 0\.200"):
        judged([0.2, 0.3, 0.4], [few, {3, 4, 5, 6, 7}, {6, 7, 8, 9}])
    with pytest.raises(InputError, match=r"b shares 0 views .*; c shares 0 views"):
        judged([0.2, 0.3, 0.4], [few, {6, 7, 8, 9}, {6, 7, 8, 9}])


def test_what_was_lost_of_a_camera_is_said_though_the_rest_fits():
    every = [set(range(9))] * 3
    with pytest.raises(InputError, match=r"r: of 13 views that b shares with others only 9 fit; .*; look there"):
        judged([0.1, 0.1, 0.1], every, before=[set(range(9)), set(range(13)), set(range(13))], advice="look there")
    judged([0.1, 0.1, 0.1], every, before=[set(range(12))] * 3)
    errors = np.r_[np.full(8, 0.1), np.full(3, np.inf)]
    with pytest.raises(InputError, match="3 of 11 corners of b fit nothing"):
        judged([0.1, errors, 0.1], every)
    judged([0.1, errors[:-1], 0.1], every)


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
