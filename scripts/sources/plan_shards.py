"""Rows of a table into shards, shards into lots: read in a stream, and stable when rows are appended.

A lot is known by the hash of its rows. Where an earlier plan exists, its shards are filled again first, so that rows
which were appended begin shards of their own, and a row that changed changes its own lot alone.
"""

import hashlib
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common import atomic, json_file
from scripts.common.job import progress, run
from scripts.sources.url_rows import SCHEMA
from scripts.sources.url_table import count_rows, read_rows

# Jobs of a comfortable run, and the steps that each lot takes.
MAX_JOBS = 2000
STEPS = 4
LOTS = (MAX_JOBS - 40) // STEPS
ROWS = pa.schema([("shard", pa.int32()), ("key", pa.string()), *SCHEMA])
# What makes a row another one.
IDENTITY = ("url", "caption", "clips", "path", "offset", "size", "extra")


def fill_shards(
    seconds: np.ndarray, sizes: np.ndarray, used: list[float], *, rows: int, max_seconds: float, max_bytes: float
) -> list[int]:
    """Rows of `seconds` and `sizes` (float64 (N,)) at which a new shard begins.

    used: rows, seconds and bytes of the shard that is being filled; changed in place.
    """
    starts = []
    if not max_seconds and not max_bytes:
        first = int(rows - used[0])
        starts = list(range(first, len(seconds), rows))
        used[0] = len(seconds) - starts[-1] if starts else used[0] + len(seconds)
        return starts
    for row, (second, size) in enumerate(zip(seconds.tolist(), sizes.tolist(), strict=True)):
        full = (
            used[0] >= rows
            or (max_seconds and used[1] + second > max_seconds)
            or (max_bytes and used[2] + size > max_bytes)
        )
        if full and used[0]:
            starts.append(row)
            used[:] = [0, 0.0, 0.0]
        used[0] += 1
        used[1] += second
        used[2] += size
    return starts


class ShardWriter:
    """Rows into numbered shards and row groups of one parquet file, a row group a lot."""

    def __init__(self, path: Path, old: list[list[int]], lot_shards: int, digits: tuple[int, int]) -> None:
        """old: rows of each shard of each lot of the earlier plan; digits: of a shard's name and a row's number."""
        self._writer = pq.ParquetWriter(path, ROWS, compression="zstd")
        self._old, self._lot_shards, self._digits = old, lot_shards, digits
        self._waiting: list[pa.RecordBatch] = []
        self._shards: list[int] = []
        self._shard = 0
        self.lots: list[dict[str, Any]] = []

    def add(self, part: pa.RecordBatch) -> None:
        """Rows that belong to the shard which is being filled."""
        self._waiting.append(part)

    def end_shard(self) -> None:
        """The next rows belong to a new shard."""
        count = sum(part.num_rows for part in self._waiting) - sum(self._shards)
        if not count:
            return
        self._shards.append(count)
        lot = len(self.lots)
        wanted = len(self._old[lot]) if lot < len(self._old) else self._lot_shards
        if len(self._shards) >= wanted:
            self.end_lot()

    def end_lot(self) -> None:
        """Write the lot."""
        if not self._shards:
            return
        table = pa.Table.from_batches(self._waiting).combine_chunks()
        numbers = np.repeat(np.arange(self._shard, self._shard + len(self._shards)), self._shards)
        places = np.concatenate([np.arange(count) for count in self._shards])
        wide, narrow = self._digits
        keys = [
            f"{shard:0{wide}d}{place:0{narrow}d}"
            for shard, place in zip(numbers.tolist(), places.tolist(), strict=True)
        ]
        table = table.add_column(0, "key", pa.array(keys, pa.string()))
        table = table.add_column(0, "shard", pa.array(numbers, pa.int32()))
        digest = hashlib.sha256()
        for name in IDENTITY:
            digest.update("\x1e".join(map(str, table[name].to_pylist())).encode("utf-8", "surrogatepass"))
        self._writer.write_table(table, row_group_size=table.num_rows)
        known = table["bytes"].to_numpy()
        lengths = table["seconds"].to_numpy()
        self.lots.append(
            {
                "lot": f"lot{len(self.lots):05d}",
                "rows": table.num_rows,
                "shards": self._shards,
                "first_shard": self._shard,
                "megabytes": round(float(np.nansum(known)) / 1e6, 3),
                "seconds": round(float(np.nansum(lengths)), 3),
                "sha256": digest.hexdigest(),
                "relative": any(map(_is_relative, table["url"].to_pylist(), table["path"].to_pylist())),
            }
        )
        self._shard += len(self._shards)
        self._waiting, self._shards = [], []
        progress(self._shard, what="shards")

    def close(self) -> None:
        """Write what is waiting, and end the file."""
        self.end_shard()
        self.end_lot()
        self._writer.close()


