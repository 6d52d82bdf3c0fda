"""The last word of a run: what failed, and whether a person has accepted it."""

import csv
from collections.abc import Collection
from pathlib import Path

from scripts.common.errors import RunError
from scripts.common.failed_items import describe_failures, end_of_tables
from scripts.common.job import run


def check_ledger(
    failed: Path,
    cards: list[Path],
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

    tables: names of which some rows may fail.  cards: theirs.
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
    of_tables, lost = end_of_tables(cards)
    if new or lost:
        raise RunError("\n".join([*([describe_failures(new, str(failed))] if new else []), *lost]))
    said = f"{accepted} failed, all of them accepted\n"
    if of_tables:
        said += f"{of_tables} rows of tables failed, as many as failed_share allows\n"
    out_checked.write_text(said, encoding="utf-8")


if __name__ == "__main__":
    run(check_ledger)
