"""What failed by itself, and how a person is told."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scripts.common import json_file
from scripts.common.errors import UPSTREAM

# As many failures as a terminal shows at once; the rest stand in the table.
SHOWN = 20


def root_failures(table: pa.Table) -> pa.Table:
    """Rows of a ledger of what failed by itself, not because an earlier step had failed."""
    return table.filter(pc.and_(pc.equal(table["outcome"], "failed"), pc.not_equal(table["reason"], UPSTREAM)))


def describe_failures(rows: Sequence[dict[str, Any]], table: str) -> str:
    """A line a cause, at most SHOWN of them, then what to do; streams that share a cause share its line.

    table: where all of them stand.
    """
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


def end_of_tables(cards: Collection[Path]) -> tuple[int, list[str]]:
    """How many rows of tables of URLs failed, by their cards, and a line for each of which no row came to anything."""
    failed, lost = 0, []
    for card in map(json_file.read, cards):
        ended: Counter[str] = Counter()
        for outcome_and_reason, count in card["rows"].items():
            ended[outcome_and_reason.split()[0]] += count
        failed += ended["failed"]
        if ended["failed"] and set(ended) == {"failed"}:
            lost.append(
                f"{card['dataset']}: all of its {ended['failed']} rows failed: mend the table, or what it points to, "
                "and give `--config retry=failed`"
            )
    return failed, lost
