"""A recording's labels as one table of intervals on its clock, whatever tool wrote them."""

import logging
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from scripts.common import label_intervals, ledger
from scripts.common.errors import InputError, UpstreamError
from scripts.common.job import run
from scripts.common.label_intervals import LabelInterval
from scripts.common.manifest import read as read_manifest
from scripts.common.timeline import NS
from scripts.labels.formats import READERS, Source, guess
from scripts.labels.marks import Mark
from scripts.labels.time_base import TimeBase, seconds_of, to_ns, uneven

log = logging.getLogger("rushes")
STEP = "import_labels"
# Formats whose rows may say of which chunk they speak.
PER_CHUNK = ("boris", "procedures")


def base_of(settings: dict[str, Any]) -> TimeBase:
    """The time base of a rig's settings."""
    fit = tuple((_file_time(time), Fraction(str(seconds))) for time, seconds in settings["fit"])
    fps = Fraction(settings["fps"]) if settings["fps"] else None
    return TimeBase(fps, settings["sync"], fit, settings["unit"])


def _file_time(written: str | float) -> Fraction | str:
    return written if isinstance(written, str) else Fraction(str(written))


def chunks_of(facts: dict[str, Any]) -> dict[str, Fraction]:
    """Where each chunk of a recording begins, in seconds after its start, from its manifest."""
    start_ns = int(facts["timeline"]["start_ns"])
    listed = [chunk for stream in facts["streams"].values() for chunk in stream.get("chunks", [])]
    return {chunk["file"]: Fraction(chunk["start_ns"] - start_ns, NS) for chunk in listed}


def read_marks(
    path: Path,
    recording: str,
    settings: dict[str, Any],
    chunks: dict[str, Fraction] | None = None,
    sources: Sequence[str] = (),
) -> tuple[str, list[Mark]]:
    """The format of a file, and its marks. Raises InputError for whatever is wrong with it.

    sources: names of the files that the recording is made of.
    """
    kind = guess(path, settings["columns"]) if settings["format"] == "auto" else settings["format"]
    tied = bool(settings["sync"] or settings["fit"])
    try:
        return kind, READERS[kind](Source(path, recording, settings["columns"], chunks, tuple(sources), tied))
    # What is missing, or of another kind, where a format has it.
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        said = " ".join(str(error).split())[:120]
        message = f"{path.name} is not as {kind} has it ({type(error).__name__}: {said})"
        raise InputError("labels", message) from None


def refusal(mark: Mark) -> tuple[str, str, str] | None:
    """Outcome, reason and message of a mark that becomes no interval; None for one that does."""
    if not mark.label:
        where = f"entry {mark.line} of tier `{mark.tier}`" if mark.tier else f"line {mark.line}"
        return "filtered", "no_label", f"{where} has no text"
    if mark.stop < mark.start:
        return "failed", "backwards", f"line {mark.line}: `{mark.label}` stops before it starts"
    return None


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
    """Read `labels`. settings: format, fps, unit, sync, fit, columns, per_chunk.

    Raises InputError with the line for a file that cannot be read as what it should be.
    """
    facts = read_manifest(manifest)
    timeline = facts.get("timeline")
    if timeline is None:
        raise UpstreamError(recording)
    chunks = chunks_of(facts) if settings.get("per_chunk") else None
    if chunks == {}:
        raise InputError("labels", f"labels.per_chunk: {recording} has no chunks")
    kind, raw = read_marks(labels, recording, settings, chunks, facts.get("source", []))
    if chunks is not None and kind not in PER_CHUNK:
        raise InputError("labels", f"labels.per_chunk: {kind} does not say which chunk a time is of")
    if not raw:
        raise InputError("no_labels", f"{labels.name} has no label ({kind})")
    base = base_of(settings)
    marks, said = seconds_of(raw, base)
    slips = uneven(raw, base, facts["streams"])
    if slips:
        log.warning("%s: %s", recording, slips)
    kept: list[Mark] = []
    refused: list[ledger.Row] = []
    for number, mark in enumerate(marks, 1):
        why = refusal(mark)
        if why is None:
            kept.append(mark)
        else:
            refused.append(ledger.Row(STEP, recording, f"mark {number}", *why[:2], message=why[2]))
    label_intervals.write(out_intervals, _intervals(kept, recording, subject, int(timeline["start_ns"])))
    counted = f"{len(kept)} of {len(marks)} intervals of {labels.name} ({kind})"
    message = "; ".join(filter(None, (counted, said, slips)))
    log.info("%s: %s", recording, message)
    written = ledger.Row(STEP, recording, recording, "written", value=float(len(kept)), message=message)
    ledger.write(out_ledger, [written, *refused])


def _intervals(marks: Sequence[Mark], recording: str, subject: str, start_ns: int) -> list[LabelInterval]:
    intervals = []
    for mark in marks:
        begin_ns, end_ns = to_ns(mark, start_ns)
        intervals.append(
            LabelInterval(
                recording=recording,
                subject=mark.subject or subject,
                camera="",
                tier=mark.tier,
                label=mark.label,
                start_ns=begin_ns,
                stop_ns=end_ns,
                source_line=mark.line,
            )
        )
    return intervals


if __name__ == "__main__":
    run(import_labels)
