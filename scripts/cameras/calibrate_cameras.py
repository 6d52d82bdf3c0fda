"""Lenses and places of all cameras of a rig from a recording of the board, adjusted together."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.cameras.board import Board
from scripts.cameras.bundle import Freedom, Observations, Scene, adjust_twice, residuals
from scripts.cameras.calibration_gate import advice, errors_by_camera, held_views, refuse_poor
from scripts.cameras.choose_frames import choose_frames
from scripts.cameras.first_guess import board_distances, first_lens, first_scene
from scripts.common import json_file, ledger, table_file
from scripts.common.calibration_file import Calibration, Camera, refuse_twins
from scripts.common.errors import InputError, UpstreamError
from scripts.common.job import progress, run

STEP = "calibrate_cameras"
# More digits than any adjustment knows, fewer than a float has.
DIGITS = 10

log = logging.getLogger("rushes")


@dataclass(frozen=True)
class Result:
    """What one start led to. dropped: int (C,), how many corners of each camera fit badly.  median_px: of all corners,
    with those that were dropped as infinitely far, so that a start does not win by what it leaves out."""

    scene: Scene
    kept: Observations
    dropped: np.ndarray
    median_px: float


def calibrate_cameras(
    corners: list[Path],
    out_calibration: Path,
    out_card: Path,
    out_ledger: Path,
    *,
    recording: str,
    cameras: list[str],
    board: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    """Write a TOML that aniposelib reads, and a card with what is known about it.

    corners: one table a camera, by detect_boards.  settings: fisheye (names), square_pixels, starts, seed, max_views,
    max_median_px. The world is the first camera's frame, in mm. Raises InputError with the table of errors or shared
    views if a camera cannot be placed, or does not pass the gate.
    """
    printed = Board.of(board)
    seen, sizes = read_corners(corners, cameras, printed, settings["max_views"])
    results = [_start(seen, sizes, cameras, printed, settings, start) for start in range(settings["starts"])]
    best = min(results, key=lambda result: round(result.median_px, 9))
    errors, views = errors_by_camera(best.scene, best.kept, best.dropped), held_views(best.kept, len(cameras))
    limit = settings["max_median_px"]
    before = held_views(seen, len(cameras))
    refuse_poor(recording, cameras, best.scene, sizes, errors, views, limit, before=before, advice=advice(printed))
    card = describe(best, seen, views, cameras, settings)
    table = "; ".join(f"{name} {_fit(card['cameras'][name])}" for name in cameras)
    calibration = _calibration(best.scene, cameras, sizes, card)
    refuse_twins(calibration, recording)
    calibration.write(out_calibration)
    json_file.write(out_card, card)
    message = f"median {card['median_px']:.3f} px{_said(card['board_distance_mm'])}; {table}"
    log.info("%s: %s", recording, message)
    row = ledger.Row(STEP, recording, recording, "written", value=card["median_px"], limit=limit, message=message)
    ledger.write(out_ledger, [row])


def read_corners(
    paths: list[Path], cameras: list[str], board: Board, max_views: int
) -> tuple[Observations, list[tuple[int, int]]]:
    """All observations, and the size of each camera's pictures. Of many views some are chosen (choose_frames)."""
    tables = [table_file.read(path) for path in paths]
    if empty := [name for name, table in zip(cameras, tables, strict=True) if not table.num_rows]:
        raise UpstreamError(", ".join(empty), "the board was not found")
    counts = [table.num_rows for table in tables]
    column = {name: np.concatenate([t[name].to_numpy() for t in tables]) for name in ("frame", "corner", "x", "y")}
    frames = choose_frames(column["frame"], np.repeat(np.arange(len(tables)), counts), max_views)
    rows = np.isin(column["frame"], frames)
    log.info("%d of %d common frames are adjusted", len(frames), len(np.unique(column["frame"])))
    seen = Observations(
        camera=np.repeat(np.arange(len(tables)), counts)[rows],
        view=np.searchsorted(frames, column["frame"][rows]),
        corner=column["corner"][rows],
        pixels=np.stack([column["x"], column["y"]], axis=1)[rows],
        points=board.points_mm[column["corner"][rows]],
    )
    return seen, [(int(t["width"][0].as_py()), int(t["height"][0].as_py())) for t in tables]


