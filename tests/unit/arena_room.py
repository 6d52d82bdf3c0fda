"""The synthetic arena as tests want it: made once, imported by the project's own steps, with its truth beside it."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from rushes.synthetic import arena
from scripts.cameras.align_cameras import align_cameras
from scripts.cameras.calibrate_cameras import calibrate_cameras
from scripts.cameras.detect_boards import detect_boards
from scripts.common.frame_table import FrameTable

BOARD = {**arena.BOARD, "kind": "charuco", "inverted": False, "legacy": False, "dot": False, "every": 1}
SETTINGS = {"fisheye": [], "square_pixels": False, "starts": 2, "seed": 0, "max_views": 200, "max_median_px": 1.0}
_kept: list[TemporaryDirectory[str]] = []


def frames_of(numbers: list[int]) -> FrameTable:
    """The frame table of a video whose frames stand at number / FPS."""
    times = np.array(numbers, np.int64) * 1_000_000_000 // arena.FPS
    return FrameTable.make(np.rint(times / 1000).astype(np.int64), times)


@cache
def room() -> tuple[Path, dict[str, Any]]:
    """A folder with both recordings (board, cube), their frame tables, common frames, corners and calibration."""
    place = TemporaryDirectory()
    _kept.append(place)
    root = Path(place.name)
    truth = {}
    for kind, count in (("board", 30), ("cube", 40)):
        truth[kind] = arena.write_arena(root, kind, kind, count)
        for name, facts in truth[kind]["cameras"].items():
            frames_of(facts["numbers"]).write(root / f"{kind}.{name}.frames.parquet")
        tables = [root / f"{kind}.{name}.frames.parquet" for name in arena.CAMERAS]
        names = {"recording": kind, "cameras": list(arena.CAMERAS), "by": "stamps"}
        align_cameras(tables, [], [], [], [], root / f"{kind}.aligned.parquet", root / "ledger.parquet", **names)
    for name in arena.CAMERAS:
        detect_boards(
            root / f"board.{name}.mp4",
            root / f"board.{name}.frames.parquet",
            root / "board.aligned.parquet",
            root / f"{name}.corners.parquet",
            root / "ledger.parquet",
            recording="board",
            camera=name,
            board=BOARD,
            every=1,
        )
    calibrate(root, root)
    return root, truth


def calibrate(root: Path, target: Path, names: tuple[str, ...] = arena.CAMERAS, **settings: Any) -> None:
    """Calibrate the arena into `target`."""
    calibrate_cameras(
        [root / f"{name}.corners.parquet" for name in names],
        target / "calibration.toml",
        target / "calibration.json",
        target / "calibration.ledger.parquet",
        recording="board",
        cameras=list(names),
        board=BOARD,
        settings={**SETTINGS, **settings},
    )


def in_first_camera(points: np.ndarray) -> np.ndarray:
    """Points of the arena's world in the frame of its first camera, which is a calibration's world."""
    view = arena.views()[0]
    return points @ view.turn.T + view.move
