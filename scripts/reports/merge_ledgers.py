"""One ledger of the whole run, its counts, and the list of what failed."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scripts.common import ledger, table_file
from scripts.common import manifest as manifests_of
from scripts.common.errors import RunError
from scripts.common.failed_items import root_failures
from scripts.common.job import run

COUNT_COLUMNS = ["step", "outcome", "reason", "items"]
FAILED_COLUMNS = ["recording", "step", "item", "reason", "message", "ledger"]
_COUNT: list[tuple[list[str], str]] = [([], "count_all")]


# Rows of a table that are Python's at once: a table of URLs has millions of them.
AT_ONCE = 65_536


def repeated_items(table: pa.Table, sources: Sequence[str], results: str) -> list[str]:
    """Items that stand in the ledger twice: a step must end each of its items exactly once.

    sources: paths of the ledgers that column `source` counts. A recording may be used by several datasets below
    `results`, each with its own work.
    """
    datasets = PurePath(results, "datasets")
    own = [
        PurePath(source).relative_to(datasets).parts[0] if datasets in PurePath(source).parents else ""
        for source in sources
    ]
    dataset = pc.take(pa.array(own, pa.string()).dictionary_encode().indices, table["source"])
    names = ["step", "recording", "item"]
    counted = table.select(names).append_column("dataset", dataset).group_by(["dataset", *names]).aggregate(_COUNT)
    repeated = counted.filter(pc.greater(counted["count_all"], 1)).select(names).to_pylist()
    return sorted("/".join(row.values()) for row in repeated)


def count_outcomes(table: pa.Table) -> list[list[object]]:
    """Rows of step, outcome, reason, items; in the order in which the steps first appear, then by outcome, reason."""
    order = table["step"].unique().to_pylist()
    rows = [list(row.values()) for row in table.group_by(COUNT_COLUMNS[:3]).aggregate(_COUNT).to_pylist()]
    return sorted(rows, key=lambda row: (order.index(row[0]), ledger.OUTCOMES.index(row[1]), row[2]))


def list_failures(table: pa.Table, sources: Sequence[str]) -> Iterator[list[object]]:
    """Rows of what failed by itself, each with the ledger it stands in."""
    for batch in root_failures(table).to_batches(max_chunksize=AT_ONCE):
        for row in batch.to_pylist():
            yield [sources[row["source"]] if column == "ledger" else row[column] for column in FAILED_COLUMNS]


def missed_stretches(manifests: Iterable[Path], stretches: Iterable[Sequence[Any]]) -> Iterator[ledger.Row]:
    """A failed row for each stretch that a person has ruled out beyond the end of its recording.

    manifests: of the recordings of the stretches.  stretches: recording, from where on it is taken, start and stop of
    what is ruled out, in seconds.
    """
    read = [manifest for manifest in map(manifests_of.read, manifests) if "failed" not in manifest]
    lengths_s = {one["recording"]: (one["timeline"]["stop_ns"] - one["timeline"]["start_ns"]) / 1e9 for one in read}
    for recording, taken_s, start_s, stop_s in dict.fromkeys(map(tuple, stretches)):
        length_s = lengths_s.get(recording, 0.0)
        end_s = taken_s + length_s
        # What failed has no length, and a row of its own.
        if length_s and start_s >= end_s:
            stretch = f"{start_s:g} s to {'the end' if stop_s is None else f'{stop_s:g} s'}"
            message = f"nothing is left out from {stretch}: the recording ends at {end_s:.3f} s; see the exclusions"
            yield ledger.Row("exclude", recording, stretch, "failed", "beyond_end", start_s, end_s, message)


def merge_ledgers(
    ledgers: list[Path],
    manifests: list[Path],
    out_ledger: Path,
    out_counts: Path,
    out_failed: Path,
    *,
    results: str,
    excluded: Sequence[Sequence[str]],
    stretches: Sequence[Sequence[Any]],
) -> None:
    """Merge `ledgers` in their order; whole recordings that a person has ruled out are filtered at the import.

    results: the folder of all results.  excluded: (recording, reason).  manifests, stretches: see `missed_stretches`.
    Raises RunError if an item ended twice.
    """
    rows = [ledger.Row("import", name, name, "filtered", "excluded", message=reason) for name, reason in excluded]
    rows += missed_stretches(manifests, stretches)
    ruled_out = pa.Table.from_pylist([vars(row) for row in rows], schema=ledger.SCHEMA)
    sources = ["import", *(path.as_posix() for path in ledgers)]
    tables = [ruled_out, *(ledger.read([path]) for path in ledgers)]
    numbered = [
        own.append_column("source", pa.repeat(pa.scalar(number, pa.int32()), len(own)))
        for number, own in enumerate(tables)
    ]
    table = pa.concat_tables(numbered)
    repeated = repeated_items(table, sources, results)
    if repeated:
        raise RunError(f"{len(repeated)} items ended twice, e.g. {repeated[0]}")
    table_file.write(out_ledger, table.drop_columns("source"))
    write_tsv(out_counts, COUNT_COLUMNS, count_outcomes(table))
    write_tsv(out_failed, FAILED_COLUMNS, list_failures(table, sources))


def write_tsv(path: Path, columns: list[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a tab-separated table with a header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


if __name__ == "__main__":
    run(merge_ledgers)
