"""How many entries each folder has that a job made: noted beside it, so that a file which is deleted later is missed.

A folder stands for one output, and Snakemake asks whether it is there, not what is in it.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

# Snakemake writes it into a folder when the job has ended.
STAMP = ".snakemake_timestamp"
# Where it keeps what is a run's own: its records, and copies of what a store has.
SNAKEMAKES = ".snakemake"


def note(folder: Path) -> None:
    """Write down the entries of `folder` and of those in it, but for hidden ones.

    Nothing of a copy for a store: that is sent and removed, and what a store keeps is the store's.
    """
    if SNAKEMAKES in folder.parts:
        return
    counts = {os.path.relpath(place, folder): count for place, count in _counts(folder)}
    _beside(folder).write_text(json.dumps(counts, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def forget(folder: Path) -> None:
    """Nothing is noted of a folder any more; it need not be there, or be one."""
    _beside(folder).unlink(missing_ok=True)


def is_whole(folder: Path) -> bool:
    """Whether no folder has fewer entries than were noted; one that nothing is noted of is.

    Only what has changed since is counted: a folder's own time tells.
    """
    if not _beside(folder).exists():
        return True
    try:
        counts = json.loads(_beside(folder).read_text(encoding="utf-8"))
        known_ns = max(_time_ns(_beside(folder)), _time_ns(folder / STAMP))
        return all(_has(folder / place, count, known_ns) for place, count in counts.items())
    except (OSError, ValueError, AttributeError, TypeError):
        # Gone, replaced by something else, or a note that a kill cut off.
        return False


def _has(place: Path, count: int, known_ns: int) -> bool:
    return place.stat().st_mtime_ns <= known_ns or len(_shown(os.listdir(place))) >= count


def _counts(folder: Path) -> Iterator[tuple[str, int]]:
    for place, folders, files in os.walk(folder):
        folders[:] = _shown(folders)
        yield place, len(folders) + len(_shown(files))


def _shown(names: list[str]) -> list[str]:
    return [name for name in names if not name.startswith(".")]


def _beside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.entries.json")


def _time_ns(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0
