"""Corners of the calibration board in the pictures of one camera."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scripts.cameras.board import Board, BoardFinder
from scripts.cameras.wanted_pictures import wanted_pictures
from scripts.common import ledger, table_file
from scripts.common.aligned_frames import AlignedFrames
from scripts.common.errors import InputError, UpstreamError
from scripts.common.job import run

STEP = "detect_boards"


def detect_boards(
    video: Path,
    frames: Path,
    aligned: Path,
    out_corners: Path,
    out_ledger: Path,
    *,
    recording: str,
    camera: str,
    board: dict[str, Any],
    every: int,
) -> None:
    """Look for the board in every `every`-th common frame, and write `frame, corner, x, y, width, height`.

    frame: the common frame; x, y: pixels, the middle of the first pixel at 0. Raises InputError if no frame shows it.
    """
    table = AlignedFrames.read(aligned)
    if not len(table):
        raise UpstreamError(recording, "its cameras were not aligned")
    common = np.arange(0, len(table), every)
    shown = table.of(camera)[common]
    common, shown = common[shown >= 0], shown[shown >= 0]
    finder = BoardFinder(Board.of(board))
    found: list[tuple[int, np.ndarray, np.ndarray]] = []
    size = (0, 0)
    pictures = wanted_pictures(video, frames, shown)
    for place, picture in pictures:
        grey = picture.grey()
        size = (grey.shape[1], grey.shape[0])
        numbers, pixels = finder.find(grey)
        if len(numbers):
            found.append((int(common[place]), numbers, pixels))
    if not found:
        nothing = f"{recording}, {camera}: none of {len(shown)} frames shows the {board['kind']} of the config"
        raise InputError("no_board", nothing + _of_dots(finder))
    _write(out_corners, found, size)
    message = f"the board in {len(found)} of {len(shown)} frames{_of_dots(finder)}"
    ledger.write(out_ledger, [ledger.Row(STEP, recording, camera, "written", value=len(found), message=message)])


def _of_dots(finder: BoardFinder) -> str:
    """In how many pictures the board was seen, but not where it begins, and what to do."""
    said = ""
    if finder.dot_elsewhere:
        said += f"; in {finder.dot_elsewhere} its dot is not before the first corner: swap columns and rows"
        said += " (or the picture is mirrored)"
    if finder.dot_unseen:
        said += f"; in {finder.dot_unseen} no dot was seen: print one, or remove dot: true"
    return said


def _write(path: Path, found: list[tuple[int, np.ndarray, np.ndarray]], size: tuple[int, int]) -> None:
    counts = [len(numbers) for _, numbers, _ in found]
    pixels = np.concatenate([pixels for _, _, pixels in found])
    columns = {
        "frame": np.repeat(np.array([frame for frame, _, _ in found], np.int64), counts),
        "corner": np.concatenate([numbers for _, numbers, _ in found]).astype(np.int32),
        "x": pixels[:, 0],
        "y": pixels[:, 1],
        "width": np.full(len(pixels), size[0], np.int32),
        "height": np.full(len(pixels), size[1], np.int32),
    }
    table_file.write(path, pa.table(columns))


if __name__ == "__main__":
    run(detect_boards)
