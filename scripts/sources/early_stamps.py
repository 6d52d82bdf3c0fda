"""Stamps of blocks of sound that are early, found and mended before the clock is fitted.

The clock is the line under all stamps, for a block may come late, but its clock takes nothing for early: one early
stamp would bend it for the whole recording.
"""

from collections import Counter

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from scripts.sources.stamp_belief import WRONG_STAMPS

# Fewer stamps than this have no neighbours on both sides.
FEWEST = 3
# A stamp is compared with so many in front of it and behind it; so many of the promptest say how near to each other
# prompt ones are.
NEIGHBOURS, PROMPT = 32, 5
# A stamp is early that lies so many times further below the prompt ones than they lie apart. What is less than this
# early is within the promise of a sound's time.
SPREADS = 5.0
EARLY_NS = 1_000_000
# So many are looked at together: it bounds the memory.
TOGETHER = 65_536


def stamped_bytes(sizes: np.ndarray, *, at_start: bool) -> np.ndarray:
    """Bytes of a sound up to the instant of each block's stamp. sizes: int64 (N,); at_start: whether a stamp is the
    start of its block, else it is its end."""
    ends = np.cumsum(sizes)
    return ends - sizes if at_start else ends


def mend_early(stamp_ns: np.ndarray, due_ns: np.ndarray) -> Counter[str]:
    """Mend early stamps, int64 (N,); returns how many, by what was wrong.

    due_ns: float64 (N,), when each is due by the samples so far. One out of order is wrong in any case. Of those that
    only lie below the line of their neighbours a few are; many are the prompt ones of a sound that is usually late.
    """
    counts = Counter({"stamps_out_of_order": mend_order(stamp_ns)})
    early_ns = lone_early_ns((stamp_ns - stamp_ns[0]) - due_ns)
    backward = np.diff(stamp_ns, prepend=stamp_ns[0]) < 0
    lone = (early_ns > 0) & ~backward
    if np.count_nonzero(lone) > WRONG_STAMPS:
        early_ns[lone] = 0.0
        lone[:] = False
    counts["stamps_out_of_order"] += int(np.count_nonzero(early_ns[backward]))
    counts["early_stamps"] += int(np.count_nonzero(lone))
    stamp_ns += np.rint(early_ns).astype(np.int64)
    return +counts


def mend_order(stamp_ns: np.ndarray) -> int:
    """Put stamps out of order, int64 (N,), in the middle between their neighbours; returns how many."""
    early = np.flatnonzero(early_stamps(stamp_ns))
    stamp_ns[early] = stamp_ns[early - 1] + (stamp_ns[early + 1] - stamp_ns[early - 1]) // 2
    return len(early)


def early_stamps(stamp_ns: np.ndarray) -> np.ndarray:
    """Which stamps of blocks that follow each other are early, bool (N,): alone before the one in front of them.

    stamp_ns: int64 (N,). The next one is in order again, and the middle between both neighbours lies more than a block
    later. A stamp that is late, of which there are many, makes none.
    """
    early = np.zeros(len(stamp_ns), bool)
    if len(stamp_ns) < FEWEST:
        return early
    before, own, after = stamp_ns[:-2], stamp_ns[1:-1], stamp_ns[2:]
    block_ns = np.median(np.abs(np.diff(stamp_ns)))
    early[1:-1] = (own < before) & (before < after) & ((before + (after - before) // 2) - own > block_ns)
    return early


def lone_early_ns(late_ns: np.ndarray) -> np.ndarray:
    """How far each stamp lies below the line of its neighbours, float64 (N,); 0 where it is not early.

    late_ns: float64 (N,), stamps less when they are due. Of neighbours, the lowest few may be wrong themselves. The
    first stamps are never early: they may stand in front of a hole. At the end those in front say it alone, for so few
    blocks behind a step back are no restart.
    """
    count = len(late_ns)
    early_ns = np.zeros(count)
    padded = np.pad(late_ns, NEIGHBOURS, constant_values=np.inf)
    # Of more neighbours than may be wrong at least one says that the stamp is early: few stamps pass.
    passing = range(WRONG_STAMPS + 1)
    highest = np.maximum.reduce([padded[shift : len(padded) - WRONG_STAMPS + shift] for shift in passing])
    first = NEIGHBOURS - WRONG_STAMPS - 1
    nearby_ns = np.minimum(highest[first:][:count], highest[NEIGHBOURS + 1 :][:count])
    doubted = np.flatnonzero(nearby_ns - late_ns > EARLY_NS)
    doubted = doubted[doubted >= WRONG_STAMPS + PROMPT]
    windows = sliding_window_view(padded, NEIGHBOURS)
    for begin in range(0, len(doubted), TOGETHER):
        some = doubted[begin : begin + TOGETHER]
        in_front, behind = np.sort(windows[some]), np.sort(windows[some + NEIGHBOURS + 1])
        prompt = in_front[:, WRONG_STAMPS : WRONG_STAMPS + PROMPT]
        below_ns = np.minimum(prompt[:, 0], behind[:, WRONG_STAMPS]) - late_ns[some]
        least_ns = np.maximum(EARLY_NS, SPREADS * (prompt[:, -1] - prompt[:, 0]))
        early_ns[some] = np.where(below_ns > least_ns, below_ns, 0.0)
    return early_ns
