"""The truth about several cameras: which frames are common, where the cameras stand, where the cube's corners are."""

import tomllib
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rushes.synthetic import arena
from rushes.synthetic.measured import Results, Row, columns

RIG = "arena"
# What is known of the marker's corner `30.a`, and so on, in the order of arena.cube_points.
CORNERS = [f"{arena.FIRST_MARKER + face}.{corner}" for face in range(arena.FACES) for corner in "abcd"]


def of_arena(truth: dict[str, Any]) -> dict[str, Any]:
    """The arena's recordings."""
    return {name: known for name, known in truth.items() if known.get("room") == "arena"}


def check_cameras(found: Results, truth: dict[str, Any]) -> list[Row]:
    """Frames of every camera, common frames, the calibration, and the corners in space."""
    rows: list[Row] = []
    for recording, known in of_arena(truth).items():
        folder = found.root / "cameras" / RIG / recording
        rows += _check_frames(found, recording, known)
        rows += _check_aligned(folder, recording, known)
        rows += _check_calibration(folder, recording) if known["shows"] == "board" else []
        rows += _check_points(folder, recording, known["frames"]) if known["shows"] == "cube" else []
    return rows


def _check_frames(found: Results, recording: str, known: dict[str, Any]) -> list[Row]:
    rows = []
    for camera, facts in known["cameras"].items():
        name = f"sources.{recording}.{camera}"
        table = columns(found.root / "media" / RIG / recording / f"{camera}.frames.parquet")
        stamps = np.array(facts["numbers"]) * 10**9 / arena.FPS
        missing = abs(len(table["time_ns"]) - len(stamps))
        error = np.nan if missing else float(np.abs(table["time_ns"] - stamps).max() / 1e3)
        rows += [Row(f"{name}.frames_missing", missing, "frames", 0), Row(f"{name}.time_error", error, "us", 1.0)]
    return rows


def _check_aligned(folder: Path, recording: str, known: dict[str, Any]) -> list[Row]:
    """Every common frame shows the same instant in every camera, and lacks what was dropped."""
    table = columns(folder / "aligned.parquet")
    wrong = abs(len(table["frame"]) - known["frames"])
    for camera, facts in known["cameras"].items():
        shown = np.nan_to_num(table[camera].astype(float), nan=-1).astype(int)
        wanted = np.full(known["frames"], -1)
        wanted[facts["numbers"]] = np.arange(len(facts["numbers"]))
        wrong += int((shown[: len(wanted)] != wanted[: len(shown)]).sum())
    return [Row(f"cameras.{recording}.frames_wrong", wrong, "frames", 0)]


def _check_calibration(folder: Path, recording: str) -> list[Row]:
    """Focal lengths, and where the cameras stand from the first one."""
    known = {camera["name"]: camera for camera in _cameras(folder / "calibration.toml")}
    first, rows = arena.views()[0], []
    for view in arena.views():
        said = known[view.name]
        turn = cv2.Rodrigues(np.array(said["rotation"], np.float64))[0]
        place = -turn.T @ np.array(said["translation"])
        wanted = first.turn @ (-view.turn.T @ view.move) + first.move
        focal = abs(np.array(said["matrix"])[0, 0] / view.focal_px - 1) * 100
        name = f"cameras.{recording}.{view.name}"
        rows += [
            Row(f"{name}.focal_error", float(focal), "%", 1.0),
            Row(f"{name}.place_error", float(np.linalg.norm(place - wanted)), "mm", 10.0),
        ]
    return rows


def _cameras(path: Path) -> list[dict[str, Any]]:
    return [entry for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).items() if name.startswith("cam_")]


def _check_points(folder: Path, recording: str, frames: int) -> list[Row]:
    """Distance of every corner in space from where it was drawn.

    The world is the first camera's frame, as far as its picture of the board tells where that is: to some millimetres.
    Where its corners are among themselves is known better; so the best rigid motion is taken off, and no scale.
    """
    view = arena.views()[0]
    wanted = arena.cube_points(frames) @ view.turn.T + view.move
    rows = []
    for name in ("points", "smoothed"):
        table = columns(folder / f"{name}.parquet")
        found = np.stack([np.asarray(row).reshape(-1, 3) for row in table["xyz"]])
        seen = np.isfinite(found[..., 0])
        error = np.linalg.norm(_moved(found[seen], wanted[table["frame"]][seen]) - wanted[table["frame"]][seen], axis=1)
        rows += [
            Row(f"cameras.{recording}.{name}.error_median", float(np.median(error)), "mm", 1.0),
            Row(f"cameras.{recording}.{name}.error_p95", float(np.percentile(error, 95)), "mm", 3.0),
        ]
    # A side that looks down, or away from all cameras but one, is not seen.
    rows.append(Row(f"cameras.{recording}.corners_unseen", float(100 * (1 - seen.mean())), "%", 50.0))
    return rows


def _moved(points: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Points (N, 3) after the rigid motion that brings them nearest to `wanted` (Kabsch 1976)."""
    middle, home = points.mean(axis=0), wanted.mean(axis=0)
    left, _, right = np.linalg.svd((points - middle).T @ (wanted - home))
    mirror = np.diag([1, 1, np.linalg.det(left @ right)])
    turned: np.ndarray = (points - middle) @ left @ mirror @ right + home
    return turned
