"""Sound on the dataset's own clock: sample n stands at n / rate after the timeline's start.

Each segment is resampled by the rate that was fitted to its clock and begins where its first sample stood, to
a small part of a sample. What nobody recorded is silence, and listed in the clock: before_start and
after_stop pad the sound to the timeline, hole is what was lost in between. The sound is exactly as long as
the conformed frames.
"""

import logging
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from pathlib import Path

import numpy as np
import soundfile

from scripts.common import ledger
from scripts.common import manifest as manifests
from scripts.common.clock import Clock, Gap, Segment
from scripts.common.errors import InputError, UpstreamError
from scripts.common.job import progress, run
from scripts.common.sound_writer import SoundWriter
from scripts.common.timeline import NS, Timeline
from scripts.media.placed_sound import Span, place_segments, resampled, with_segment

FULL_SCALE = 32768
SILENCE_SAMPLES = 1 << 20

log = logging.getLogger("rushes")


def conformed_gaps(clock: Clock, spans: Sequence[Span], start_ns: int, count: int, rate_hz: int) -> list[Gap]:
    """What is silence in the conformed sound because nobody recorded it, in its own sample numbers."""
    if not spans:
        reason = "after_stop" if clock.start_ns < start_ns else "before_start"
        return [Gap(0, count, reason)] if count else []
    gaps = [Gap(0, spans[0].first, "before_start"), Gap(spans[-1].stop, count, "after_stop")]
    gaps += [Gap(a.stop, b.first, "hole") for a, b in pairwise(spans)]
    inside = (spans[0].first, spans[-1].stop)
    for gap in clock.gaps:
        begin, end = clock.time_ns(np.array([gap.start_sample, gap.stop_sample])).tolist()
        first = max(floor((begin - start_ns) * Fraction(rate_hz, NS)), inside[0])
        stop = min(ceil((end - start_ns) * Fraction(rate_hz, NS)), inside[1])
        gaps.append(Gap(first, stop, gap.reason))
    whole = [gap for gap in gaps if gap.start_sample < gap.stop_sample]
    return sorted(whole, key=lambda gap: (gap.start_sample, gap.stop_sample))


def conform_audio(
    sound: Path,
    clock: Path,
    manifest: Path,
    out_sound: Path,
    out_clock: Path,
    out_ledger: Path,
    *,
    recording: str,
    microphone: str,
    fps: str,
    rate_hz: int,
    channels: str | list[int],
) -> None:
    """Resample `sound` to `rate_hz`, 16 bit mono, on the timeline of its recording.

    fps: that of the conformed pictures, a rational; it decides the length.
    channels: "mix" for the mean of all, or the numbers of those to average.
    Raises InputError if the import of the microphone failed, if the timeline is shorter than a frame, if the
    clock and the sound disagree on the number of samples, or if a channel is not there.
    """
    heard = Clock.read(clock)
    if not heard.samples:
        raise UpstreamError(f"{recording}, {microphone}")
    if not heard.segments:
        heard = with_segment(heard)
    timeline = Timeline.of(manifests.read(manifest))
    count = timeline.samples(Fraction(fps), rate_hz)
    if not count:
        length_s = (timeline.stop_ns - timeline.start_ns) / NS
        limit_s = float(1 / Fraction(fps))
        raise InputError(
            "short",
            f"{recording}: it lasts {length_s:.3f} s, less than one frame at {fps} frames a second",
            value=length_s,
            limit=limit_s,
        )
    with soundfile.SoundFile(sound) as source:
        if source.frames != heard.samples:
            raise InputError(
                "sample_count",
                f"{recording}, {microphone}: the sound holds {source.frames} samples, its clock "
                f"{heard.samples}; import the recording again",
                value=source.frames,
                limit=heard.samples,
            )
        wanted = chosen_channels(channels, source.channels, f"{recording}, {microphone}")
        spans = place_segments(heard, timeline.start_ns, count, rate_hz)
        clipped = write_spans(source, out_sound, heard, spans, timeline.start_ns, count, rate_hz, wanted)
    if clipped:
        log.warning("%s, %s: %s samples were clipped", recording, microphone, clipped)
    Clock(
        start_ns=timeline.start_ns,
        rate_hz=float(rate_hz),
        nominal_rate_hz=rate_hz,
        samples=count,
        channels=1,
        latency_ms=heard.latency_ms,
        segments=[Segment(0, timeline.start_ns, count)],
        gaps=conformed_gaps(heard, spans, timeline.start_ns, count, rate_hz),
    ).write(out_clock)
    ledger.write(out_ledger, [ledger.Row("conform_audio", recording, microphone, "written", value=count)])


def chosen_channels(channels: str | list[int], count: int, where: str) -> list[int]:
    """Numbers of the channels to average. Raises InputError if one is not there."""
    if channels == "mix":
        return list(range(count))
    wanted = [int(number) for number in channels]
    for number in wanted:
        if not 0 <= number < count:
            raise InputError(
                "no_channel",
                f"{where}: it has {count} channels, numbered from 0; there is no channel {number}",
                value=number,
                limit=count - 1,
            )
    return wanted


def write_spans(
    source: soundfile.SoundFile,
    out_sound: Path,
    clock: Clock,
    spans: Sequence[Span],
    start_ns: int,
    count: int,
    rate_hz: int,
    channels: list[int],
) -> int:
    """Write `count` samples, silence outside `spans`. Returns how many were clipped."""
    writer = SoundWriter(out_sound)
    weights = np.zeros(source.channels)
    np.add.at(weights, channels, 1 / len(channels))
    done = clipped = 0
    try:
        for span in spans:
            _write_silence(writer, span.first - done)
            done = span.first
            for chunk in resampled(source, clock, span, start_ns, rate_hz, weights):
                scaled = np.rint(chunk * FULL_SCALE)
                inside = np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1)
                clipped += int(np.count_nonzero(np.abs(scaled - inside) > 1))
                writer.write(inside.astype("<i2").tobytes())
                done += len(chunk)
                progress(done, count, "samples")
        _write_silence(writer, count - done)
        writer.close(rate_hz=rate_hz, channels=1, sample_format="s16le")
    finally:
        writer.discard()
    return clipped


def _write_silence(writer: SoundWriter, count: int) -> None:
    for first in range(0, count, SILENCE_SAMPLES):
        writer.write(bytes(2 * min(SILENCE_SAMPLES, count - first)))


if __name__ == "__main__":
    run(conform_audio)
