"""Scanning one item of a lot, in a process of its own, and cutting its clips by the way."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import lots
from scripts.common.frame_table import FrameTable
from scripts.common.lot_work import failure, trace_of
from scripts.common.lots import Speech
from scripts.common.working import Status
from scripts.datasets.clip_choice import choose, cut_task
from scripts.datasets.cut_item import cut_kept
from scripts.datasets.kept_pictures import KeptPictures
from scripts.datasets.scan_item import ItemScan, list_packets, scan_item

ROWS = np.dtype([("pts_us", "<i8"), ("time_ns", "<i8"), ("keyframe", "?"), *((name, "<f4") for name in lots.SCORES)])

# What is shorter goes with the item's status: a file takes longer to make, to read and to remove.
SHORT_BYTES = 8192


def packed(table: FrameTable, scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """Frame table and scores as one array of ROWS, (N,)."""
    rows = np.empty(len(table), ROWS)
    rows["pts_us"], rows["time_ns"], rows["keyframe"] = table.pts_us, table.time_ns, table.keyframe
    for name in lots.SCORES:
        rows[name] = scores[name]
    return rows


def unpacked(short: str | None, file: Path) -> tuple[FrameTable, dict[str, np.ndarray]]:
    """Frame table and scores of an item that was scanned. short: `arrays` of its status, None if they are in `file`."""
    rows = np.frombuffer(base64.b64decode(short) if short is not None else file.read_bytes(), ROWS)
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
    arrays = packed(scan.frames, scan.scores).tobytes()
    if len(arrays) > SHORT_BYTES:
        # A kill in the middle of a file leaves no status behind, so the item is scanned again.
        Path(task["arrays"]).write_bytes(arrays)
    if scan.thumbnail:
        Path(task["thumbnail"]).write_bytes(scan.thumbnail)
    clock = lots.clock_text(scan.clock) if scan.clock else ""
    ahead: Status = {"cut": None}
    if kept is not None:
        try:
            ahead["cut"] = _cut(task, scan, kept)
        except Exception as error:
            # Whoever cuts will find out, and say so.
            ahead |= trace_of(failure(task["item"].key, error))
    hashes = [str(value) for value in scan.hashes]
    short = base64.b64encode(arrays).decode() if len(arrays) <= SHORT_BYTES else None
    return {"facts": scan.facts, "hashes": hashes, "clock": clock, "arrays": short, **ahead}


def _cut(task: dict[str, Any], scan: ItemScan, kept: KeptPictures) -> dict[str, Any] | None:
    """What `cut_item` would say, if the kept pictures are all that the clips show; None if they are not."""
    table = (scan.frames, scan.scores)
    chosen = choose(task["dataset"], task["item"], scan.facts, table, task["settings"], {}, Speech())
    if not chosen.clips or chosen.as_it_is or not len(scan.frames):
        return None
    told = cut_task(chosen, task["url"], task["settings"], task["folder"])
    if not kept.hold(told.shown()):
        return None
    return cut_kept(told, kept)
