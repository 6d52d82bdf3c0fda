"""A recording's labels as one table of intervals on its clock, whatever tool wrote them."""

import logging
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from scripts.common import label_intervals, ledger
from scripts.common.errors import InputError
from scripts.common.job import run
from scripts.common.label_intervals import LabelInterval
from scripts.common.manifest import read as read_manifest
from scripts.labels.formats import READERS, Source, guess
from scripts.labels.marks import Mark
from scripts.labels.time_base import TimeBase, seconds_of, to_ns

log = logging.getLogger("rushes")
STEP = "import_labels"


def base_of(settings: dict[str, Any]) -> TimeBase:
    """The time base of a rig's settings."""
    fit = tuple((Fraction(str(time)), Fraction(str(seconds))) for time, seconds in settings["fit"])
    return TimeBase(Fraction(settings["fps"]) if settings["fps"] else None, settings["sync"], fit)


def judged(mark: Mark, recording: str) -> ledger.Row | None:
    """Why a mark becomes no interval, or None for one that does."""
    if not mark.label:
        message = f"entry {mark.line} of tier `{mark.tier}` has no text"
        return ledger.Row(STEP, recording, f"{mark.line}", "filtered", "no_label", message=message)
    if mark.stop >= mark.start:
        return None
    message = f"line {mark.line}: `{mark.label}` stops before it starts"
    return ledger.Row(STEP, recording, f"{mark.line}", "failed", "backwards", message=message)


def import_labels(
    labels: Path,
    manifest: Path,
    out_intervals: Path,
    out_ledger: Path,
    *,
    recording: str,
    subject: str,
    settings: dict[str, Any],
) -> None:
    """Read `labels`. settings: format, fps, sync, fit, columns.

    Raises InputError with the line for a file that cannot be read as what it should be.
    """
    timeline = read_manifest(manifest).get("timeline")
    if timeline is None:
        raise InputError(ledger.UPSTREAM, f"{recording}: its import failed; see its row")
    kind = guess(labels) if settings["format"] == "auto" else settings["format"]
    marks, said = seconds_of(READERS[kind](Source(labels, recording, settings["columns"])), base_of(settings))
    if not marks:
        raise InputError("no_labels", f"{labels.name} has no label ({kind})")
    start_ns = int(timeline["start_ns"])
    refused = {id(mark): row for mark in marks if (row := judged(mark, recording))}
    kept = [mark for mark in marks if id(mark) not in refused]
    label_intervals.write(out_intervals, _intervals(kept, recording, subject, start_ns))
    message = f"{len(kept)} of {len(marks)} intervals of {labels.name} ({kind}); {said}".rstrip("; ")
    log.info("%s: %s", recording, message)
    written = ledger.Row(STEP, recording, recording, "written", value=float(len(kept)), message=message)
    ledger.write(out_ledger, [written, *refused.values()])


def _intervals(marks: Sequence[Mark], recording: str, subject: str, start_ns: int) -> list[LabelInterval]:
    return [
        LabelInterval(
            recording=recording,
            subject=mark.subject or subject,
            camera="",
            tier=mark.tier,
            label=mark.label,
            start_ns=to_ns(mark.start, start_ns),
            stop_ns=to_ns(mark.stop, start_ns),
            source_line=mark.line,
        )
        for mark in marks
    ]


if __name__ == "__main__":
    run(import_labels)
