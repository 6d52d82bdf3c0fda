"""A video for each labelled bout of a camera: exactly its frames, each at its own time."""

import csv
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import label_intervals, ledger
from scripts.common import manifest as manifests
from scripts.common.cut_video import encode_frames
from scripts.common.encoder import Coding
from scripts.common.errors import UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress, run
from scripts.common.label_folders import folder_of
from scripts.common.lost_frames import stretches_of
from scripts.common.timeline import Timeline
from scripts.datasets.extract_labelled_frames import choose
from scripts.datasets.frame_classes import Decisions
from scripts.datasets.labelled_frames import Segment

log = logging.getLogger("rushes")
STEP = "cut_bouts"
COLUMNS = ["file_name", "label", "class", "split", "subject", "first_frame", "frames", "start_ns", "stop_ns"]


def bouts(chosen: Sequence[tuple[Segment, np.ndarray, np.ndarray]]) -> Iterator[tuple[Segment, int, int]]:
    """Segment, first frame and the one after the last, of every bout; an overlap alone divides none."""
    whole: list[tuple[Segment, int, int]] = []
    for segment, rows, _ in chosen:
        for first, stop in stretches_of(rows):
            before = whole[-1] if whole else None
            if before and (before[0].owner, before[0].label, before[2]) == (segment.owner, segment.label, first):
                whole[-1] = (before[0], before[1], stop)
            else:
                whole.append((segment, first, stop))
    yield from whole


def cut_bouts(
    video: Path,
    frames: Path,
    intervals: Path,
    manifest: Path,
    splits: Path,
    classes: Path,
    out_folder: Path,
    out_ledger: Path,
    *,
    recording: str,
    camera: str,
    subject: str,
    settings: dict[str, Any],
    coding: dict[str, Any],
    min_frames: int,
    excluded: list[list[Any]],
) -> None:
    """Write `{split}/{label}/{recording}.{camera}.{number}.mp4` and clips.csv, a row each.

    settings: of a dataset of frames; every frame of a bout is in its clip, whatever the stride of the pictures.
    Without intervals there are no clips. Raises InputError if the camera's import failed.
    """
    table = FrameTable.read(frames)
    found = label_intervals.read(intervals)
    own = [(number, one) for number, one in enumerate(found) if one.camera in ("", camera)]
    if not len(table):
        raise UpstreamError(f"{recording}, {camera}")
    decisions = Decisions.read(splits, classes)
    every = {**settings, "stride": 1, "fps": ""}
    chosen = choose(table, [one for _, one in own], Timeline.of(manifests.read(manifest)), every, excluded)
    out_folder.mkdir()
    rows: list[ledger.Row] = []
    lines: list[list[object]] = []
    for number, (segment, first, stop) in enumerate(bouts(chosen.rows)):
        start_ns, stop_ns = int(table.time_ns[first]), int(table.time_ns[stop - 1]) + table.period_ns
        count = stop - first
        row = partial(ledger.Row, STEP, recording, f"{camera}/bout {number}", start_ns=start_ns, stop_ns=stop_ns)
        if count < min_frames:
            message = f"`{segment.label}`, {count} frames"
            rows.append(row("filtered", "short", value=float(count), limit=float(min_frames), message=message))
            continue
        member = decisions.membership({"recording": recording, "start_ns": own[segment.owner][1].start_ns})
        name = f"{member.split}/{folder_of(segment.label)}/{recording}.{camera}.{number:05d}.mp4"
        (out_folder / name).parent.mkdir(parents=True, exist_ok=True)
        lost = len(encode_frames(video, table, first, stop, out_folder / name, Coding(**coding)).lost)
        if lost:
            (out_folder / name).unlink(missing_ok=True)
            message = f"{lost} of {count} frames do not decode"
            rows.append(row("failed", "undecoded", value=float(lost), limit=0.0, message=message))
            continue
        of_class = decisions.classes.index(segment.label)
        place = [name, segment.label, of_class, member.split, subject, first, count]
        lines.append([*place, start_ns, stop_ns])
        rows.append(row("written", value=float(count), message=segment.label))
        progress(len(rows), None, "clips")
    with (out_folder / "clips.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *lines])
    ledger.write(out_ledger, rows)
    counted = Counter(row.outcome for row in rows)
    log.info("%s, %s: %s", recording, camera, dict(counted))


if __name__ == "__main__":
    run(cut_bouts)
