"""The clock of a stretch of a sound."""

from math import ceil

from scripts.common.clock import Clock, Gap, Segment
from scripts.common.timeline import NS


def cut_clock(clock: Clock, start_ns: int, stop_ns: int) -> tuple[Clock, list[tuple[int, int]]]:
    """The clock of the samples that stand in [start_ns, stop_ns), and their numbers [first, stop) in the source."""
    segments: list[Segment] = []
    ranges: list[tuple[int, int]] = []
    gaps: list[Gap] = []
    done = 0
    for segment in clock.segments or [Segment(0, clock.start_ns, clock.samples)]:
        first, stop = (
            min(max(ceil((instant - segment.start_ns) * clock.rate_hz / NS - 1e-6), 0), segment.samples)
            for instant in (start_ns, stop_ns)
        )
        if first >= stop:
            continue
        begin = segment.start_sample + first
        end = segment.start_sample + stop
        segments.append(Segment(done, segment.start_ns + round(first * NS / clock.rate_hz), stop - first))
        for gap in clock.gaps:
            low, high = max(gap.start_sample, begin), min(gap.stop_sample, end)
            if low < high:
                gaps.append(Gap(low - begin + done, high - begin + done, gap.reason))
        ranges.append((begin, end))
        done += stop - first
    if not segments:
        return Clock.empty(), []
    changed = {"start_ns": segments[0].start_ns, "samples": done, "segments": segments, "gaps": gaps}
    return Clock(**{**vars(clock), **changed}), ranges
