"""What a run has made, where video2dataset puts it: `{shard}.tar`, `{shard}.parquet`, `{shard}_stats.json`."""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from rushes.video2dataset_arguments import INSIDE, NAME
from rushes.video2dataset_ends import SUCCESS, ShardEnds, ends_by_shard, lost_record
from scripts.common import json_file
from scripts.common.sample_columns import as_tables
from scripts.datasets.same_columns import common_schema, with_columns
from scripts.datasets.shard_formats import record_table

STATUS = ("status", "error_message")


def publish(folder: Path) -> None:
    """Shards, a table of each with the rows that gave no sample, too, its counts, and the card."""
    made = folder / INSIDE / "results" / "datasets" / NAME / "shards"
    rows = folder / INSIDE / "results" / "lots" / NAME / "rows.parquet"
    data = {str(path.relative_to(made / "data")): path for path in sorted((made / "data").rglob("[!.]*"))}
    digits = json_file.read(made / "card.json")["settings"]["shard_digits"]
    shards = {f"{ends.shard:0{digits}d}": ends for ends in ends_by_shard(rows, made / "ledger.parquet")}
    config = yaml.safe_load((folder / INSIDE / "config" / "config.yaml").read_text(encoding="utf-8"))
    of_its_own = config["datasets"][NAME]["output"] == "parquet"
    tables = {} if of_its_own else {shard: f"{shard}.parquet" for shard in shards}
    counts = {shard: f"{shard}_stats.json" for shard in shards}
    clear(folder, {*data, *tables.values(), *counts.values()})
    for name, path in data.items():
        if path.is_dir():
            (folder / name).mkdir(exist_ok=True)
        else:
            (folder / name).unlink(missing_ok=True)
            os.link(path, folder / name)
    if tables:
        _write_tables(folder, shards, made / "metadata.parquet")
    for shard, ends in shards.items():
        json_file.write(folder / counts[shard], ends.stats())
    shutil.copyfile(made / "card.json", folder / "card.json")


def _write_tables(folder: Path, shards: dict[str, ShardEnds], metadata: Path) -> None:
    """`{shard}.parquet`, all with the same columns: samples, then rows that gave none."""
    unwritten = folder / INSIDE / "unwritten.parquet"
    records = [lost_record(row, shard) for shard, ends in shards.items() for row, _ in ends.lost]
    pq.write_table(record_table(records), unwritten)
    schema = common_schema([metadata, unwritten])
    samples, lost = (with_columns(pq.read_table(path), schema) for path in (metadata, unwritten))
    first = 0
    for shard, ends in shards.items():
        own = samples.filter(pc.equal(samples["shard"], shard))
        rest, first = lost.slice(first, len(ends.lost)), first + len(ends.lost)
        said = [(end.status, end.message) for _, end in ends.lost]
        both = pa.concat_tables([_told(own, [(SUCCESS, None)] * own.num_rows), _told(rest, said)])
        pq.write_table(both, folder / f"{shard}.parquet")


def _told(table: pa.Table, said: Sequence[tuple[str, str | None]]) -> pa.Table:
    """The table with `status` and `error_message` of each row."""
    table = table.rename_columns([as_tables(name) if name in STATUS else name for name in table.column_names])
    for name, values in zip(STATUS, zip(*said, strict=True) if said else ((), ()), strict=True):
        table = table.append_column(name, pa.array(values, pa.string()))
    return table


def clear(folder: Path, wanted: set[str]) -> None:
    """Remove what an earlier run has published and this one does not: rows that left the table leave the dataset."""
    note = folder / INSIDE / "published.txt"
    before = set(note.read_text(encoding="utf-8").splitlines()) if note.exists() else set()
    # Noted before anything is published, so that a run that is killed leaves nothing that nobody knows.
    _write_names(note, before | wanted)
    for name in sorted(before - wanted, reverse=True):
        path = folder / name
        if path.is_dir():
            # It may hold what somebody else has put there.
            with suppress(OSError):
                path.rmdir()
        else:
            path.unlink(missing_ok=True)
    _write_names(note, wanted)


def _write_names(path: Path, names: set[str]) -> None:
    part = path.with_suffix(".part")
    part.write_text("".join(f"{name}\n" for name in sorted(names)), encoding="utf-8")
    os.replace(part, path)
