"""The scans of a lot's items: frame table, clock and scores of each, and by the way its clips, from one decode."""

import os
from pathlib import Path
from typing import Any

from scripts.common import ledger, lots
from scripts.common.errors import InputError
from scripts.common.job import run
from scripts.common.lot_work import work_on
from scripts.common.versions import LOT_METHODS
from scripts.common.working import Status, Working
from scripts.datasets.clip_choice import STEP as CUT
from scripts.datasets.clip_choice import cut_mark
from scripts.datasets.scan_task import scan_task, unpacked

STEP = "scan_shard"
LISTED = 32


def scan_shard(
    media: Path,
    contents: Path,
    out_scans: Path,
    out_frames: Path,
    out_clocks: Path,
    out_ledger: Path,
    *,
    dataset: str,
    look: bool,
    thumbnails: bool,
    fps: list[float],
    working: str,
    ahead: dict[str, Any],
    threads: int,
) -> None:
    """Scan every item that was fetched. look: decode the pictures; else their packets are listed alone.

    fps: further frame rates at which cuts are looked for.  ahead: `settings` and `working` of `cut_shard` where its
    clips are to be cut of the pictures that are decoded here; it finds them as those of a job that was killed.
    """
    listed = lots.read_items(contents)
    settings = ahead.get("settings", {})
    # Its clips are those of the method that cuts.
    asked = [look, thumbnails, fps, settings, LOT_METHODS[CUT]]
    place = Working(Path(working), Working.mark(LOT_METHODS[STEP], asked, contents))
    folder = place.file("clips")
    folder.mkdir(exist_ok=True)
    tasks = {
        item.key: {
            "url": lots.media_url(item, media),
            "look": look,
            "thumbnails": thumbnails,
            "fps": fps,
            "arrays": str(place.file(f"{item.key}.frames")),
            "thumbnail": str(place.file(f"{item.key}.jpg")),
            "settings": settings,
            **({"item": item, "dataset": dataset, "folder": folder} if settings else {}),
        }
        for item in listed
        if item.is_there
    }
    # Lists of packets take milliseconds each: less than it takes to ask for one.
    ended = work_on(scan_task, tasks, place, threads, "items scanned", batch=1 if look else LISTED)
    whole = {key: status for key, status in ended.items() if status["outcome"] == "written"}
    rows, tables, clocks = [], {}, {}
    for key, status in whole.items():
        thumbnail = place.file(f"{key}.jpg")
        tables[key] = unpacked(status["arrays"], place.file(f"{key}.frames"))
        if status["clock"]:
            clocks[key] = lots.clock_of(status["clock"])
        rows.append(
            {
                "key": key,
                "facts": status["facts"],
                "hashes": [int(value) for value in status["hashes"]],
                "thumbnail": thumbnail.read_bytes() if thumbnail.exists() else b"",
            }
        )
    lots.write_scans(out_scans, rows)
    lots.write_frames(out_frames, tables)
    lots.write_clocks(out_clocks, clocks)
    entries = []
    for item in listed:
        if not item.is_there:
            error = InputError(ledger.UPSTREAM, "it was not fetched")
            status = {"outcome": "failed", "reason": error.reason, "message": error.message}
        else:
            status = ended[item.key]
        message = f"{item.url[:200]}: {status['message']}" if status["message"] else ""
        entries.append(ledger.Row(STEP, dataset, item.key, status["outcome"], status["reason"], message=message))
    ledger.write(out_ledger, entries)
    if settings:
        hand_over(folder, whole, Working(Path(ahead["working"]), cut_mark([contents, out_frames], settings)))
    place.remove()


def hand_over(folder: Path, ended: dict[str, Status], cutting: Working) -> None:
    """Give the clips in `folder` to the job that cuts, with what it would have remembered of each item.

    What a job that was killed here has given already is not given again.
    """
    given = cutting.ended()
    for key, status in ended.items():
        if status["cut"] is None or key in given:
            continue
        for name in status["cut"]["parts"].values():
            for file in name.values():
                if (folder / file).exists() or not cutting.file(file).exists():
                    os.replace(folder / file, cutting.file(file))
        cutting.end({"key": key, "outcome": "written", "reason": "", "message": "", **status["cut"]})


if __name__ == "__main__":
    run(scan_shard)
