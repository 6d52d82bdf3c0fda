"""Recordings of the project as a table for shards, like any other table."""

import json
from itertools import zip_longest
from pathlib import Path
from typing import Any

from scripts.common.checksum import sha256_of
from scripts.common.filler import filler
from scripts.common.frame_table import FrameTable
from scripts.common.job import run
from scripts.common.sample_columns import UNUSABLE


def list_recordings(
    videos: list[Path], sounds: list[Path], frames: list[Path], out_table: Path, *, rows: list[dict[str, Any]]
) -> None:
    """Write a row each for `videos`, in their order. rows: what the sheet says of each; `_sound` names one of `sounds`.

    The hash of the files is part of a row: a recording that was made anew is fetched anew. frames: a table each for
    `videos`, or none where nobody looks at pictures; what they show of filler stands in the row.
    """
    hashes = {str(path): sha256_of(path) for path in [*videos, *sounds]}
    with out_table.open("w", encoding="utf-8") as file:
        for row, table in zip_longest(rows, frames):
            known: dict[str, Any] = {"sha256": hashes[row["url"]], "sound_sha256": hashes.get(row["_sound"], "")}
            shown = [[*stretch, ""] for stretch in filler(FrameTable.read(table))] if table else []
            unusable = [*row.get(UNUSABLE, []), *shown]
            known |= {UNUSABLE: unusable} if unusable else {}
            file.write(json.dumps({**row, **known}, ensure_ascii=False, sort_keys=True) + "\n")


if __name__ == "__main__":
    run(list_recordings)
