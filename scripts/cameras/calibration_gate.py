"""What a calibration must show before anything is triangulated with it: each camera fits, and the others hold it."""

from collections.abc import Sequence

import numpy as np

from scripts.cameras.board import Board
from scripts.cameras.bundle import Observations, Scene, residuals
from scripts.cameras.first_guess import MIN_VIEWS, good_views
from scripts.common.errors import InputError

# A focal length in shares of the picture's longer side: beyond these the adjustment has fled from corners that fit
# nothing (0.1 would be a field of view of 160 degrees, 50 one of a single degree).
FOCAL_SHARES = (0.1, 50.0)
# More corners of a camera, or of the views that it shares, are not lost by noise: what is left has pulled the places.
MOST_LOST = 0.25


def errors_by_camera(scene: Scene, kept: Observations, dropped: np.ndarray) -> list[np.ndarray]:
    """Error in px of every corner of each camera; inf for those that were dropped, of which `dropped` (C,) counts."""
    error = np.linalg.norm(residuals(scene, kept), axis=1)
    return [
        np.concatenate([error[kept.camera == index], np.full(int(count), np.inf)])
        for index, count in enumerate(dropped)
    ]


def held_views(seen: Observations, cameras: int) -> list[set[int]]:
    """The views by which observations hold each camera."""
    return [set(good_views(seen.where(seen.camera == index)).tolist()) for index in range(cameras)]


def refuse_poor(
    where: str,
    names: Sequence[str],
    scene: Scene,
    sizes: Sequence[tuple[int, int]],
    errors: Sequence[np.ndarray],
    views: Sequence[set[int]],
    limit_px: float,
    *,
    before: Sequence[set[int]],
    advice: str,
) -> None:
    """Raises InputError with the table of errors and shared views if a camera does not fit, or hangs free.

    The gate is the median over ALL corners of a camera, and what was left out as wild of it: that does not make the
    rest a good fit.  before: the views of each camera ere anything was dropped.  advice: what to look at where a camera
    does not fit.
    """
    medians = [float(np.median(mine)) if len(mine) else np.inf for mine in errors]
    misfits = [
        *(_misfit(name, mine, limit_px) for name, mine in zip(names, errors, strict=True)),
        *(_lost(name, _shared(before, index), _shared(views, index)) for index, name in enumerate(names)),
    ]
    wrong = [
        *misfits,
        *(_odd_lens(name, lens, size) for name, lens, size in zip(names, scene.lenses, sizes, strict=True)),
        *_free(names, views),
    ]
    if said := "; ".join(filter(None, wrong)):
        table = "; ".join(f"{name} {_px(value)}" for name, value in zip(names, medians, strict=True))
        pairs = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
        shared = "; ".join(f"{names[i]}+{names[j]} {len(views[i] & views[j])}" for i, j in pairs)
        known = [value for value in medians if np.isfinite(value)]
        check = f"; {advice}" if advice and any(misfits) else ""
        raise InputError(
            "bad_fit",
            f"{where}: {said} ({table}; views shared: {shared}){check}",
            value=max(known) if known else None,
            limit=limit_px,
        )


def advice(board: Board) -> str:
    """What to look at where corners of a board do not fit."""
    look = "check the board's columns and rows, that nothing is mirrored, that the frames belong together"
    if board.turns:
        return f"{look}; this board has no beginning: one with columns + rows odd, or with a dot and dot: true, has"
    return f"{look}, and where the dot is" if board.kind == "chessboard" and board.dot else look


def _misfit(name: str, errors: np.ndarray, limit_px: float) -> str:
    median = float(np.median(errors)) if len(errors) else np.inf
    lost = int(np.isinf(errors).sum())
    if not np.isfinite(median) or (median <= limit_px and lost > MOST_LOST * len(errors)):
        return f"{lost} of {len(errors)} corners of {name} fit nothing"
    return "" if median <= limit_px else f"median error of {name} {median:.3f} px, limit {limit_px:g}"


def _shared(views: Sequence[set[int]], index: int) -> int:
    """How many views a camera has in common with any other."""
    return len(views[index] & set[int]().union(*(mine for other, mine in enumerate(views) if other != index)))


def _lost(name: str, before: int, kept: int) -> str:
    if before - kept <= MOST_LOST * before:
        return ""
    return f"of {before} views that {name} shares with others only {kept} fit"


def _odd_lens(name: str, lens: np.ndarray, size: tuple[int, int]) -> str:
    low, high = (share * max(size) for share in FOCAL_SHARES)
    if ((low <= lens[:2]) & (lens[:2] <= high)).all():
        return ""
    return f"{name} would have a focal length of {lens[0]:.6g} and {lens[1]:.6g} px in pictures of {size[0]}x{size[1]}"


def _free(names: Sequence[str], views: Sequence[set[int]]) -> list[str]:
    """The cameras that too few views tie to the first one, directly or by others."""
    held, seen = {0}, set(views[0])
    while more := {i for i in range(len(names)) if i not in held and len(views[i] & seen) >= MIN_VIEWS}:
        held |= more
        seen |= set[int]().union(*(views[i] for i in more))
    return [
        f"{names[i]} shares {len(views[i] & seen)} views with the others, {MIN_VIEWS} are wanted"
        for i in range(len(names))
        if i not in held
    ]


def _px(value: float) -> str:
    return f"{value:.3f} px" if np.isfinite(value) else "dropped"
