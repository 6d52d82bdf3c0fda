"""All shards of a dataset in one folder, their index, their metadata, the ledger of every row, and the card."""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common import json_file, ledger, table_file
from scripts.common.errors import RunError
from scripts.common.job import run
from scripts.common.links import link_or_copy
from scripts.datasets.same_columns import bring_together, common_schema, with_columns
from scripts.datasets.send_counts import send_counts
from scripts.datasets.shards_card import describe
from scripts.datasets.write_shard import INDEX

log = logging.getLogger("rushes")
# Steps whose rows are those of the table, or lead to them; the others annotate clips.
OF_ROWS = {"fetch_shard", "scan_shard", "detect_lot_speech", "cut_shard", "write_shard"}


def end_of_rows(
    fetched: list[ledger.Row], scanned: list[ledger.Row], cut: list[ledger.Row], dataset: str
) -> Iterator[ledger.Row]:
    """How each row of the table ended: written if any of its clips is, filtered if all are, else failed."""
    by_item: dict[str, list[ledger.Row]] = {}
    for row in cut:
        by_item.setdefault(row.item.partition("_")[0], []).append(row)
    scans = {row.item: row for row in scanned}
    for row in fetched:
        key = row.item
        of_clips = by_item.get(key, [])
        outcomes = {clip.outcome for clip in of_clips}
        if "written" in outcomes:
            written = sum(clip.outcome == "written" for clip in of_clips)
            yield ledger.Row("write_shard", dataset, key, "written", value=float(written))
        elif "failed" in outcomes or row.outcome == "failed" or scans[key].outcome == "failed" or not of_clips:
            yield ledger.Row("write_shard", dataset, key, "failed", ledger.UPSTREAM)
        else:
            yield ledger.Row("write_shard", dataset, key, "filtered", of_clips[0].reason)


def concatenate(paths: Iterable[Path], out: Path, schema: pa.Schema) -> int:
    """The rows of every table, a row group each, without holding them all; returns how many there are."""
    rows = 0
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for path in paths:
            table = with_columns(table_file.read(path), schema)
            rows += table.num_rows
            if table.num_rows:
                writer.write_table(table, row_group_size=table.num_rows)
    return rows


def link_all(folders: Sequence[Path], out: Path) -> None:
    """Hard links to every file of the folders, which take no room; copies where links cannot be.

    Tables of samples are written anew where their columns are not those of all.
    """
    out.mkdir()
    tables = sorted((path for folder in folders for path in folder.glob("[!.]*.parquet")), key=lambda path: path.name)
    for path in bring_together(tables, out):
        link_or_copy(path, out / path.name)
    for folder in folders:
        for place, _, files in os.walk(folder):
            target = out / os.path.relpath(place, folder)
            target.mkdir(exist_ok=True)
            for name in sorted(name for name in files if not name.startswith(".") and not (target / name).exists()):
                link_or_copy(Path(place, name), target / name)


def index_shards(
    plan: Path,
    fetched: list[Path],
    scanned: list[Path],
    cut: list[Path],
    annotated: list[Path],
    indexes: list[Path],
    metadata: list[Path],
    folders: list[Path],
    out_folder: Path,
    out_index: Path,
    out_metadata: Path,
    out_ledger: Path,
    out_card: Path,
    *,
    dataset: str,
    settings: dict[str, Any],
    licence: str,
    failed_share: float,
) -> None:
    """Gather the lots. Raises RunError unless every row of the table ended exactly once, or if too many failed."""
    planned = json_file.read(plan)["rows"]
    counts: Counter[tuple[str, str, str]] = Counter()
    rows = 0
    with pq.ParquetWriter(out_ledger, ledger.SCHEMA, compression="zstd") as writer:
        for three in zip(fetched, scanned, cut, strict=True):
            of_fetch, of_scan, of_cut = (ledger.rows(ledger.read([path])) for path in three)
            ends = list(end_of_rows(of_fetch, of_scan, of_cut, dataset))
            rows += len(ends)
            every = [*of_fetch, *of_scan, *of_cut, *ends]
            counts.update((row.step, row.outcome, row.reason) for row in every)
            writer.write_table(pa.Table.from_pylist([vars(row) for row in every], schema=ledger.SCHEMA))
        for path in annotated:
            found = ledger.read([path])
            counts.update((row.step, row.outcome, row.reason) for row in ledger.rows(found))
            writer.write_table(found)
    if rows != planned:
        raise RunError(f"{dataset}: the table has {planned} rows, but {rows} have ended")
    concatenate(indexes, out_index, INDEX)
    concatenate(metadata, out_metadata, common_schema(metadata))
    link_all(folders, out_folder)
    card = describe(dataset, settings, counts, out_metadata, out_index, licence)
    json_file.write(out_card, card)
    if settings.get("wandb"):
        send_counts(settings["wandb"], card)
    say_end(dataset, counts, card, failed_share)


def say_end(dataset: str, counts: Counter[tuple[str, str, str]], card: dict[str, Any], failed_share: float) -> None:
    """Say how rows ended, and what annotations lack. Raises RunError where more than `failed_share` failed.

    counts: ledger rows by (step, outcome, reason).
    """
    for step in ("write_shard", *sorted({step for step, *_ in counts} - OF_ROWS)):
        ended = Counter({o: sum(n for key, n in counts.items() if key[:2] == (step, o)) for o in ledger.OUTCOMES})
        what = "rows" if step == "write_shard" else f"clips of {step}"
        if ended["failed"] > failed_share * ended.total():
            more = f"more than failed_share = {failed_share:g}"
            raise RunError(f"{dataset}: {ended['failed']} of {ended.total()} {what} failed, {more}")
        said = ", ".join(f"{ended[outcome]} {outcome}" for outcome in ledger.OUTCOMES)
        if step == "write_shard":
            made = f"{card['samples']} samples in {card['shards']} shards"
            log.warning("%s: %d rows = %s; %s", dataset, ended.total(), said, made)
        elif ended["failed"]:
            reasons = ", ".join(sorted(f"{key[2]} {n}" for key, n in counts.items() if key[:2] == (step, "failed")))
            log.warning("%s: %d %s = %s (%s)", dataset, ended.total(), what, said, reasons)


if __name__ == "__main__":
    run(index_shards)
