"""The intervals of all recordings of a rig, a file a label."""

import logging
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from scripts.common import label_intervals, ledger
from scripts.common import manifest as manifests
from scripts.common.job import run
from scripts.common.label_folders import folders_of, said_of_numbered
from scripts.common.timeline import Timeline
from scripts.labels.label_writers import Labels, write_csv

log = logging.getLogger("rushes")
STEP = "pool_procedures"


def pool_procedures(
    intervals: list[Path], manifests_of: list[Path], out_folder: Path, out_ledger: Path, *, rig: str, fps: str
) -> None:
    """`{label}.csv`: recording, subject, start and stop in frames of its own recording, in the sheet's order."""
    out_folder.mkdir()
    rows: dict[str, list[Sequence[object]]] = {}
    for path, manifest in zip(intervals, manifests_of, strict=True):
        found = label_intervals.read(path)
        if not found:
            continue
        labels = Labels(found[0].recording, found, Timeline.of(manifests.read(manifest)), Fraction(fps))
        for one in found:
            row = (one.recording, one.subject, labels.frame(one.start_ns), labels.frame(one.stop_ns))
            rows.setdefault(one.label, []).append(row)
    folders = folders_of(rows)
    for label, name in folders.items():
        write_csv(out_folder / f"{name}.csv", [("recording", "subject", "start", "stop"), *rows[label]])
    said = said_of_numbered(folders, ".csv")
    if said:
        log.warning("%s: %s", rig, said)
    ledger.write(out_ledger, [ledger.Row(STEP, "", rig, "written", value=float(len(rows)), message=said)])


if __name__ == "__main__":
    run(pool_procedures)
