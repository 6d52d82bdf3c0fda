"""BORIS: tabular exports of old and new versions, aggregated events, and the project file itself."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from scripts.common.errors import InputError
from scripts.labels.marks import Mark, chunk_start, json_of, mistake, number, paired, rows_of

# Where tabular exports name the file that was watched.
MEDIA = ("Media file path", "Media file name", "Media file")


def read_tabular(path: Path, chunks: Mapping[str, Fraction] | None = None) -> list[Mark]:
    """Events with START, STOP or POINT. Old exports have a preamble of any length, new ones a flat header.

    chunks: where each begins, if times count from the beginning of the file that was watched.
    """
    rows = rows_of(path, "\t" if path.suffix.lower() == ".tsv" else ",")
    at = next((k for k, row in enumerate(rows) if "Behavior" in row and {"Time", "Start (s)"} & set(row)), None)
    if at is None:
        raise InputError("labels", f"{path.name} has no header with Time and Behavior")
    names = {name: column for column, name in enumerate(rows[at])}
    status = names.get("Status", names.get("Behavior type"))
    if status is None:
        raise InputError("labels", f"{path.name} has no column Status or Behavior type")
    media = next((names[name] for name in MEDIA if name in names), None)
    events = []
    for line, row in enumerate(rows[at + 1 :], at + 2):
        if not row:
            continue
        if len(row) <= max(names["Time"], names["Behavior"], status):
            raise mistake(path, line, f"{len(row)} cells, where the header has {len(rows[at])}")
        time = number(path, line, row[names["Time"]], "Time")
        time += chunk_start(path, line, "" if media is None else row[media], chunks)
        subject = row[names["Subject"]] if "Subject" in names else ""
        mark = Mark(row[names["Behavior"]], time, time, line, subject=subject)
        events.append((mark, row[status].upper()))
    return list(paired(path, events))


def read_aggregated(path: Path) -> list[Mark]:
    """A row a bout, with its start and stop; POINT events stop where they start."""
    rows = rows_of(path, "\t" if path.suffix.lower() == ".tsv" else ",")
    at = next((k for k, row in enumerate(rows) if "Behavior" in row and "Start (s)" in row), None)
    if at is None:
        raise InputError("labels", f"{path.name} has no header with Behavior and Start (s)")
    names = {name: column for column, name in enumerate(rows[at])}
    marks = []
    for line, row in enumerate(rows[at + 1 :], at + 2):
        if not row:
            continue
        start = number(path, line, row[names["Start (s)"]], "Start (s)")
        point = "Behavior type" in names and row[names["Behavior type"]].upper() == "POINT"
        stop = start if point else number(path, line, row[names["Stop (s)"]], "Stop (s)")
        subject = row[names["Subject"]] if "Subject" in names else ""
        marks.append(Mark(row[names["Behavior"]], start, stop, line, subject=subject))
    return marks


def read_project(path: Path, recording: str) -> list[Mark]:
    """The observation of a .boris file that has the recording's name, or its only one."""
    content = json_of(path)
    observations = content.get("observations", {}) if isinstance(content, dict) else {}
    chosen = observations.get(recording) or (next(iter(observations.values())) if len(observations) == 1 else None)
    if chosen is None:
        raise InputError("labels", f"{path.name} has no observation `{recording}`: {', '.join(observations) or 'none'}")
    kinds = {entry["code"]: entry.get("type", "") for entry in content.get("behaviors_conf", {}).values()}
    events = []
    for line, event in enumerate(sorted(chosen.get("events", []), key=lambda event: Fraction(str(event[0]))), 1):
        time = number(path, line, event[0], "the time")
        mark = Mark(str(event[2]), time, time, line, subject=str(event[1]))
        events.append((mark, "POINT" if "point" in kinds.get(event[2], "").lower() else ""))
    return list(paired(path, events))
