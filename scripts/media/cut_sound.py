"""A stretch of a microphone's sound: its samples as they are, with a clock of their own."""

from math import ceil
from pathlib import Path

import av

from scripts.common.clock import Clock, Gap, Segment
from scripts.common.placed_sound import with_segment
from scripts.common.sound_writer import SAMPLE_FORMATS, SoundWriter
from scripts.common.timeline import NS


def cut_clock(clock: Clock, start_ns: int, stop_ns: int) -> tuple[Clock, list[tuple[int, int]]]:
    """The clock of the samples that stand in [start_ns, stop_ns), and their numbers [first, stop) in the source."""
    segments: list[Segment] = []
    ranges: list[tuple[int, int]] = []
    gaps: list[Gap] = []
    done = 0
    for segment in (clock if clock.segments else with_segment(clock)).segments:
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


def cut_sound(sound: Path, clock: Clock, ranges: list[tuple[int, int]], target: Path) -> None:
    """Write the samples of `ranges`, rising, of a WAV into a new one."""
    writer = SoundWriter(target)
    try:
        with av.open(f"file:{sound}") as container:
            stream = container.streams.audio[0]
            name = stream.codec_context.name.removeprefix("pcm_")
            width = SAMPLE_FORMATS[name][0] * clock.channels
            rate_hz = stream.rate or clock.nominal_rate_hz
            container.seek(ranges[0][0], stream=stream, backward=True)
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                payload = memoryview(bytes(packet))
                stop = packet.pts + len(payload) // width
                for first, end in ranges:
                    low, high = max(first, packet.pts), min(end, stop)
                    if low < high:
                        writer.write(payload[(low - packet.pts) * width : (high - packet.pts) * width])
                if stop >= ranges[-1][1]:
                    break
        writer.close(rate_hz=rate_hz, channels=clock.channels, sample_format=name)
    finally:
        writer.discard()
