"""Which pictures of a conformed video show nothing that was recorded then."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from scripts.common.frame_table import FrameTable

GAP, BEFORE, AFTER = "gap", "av_start", "av_length"


class Filler(NamedTuple):
    """A stretch without pictures of its own, in seconds of the video; reason: gap, av_start or av_length."""

    start_s: float
    stop_s: float
    reason: str


def no_picture(table: FrameTable) -> np.ndarray:
    """-1 before the first picture of the source, 1 after its last, else 0; int (N,)."""
    number = np.arange(len(table))
    shown = np.flatnonzero(table.source_frame >= 0)
    first, last = (shown[0], shown[-1]) if len(shown) else (len(table), len(table))
    return np.where(number < first, -1, np.where(number > last, 1, 0))


def stands_still(table: FrameTable) -> np.ndarray:
    """Length of the gap in which a frame only repeats the picture before the gap, else 0; float (N,) seconds."""
    still = np.zeros(len(table))
    outside = no_picture(table)
    new = np.flatnonzero(np.r_[True, np.diff(table.source_frame) != 0])
    for position, start in enumerate(new):
        gap_ns = table.gap_before_ns[start]
        if gap_ns > 0 and outside[start] == 0:
            shown_from = new[position - 1] if position else start
            still[shown_from + 1 : start] = gap_ns / 1e9
    return still


def filler(table: FrameTable) -> list[Filler]:
    """Every stretch of the video that shows filler, in the order of time."""
    if not len(table):
        return []
    outside = no_picture(table)
    kinds = np.where(outside < 0, BEFORE, np.where(outside > 0, AFTER, np.where(stands_still(table) > 0, GAP, "")))
    edges = [*(table.pts_us / 1e6), (table.pts_us[-1] + table.period_ns / 1e3) / 1e6]
    changes = [0, *(np.flatnonzero(kinds[1:] != kinds[:-1]) + 1), len(table)]
    runs = pairwise(changes)
    return [
        Filler(round(float(edges[start]), 6), round(float(edges[stop]), 6), str(kinds[start]))
        for start, stop in runs
        if kinds[start]
    ]
