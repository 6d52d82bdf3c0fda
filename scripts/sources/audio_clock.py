"""The clock of a sound whose blocks carry late stamps.

A stamp is never early: it is the block's true instant and a delay that is sometimes almost nothing. So the line of
time is the one carried by the LOWER CONVEX HULL of (samples so far, stamp): of all lines under the points the one
that is nearest to them in the mean, which is the hull's edge over their mean. Where samples are missing, or the
device has begun anew, the points step; every stretch then has its own offset, all have one slope.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from scripts.common.clock import Clock, Gap, Segment

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
# A longer hole is a device that was started anew: a new segment, not hours of zeros.
MAX_HOLE_S = 600.0
# More steps than one in so many blocks are no holes, but stamps that do not fit the rate.
BLOCKS_PER_STEP = 5


@dataclass(frozen=True)
class Line:
    """time = origin + start_ns[k] + slope * sample, for stretch k, in ns; slope: ns a sample."""

    slope: float
    start_ns: np.ndarray


@dataclass(frozen=True)
class Fit:
    """clock: of the sound once its holes are filled. holes: (sample among those recorded, samples missing before it).
    residual_ns: float64 (K,), how late each block's stamp is. notes: what a person should know, one line each."""

    clock: Clock
    holes: list[tuple[int, int]]
    residual_ns: np.ndarray
    notes: list[str]


