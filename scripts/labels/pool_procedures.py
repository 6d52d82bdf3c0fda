"""The intervals of all recordings of a rig, a file a label."""

import logging
from fractions import Fraction
from pathlib import Path

from scripts.common import label_intervals, ledger
from scripts.common import manifest as manifests
from scripts.common.job import run
from scripts.common.label_folders import folders_of, said_of_numbered
from scripts.common.timeline import Timeline
from scripts.labels.label_writers import Labels

log = logging.getLogger("rushes")
STEP = "pool_procedures"


def pool_procedures(
    intervals: list[Path], manifests_of: list[Path], out_folder: Path, out_ledger: Path, *, rig: str, fps: str
) -> None:
    """`{label}.csv`: recording, subject, start and stop in frames of its own recording, in the sheet's order."""
    out_folder.mkdir()
    rows: dict[str, list[str]] = {}
    for path, manifest in zip(intervals, manifests_of, strict=True):
        found = label_intervals.read(path)
        if not found:
            continue
        labels = Labels(found[0].recording, found, Timeline.of(manifests.read(manifest)), Fraction(fps))
        for one in found:
            edges = f"{labels.frame(one.start_ns)!r},{labels.frame(one.stop_ns)!r}"
            rows.setdefault(one.label, []).append(f"{one.recording},{one.subject},{edges}\n")
    folders = folders_of(rows)
    for label, name in folders.items():
        (out_folder / f"{name}.csv").write_text("".join(["recording,subject,start,stop\n", *rows[label]]))
    said = said_of_numbered(folders, ".csv")
    if said:
        log.warning("%s: %s", rig, said)
    ledger.write(out_ledger, [ledger.Row(STEP, "", rig, "written", value=float(len(rows)), message=said)])


if __name__ == "__main__":
    run(pool_procedures)
