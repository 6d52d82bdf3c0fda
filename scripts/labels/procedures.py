"""Sheets of procedures with times of a clock on the wall, as csv or xlsx: by position, or by the names of columns."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, time, timedelta
from fractions import Fraction
from pathlib import Path

import openpyxl

from scripts.common.errors import InputError, is_machine_fault
from scripts.common.wall_clock import BACK_S, after, day_of, wall_seconds
from scripts.labels.marks import Mark, chunk_start, mistake, number, rows_of

# Where the old sheets have them, whatever their header says: the label in capitals, start, stop.
BY_POSITION = {"label": 1, "start": 2, "stop": 3}
# Seconds, milliseconds or frames.
PLAIN = re.compile(r"[+-]?\d+([.,]\d+)?")
# Of a row's start and stop: year, month and day, or None where they have no date.
Days = tuple[tuple[str, ...] | None, tuple[str, ...] | None]


def cells_of(path: Path) -> list[tuple[int, list[str]]]:
    """The rows with content of a csv, or of the first sheet of an xlsx, as text, with their lines."""
    if path.suffix.lower() != ".xlsx":
        return rows_of(path)
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        rows = [[_as_text(cell) for cell in row] for row in book.worksheets[0].iter_rows(values_only=True)]
        return [(line, row) for line, row in enumerate(rows, 1) if any(row)]
    # openpyxl raises whatever its parser meets.
    except Exception as error:
        if is_machine_fault(error):
            raise
        raise InputError("labels", f"{path.name} cannot be read as xlsx ({type(error).__name__})") from None


def _as_text(cell: object) -> str:
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(cell, time):
        return cell.strftime("%H:%M:%S.%f")
    if isinstance(cell, timedelta):
        return str(cell.total_seconds())
    return "" if cell is None else str(cell).strip()


def read_procedures(path: Path, columns: Mapping[str, str], chunks: Mapping[str, Fraction] | None = None) -> list[Mark]:
    """A row a procedure, without a label where it has times alone. Rows with neither are passed over, and so are stray
    columns beside the table.

    columns: label, start, stop, subject, tier, chunk -> name in the header; with none, BY_POSITION. chunks: where each
    begins, if times count from the beginning of that in column `chunk`. Times without a date are in order: one that
    goes back by more than half a day has passed midnight.
    """
    rows = cells_of(path)
    if not rows:
        raise InputError("labels", f"{path.name} is empty")
    places = _places(path, *rows[0], columns)
    marks: list[Mark] = []
    days: list[Days] = []
    for line, row in rows[1:]:
        cells = {name: row[place] if place < len(row) else "" for name, place in places.items()}
        begun, ended = cells["start"], cells.get("stop", "") or cells["start"]
        if not cells["label"] and not (_is_time(begun) and _is_time(ended)):
            continue
        start, stop, unit = _times(path, line, begun, ended)
        begin = chunk_start(path, line, cells.get("chunk", ""), chunks if cells["label"] else None)
        more = {name: cells.get(name, "") for name in ("subject", "tier")}
        marks.append(Mark(cells["label"], start + begin, stop + begin, line, unit, **more))
        days.append((day_of(begun), day_of(ended)))
    if not columns and marks and {mark.label for mark in marks} <= {"0", "1"}:
        message = "every label is 0 or 1; set labels.format: one_hot for a column a label, or labels.columns"
        raise InputError("labels", f"{path.name}: {message}")
    return _over_midnight(marks, days)


def _places(path: Path, line: int, header: list[str], columns: Mapping[str, str]) -> dict[str, int]:
    if not columns:
        start = header[BY_POSITION["start"]] if len(header) > BY_POSITION["start"] else ""
        if _is_time(start):
            raise mistake(
                path, line, f"{start} is a time, where the names of the columns are wanted; put them above it"
            )
        return BY_POSITION
    for name, column in columns.items():
        if column not in header:
            raise InputError("labels", f"{path.name} has no column `{column}` for {name}: {', '.join(header)}")
    return {name: header.index(column) for name, column in columns.items()}


def _is_time(text: str) -> bool:
    return wall_seconds(text) is not None or bool(PLAIN.fullmatch(text))


def _times(path: Path, line: int, start: str, stop: str) -> tuple[Fraction, Fraction, str]:
    walls = [wall_seconds(text) for text in (start, stop)]
    if walls[0] is not None and walls[1] is not None:
        return walls[0], walls[1], "wall"
    if ":" in start or ":" in stop:
        raise mistake(path, line, f"{start!r}, {stop!r} are no times such as 2019-04-04 09:21:58:740439")
    first = number(path, line, start, "the start")
    return first, number(path, line, stop, "the stop"), "seconds"


def _over_midnight(marks: list[Mark], days: list[Days]) -> list[Mark]:
    """The marks with their times on a clock that goes on beyond midnight.

    A time with a date is what it says, whatever the order of rows; but in a sheet that has one date throughout, also
    where a stop lies half a day before its start, it is that of the first day.
    """
    pairs = list(zip(marks, days, strict=True))
    known = {day for pair in days for day in pair if day}
    first_alone = len(known) == 1 and any(all(day) and mark.start - mark.stop > BACK_S for mark, day in pairs)
    moved: list[Mark] = []
    before: Fraction | None = None
    for mark, day in pairs:
        if mark.unit != "wall":
            moved.append(mark)
            continue
        start = mark.start if day[0] and not first_alone else after(mark.start, before)
        stop = mark.stop if day[1] and not first_alone else after(mark.stop, start)
        moved.append(replace(mark, start=start, stop=stop))
        before = start
    return moved
