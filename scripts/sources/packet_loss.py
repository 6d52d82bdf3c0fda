"""Finds lost packets by the encoder's counter, and the pictures that decode, but damaged, because of them."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

# A step of the counter beyond this many of its usual steps is a hole.
HOLE_STEPS = 1.5
# A counter so many steps away from those before and behind it is damaged.
STRAY_STEPS = 1_000_000
# Steps that long, or uneven, are a time (µs, ns, 1/90,000 s), not a count of pictures.
TIME_STEP = 100


@dataclass(frozen=True)
class Loss:
    """tainted: bool (N,), in the order of decoding. lost: packets missing. counts_pictures: whether the counter is one
    of pictures; one of time also jumps where the camera itself has dropped a picture."""

    tainted: np.ndarray
    lost: int
    counts_pictures: bool


def find_loss(counter: np.ndarray, keyframe: np.ndarray) -> Loss:
    """What is missing between packets.

    counter: int64 (N,), the encoder's `pts`; keyframe: bool (N,); both in the order of decoding. With B-frames the
    place of a lost packet is known only to the pictures that are reordered with it: all of them are tainted.
    """
    count = len(counter)
    tainted = np.zeros(count, bool)
    steps = np.diff(np.sort(counter))
    steps = steps[steps > 0]
    if len(steps) == 0:
        return Loss(tainted, 0, counts_pictures=False)
    step = float(np.median(steps))
    counter = _without_strays(counter, step)
    steps = np.diff(np.sort(counter))
    steps = steps[steps > 0]
    lost = 0
    for first, stop in pairwise([*_epochs(counter, keyframe), count]):
        lost += _mark(counter[first:stop], keyframe[first:stop], step, tainted[first:stop])
    return Loss(tainted, lost, counts_pictures=step < TIME_STEP and not np.any(steps % step))


def _without_strays(counter: np.ndarray, step: float) -> np.ndarray:
    """Counters that lie far from both neighbours, which agree, are damaged: each becomes what stands between these."""
    far = np.abs(np.diff(counter.astype(np.float64))) > STRAY_STEPS * step
    stray = np.flatnonzero(far[:-1] & far[1:]) + 1
    stray = stray[np.abs(counter[stray + 1].astype(np.float64) - counter[stray - 1]) <= STRAY_STEPS * step]
    mended: np.ndarray = counter.copy()
    mended[stray] = (counter[stray - 1] + counter[stray + 1]) // 2
    return mended


def _epochs(counter: np.ndarray, keyframe: np.ndarray) -> list[int]:
    """Where the encoder starts anew: keyframes whose counter is not beyond that of the keyframe before."""
    keys = np.flatnonzero(keyframe)
    anew = keys[1:][np.diff(counter[keys]) <= 0]
    return [0, *anew.tolist()]


def _mark(counter: np.ndarray, keyframe: np.ndarray, step: float, tainted: np.ndarray) -> int:
    """Mark the tainted packets of one epoch; returns how many are lost."""
    order = np.argsort(counter, kind="stable")
    ascending = counter[order]
    holes = np.flatnonzero(np.diff(ascending) > HOLE_STEPS * step)
    lost = 0
    # How far a picture is decoded before pictures that are shown earlier.
    span = int(np.max(np.maximum.accumulate(counter) - counter))
    keys = np.flatnonzero(keyframe)
    for hole in holes:
        before, after = int(ascending[hole]), int(ascending[hole + 1])
        lost += round((after - before) / step) - 1
        landed = int(order[hole + 1])
        opened = keys[np.searchsorted(keys, landed, side="right") - 1] if len(keys) and keys[0] <= landed else -1
        if opened == landed:
            # All of a GOP's end is missing: with B-frames some of it may stand in front of the keyframe, damaged.
            opened = keys[np.searchsorted(keys, landed) - 1] if keys[0] < landed else -1
        start = max(int(np.argmax(counter > before - span)), int(opened) + 1)
        next_key = np.searchsorted(keys, start)
        stop = int(keys[next_key]) if next_key < len(keys) else len(counter)
        tainted[start:stop] = True
        # Pictures shown before the keyframe but decoded after it lean on what is damaged, too.
        lead = stop + 1
        while stop < len(counter) and lead < len(counter) and counter[lead] < counter[stop] and not keyframe[lead]:
            tainted[lead] = True
            lead += 1
    return lost