def _start(
    seen: Observations,
    sizes: list[tuple[int, int]],
    cameras: list[str],
    board: Board,
    settings: dict[str, Any],
    start: int,
) -> Result:
    """One whole calibration; starts differ in the views from which the lenses are first guessed."""
    generator = np.random.default_rng([settings["seed"], start])
    progress(start, settings["starts"], "starts")
    lenses = []
    for index, (name, size) in enumerate(zip(cameras, sizes, strict=True)):
        try:
            mine = seen.where(seen.camera == index)
            fisheye = name in settings["fisheye"]
            lenses.append(
                first_lens(mine, size, fisheye=fisheye, square=settings["square_pixels"], generator=generator)
            )
        except InputError as error:
            hint = "; whether its dot was seen stands in the row of detect_boards" if board.dot else ""
            raise InputError(error.reason, f"{name}: {error.message}{hint}") from None
    scene, observations = first_scene(seen, lenses, cameras, board.turns)
    adjusted, kept = adjust_twice(scene, observations, Freedom(square=settings["square_pixels"]))
    before, after = (np.bincount(some.camera, minlength=len(cameras)) for some in (observations, kept))
    median_px = float(np.median(np.concatenate(errors_by_camera(adjusted, kept, before - after))))
    log.info("start %d: median %.4f px, %d of %d corners", start, median_px, len(kept), len(seen))
    return Result(adjusted, kept, before - after, median_px)


def describe(
    result: Result, seen: Observations, views: list[set[int]], cameras: list[str], settings: dict[str, Any]
) -> dict[str, Any]:
    """The card: errors in all and by camera, board distances, views that were kept and shared, what was dropped."""
    scene, kept, before = result.scene, result.kept, held_views(seen, len(cameras))
    error = np.linalg.norm(residuals(scene, kept), axis=1)
    if len(cameras) > 1:
        measured, printed = board_distances(scene, kept)
        distance = _median_apart(measured, printed)
    else:
        distance = None
    return {
        "median_px": _rounded(np.median(error)),
        "rms_px": _rounded(np.sqrt((error**2).mean())),
        "board_distance_mm": distance,
        "views": len(scene.boards),
        "corners": len(kept),
        "corners_dropped": len(seen) - len(kept),
        "starts": settings["starts"],
        "seed": settings["seed"],
        "cameras": {
            name: {
                "median_px": _rounded(np.median(mine := error[kept.camera == index])),
                "rms_px": _rounded(np.sqrt((mine**2).mean())),
                "corners": len(mine),
                "corners_dropped": int((seen.camera == index).sum()) - len(mine),
                "views": len(views[index]),
                "views_dropped": len(before[index]) - len(views[index]),
            }
            for index, name in enumerate(cameras)
        },
        "shared_views": {
            f"{a}+{b}": len(views[i] & views[j]) for i, a in enumerate(cameras) for j, b in enumerate(cameras) if i < j
        },
    }


def _fit(facts: dict[str, Any]) -> str:
    """The error of a camera, and what was left out of it."""
    if not facts["corners_dropped"]:
        return f"{facts['median_px']:.3f} px"
    total = facts["corners"] + facts["corners_dropped"]
    lost = f"{facts['corners_dropped']} of {total} corners dropped, {facts['views_dropped']} whole views"
    return f"{facts['median_px']:.3f} px ({lost})"


def _said(distance_mm: float | None) -> str:
    return "" if distance_mm is None else f", board distances within {distance_mm:.3f} mm"


def _median_apart(measured: np.ndarray, printed: np.ndarray) -> float | None:
    """Of distances that could be measured: a corner beyond the fold of a lens has no ray."""
    apart = np.abs(measured - printed)
    known = apart[np.isfinite(apart)]
    return _rounded(float(np.median(known))) if len(known) else None


def _calibration(scene: Scene, cameras: list[str], sizes: list[tuple[int, int]], card: dict[str, Any]) -> Calibration:
    """The ADJUSTED scene as a calibration."""
    found = {}
    for name, size, lens, place in zip(cameras, sizes, scene.lenses, scene.cameras, strict=True):
        lens, place = np.array([_rounded(v) for v in lens]), np.array([_rounded(v) for v in place])
        matrix = np.array([[lens[0], 0, lens[2]], [0, lens[1], lens[3]], [0, 0, 1]])
        found[name] = Camera(name, size, matrix, lens[4:], place[:3], place[3:], len(lens) == 8)
    metadata = {"adjusted": True, "error": card["median_px"], "unit": "mm"}
    return Calibration(found, metadata)


def _rounded(value: float) -> float:
    return float(f"{float(value):.{DIGITS}g}")


if __name__ == "__main__":
    run(calibrate_cameras)
