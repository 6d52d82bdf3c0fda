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
from scripts.sources.audio_hull import fit_slope
from scripts.sources.audio_steps import MAX_DRIFT_PPM, STEP_BLOCKS, find_steps
from scripts.sources.whole_samples import Stretch, find_whole

# A longer hole is a device that was started anew: a new segment, not hours of zeros.
MAX_HOLE_S = 600.0


@dataclass(frozen=True)
class Line:
    """time = origin + start_ns[k] + slope * sample, for stretch k, in ns; slope: ns a sample."""

    slope: float
    start_ns: np.ndarray


@dataclass(frozen=True)
class Fit:
    """clock: of the sound once its holes are filled. pieces: what of the blocks is whole samples, (offset, bytes);
    left: bytes of the rest. holes: (sample among those, samples missing before it). residual_ns: float64 (K,), how late
    each block's stamp is. fits_rate: whether the stamps go with the rate. notes: what a person should know, one line
    each."""

    clock: Clock
    pieces: list[tuple[int, int]]
    left: int
    holes: list[tuple[int, int]]
    residual_ns: np.ndarray
    fits_rate: bool
    notes: list[str]


def fit_line(x: np.ndarray, y: np.ndarray, steps: list[int], per_sample_ns: float) -> Line:
    """Slope and offsets of the stretches between `steps`; x, y as in find_steps. A slope beyond belief is 0."""
    stretches = _stretches(len(x), steps)
    slope = fit_slope(x, y, stretches)
    if abs(slope) > MAX_DRIFT_PPM * 1e-6 * per_sample_ns:
        slope = 0.0
    return Line(slope, np.array([np.min(y[part] - slope * x[part]) for part in stretches]))


def fit_clock(
    sizes: np.ndarray,
    stamp_ns: np.ndarray,
    *,
    nominal_rate_hz: int,
    channels: int,
    stamp: str,
    frame_bytes: int = 1,
    latency_ms: float = 0.0,
) -> Fit:
    """The clock of blocks of bytes int64 (K,), all > 0, with stamps int64 (K,).

    frame_bytes: of a sample of all channels; a block need not end with one. stamp: "block_start" or "block_end", what
    instant of its block a stamp is; latency_ms is taken off every instant.
    """
    per_sample_ns = 1e9 / nominal_rate_hz
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    x = (starts if stamp == "block_start" else starts + sizes) / frame_bytes
    y = (stamp_ns - stamp_ns[0]) - x * per_sample_ns
    block = float(np.median(sizes)) / frame_bytes
    notes: list[str] = []
    steps = _fitting_steps(x, y, block, per_sample_ns)
    fits_rate = steps is not None
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
    lost_samples = np.diff(line.start_ns) / per_sample_ns
    stretches = find_whole(sizes, starts[first], lost_samples, frame_bytes=frame_bytes, rate_hz=nominal_rate_hz)
    segments, gaps = _lay_out(line.start_ns, stretches, frame_bytes, per_sample_ns, origin_ns)
    holes = _holes(gaps)
    total = sum(stretch.samples for stretch in stretches)
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
    notes += begun_anew(clock)
    unknown = sum(not stretch.known for stretch in stretches)
    if unknown:
        notes.append(
            f"its blocks end within samples, and after {unknown} of its holes nothing says where in one it goes on: "
            "the first whole one is taken to begin there"
        )
    pieces = [(stretch.offset, stretch.samples * frame_bytes) for stretch in stretches]
    left = int(np.sum(sizes)) - total * frame_bytes
    return Fit(clock, pieces, left, holes, late_ns, fits_rate, notes)


def begun_anew(clock: Clock) -> list[str]:
    """What a person should know of the segments of a clock."""
    count = len(clock.segments) - 1
    return [f"its clock began anew {count} times; see the segments of its clock"] if count else []


def _lay_out(
    offset_ns: np.ndarray, stretches: list[Stretch], frame_bytes: int, per_sample_ns: float, origin_ns: int
) -> tuple[list[Segment], list[Gap]]:
    """Segments and gaps of stretches.

    offset_ns: where byte 0 would stand by each stretch's line, after origin_ns. A step back cannot be filled, and a
    very long hole is not: both begin a segment.
    """
    begun: list[tuple[int, int]] = [(0, origin_ns + round(float(offset_ns[0])))]
    gaps: list[Gap] = []
    anchor = filled = filled_here = 0
    total = stretches[0].samples
    # Samples of each stretch's place that were not taken: parts of one, before it.
    skipped = [0.0]
    for k, stretch in enumerate(stretches[1:], 1):
        here = total + filled
        skipped.append(stretch.offset / frame_bytes - total)
        apart = float(offset_ns[k] - offset_ns[anchor]) / per_sample_ns + skipped[k] - skipped[anchor]
        missing = round(apart) - filled_here
        total += stretch.samples
        if 0 <= missing * per_sample_ns <= MAX_HOLE_S * 1e9:
            gaps.append(Gap(here, here + missing, "hole"))
            filled += missing
            filled_here += missing
        else:
            begun_ns = offset_ns[k] + per_sample_ns * (stretch.offset / frame_bytes)
            begun.append((here, origin_ns + round(float(begun_ns))))
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
