"""The intervals of all recordings of a rig, a file a label."""

from fractions import Fraction
from pathlib import Path

from scripts.common import label_intervals
from scripts.common import manifest as manifests
from scripts.common.errors import RunError
from scripts.common.job import run
from scripts.common.label_folders import collision, folder_of
from scripts.common.timeline import Timeline
from scripts.labels.label_writers import Labels


def pool_procedures(intervals: list[Path], manifests_of: list[Path], out_folder: Path, *, fps: str) -> None:
    """`{label}.csv`: recording, subject, start and stop in frames of its own recording, in the sheet's order.

    Raises RunError if two labels would have one file.
    """
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
    if pair := collision(rows):
        raise RunError(f"`{pair[0]}` and `{pair[1]}` would be one file")
    for label, lines in rows.items():
        (out_folder / f"{folder_of(label)}.csv").write_text("".join(["recording,subject,start,stop\n", *lines]))


if __name__ == "__main__":
    run(pool_procedures)
