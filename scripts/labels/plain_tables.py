"""Audacity, Raven, segments of frames, one column a label: plain tables."""

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from scripts.common.errors import InputError
from scripts.common.text_file import text_of
from scripts.labels.marks import REASON, Mark, mistake, number, rows_of, runs
from scripts.labels.own_part import Own, own_parts

RAVEN = ("Begin Time (s)", "End Time (s)")
# Where a selection begins in its own file.
OFFSET = "File Offset (s)"
# Columns of Raven that are measurements or choices of a view, and no label.
RAVEN_OWN = {"Selection", "View", "Channel", *RAVEN, "Low Freq (Hz)", "High Freq (Hz)"}
RAVEN_OWN |= {"Begin File", "Begin Path", "End File", "End Path", OFFSET}
RAVEN_OWN |= {"Begin Clock Time", "End Clock Time", "Begin Date", "End Date", "Begin Date Time", "End Date Time"}
# Columns that are known to be the label; the last is BirdNET's.
LABELLED = ("Annotation", "Label", "Species", "Common Name")
# What ends the name of a measurement.
UNIT = re.compile(r"\([^()]*\)$")
# Whether a frame has a label, in small letters: Python, R and spreadsheets write these words each in another way.
SHOWN = {"1", "1.0", "true"}
ONE_HOT = {"0", "0.0", "false"} | SHOWN


def read_audacity(path: Path) -> list[Mark]:
    """start, end, label between tabs; a second line of frequencies, which begins with a backslash, is passed over."""
    marks = []
    for line, text in enumerate(text_of(path, REASON).splitlines(), 1):
        if not text.strip() or text.startswith("\\"):
            continue
        cells = text.split("\t")
        if len(cells) < 2:
            raise mistake(path, line, "start, end and label between tabs are wanted")
        times = [number(path, line, cell, "a time") for cell in cells[:2]]
        marks.append(Mark("\t".join(cells[2:]).strip(), times[0], times[1], line))
    return marks


def read_raven(path: Path, own: Own, label: str = "") -> list[Mark]:
    """A selection table: one row a view, so that selections that several views show count once.

    Of a table of several files, the selections in the recording's; their times then count from that file's beginning,
    if the table has these (Raven counts from the beginning of the first file, where it shows several in a row).
    label: name of the column; "" for the one that it must be. Raises InputError where that is not plain.
    """
    rows = rows_of(path, "\t")
    header = rows[0][1] if rows else []
    if not set(RAVEN) <= set(header):
        raise InputError("labels", f"{path.name} has no header with {' and '.join(RAVEN)}")
    names = {name: column for column, name in enumerate(header)}
    labelled = label or _label_column(path, header, rows[1:])
    if labelled and labelled not in names:
        raise InputError("labels", f"{path.name} has no column `{labelled}` for label: {', '.join(header)}")
    column = names.get(labelled)
    file, offset = names.get("Begin File"), names.get(OFFSET)
    files = list(dict.fromkeys(row[file] for _, row in rows[1:] if file is not None and file < len(row)))
    chosen = own_parts(path, own, {name: [name] for name in files}, "files", in_a_row=True)
    marks: dict[tuple[object, ...], Mark] = {}
    for line, row in rows[1:]:
        if file is not None and len(chosen) < len(files) and row[file] not in chosen:
            continue
        start, stop = (number(path, line, row[names[name]], name) for name in RAVEN)
        if len(chosen) < len(files) and offset is not None:
            begin = number(path, line, row[offset], OFFSET)
            start, stop = begin, begin + stop - start
        text = row[column] if column is not None and column < len(row) else "selection"
        marks.setdefault((row[names.get("Selection", 0)], start, stop, text), Mark(text, start, stop, line))
    return list(marks.values())


def _label_column(path: Path, header: Sequence[str], body: Sequence[tuple[int, list[str]]]) -> str:
    """The one column of words that people have added to Raven's own; "" where there is none.

    A measurement has its unit in brackets, and numbers. Raises InputError where another, or none, might be the one.
    """
    known = next((name for name in LABELLED if name in header), "")
    if known:
        return known
    others = [name for name in header if name and name not in RAVEN_OWN]
    cells = {name: [row[k] for _, row in body if k < len(row) and row[k]] for k, name in enumerate(header)}
    words = [name for name in others if not all(map(is_number, cells[name]))]
    plain = [name for name in others if not UNIT.search(name)]
    chosen = [name for name in words if name in plain]
    unsure = chosen or [name for name in plain if cells[name]] or words
    if unsure and len(chosen) != 1:
        todo = f"set labels.format: raven and labels.columns: {{label: {unsure[0]}}}, or whichever it is"
        raise InputError("labels", f"{path.name}: no column is known to be the label, of {', '.join(unsure)}; {todo}")
    return next(iter(chosen or plain), "")


def is_number(text: str) -> bool:
    """Whether a cell is a number, with a point or a comma."""
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def read_segments(path: Path) -> list[Mark]:
    """start, end, label in frames from 1, last one included (50Salads, MS-TCN); a background is a label like others."""
    marks = []
    for line, text in enumerate(text_of(path, REASON).splitlines(), 1):
        cells = [cell for cell in re.split(r"[,\s]+", text.strip(), maxsplit=2) if cell]
        if not cells or (line == 1 and not cells[0].isdigit()):
            continue
        if len(cells) < 3:
            raise mistake(path, line, "first frame, last frame and label are wanted")
        first, last = (number(path, line, cell, "a frame") for cell in cells[:2])
        marks.append(Mark(cells[2].strip(), first - 1, last, line, "frames"))
    return marks


def is_one_hot(lines: Sequence[str], delimiter: str) -> bool:
    """Whether a table has a first line, and below it, but for the first column, nothing but 0 and 1."""
    body = [cell.strip().lower() for line in lines[1:] for cell in line.split(delimiter)[1:]]
    return bool(body) and set(body) <= ONE_HOT


def one_hot_delimiter(path: Path) -> str:
    """What stands between the cells; "" for what the file has."""
    return "\t" if path.suffix.lower() == ".tsv" else ""


def read_one_hot(path: Path) -> list[Mark]:
    """A row a frame and a column of 0 and 1 a label; a frame of zeros has none. Runs become intervals."""
    rows = rows_of(path, one_hot_delimiter(path))
    header = rows[0][1] if rows else []
    if len(header) < 2:
        raise InputError("labels", f"{path.name} has no columns of labels")
    has_frame = header[0].lower() in ("frame", "index", "")
    marks = []
    for column, label in enumerate(header):
        if column == 0 and has_frame:
            continue
        shown = _frames_of(path, rows[1:], column, has_frame)
        marks += [Mark(label, Fraction(a), Fraction(b), 1, "frames") for _, a, b in runs((k, label) for k in shown)]
    return marks


def _frames_of(path: Path, body: list[tuple[int, list[str]]], column: int, has_frame: bool) -> Iterator[int]:
    for place, (line, row) in enumerate(body):
        if column >= len(row) or row[column].lower() not in ONE_HOT:
            raise mistake(path, line, f"column {column + 1} is neither 0 nor 1")
        if row[column].lower() in SHOWN:
            yield int(number(path, line, row[0], "the frame")) if has_frame else place
