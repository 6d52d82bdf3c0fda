"""Scanning one item of a lot, in a process of its own, and cutting its clips by the way."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import lots
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.lots import Speech
from scripts.common.working import Status
from scripts.datasets.clip_choice import choose, cut_task
from scripts.datasets.cut_item import cut_kept
from scripts.datasets.kept_pictures import KeptPictures
from scripts.datasets.scan_item import ItemScan, list_packets, scan_item

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
    """Scan one item into the files of the working folder.

    task: url, look, thumbnails, fps, arrays, thumbnail; item, dataset, settings and folder where it is to be cut, too.
    """
    kept = KeptPictures(task["settings"], task["item"].clips) if task["settings"] else None
    if task["look"]:
        scan = scan_item(task["url"], thumbnails=task["thumbnails"], fps=task["fps"], kept=kept)
    else:
        scan = list_packets(task["url"])
    # A kill in the middle of a file leaves no status behind, so the item is scanned again.
    np.save(task["arrays"], packed(scan.frames, scan.scores), allow_pickle=False)
    if scan.thumbnail:
        Path(task["thumbnail"]).write_bytes(scan.thumbnail)
    clock = lots.clock_text(scan.clock) if scan.clock else ""
    cut = _cut(task, scan, kept) if kept is not None else None
    return {"facts": scan.facts, "hashes": [str(value) for value in scan.hashes], "clock": clock, "cut": cut}


def _cut(task: dict[str, Any], scan: ItemScan, kept: KeptPictures) -> dict[str, Any] | None:
    """What `cut_item` would say, if the kept pictures are all that the clips show; None if they are not."""
    table = (scan.frames, scan.scores)
    chosen = choose(task["dataset"], task["item"], scan.facts, table, task["settings"], "", Speech())
    if not chosen.clips or chosen.as_it_is or not len(scan.frames):
        return None
    told = cut_task(chosen, task["url"], task["settings"], task["folder"])
    if not kept.hold(told.shown()):
        return None
    try:
        return cut_kept(told, kept)
    except (InputError, MemoryError):
        # Whoever cuts will find out, and say so.
        return None
