"""How the rows of a table ended, in the words of video2dataset: counts of a shard, and rows that gave no sample."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from scripts.common.sample_columns import as_tables, is_ours
from scripts.sources.shard_rows import item_of

FETCH, END = "fetch_shard", "write_shard"
STEPS = (FETCH, "scan_shard", "cut_shard")
SUCCESS, FILTERED = "success", "filtered"


@dataclass(frozen=True)
class End:
    """How a row ended. status: of that program, or `filtered`; bytes: of what was fetched."""

    key: str
    status: str
    reason: str
    message: str
    bytes: int


@dataclass
class ShardEnds:
    """The rows of a shard. statuses: how many by status; reasons: by reason; lost: those that gave no sample."""

    shard: int
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    lost: list[tuple[dict[str, Any], End]] = field(default_factory=list)

    def add(self, row: dict[str, Any], end: End) -> None:
        """A row of the table and its end."""
        self.statuses[end.status] += 1
        self.reasons[end.reason or SUCCESS] += 1
        self.bytes += end.bytes
        if end.status != SUCCESS:
            self.lost.append((row, end))

    def stats(self) -> dict[str, Any]:
        """What that program writes as `_stats.json`, and how many were filtered."""
        return {
            "count": self.statuses.total(),
            "successes": self.statuses[SUCCESS],
            "failed_to_download": self.statuses["failed_to_download"],
            "failed_to_subsample": self.statuses["failed_to_subsample"],
            "filtered": self.statuses[FILTERED],
            "bytes_downloaded": self.bytes,
            "status_dict": dict(self.reasons),
        }


def ends_by_shard(rows: Path, ledger: Path) -> Iterator[ShardEnds]:
    """The ends of every shard. rows, ledger: of the whole table, whose rows stand in both in the same order."""
    pairs = zip(_records(rows), _ends(ledger), strict=True)
    for shard, members in groupby(pairs, key=lambda pair: int(pair[0]["shard"])):
        found = ShardEnds(shard)
        for row, end in members:
            found.add(row, end)
        yield found


def _ends(ledger: Path) -> Iterator[End]:
    said: dict[str, dict[str, Any]] = {}
    sizes: dict[str, int] = {}
    for row in _records(ledger):
        key = row["item"].partition("_")[0]
        if row["step"] == END:
            yield _end(key, row, said.pop(key, row), sizes.pop(key, 0))
        elif row["step"] == FETCH and row["outcome"] == "written":
            sizes[key] = int(row["value"])
        elif row["step"] in STEPS and row["outcome"] != "written":
            # A row has failed where any of its clips has, and the others were filtered.
            said[key] = max(said.get(key, row), row, key=lambda one: one["outcome"] == "failed")


def _end(key: str, row: dict[str, Any], why: dict[str, Any], size: int) -> End:
    if row["outcome"] == "written":
        return End(key, SUCCESS, "", "", size)
    message = why["message"]
    if not message and why["value"] is not None:
        message = f"{why['value']:g}, limit {why['limit']:g}" if why["limit"] is not None else f"{why['value']:g}"
    at = "failed_to_download" if why["step"] == FETCH else "failed_to_subsample"
    status = FILTERED if row["outcome"] == FILTERED else at
    return End(key, status, why["reason"], ": ".join(filter(None, (why["reason"], message))), size)


def lost_record(row: dict[str, Any], shard: str) -> dict[str, Any]:
    """What the table says of a row, under the names that the metadata of samples has."""
    item, _ = item_of(row)
    theirs = {as_tables(name) if is_ours(name) else name: value for name, value in item.extra.items()}
    return {**theirs, "key": item.key, "item": item.key, "shard": shard, "url": item.url, "caption": item.caption}


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a table in parts, so that millions need no more memory than thousands."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield from batch.to_pylist()
