"""A recording's intervals back into the files of other tools."""

from fractions import Fraction
from pathlib import Path

from scripts.common import label_intervals, ledger
from scripts.common import manifest as manifests
from scripts.common.errors import InputError
from scripts.common.job import run
from scripts.common.label_folders import collision
from scripts.common.timeline import Timeline
from scripts.labels.label_writers import WRITERS, Labels

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

    Raises InputError if the recording has none, or two labels would have one file.
    """
    found = label_intervals.read(intervals)
    if not found:
        raise InputError(ledger.UPSTREAM, f"{recording}: it has no labels; see the ledger of import_labels")
    if "procedures" in formats and (pair := collision(one.label for one in found)):
        raise InputError("label_file", f"{recording}: `{pair[0]}` and `{pair[1]}` would be one file")
    labels = Labels(recording, found, Timeline.of(manifests.read(manifest)), Fraction(fps))
    out_folder.mkdir()
    for name in formats:
        WRITERS[name](labels, out_folder)
    ledger.write(
        out_ledger, [ledger.Row(STEP, recording, name, "written", value=float(len(found))) for name in formats]
    )


if __name__ == "__main__":
    run(export_labels)
