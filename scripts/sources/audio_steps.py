"""Finds where the line of a sound's stamps steps: samples are missing there, or the device began anew.

A step differs from a delay in that no later stamp is back on the line: what the blocks behind it allow at most lies
above what those in front of it allow.
"""

from dataclasses import dataclass

import numpy as np

from scripts.sources.audio_hull import slope_over_mean

# A device whose clock is further off than this has another rate than it says.
MAX_DRIFT_PPM = 1_000.0
# A step shorter than this part of a block is no lost block.
STEP_BLOCKS = 0.5
# Steps this near to an end of the recording must also exceed every delay seen, for nothing behind them confirms them;
# so must those that fewer blocks in time confirm.
CONFIRM_S = 1.0
CONFIRMING_BLOCKS = 5
# The drift is first taken from pieces this long, and may then be off by so much.
PIECE_S = 5.0
SLACK_PPM = 100.0
# Where exactly a step is, is decided among so many blocks.
PLATEAU_BLOCKS = 32
# Stamps say another rate if most pieces of the recording, at least so many, are off by that share of it, or if steps
# stand nearer than so many blocks.
WRONG_RATE = 0.03
PROOF_PIECES = 7
BLOCKS_PER_STEP = 5


def find_steps(x: np.ndarray, y: np.ndarray, *, block: float, per_sample_ns: float) -> list[int] | None:
    """Blocks in front of which samples are missing, or the device began anew; None if the rate does not fit at all.

    x: float64 (N,), samples; y: float64 (N,), stamps less their time at the nominal rate, ns; block: samples of one.
    A delay, however long, is no step: blocks after it are in time again.
    """
    if not _fits_rate(x, y, per_sample_ns):
        return None
    drift = _usual_slope(x, y, PIECE_S * 1e9 / per_sample_ns)
    if abs(drift) <= MAX_DRIFT_PPM * 1e-6 * per_sample_ns:
        y = y - drift * x
    slack = SLACK_PPM * 1e-6 * per_sample_ns
    before, after = _floors(x, y, slack)
    limits = _Limits(
        smallest_ns=STEP_BLOCKS * block * per_sample_ns,
        longest_delay_ns=float(np.max(y - np.maximum(np.minimum(before, y), after))),
        near_samples=CONFIRM_S * 1e9 / per_sample_ns,
        slack=slack,
    )
    found: list[int] = []
    todo = [(0, len(x))]
    while todo:
        first, stop = todo.pop()
        at, confirmed = _largest_step(x[first:stop], y[first:stop], limits)
        if at == 0:
            continue
        # What a few late blocks at an end seem to say is not followed.
        todo += [(first, first + at)] if confirmed >= 0 else []
        todo += [(first + at, stop)] if confirmed <= 0 else []
        if confirmed == 0:
            found.append(first + at)
        if len(found) > max(1, len(x) // BLOCKS_PER_STEP):
            return None
    return sorted(found)


@dataclass(frozen=True)
class _Limits:
    """smallest_ns: of a step; longest_delay_ns: of a stamp that was made good by later ones; near_samples: to an end
    of the recording; slack: what the drift may add or take, ns a sample."""

    smallest_ns: float
    longest_delay_ns: float
    near_samples: float
    slack: float


def _usual_slope(x: np.ndarray, y: np.ndarray, piece: float) -> float:
    """Median slope of pieces of so many samples: few of them hold a step."""
    size = max(2, int(np.searchsorted(x - x[0], piece)))
    pieces = [slice(first, first + size) for first in range(0, max(1, len(x) - size // 2), size)]
    return float(np.median([slope_over_mean(x[part], y[part]) for part in pieces]))


def _fits_rate(x: np.ndarray, y: np.ndarray, per_sample_ns: float) -> bool:
    """Whether the stamps go with the nominal rate at all; a few blocks are no proof that they do not."""
    if len(x) < PROOF_PIECES * 4:
        return True
    piece = min(PIECE_S * 1e9 / per_sample_ns, (x[-1] - x[0]) / PROOF_PIECES)
    return abs(_usual_slope(x, y, piece)) <= WRONG_RATE * per_sample_ns


def _floors(x: np.ndarray, y: np.ndarray, slack: float) -> tuple[np.ndarray, np.ndarray]:
    """The least that the blocks before each one, and those from it on, allow a prompt stamp to be there, ns.

    Before the first block: inf.
    """
    before = np.full(len(x), np.inf)
    before[1:] = np.minimum.accumulate(y - slack * x)[:-1] + slack * x[1:]
    after = np.minimum.accumulate((y + slack * x)[::-1])[::-1] - slack * x
    return before, after


def _largest_step(x: np.ndarray, y: np.ndarray, limits: _Limits) -> tuple[int, int]:
    """Block in front of which the line steps most, 0 where it does not; and whether both sides confirm it.

    The second is 0 if they do, 1 if the blocks behind are too few, -1 if those in front are.
    """
    before, after = _floors(x, y, limits.slack)
    step = (after - before)[1:]
    near_end = np.minimum(x[1:] - x[0], x[-1] - x[1:]) < limits.near_samples
    needed = limits.smallest_ns + np.where(near_end, limits.longest_delay_ns, 0.0)
    large = np.where(np.abs(step) > needed, step, 0.0)
    if not np.any(large):
        return 0, 0
    largest = float(large[np.argmax(np.abs(large))])
    if largest < 0:
        # Every block before the step sees the lower ones behind it: the last one does is in front of it.
        at = int(np.flatnonzero(step <= largest / 2)[-1]) + 1
    else:
        # Every block behind the step sees the lower ones in front of it; late ones in front of it see less of it.
        rough = int(np.flatnonzero(step >= largest / 2)[0])
        plateau = float(np.max(step[rough : rough + PLATEAU_BLOCKS]))
        at = rough + int(np.flatnonzero(step[rough:] >= plateau - limits.smallest_ns / 25)[0]) + 1
    for side, confirmed in ((slice(at, None), 1), (slice(0, at), -1)):
        prompt = y[side] - np.min(y[side]) < limits.smallest_ns / 2
        doubted = abs(step[at - 1]) <= needed[at - 1] + limits.longest_delay_ns
        if doubted and np.count_nonzero(prompt) < CONFIRMING_BLOCKS:
            return at, confirmed
    return at, 0
