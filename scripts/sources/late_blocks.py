"""Blocks of sound that came late, behind later ones, and whose stamps are right: their samples go where these say."""

from itertools import pairwise

import numpy as np

# A block comes at most so many late; what is further off is a wrong stamp.
LONGEST = 32
# Distances of stamps that are right, in blocks.
NEAREST, FURTHEST = 0.75, 1.5


def late_runs(stamp_ns: np.ndarray, log_ns: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Runs of blocks that are put in order: the first block of each, and the order of those from it on, int64.

    stamp_ns, log_ns: int64 (N,), of the blocks as they came. In order, the stamps of such a run are as far apart as
    blocks are; and those that came before their turn did not come before they could: one with a wrong stamp has less
    than the usual delay.
    """
    if len(stamp_ns) < 2 or not np.any(np.diff(stamp_ns) < 0):
        return []
    block_ns = float(np.median(np.abs(np.diff(stamp_ns))))
    usual_ns = float(np.median(log_ns - stamp_ns))
    latest, earliest = np.maximum.accumulate(stamp_ns), np.minimum.accumulate(stamp_ns[::-1])[::-1]
    borders = [0, *(np.flatnonzero(latest[:-1] < earliest[1:]) + 1).tolist(), len(stamp_ns)]
    found = []
    for first, stop in pairwise(borders):
        if not 1 < stop - first <= LONGEST:
            continue
        stamps = stamp_ns[first:stop]
        order = np.argsort(stamps, kind="stable")
        beside = latest[first - 1 : first] if first else stamps[:0], earliest[stop : stop + 1]
        steps = np.diff(np.concatenate([beside[0], stamps[order], beside[1]]))
        ahead = stamps > np.minimum.accumulate(stamps[::-1])[::-1]
        early_ns = usual_ns - float(np.min((log_ns[first:stop] - stamps)[ahead]))
        if NEAREST * block_ns <= steps.min() and steps.max() <= FURTHEST * block_ns and early_ns <= block_ns / 2:
            found.append((first, order))
    return found
