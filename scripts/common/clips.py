"""The clips of a lot: what each is, and where its parts stand."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from scripts.common import table_file
from scripts.common.lots import Item
from scripts.common.sample_columns import OWN, UNUSABLE, as_tables

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("item", pa.string()),
        ("shard", pa.int32()),
        ("start_s", pa.float64()),
        ("stop_s", pa.float64()),
        ("caption", pa.string()),
        ("meta", pa.string()),
        ("parts", pa.string()),
    ]
)


@dataclass(frozen=True)
class ClipRow:
    """A clip that was cut.

    meta: everything that is known about it.  parts: {ending, from_item, path, offset, size, sha256} each; path "" is
    the lot's tar of clips, or of items where `from_item` says so.
    """

    key: str
    item: str
    shard: int
    start_s: float
    stop_s: float
    caption: str
    meta: dict[str, Any]
    parts: list[dict[str, Any]]


def write(path: Path, rows: Iterable[ClipRow]) -> None:
    """Write the clips of a lot, in their order."""
    packed = [
        vars(row) | {"meta": json.dumps(row.meta, ensure_ascii=False, sort_keys=True), "parts": json.dumps(row.parts)}
        for row in rows
    ]
    table_file.write(path, pa.Table.from_pylist(packed, schema=SCHEMA))


def read(path: Path) -> list[ClipRow]:
    """Read what `write` wrote."""
    rows = table_file.read(path, SCHEMA).to_pylist()
    return [ClipRow(**(row | {"meta": json.loads(row["meta"]), "parts": json.loads(row["parts"])})) for row in rows]


def metadata(item: Item, facts: dict[str, Any], scores: dict[str, float]) -> dict[str, Any]:
    """What a sample's json says, besides its key, times and caption.

    The table's own columns never hide ours: one that is called as ours is kept as `table_<name>`.
    """
    ours = {f"source_{name}": value for name, value in facts.items() if name not in ("keyframes_s", "slow_changes")}
    ours |= {**scores, "url": item.url, "item": item.key, "source_sha256": item.sha256}
    taken = {*ours, *OWN}
    theirs = {
        as_tables(name) if name in taken or name.startswith("cuts_s") else name: value
        for name, value in item.extra.items()
        # The caption of a tar's sample stands in its json, too.
        if (name, value) != ("caption", item.caption) and name != UNUSABLE
    }
    return theirs | ours
