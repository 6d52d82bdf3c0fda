"""BORIS: tabular exports of old and new versions, aggregated events, and the project file itself."""

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from scripts.common.csv_rows import DELIMITERS
from scripts.common.errors import InputError
from scripts.common.text_file import text_of
from scripts.labels.marks import REASON, Mark, chunk_start, json_of, mistake, number, paired, rows_of
from scripts.labels.own_part import Own, own_parts

# Where tabular exports name the file that was watched.
MEDIA = ("Media file path", "Media file name", "Media file")
OBSERVATION = "Observation id"
# What a row cannot be without, where the header has it.
NEEDED = (OBSERVATION, "Behavior", "Behavior type", "Status", "Time", "Start (s)", "Stop (s)")
# Where tabular exports say what begins and what ends; new ones have no Status.
EVENTS = ("Status", "Behavior type")
Lines = list[tuple[int, list[str]]]


def is_tabular(head: str) -> bool:
    """Whether the beginning of a file has the header of a tabular export."""
    headers = map(_cells, head.splitlines())
    return any({"Behavior", "Time"} <= cells and not cells.isdisjoint(EVENTS) for cells in headers)


def _cells(line: str) -> set[str]:
    """What stands in a header, whatever stands between."""
    return {cell.strip(' "') for cell in re.split(f"[{DELIMITERS}]", line)}


def _delimiter(path: Path, times: tuple[str, ...]) -> str:
    """What stands between the cells of the header; in a preamble above it there may be more of other signs."""
    for line in text_of(path, REASON).splitlines():
        cells = _cells(line)
        if "Behavior" in cells and not cells.isdisjoint(times):
            return max(DELIMITERS, key=line.count)
    return ""


def read_tabular(path: Path, own: Own, chunks: Mapping[str, Fraction] | None = None) -> list[Mark]:
    """Events with START, STOP or POINT, of the recording's observation. Old exports have a preamble of any length, new
    ones a flat header.

    chunks: where each begins, if times count from the beginning of the file that was watched.
    """
    names, observations = _observations(path, own, ("Time", "Start (s)"), "Time and Behavior")
    status = next((names[name] for name in EVENTS if name in names), None)
    if status is None:
        raise InputError("labels", f"{path.name} has no column Status or Behavior type")
    media = next((names[name] for name in MEDIA if name in names), None)
    marks: list[Mark] = []
    for rows in observations:
        events = []
        for line, row in rows:
            time = number(path, line, row[names["Time"]], "Time")
            time += chunk_start(path, line, "" if media is None else row[media], chunks)
            subject = row[names["Subject"]] if "Subject" in names else ""
            mark = Mark(row[names["Behavior"]], time, time, line, subject=subject)
            events.append((mark, row[status].upper()))
        marks += paired(path, events)
    return marks


def read_aggregated(path: Path, own: Own) -> list[Mark]:
    """A row a bout of the recording's observation, with its start and stop; POINT events stop where they start."""
    names, observations = _observations(path, own, ("Start (s)",), "Behavior and Start (s)")
    marks = []
    for line, row in [one for rows in observations for one in rows]:
        start = number(path, line, row[names["Start (s)"]], "Start (s)")
        point = "Behavior type" in names and row[names["Behavior type"]].upper() == "POINT"
        stop = start if point else number(path, line, row[names["Stop (s)"]], "Stop (s)")
        subject = row[names["Subject"]] if "Subject" in names else ""
        marks.append(Mark(row[names["Behavior"]], start, stop, line, subject=subject))
    return marks


def _observations(path: Path, own: Own, times: tuple[str, ...], said: str) -> tuple[dict[str, int], list[Lines]]:
    """The columns of an export, and the rows of each observation of the recording with their lines.

    An observation is known by its id and its media; where a flat export has no id, by its media alone.
    """
    rows = rows_of(path, _delimiter(path, times))
    at = next((k for k, (_, row) in enumerate(rows) if "Behavior" in row and set(times) & set(row)), None)
    if at is None:
        raise InputError("labels", f"{path.name} has no header with {said}")
    header = rows[at][1]
    names = {name: column for column, name in enumerate(header)}
    media = [names[name] for name in MEDIA if name in names]
    # A preamble is of one observation, and its files were watched in a row.
    by_media = OBSERVATION not in names and at == 0 and not own.together
    key = names.get(OBSERVATION, media[0] if by_media and media else None)
    last = max(names[name] for name in NEEDED if name in names)
    parts: dict[str, Lines] = {}
    called: dict[str, set[str]] = {}
    for line, row in rows[at + 1 :]:
        if len(row) <= last:
            raise mistake(path, line, f"{len(row)} cells, where the header has {len(header)}")
        row += [""] * (len(header) - len(row))
        name = "" if key is None else row[key]
        parts.setdefault(name, []).append((line, row))
        called.setdefault(name, set()).update(file for column in media for file in row[column].split(";"))
    what = "media files" if by_media else "observations"
    return names, [parts[name] for name in own_parts(path, own, called, what, in_a_row=by_media)]


def read_project(path: Path, own: Own) -> list[Mark]:
    """The recording's observation of a .boris file."""
    content = json_of(path)
    observations = content.get("observations", {}) if isinstance(content, dict) else {}
    called = {name: _media(observation) for name, observation in observations.items()}
    kinds = {entry["code"]: entry.get("type", "") for entry in content.get("behaviors_conf", {}).values()}
    marks: list[Mark] = []
    for name in own_parts(path, own, called, "observations"):
        events = []
        listed = sorted(observations[name].get("events", []), key=lambda event: Fraction(str(event[0])))
        for line, event in enumerate(listed, 1):
            time = number(path, line, event[0], "the time")
            mark = Mark(str(event[2]), time, time, line, subject=str(event[1]))
            events.append((mark, "POINT" if "point" in kinds.get(event[2], "").lower() else ""))
        marks += paired(path, events)
    return marks


def _media(observation: dict[str, Any]) -> list[str]:
    """The files of an observation, which a project lists by player."""
    players = observation.get("file") or {}
    return [str(file) for files in players.values() for file in files]