def lower_hull(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Indices of the corners of the lower convex hull, ascending. x: float64 (N,), ascending; y: float64 (N,), ns."""
    corners = {0, len(x) - 1}
    todo = [(0, len(x) - 1)]
    while todo:
        first, last = todo.pop()
        if last - first < 2:
            continue
        inside = slice(first + 1, last)
        slope = (y[last] - y[first]) / (x[last] - x[first])
        height = y[inside] - (y[first] + slope * (x[inside] - x[first]))
        lowest = int(np.argmin(height))
        # Stamps are whole ns: less than that is rounding.
        if height[lowest] < -1.0:
            corner = first + 1 + lowest
            corners.add(corner)
            todo += [(first, corner), (corner, last)]
    return np.array(sorted(corners))


def fit_slope(x: np.ndarray, y: np.ndarray, stretches: list[slice]) -> float:
    """The one slope of the lines that lie under all points, one line a stretch, nearest to them in the mean.

    Of the hulls' edges, ascending by slope, it is the one where as much of the points' weight lies before it as
    after: with one stretch, the edge over the mean.
    """
    slopes, weights = [], []
    balance = 0.0
    for stretch in stretches:
        xs, ys = x[stretch], y[stretch]
        if len(xs) < 2:
            continue
        hull = lower_hull(xs, ys)
        runs = np.diff(xs[hull])
        slopes.append(np.diff(ys[hull]) / runs)
        weights.append(runs * len(xs))
        balance += float(np.sum(xs - xs[0]))
    if not slopes:
        return 0.0
    slope, weight = np.concatenate(slopes), np.concatenate(weights)
    order = np.argsort(slope, kind="stable")
    edge = int(np.searchsorted(np.cumsum(weight[order]), balance))
    return float(slope[order][min(edge, len(order) - 1)])


def find_steps(x: np.ndarray, y: np.ndarray, *, block: float, per_sample_ns: float) -> list[int] | None:
    """Blocks in front of which samples are missing, or the device began anew; None if there are far too many.

    x: float64 (N,), samples; y: float64 (N,), stamps less their time at the nominal rate, ns; block: samples of one.
    A delay, however long, is no step: blocks after it are in time again.
    """
    y = y - _usual_slope(x, y, per_sample_ns) * x
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


def _usual_slope(x: np.ndarray, y: np.ndarray, per_sample_ns: float) -> float:
    """Median slope of short stretches, few of which hold a step: near enough to see the steps by."""
    piece = max(2, int(np.searchsorted(x - x[0], PIECE_S * 1e9 / per_sample_ns)))
    bounds = range(0, max(1, len(x) - piece // 2), piece)
    slopes = [fit_slope(x, y, [slice(first, first + piece)]) for first in bounds]
    slope = float(np.median(slopes))
    return slope if abs(slope) <= MAX_DRIFT_PPM * 1e-6 * per_sample_ns else 0.0


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


def fit_line(x: np.ndarray, y: np.ndarray, steps: list[int], per_sample_ns: float) -> Line:
    """Slope and offsets of the stretches between `steps`; x, y as in find_steps. A slope beyond belief is 0."""
    stretches = _stretches(len(x), steps)
    slope = fit_slope(x, y, stretches)
    if abs(slope) > MAX_DRIFT_PPM * 1e-6 * per_sample_ns:
        slope = 0.0
    return Line(slope, np.array([np.min(y[part] - slope * x[part]) for part in stretches]))


def fit_clock(
    samples: np.ndarray,
    stamp_ns: np.ndarray,
    *,
    nominal_rate_hz: int,
    channels: int,
    stamp: str,
    latency_ms: float = 0.0,
) -> Fit:
    """The clock of blocks of samples int64 (K,), all > 0, with stamps int64 (K,).

    stamp: "block_start" or "block_end", what instant of its block a stamp is; latency_ms is taken off every instant.
    """
    per_sample_ns = 1e9 / nominal_rate_hz
    starts = np.concatenate([[0], np.cumsum(samples)[:-1]])
    x = (starts if stamp == "block_start" else starts + samples).astype(np.float64)
    y = (stamp_ns - stamp_ns[0]) - x * per_sample_ns
    block = float(np.median(samples))
    notes: list[str] = []
    steps = _fitting_steps(x, y, block, per_sample_ns)
    if steps is None:
        span_s = float(stamp_ns[-1] - stamp_ns[0]) / 1e9
        seen_hz = (x[-1] - x[0]) / span_s if span_s > 0 else 0.0
        notes.append(f"its stamps do not fit {nominal_rate_hz} Hz, they say about {seen_hz:.0f} Hz; the former is kept")
        line, steps = Line(0.0, y[:1]), []
    else:
        line = fit_line(x, y, steps, per_sample_ns)
    first = np.array([0, *steps])
    late_ns = y - line.slope * x - np.repeat(line.start_ns, np.diff([*first, len(x)]))
    per_sample_ns += line.slope
    origin_ns = int(stamp_ns[0]) - round(latency_ms * 1e6)
    total = int(np.sum(samples))
    segments, gaps = _lay_out(line.start_ns, starts[first], total, per_sample_ns, origin_ns)
    holes = _holes(gaps)
    clock = Clock(
        start_ns=segments[0].start_ns,
        rate_hz=1e9 / per_sample_ns,
        nominal_rate_hz=nominal_rate_hz,
        samples=total + sum(count for _, count in holes),
        channels=channels,
        drift_ppm=(1e9 / per_sample_ns / nominal_rate_hz - 1) * 1e6,
        latency_ms=latency_ms,
        segments=segments,
        gaps=gaps,
    )
    if len(segments) > 1:
        notes.append(f"its clock began anew {len(segments) - 1} times; see the segments of its clock")
    return Fit(clock, holes, late_ns, notes)


def _lay_out(
    offset_ns: np.ndarray, first_sample: np.ndarray, total: int, per_sample_ns: float, origin_ns: int
) -> tuple[list[Segment], list[Gap]]:
    """Segments and gaps of stretches that begin with recorded sample `first_sample`.

    offset_ns: where sample 0 would stand by each stretch's line, after origin_ns. A step back cannot be filled, and a
    very long hole is not: both begin a segment.
    """
    begun: list[tuple[int, int]] = [(0, origin_ns + round(float(offset_ns[0])))]
    gaps: list[Gap] = []
    anchor = filled = filled_here = 0
    for k in range(1, len(first_sample)):
        here = int(first_sample[k]) + filled
        missing = round(float(offset_ns[k] - offset_ns[anchor]) / per_sample_ns) - filled_here
        if 0 <= missing * per_sample_ns <= MAX_HOLE_S * 1e9:
            gaps.append(Gap(here, here + missing, "hole"))
            filled += missing
            filled_here += missing
        else:
            begun.append((here, origin_ns + round(float(offset_ns[k] + per_sample_ns * first_sample[k]))))
            anchor, filled_here = k, 0
    stops = [start for start, _ in begun[1:]] + [total + filled]
    return [Segment(start, time, stop - start) for (start, time), stop in zip(begun, stops, strict=True)], gaps


def _holes(gaps: list[Gap]) -> list[tuple[int, int]]:
    """Each gap as (recorded samples before it, samples missing)."""
    holes, filled = [], 0
    for gap in gaps:
        holes.append((gap.start_sample - filled, gap.stop_sample - gap.start_sample))
        filled += gap.stop_sample - gap.start_sample
    return holes


def _fitting_steps(x: np.ndarray, y: np.ndarray, block: float, per_sample_ns: float) -> list[int] | None:
    """Steps that are still at least a lost block when the lines are fitted; None if the rate does not fit at all."""
    steps = find_steps(x, y, block=block, per_sample_ns=per_sample_ns)
    while steps:
        sizes = np.abs(np.diff(fit_line(x, y, steps, per_sample_ns).start_ns))
        least = int(np.argmin(sizes))
        if sizes[least] >= STEP_BLOCKS * block * per_sample_ns:
            break
        del steps[least]
    return steps


def _stretches(count: int, steps: list[int]) -> list[slice]:
    return [slice(first, stop) for first, stop in pairwise([0, *steps, count])]
