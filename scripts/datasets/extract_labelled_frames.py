"""The labelled frames of a camera as pictures in one tar; only what is labelled is decoded."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from scripts.common import label_intervals, ledger
from scripts.common import manifest as manifests
from scripts.common.camera_pictures import microseconds, row_at
from scripts.common.errors import UpstreamError
from scripts.common.frame_index import IndexWriter
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress, run
from scripts.common.label_intervals import LabelInterval
from scripts.common.names import picture_name
from scripts.common.tar_file import TarWriter
from scripts.common.timeline import Timeline
from scripts.common.video import VideoReader, pixel_shape
from scripts.datasets.labelled_frames import (
    Pace,
    Segment,
    counted,
    excluded_rows,
    grids,
    half_open,
    rows_by_count,
    rows_by_time,
    segments,
    slack_of,
    stretches,
)
from scripts.datasets.perceptual_hash import perceptual_hash
from scripts.datasets.picture_form import Form

log = logging.getLogger("rushes")
STEP = "extract_labelled_frames"


@dataclass
class Chosen:
    """Which frames are taken, and why the others are not.

    rows: of each segment that has a label, rising, and their places: consecutive where no frame between is lacking.
    counts: frames by (interval, outcome, reason); -1: of no interval.
    """

    rows: list[tuple[Segment, np.ndarray, np.ndarray]] = field(default_factory=list)
    counts: Counter[tuple[int, str, str]] = field(default_factory=Counter)


def choose(
    table: FrameTable,
    intervals: Sequence[LabelInterval],
    timeline: Timeline,
    settings: dict[str, Any],
    ruled_out: Sequence[Sequence[Any]],
) -> Chosen:
    """The frames that `intervals` label. Raises InputError where `overlaps: error` finds any."""
    if half_open(settings):
        slack_ns = slack_of(table.period_ns)
        ranges = [rows_by_time(table, interval, slack_ns) for interval in intervals]
    else:
        rate = Fraction(settings["rate"])
        numbers = counted(table, timeline.start_ns)
        ranges = [rows_by_count(numbers, one, timeline.start_ns, rate) for one in intervals]
    chosen = Chosen()
    unusable = {"excluded": excluded_rows(table, timeline.start_ns, ruled_out), "tainted": table.tainted}
    labelled = 0
    found = segments(ranges, intervals, settings["overlaps"], settings["priority"])
    taken = grids(found, Pace.of(settings, table), table.time_ns)
    for segment in found:
        count = segment.stop - segment.first
        labelled += count
        if not segment.label:
            chosen.counts[segment.owner, "filtered", "overlap"] += count
            continue
        places = np.arange(*np.searchsorted(taken[segment.owner], [segment.first, segment.stop]))
        rows = taken[segment.owner][places]
        chosen.counts[segment.owner, "filtered", "stride"] += count - len(rows)
        for reason, bad in unusable.items():
            kept = ~bad[rows]
            chosen.counts[segment.owner, "filtered", reason] += int(np.sum(~kept))
            rows, places = rows[kept], places[kept]
        if len(rows):
            chosen.rows.append((segment, rows, places))
    chosen.counts[-1, "filtered", "unlabelled"] += len(table) - labelled
    return chosen


def is_among(rows: np.ndarray, row: int | None) -> bool:
    """Whether `row` is one of the rising `rows`; what is no row may be needed."""
    if row is None:
        return True
    place = int(np.searchsorted(rows, row))
    return place < len(rows) and rows[place] == row


def decoded(video: Path, table: FrameTable, rows: np.ndarray) -> Iterator[tuple[int, av.VideoFrame, Fraction | None]]:
    """Those of `rows` (rising) that decode, their pictures as coded, and the shape of their pixels."""
    keyframes = np.flatnonzero(table.keyframe).astype(np.int64)
    with VideoReader(video) as reader:
        if len(rows) < len(table):
            reader.wanted = lambda instant: is_among(rows, row_at(table.pts_us, round(instant * 1_000_000)))
        for keyframe, wanted in stretches(rows, keyframes):
            reader.seek(int(table.pts_us[keyframe]))
            place = 0
            for picture in reader:
                row = row_at(table.pts_us, microseconds(picture))
                if row is None:
                    continue
                while place < len(wanted) and wanted[place] < row:
                    place += 1
                if place < len(wanted) and wanted[place] == row:
                    yield row, picture, pixel_shape(reader, picture)
                    place += 1
                if place == len(wanted):
                    break


def extract_labelled_frames(
    video: Path,
    frames: Path,
    intervals: Path,
    manifest: Path,
    out_pictures: Path,
    out_index: Path,
    out_ledger: Path,
    *,
    recording: str,
    camera: str,
    fields: dict[str, str],
    settings: dict[str, Any],
    excluded: list[list[Any]],
) -> None:
    """Write the pictures, and a row for each. settings: of a dataset of frames; excluded: start, stop (s), reason.

    Each frame of the camera is counted in one row of the ledger, by interval and outcome; without intervals, all are
    unlabelled. Raises InputError if the camera's import failed, or labels overlap that must not.
    """
    table = FrameTable.read(frames)
    found = label_intervals.read(intervals)
    own = [(number, one) for number, one in enumerate(found) if one.camera in ("", camera)]
    if not len(table):
        raise UpstreamError(f"{recording}, {camera}")
    chosen = choose(table, [one for _, one in own], Timeline.of(manifests.read(manifest)), settings, excluded)
    form = Form.of(settings["size"], settings["resize"], settings["format"], settings["quality"])
    lengths = [len(rows) for _, rows, _ in chosen.rows]
    # Segments stand in rising order and share no frame, so their rows are sorted.
    wanted = np.concatenate([np.empty(0, np.int64), *(rows for _, rows, _ in chosen.rows)])
    places = np.concatenate([np.empty(0, np.int64), *(places for _, _, places in chosen.rows)])
    segment_of = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    # Threads that are waked for a small picture cost more than they help.
    cv2.setNumThreads(1)
    with TarWriter(out_pictures) as tar, IndexWriter(out_index) as index:
        for row, picture, shape in decoded(video, table, wanted):
            at = int(np.searchsorted(wanted, row))
            segment = chosen.rows[segment_of[at]][0]
            number, interval = own[segment.owner]
            rgb = form.pixels(picture, shape)
            name = picture_name(settings["names"], fields, int(table.source_frame[row]) + settings["first_frame"])
            member = tar.add(f"{name}.{form.format}", form.encode(rgb))
            index.add(
                {
                    "name": name,
                    "recording": recording,
                    "subject": fields["subject"],
                    "camera": camera,
                    "label": segment.label,
                    "labels": list(segment.labels),
                    "frame": row,
                    "place": int(places[at]),
                    "time_ns": int(table.time_ns[row]),
                    "interval": number,
                    "start_ns": interval.start_ns,
                    "stop_ns": interval.stop_ns,
                    "ending": form.format,
                    "offset": member.offset,
                    "size": member.size,
                    "sha256": member.sha256,
                    "phash": perceptual_hash(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)),
                }
            )
            chosen.counts[segment.owner, "written", ""] += 1
            progress(index.rows, len(wanted), "pictures")
    _count_undecoded(chosen)
    ledger.write(out_ledger, list(_rows(chosen, [one for _, one in own], recording, camera)))
    log.info("%s, %s: %d pictures of %d frames", recording, camera, index.rows, len(table))


def _count_undecoded(chosen: Chosen) -> None:
    """What was wanted and did not come is `undecoded`."""
    wanted: Counter[int] = Counter()
    for segment, rows, _ in chosen.rows:
        wanted[segment.owner] += len(rows)
    for owner, count in wanted.items():
        chosen.counts[owner, "failed", "undecoded"] += count - chosen.counts[owner, "written", ""]


def _rows(chosen: Chosen, intervals: Sequence[LabelInterval], recording: str, camera: str) -> Iterator[ledger.Row]:
    """A row for each interval and outcome; an interval without frames has one, too. value: how many frames."""
    for number, interval in enumerate(intervals):
        counts = {key[1:]: n for key, n in chosen.counts.items() if key[0] == number and n}
        bounds = {"start_ns": interval.start_ns, "stop_ns": interval.stop_ns}
        for (outcome, reason), count in sorted(counts.items()) or [(("filtered", "no_frame"), 0)]:
            item = f"{camera}/interval {number} {reason}".rstrip()
            yield ledger.Row(
                STEP, recording, item, outcome, reason, value=float(count), message=interval.label, **bounds
            )
    unlabelled = chosen.counts[-1, "filtered", "unlabelled"]
    if unlabelled:
        yield ledger.Row(STEP, recording, f"{camera}/unlabelled", "filtered", "unlabelled", value=float(unlabelled))


if __name__ == "__main__":
    run(extract_labelled_frames)
