"""The table of splits: recording, subject, split; tab-separated."""

import csv
from pathlib import Path
from typing import NamedTuple

COLUMNS = ["recording", "subject", "split"]


class Membership(NamedTuple):
    """Who a recording shows, and which split it stands in."""

    subject: str
    split: str


def write(path: Path, members: dict[str, Membership]) -> None:
    """Write one row a recording, in the given order."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([recording, *member] for recording, member in members.items())


def read(path: Path) -> dict[str, Membership]:
    """Membership by recording."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {row["recording"]: Membership(row["subject"], row["split"]) for row in rows}
