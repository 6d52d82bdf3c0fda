"""A recording's intervals back into the files of other tools."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from scripts.common import label_intervals, ledger
from scripts.common import manifest as manifests
from scripts.common.errors import UpstreamError
from scripts.common.job import run
from scripts.common.label_folders import folders_of, said_of_numbered
from scripts.common.timeline import Timeline
from scripts.labels.label_writers import FROM_ZERO, WRITERS, Labels

STEP = "export_labels"


def export_labels(
    intervals: Path,
    manifest: Path,
    out_folder: Path,
    out_ledger: Path,
    *,
    recording: str,
    formats: list[str],
    fps: str,
) -> None:
    """Write the intervals in each of `formats`: framecsv, procedures, textgrid, elan, audacity. fps: of frames.

    Raises InputError if the recording has none.
    """
    found = label_intervals.read(intervals)
    if not found:
        raise UpstreamError(recording, "it has no labels")
    labels = Labels(recording, found, Timeline.of(manifests.read(manifest)), Fraction(fps))
    out_folder.mkdir()
    for name in formats:
        WRITERS[name](labels, out_folder)
    ledger.write(out_ledger, [row for name in formats for row in _rows(name, labels)])


def _rows(name: str, labels: Labels) -> Iterator[ledger.Row]:
    """What became of the intervals in a format."""
    kept = labels.from_zero().intervals if name in FROM_ZERO else labels.intervals
    lost = len(labels.intervals) - len(kept)
    early = sum(one.start_ns < labels.timeline.start_ns for one in labels.intervals)
    cut = early - lost if name in FROM_ZERO else 0
    said = f"{cut} began before the recording, and with it here" if cut else ""
    if name == "procedures":
        said = said_of_numbered(folders_of(one.label for one in kept), ".csv")
    yield ledger.Row(STEP, labels.recording, name, "written", value=float(len(kept)), message=said)
    if lost:
        message = (
            f"{lost} of {len(labels.intervals)} intervals end before the recording begins: {name} has no such times"
        )
        item = f"{name}, before the recording"
        yield ledger.Row(STEP, labels.recording, item, "filtered", "before_start", value=float(lost), message=message)


if __name__ == "__main__":
    run(export_labels)
