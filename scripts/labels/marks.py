"""What an importer reads: labels with times as their file has them."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from scripts.common.csv_rows import csv_rows
from scripts.common.errors import InputError
from scripts.common.names import folded
from scripts.common.text_file import text_of

REASON = "labels"
# An exact number with an exponent of this length fills any memory.
VAST = re.compile(r"e[+-]?0*[1-9]\d\d", re.IGNORECASE)


@dataclass(frozen=True)
class Mark:
    """A label from `start` to `stop` in its file's own unit: seconds, frames (from 0, the stop behind the last), or
    wall (seconds since 1970 of a clock on the wall). A point has start == stop. line: of the file, from 1.
    """

    label: str
    start: Fraction
    stop: Fraction
    line: int
    unit: str = "seconds"
    subject: str = ""
    tier: str = ""


def mistake(path: Path, line: int, message: str) -> InputError:
    """What is wrong, and where."""
    return InputError(REASON, f"{path.name}, line {line}: {message}")


def json_of(path: Path) -> Any:
    """The content of a JSON file. Raises InputError if it is none."""
    try:
        return json.loads(text_of(path, REASON))
    except ValueError as error:
        raise InputError(REASON, f"{path.name} is no JSON: {error}") from None


def rows_of(path: Path, delimiter: str = "") -> list[tuple[int, list[str]]]:
    """Every row of a table that has content, with its line. delimiter: "" for the one that the file has."""
    try:
        return list(csv_rows(text_of(path, REASON), delimiter))
    except csv.Error as error:
        raise InputError(REASON, f"{path.name} is no table: {error}") from None


def number(path: Path, line: int, text: object, what: str) -> Fraction:
    """An exact number. Raises InputError that names the line."""
    if VAST.search(str(text)):
        raise mistake(path, line, f"{what} {text!r} lies beyond all times")
    try:
        return Fraction(str(text).strip().replace(",", "."))
    except (ValueError, ZeroDivisionError):
        raise mistake(path, line, f"{what} {text!r} is no number") from None


def chunk_start(path: Path, line: int, named: str, chunks: Mapping[str, Fraction] | None) -> Fraction:
    """Where the chunk that a row names begins; 0 where times do not count from chunks. A path, or a name without its
    ending, will do. Raises InputError for a chunk that the recording does not have."""
    if chunks is None:
        return Fraction(0)
    name = folded(named.replace("\\", "/").rpartition("/")[2])
    for file, start in chunks.items():
        if name in (folded(file), folded(file).rpartition(".")[0]):
            return start
    raise mistake(path, line, f"there is no chunk `{named}`: {', '.join(chunks)}")


def paired(path: Path, events: Iterable[tuple[Mark, str]]) -> Iterator[Mark]:
    """Intervals from START and STOP (or, with "", by turns) of each subject, tier and label; POINT stays a point.

    What begins twice runs twice: nested states end innermost first. Raises InputError for a STOP without a START, and
    for a START without a STOP.
    """
    running: dict[tuple[str, str, str], list[Mark]] = {}
    for mark, status in events:
        key = (mark.subject, mark.tier, mark.label)
        begun = running.setdefault(key, [])
        if status == "POINT":
            yield mark
        elif status == "START" or (not status and not begun):
            begun.append(mark)
        elif not begun:
            raise mistake(path, mark.line, f"`{mark.label}` of `{mark.subject}` stops, but nothing has started it")
        else:
            first = begun.pop()
            yield replace(first, stop=mark.start)
    for (subject, _, label), begun in running.items():
        if begun:
            raise mistake(path, begun[0].line, f"`{label}` of `{subject}` starts, but nothing stops it")


def runs(labels: Iterable[tuple[int, str]]) -> Iterator[tuple[str, int, int]]:
    """Label, first frame and the frame behind the last, of each run of frames with the same label, in order."""
    label, first, last = "", 0, -2
    for frame, name in labels:
        if name == label and frame == last + 1:
            last = frame
            continue
        if label:
            yield label, first, last + 1
        label, first, last = name, frame, frame
    if label:
        yield label, first, last + 1
