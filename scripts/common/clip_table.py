"""A table of clips: time ranges of recordings, as people write them."""

import csv
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.common.csv_rows import csv_rows
from scripts.common.errors import InputError
from scripts.common.text_file import text_of


@dataclass(frozen=True)
class WantedClip:
    """A row of the table, as text. number: from 1; line: of the file; recording: "" for any; name: "" for none."""

    number: int
    line: int
    recording: str
    name: str
    start: str
    end: str


def read_table(path: Path) -> Iterator[WantedClip]:
    """The rows of a csv with the columns start, end, and optionally recording, clip. Raises InputError."""
    rows = csv_rows(text_of(path, "table"))
    try:
        header = next(rows, (1, []))[1]
        columns = {name.casefold(): place for place, name in enumerate(header)}
        missing = [name for name in ("start", "end") if name not in columns]
        if missing:
            raise InputError("table", f"{path.name}: the column `{missing[0]}` is missing; it has {', '.join(columns)}")
        for number, (line, row) in enumerate(rows, start=1):
            cells = {name: row[place] if place < len(row) else "" for name, place in columns.items()}
            name = cells.get("clip", "")
            yield WantedClip(number, line, cells.get("recording", ""), name, cells["start"], cells["end"])
    except csv.Error as error:
        raise InputError("table", f"{path.name} is no table: {error}") from None


def stray_row(path: Path, recordings: Container[str]) -> WantedClip | None:
    """The first row whose recording is none of `recordings`; None if there is none, or the table cannot be read, which
    is for its job to say."""
    try:
        return next((row for row in read_table(path) if row.recording and row.recording not in recordings), None)
    except (InputError, OSError):
        return None
