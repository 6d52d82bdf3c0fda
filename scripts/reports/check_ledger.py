"""The last word of a run: what failed, and whether a person has accepted it."""

import csv
from collections.abc import Collection
from pathlib import Path

from scripts.common.errors import RunError
from scripts.common.job import run

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


def check_ledger(
    failed: Path,
    plots: list[Path],
    overlays: list[Path],
    pages: list[Path],
    out_checked: Path,
    *,
    known_failures: Collection[str],
) -> None:
    """Write how many failures are accepted. Raises RunError while one of another recording is left.

    plots, overlays, pages: only so that the report is whole before the run may fail.
    """
    count, new = 0, []
    with failed.open(encoding="utf-8", newline="") as file:
        # Dead links of a table of URLs are accepted, and may be millions.
        for row in csv.DictReader(file, delimiter="\t"):
            count += 1
            if row["recording"] not in known_failures:
                new.append(row)
    if new:
        raise RunError(describe_failures(new, str(failed)))
    out_checked.write_text(f"{count} failed, all of them accepted\n", encoding="utf-8")


if __name__ == "__main__":
    run(check_ledger)
