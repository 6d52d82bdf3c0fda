"""Which frames of a camera an interval labels, and which of them are taken: decided on numbers alone."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Self

import numpy as np

from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.label_intervals import LabelInterval
from scripts.common.timeline import NS
from scripts.datasets.label_cleaning import spelled_alike

# A seek costs about as much as this many pictures, for the decoder's threads start anew.
SEEK_ROWS = 8
# Tools for labels and containers round to milliseconds: the edge that a person set on a frame, and the frame's time.
ROUNDING_NS = 1_000_000
# Between the labels of a class of `overlaps: multilabel`.
AND = "+"


@dataclass(frozen=True)
class Segment:
    """Frames [first, stop) that one interval owns. label: of these frames, "" if they have several and go without;
    labels: all of theirs, sorted."""

    first: int
    stop: int
    owner: int
    label: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Pace:
    """Which frames of an interval are taken: every `stride`-th, or of each 1 / fps of a second one.

    period_ns: of the camera.
    """

    stride: int
    fps: Fraction | None = None
    period_ns: int = 0

    @classmethod
    def of(cls, settings: Mapping[str, Any], table: FrameTable) -> Self:
        """From the settings of a dataset of frames."""
        return cls(settings["stride"], Fraction(settings["fps"]) if settings["fps"] else None, table.period_ns)

    def rows(self, first: int, stop: int, time_ns: np.ndarray) -> np.ndarray:
        """Those of [first, stop), int64: with a rate the frames nearest to 0, 1 / fps, 2 / fps, … after the first."""
        rows = np.arange(first, stop, dtype=np.int64)
        if self.fps is None:
            return rows[:: self.stride]
        # Containers round times, some to milliseconds: half a period before it, no frame stands near an edge.
        passed = time_ns[first:stop] - time_ns[first] + self.period_ns // 2
        # Python's own numbers, for an int64 does not hold hours times the numerator of a rate such as 29.97003.
        turns = (passed.astype(object) * self.fps.numerator // (self.fps.denominator * NS)).astype(np.int64)
        chosen: np.ndarray = rows[np.diff(turns, prepend=-1) > 0]
        return chosen


def rows_by_time(table: FrameTable, interval: LabelInterval, slack_ns: int) -> tuple[int, int]:
    """Frames [first, stop) with start_ns <= time_ns < stop_ns; one up to `slack_ns` before an edge stands on it."""
    edges = [interval.start_ns - slack_ns, interval.stop_ns - slack_ns]
    first, stop = np.searchsorted(table.time_ns, edges, side="left").tolist()
    return first, max(first, stop)


def slack_of(period_ns: int) -> int:
    """How far before an edge a frame stands on it: as far as times are rounded, but always the nearest frame alone."""
    return min(ROUNDING_NS, period_ns // 2)


def rows_by_count(numbers: np.ndarray, interval: LabelInterval, origin_ns: int, rate: Fraction) -> tuple[int, int]:
    """Frames [first, stop) with start < n < stop, where start and stop count frames of a constant `rate` from
    `origin_ns` on, and n counts those of the source from 1: the old system's rule.

    numbers: n - 1 of each frame, int64 (N,), rising.
    """
    start, end = (Fraction(edge - origin_ns) * rate / NS for edge in (interval.start_ns, interval.stop_ns))
    first, stop = np.searchsorted(numbers, [math.floor(start), math.ceil(end) - 1], side="left").tolist()
    return first, max(first, stop)


def counted(table: FrameTable, origin_ns: int) -> np.ndarray:
    """Number of each frame in its source, 0 at `origin_ns`, int64 (N,); its row, where the source is out of order."""
    numbers = table.source_frame.astype(np.int64)
    if (np.diff(numbers) <= 0).any():
        return np.arange(len(table), dtype=np.int64)
    before = round((table.start_ns - origin_ns) / table.period_ns) if table.period_ns else 0
    return numbers - numbers[0] + before


def segments(
    ranges: Sequence[tuple[int, int]], intervals: Sequence[LabelInterval], rule: str, priority: Sequence[str] = ()
) -> list[Segment]:
    """Frames by the intervals that own them, in rising order; no two overlap, and none is missing.

    ranges: frames [first, stop) of each interval.  rule: error, first, priority, longest, multilabel or drop.
    Raises InputError for frames with several labels if the rule is `error`.
    """
    strength = _strengths(intervals, rule, priority)
    edges = sorted({edge for first, stop in ranges if first < stop for edge in (first, stop)})
    begins = sorted((k for k, (first, stop) in enumerate(ranges) if first < stop), key=lambda k: ranges[k][0])
    active: list[int] = []
    found: list[Segment] = []
    waiting = iter(begins)
    upcoming = next(waiting, None)
    for start, end in pairwise(edges):
        active = [k for k in active if ranges[k][1] > start]
        while upcoming is not None and ranges[upcoming][0] <= start:
            active.append(upcoming)
            upcoming = next(waiting, None)
        if not active:
            continue
        owner = min(active, key=lambda k: strength[k])
        labels = tuple(sorted({intervals[k].label for k in active}))
        segment = Segment(start, end, owner, _label(intervals, active, owner, labels, rule), labels)
        before = found[-1] if found else None
        if before and (before.stop, before.owner, before.labels) == (start, owner, labels):
            found[-1] = Segment(before.first, end, owner, segment.label, labels)
        else:
            found.append(segment)
    return found


def _strengths(intervals: Sequence[LabelInterval], rule: str, priority: Sequence[str]) -> list[tuple[int, int, int]]:
    """The lower, the stronger; where the rule does not decide, the one that stands first in the file."""
    found = []
    ranks: dict[str, int] = {}
    for name in priority:
        ranks.setdefault(spelled_alike(name), len(ranks))
    for place, one in enumerate(intervals):
        rank = 0
        if rule == "priority":
            rank = ranks.get(spelled_alike(one.label), len(ranks))
        elif rule == "longest":
            rank = one.start_ns - one.stop_ns
        found.append((rank, one.source_line, place))
    return found


def _label(
    intervals: Sequence[LabelInterval], active: Sequence[int], owner: int, labels: Sequence[str], rule: str
) -> str:
    if len(labels) == 1:
        return labels[0]
    if rule == "error":
        one, two = sorted(active, key=lambda k: intervals[k].source_line)[:2]
        parts = [f"`{intervals[k].label}` (line {intervals[k].source_line})" for k in (one, two)]
        raise InputError(
            "overlap", f"{parts[0]} and {parts[1]} overlap; set `overlaps` of the dataset to first, multilabel, …"
        )
    if rule == "multilabel":
        return AND.join(labels)
    return "" if rule == "drop" else intervals[owner].label


def grids(found: Sequence[Segment], pace: Pace, time_ns: np.ndarray) -> dict[int, np.ndarray]:
    """Owner -> the frames that are taken from the first to the last of its own, int64, rising; among them such as
    others own, so that an overlap moves none."""
    spans: dict[int, tuple[int, int]] = {}
    for segment in found:
        first, _ = spans.get(segment.owner, (segment.first, segment.stop))
        spans[segment.owner] = first, segment.stop
    return {owner: pace.rows(first, stop, time_ns) for owner, (first, stop) in spans.items()}


def excluded_rows(table: FrameTable, origin_ns: int, ruled_out: Sequence[Sequence[Any]]) -> np.ndarray:
    """Frames that a person has ruled out, bool (N,). ruled_out: start, stop (seconds or None), reason."""
    found = np.zeros(len(table), bool)
    for start_s, stop_s, _ in ruled_out:
        after = np.ones(len(table), bool) if start_s is None else table.time_ns >= origin_ns + round(start_s * NS)
        before = np.ones(len(table), bool) if stop_s is None else table.time_ns < origin_ns + round(stop_s * NS)
        found |= after & before
    return found


def stretches(rows: np.ndarray, keyframes: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """What is decoded in one go: (the keyframe to go to, the wanted rows from there on).

    rows, keyframes: rising, int64.  A gap is jumped over only if a keyframe stands well inside it, that is, if it is
    longer than a GOP; nearer rows are decoded through.
    """
    if not len(rows):
        return
    before = np.searchsorted(keyframes, rows, side="right") - 1
    starts = np.where(before >= 0, keyframes[np.maximum(before, 0)], 0) if len(keyframes) else np.zeros(len(rows), int)
    jumps = np.flatnonzero(starts[1:] - rows[:-1] > SEEK_ROWS) + 1
    for first, stop in zip([0, *jumps.tolist()], [*jumps.tolist(), len(rows)], strict=True):
        yield int(starts[first]), rows[first:stop]


def half_open(settings: Mapping[str, Any]) -> bool:
    """Whether edges are times of frames, and not counts."""
    return bool(settings["edges"] == "half_open")
