"""Scanning one item of a lot, in a process of its own."""

from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import lots
from scripts.common.working import Status
from scripts.media.scan_item import list_packets, scan_item


def scan_task(task: dict[str, Any]) -> Status:
    """Scan one item into the files of the working folder. task: url, look, thumbnails, fps, arrays, thumbnail."""
    if task["look"]:
        scan = scan_item(task["url"], thumbnails=task["thumbnails"], fps=task["fps"])
    else:
        scan = list_packets(task["url"])
    table = scan.frames
    part = Path(f"{task['arrays']}.part.npz")
    arrays: dict[str, Any] = {"pts_us": table.pts_us, "time_ns": table.time_ns, "keyframe": table.keyframe}
    np.savez(part, allow_pickle=False, **arrays, **scan.scores)
    part.rename(task["arrays"])
    Path(task["thumbnail"]).write_bytes(scan.thumbnail)
    clock = lots.clock_text(scan.clock) if scan.clock else ""
    return {"facts": scan.facts, "hashes": [str(value) for value in scan.hashes], "clock": clock}
