"""Scanning one item of a lot, in a process of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import lots
from scripts.common.frame_table import FrameTable
from scripts.common.working import Status
from scripts.media.scan_item import list_packets, scan_item

ROWS = np.dtype([("pts_us", "<i8"), ("time_ns", "<i8"), ("keyframe", "?"), *((name, "<f4") for name in lots.SCORES)])


def packed(table: FrameTable, scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """Frame table and scores as one array of ROWS, (N,)."""
    rows = np.empty(len(table), ROWS)
    rows["pts_us"], rows["time_ns"], rows["keyframe"] = table.pts_us, table.time_ns, table.keyframe
    for name in lots.SCORES:
        rows[name] = scores[name]
    return rows


def unpacked(rows: np.ndarray) -> tuple[FrameTable, dict[str, np.ndarray]]:
    """What `packed` was given."""
    columns = {name: np.ascontiguousarray(rows[name]) for name in ROWS.names or ()}
    table = FrameTable.make(columns["pts_us"], columns["time_ns"], keyframe=columns["keyframe"])
    return table, {name: columns[name] for name in lots.SCORES}


def scan_task(task: dict[str, Any]) -> Status:
    """Scan one item into the files of the working folder. task: url, look, thumbnails, fps, arrays, thumbnail."""
    if task["look"]:
        scan = scan_item(task["url"], thumbnails=task["thumbnails"], fps=task["fps"])
    else:
        scan = list_packets(task["url"])
    # A kill in the middle of a file leaves no status behind, so the item is scanned again.
    np.save(task["arrays"], packed(scan.frames, scan.scores), allow_pickle=False)
    if scan.thumbnail:
        Path(task["thumbnail"]).write_bytes(scan.thumbnail)
    clock = lots.clock_text(scan.clock) if scan.clock else ""
    return {"facts": scan.facts, "hashes": [str(value) for value in scan.hashes], "clock": clock}
