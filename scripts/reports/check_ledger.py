"""The last word of a run: what failed, and whether a person has accepted it."""

import csv
from collections.abc import Collection
from pathlib import Path

import pyarrow.compute as pc

from scripts.common import table_file
from scripts.common.errors import RunError
from scripts.common.job import run

# The step in whose name each row of a table ends.
END_OF_ROWS = "write_shard"
# As many failures as a terminal shows at once; the rest stand in the table.
SHOWN = 20


def describe_failures(rows: list[dict[str, str]], table: str) -> str:
    """A line a cause, at most SHOWN of them, then what to do; streams that share a cause share its line."""
    causes: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        cause = (row["recording"], row["message"], row["step"], row["reason"])
        causes.setdefault(cause, []).append(row["item"])
    lines = [
        f"{', '.join(filter(None, [recording, *items]))}: {message} ({step}, {reason})"
        for (recording, message, step, reason), items in causes.items()
    ]
    more = [f"… and {len(lines) - SHOWN} more in {table}"] if len(lines) > SHOWN else []
    return "\n".join(
        [
            f"{len(rows)} item{'s' if len(rows) > 1 else ''} failed; everything else is finished:",
            *(f"  {line}" for line in lines[:SHOWN]),
            *(f"  {line}" for line in more),
            "  Mend or remove the source and give the same command again, rule a recording out in the exclusions "
            "sheet, or accept it by the config key `known_failures`.",
        ]
    )


def end_of_tables(merged: Path, tables: Collection[str]) -> tuple[int, list[str]]:
    """How many rows of `tables` failed, and a line for each table of which no row came to anything."""
    found = table_file.read(merged, columns=["recording", "step", "outcome"])
    counts = (
        found.filter(pc.equal(found["step"], END_OF_ROWS))
        .group_by(["recording", "outcome"])
        .aggregate([([], "count_all")])
    )
    ended: dict[str, dict[str, int]] = {}
    for row in counts.to_pylist():
        if row["recording"] in tables:
            ended.setdefault(row["recording"], {})[row["outcome"]] = row["count_all"]
    lost = [
        f"{name}: all of its {outcomes['failed']} rows failed: mend the table, or what it points to, and give "
        "`--config retry=failed`"
        for name, outcomes in sorted(ended.items())
        if set(outcomes) == {"failed"}
    ]
    return sum(outcomes.get("failed", 0) for outcomes in ended.values()), lost


def check_ledger(
    failed: Path,
    ledger: Path,
    plots: list[Path],
    overlays: list[Path],
    pages: list[Path],
    out_checked: Path,
    *,
    known_failures: Collection[str],
    tables: Collection[str],
) -> None:
    """Write how many failures are accepted. Raises RunError while one of another recording is left, or if all rows of a
    table failed.

    tables: names of which some rows may fail.  ledger: every row.
    plots, overlays, pages: only so that the report is whole before the run may fail.
    """
    accepted, new = 0, []
    with failed.open(encoding="utf-8", newline="") as file:
        # Dead links of a table of URLs may be millions.
        for row in csv.DictReader(file, delimiter="\t"):
            if row["recording"] in known_failures:
                accepted += 1
            elif row["recording"] not in tables:
                new.append(row)
    of_tables, lost = end_of_tables(ledger, tables)
    if new or lost:
        raise RunError("\n".join([*([describe_failures(new, str(failed))] if new else []), *lost]))
    said = f"{accepted} failed, all of them accepted\n"
    if of_tables:
        said += f"{of_tables} rows of tables failed, as many as failed_share allows\n"
    out_checked.write_text(said, encoding="utf-8")


if __name__ == "__main__":
    run(check_ledger)
