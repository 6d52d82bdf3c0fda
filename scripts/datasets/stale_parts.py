"""Shards and clips of parts that a dataset has no longer: they stand in splits, and under classes, of before."""

import logging
from collections.abc import Collection, Iterator
from pathlib import Path

from scripts.common import atomic

log = logging.getLogger("rushes")
# What stands beside the folder of a part where the folder is of this house.
MARKS = ("*/*.shards.json", "clips/*.ledger.parquet")


def remove_stale(folder: Path, parts: Collection[tuple[str, str]]) -> None:
    """Remove what a dataset below `folder` has of other parts, (recording, camera), than `parts`.

    Snakemake leaves what no rule makes any more, and whoever trains reads all that there is.
    """
    kept = {f"{recording}.{camera}" for recording, camera in parts}
    for mark, part in _found(folder):
        if part.name not in kept:
            log.warning("%s/%s is removed: the dataset has no such part any more", part.parent.name, part.name)
            # The mark goes last, so that what a kill leaves is found again.
            atomic.remove(part)
            atomic.remove(mark)


def _found(folder: Path) -> Iterator[tuple[Path, Path]]:
    """The mark and the folder of every part."""
    for pattern in MARKS:
        ending = pattern.partition("*.")[2]
        for mark in sorted(folder.glob(pattern)):
            if not mark.name.startswith("."):
                yield mark, mark.with_name(mark.name.removesuffix(f".{ending}"))
