"""A recording's labels as a dataset wants them, and what became of each."""

import logging
from collections import Counter
from pathlib import Path
from typing import Any

from scripts.common import label_intervals, ledger
from scripts.common import manifest as manifests
from scripts.common.errors import UpstreamError
from scripts.common.job import run
from scripts.common.label_intervals import LabelInterval
from scripts.common.timeline import Timeline
from scripts.datasets.label_cleaning import Judged, background, clean, variants

log = logging.getLogger("rushes")
STEP = "clean_labels"


def row_of(number: int, judged: Judged, recording: str) -> ledger.Row:
    """The row of an interval of the file."""
    source = judged.source
    outcome = "filtered" if judged.reason else "written"
    return ledger.Row(
        step=STEP,
        recording=recording,
        item=f"interval {number}",
        outcome=outcome,
        reason=judged.reason,
        message=judged.message or f"line {source.source_line}: `{judged.kept.label if judged.kept else ''}`",
        start_ns=source.start_ns,
        stop_ns=source.stop_ns,
    )


def clean_labels(
    intervals: Path,
    manifest: Path,
    out_intervals: Path,
    out_ledger: Path,
    *,
    recording: str,
    settings: dict[str, Any],
    classes: list[str],
) -> None:
    """Clean up the intervals of a recording. settings: `labels` of a dataset of frames.

    Raises InputError if there are none, or where a setting says `error`.
    """
    found = label_intervals.read(intervals)
    if not found:
        raise UpstreamError(recording, "it has no labels")
    timeline = Timeline.of(manifests.read(manifest))
    judged = clean(found, settings, classes)
    wanted = [one.source for one in judged if one.reason not in ("other_tier", "ignored")]
    rest: list[LabelInterval] = background(wanted, settings, timeline, found[0])
    kept = [one.kept for one in judged if one.kept is not None]
    if not wanted:
        counts = Counter(one.reason for one in judged)
        log.warning("%s: no label is wanted (%s)", recording, ", ".join(f"{n} {why}" for why, n in counts.items()))
    for label, other in variants([interval.label for interval in kept]):
        log.warning("%s: `%s` and `%s` look like one label; name them in labels.map", recording, label, other)
    label_intervals.write(out_intervals, [*kept, *rest])
    ledger.write(out_ledger, [row_of(number, one, recording) for number, one in enumerate(judged)])


if __name__ == "__main__":
    run(clean_labels)