def pack(
    batches: Iterator[pa.RecordBatch], writer: ShardWriter, old: list[list[int]], limits: dict[str, float]
) -> None:
    """Give every row to `writer`; the shards of the earlier plan keep their sizes, the rest is filled by `limits`."""
    fixed = [count for lot in old for count in lot]
    used: list[float] = [0, 0.0, 0.0]
    left = fixed.pop(0) if fixed else 0
    for batch in batches:
        start = 0
        while left and start < batch.num_rows:
            taken = min(left, batch.num_rows - start)
            writer.add(batch.slice(start, taken))
            start, left = start + taken, left - taken
            if not left:
                writer.end_shard()
                left = fixed.pop(0) if fixed else 0
        rest = batch.slice(start)
        if not rest.num_rows:
            continue
        seconds, sizes = (np.nan_to_num(rest[name].to_numpy(zero_copy_only=False)) for name in ("seconds", "bytes"))
        before = 0
        starts = fill_shards(
            seconds, sizes, used, rows=int(limits["rows"]), max_seconds=limits["seconds"], max_bytes=limits["bytes"]
        )
        for first in starts:
            writer.add(rest.slice(before, first - before))
            writer.end_shard()
            before = first
        writer.add(rest.slice(before))


def _is_relative(url: str, path: str) -> bool:
    return bool(url) and not path and "://" not in url and not os.path.isabs(url)


def plan_shards(
    tables: list[Path],
    out_rows: Path,
    out_plan: Path,
    *,
    names: list[str],
    columns: dict[str, str],
    limits: dict[str, float],
    lot_shards: int,
    digits: list[int],
    kept: str,
) -> None:
    """Pack the rows of `names` into shards and lots.

    tables: the local ones among `names`, so that a change is seen.  kept: where the plan is remembered, for a rerun
    begins by removing what it made.  Raises RunError for a table that cannot be read.
    """
    old = _earlier(Path(kept), limits)
    if not lot_shards:
        lot_shards = _lot_shards(names, columns, limits)
    writer = ShardWriter(out_rows, old, lot_shards, (digits[0], digits[1]))
    pack(read_rows(names, columns), writer, old, limits)
    writer.close()
    rows = sum(lot["rows"] for lot in writer.lots)
    plan = {
        "limits": limits,
        "lots": writer.lots,
        "rows": rows,
        "shards": sum(len(lot["shards"]) for lot in writer.lots),
    }
    text = json_file.text(plan)
    out_plan.write_text(text, encoding="utf-8")
    Path(kept).parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(Path(kept), text)


def _earlier(kept: Path, limits: dict[str, float]) -> list[list[int]]:
    """Rows of each shard of each lot of the earlier plan, if it was made with the same limits."""
    with suppress(OSError, ValueError, KeyError):
        plan = json_file.read(kept)
        if plan["limits"] == limits:
            return [lot["shards"] for lot in plan["lots"]]
    return []


def _lot_shards(names: list[str], columns: dict[str, str], limits: dict[str, float]) -> int:
    """So many shards that a run has at most MAX_JOBS jobs, if shards are filled by rows."""
    return max(1, math.ceil(count_rows(names, columns) / limits["rows"] / LOTS))


if __name__ == "__main__":
    run(plan_shards)
