"""The sound of a file as PCM on one line of time: holes become zeros, overlaps are trimmed, jitter stays."""

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import av
import numpy as np

from scripts.common.clock import Clock, Gap, Segment
from scripts.common.packets import instant_of
from scripts.common.sound_writer import SoundWriter
from scripts.common.timeline import NS
from scripts.sources.container import Cut, tick_of
from scripts.sources.doubted_blocks import Block, DoubtedBlocks

# A block may stand so much beside its place before that counts: containers round times to milliseconds.
JITTER_S = Fraction(2, 1000)
# A longer hole is not filled; what follows it is a new segment.
LONGEST_HOLE_S = 600
# Decoding begins so much before a cut, until the codec has settled.
SETTLING_S = 1

SAMPLE_FORMATS = {16: "s16le", 24: "s24le"}
ZEROS = bytes(1 << 20)
# PyAV reads beyond the planes of a planar frame of so many channels.
TOO_MANY_PLANES = 8


@dataclass
class SampleLine:
    """Where blocks of samples go. jitter, longest_hole: in samples."""

    jitter: int
    longest_hole: int
    samples: int = 0
    trimmed: int = 0
    gaps: list[Gap] = field(default_factory=list)
    # First sample and place on the line of each run without unfilled holes.
    runs: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])

    @property
    def expected(self) -> int:
        """The place right behind the last sample."""
        first, place = self.runs[-1]
        return place + self.samples - first

    def place(self, position: int | None, count: int) -> tuple[int, int]:
        """Take `count` samples at `position` (None: right behind). (zeros before them, samples to skip)."""
        expected = self.expected
        late = 0 if position is None else position - expected
        fill = skip = 0
        if late > self.longest_hole:
            self.runs.append((self.samples, expected + late))
        elif late > self.jitter:
            fill = late
            self.gaps.append(Gap(self.samples, self.samples + fill, "hole"))
        elif -late > self.jitter:
            skip = min(-late, count)
            self.trimmed += skip
        self.samples += fill + count - skip
        return fill, skip


class SoundTrack:
    """Decodes one audio stream into a WAV of its own rate; 24 bit where the source has more than 16."""

    def __init__(self, path: Path, stream: av.AudioStream, *, cut: Cut, from_zero: bool) -> None:
        """from_zero: the first sample stands at 0, whatever the container says (a file of sound alone)."""
        self._writer = SoundWriter(path)
        self._stream = stream
        self._cut = cut
        self._zero: Fraction | None = None if from_zero else Fraction(0)
        self._form: tuple[int, int] | None = None
        self._line = SampleLine(0, 0)
        self._doubted = DoubtedBlocks(0)
        self._begin = Fraction(0)
        self.bits = 16
        self.changed = False
        self.done = False
        self.undecoded = 0
        self.clipped = 0
        context = stream.codec_context
        self._wide = context.name.startswith(("pcm_f", "pcm_s24", "pcm_s32", "wavpack"))

    def take(self, packet: "av.Packet[Any]") -> None:
        """Decode a packet of the stream, in the order of the file; what does not decode leaves a hole."""
        if self.done or self._long_before(packet):
            return
        try:
            for frame in self._stream.decode(packet):
                self._add(frame)
        except av.error.FFmpegError:
            self.undecoded += 1

    def finish(self, latency_ms: float) -> Clock:
        """Finish the WAV. The clock is empty if nothing was decoded."""
        if self._form is None:
            self._writer.discard()
            return Clock.empty()
        self._write(self._doubted.rest())
        rate_hz, channels = self._form
        self._writer.close(rate_hz=rate_hz, channels=channels, sample_format=SAMPLE_FORMATS[self.bits])
        start_ns = round((self._begin - Fraction(str(latency_ms)) / 1000) * NS)
        ends = [first for first, _ in self._line.runs[1:]] + [self._line.samples]
        return Clock(
            start_ns=start_ns,
            rate_hz=float(rate_hz),
            nominal_rate_hz=rate_hz,
            samples=self._line.samples,
            channels=channels,
            latency_ms=latency_ms,
            segments=[
                Segment(first, start_ns + round(Fraction(place * NS, rate_hz)), end - first)
                for (first, place), end in zip(self._line.runs, ends, strict=True)
            ],
            gaps=self._line.gaps,
        )

    @property
    def trimmed(self) -> int:
        """Samples that stood where others already were."""
        return self._line.trimmed

    def discard(self) -> None:
        """Close the file unfinished."""
        self._writer.discard()

    def _long_before(self, packet: "av.Packet[Any]") -> bool:
        begin = instant_of(packet)
        if self._cut.start_ns is None or begin is None:
            return False
        return begin < Fraction(self._cut.start_ns, NS) - SETTLING_S

    def _add(self, frame: av.AudioFrame) -> None:
        form = (frame.sample_rate, frame.layout.nb_channels)
        begin = instant_of(frame)
        if begin is not None:
            self._zero = begin if self._zero is None else self._zero
            begin -= self._zero
        if self._form is not None and form != self._form:
            self.changed = self.done = True
            return
        samples = as_rows(frame)
        head, tail = self._outside(begin, len(samples), form[0])
        samples = samples[head : len(samples) - tail]
        self.done = self.done or tail > 0
        if not len(samples):
            return
        begin = None if begin is None else begin + Fraction(head, form[0])
        if self._form is None:
            self._form = form
            self._begin = begin or Fraction(0)
            self.bits = 24 if self._wide or samples.dtype == np.int32 else 16
            jitter = ceil(max(JITTER_S, tick_of(self._stream)) * form[0])
            self._line, self._doubted = SampleLine(jitter, LONGEST_HOLE_S * form[0]), DoubtedBlocks(jitter)
        position = None if begin is None else round((begin - self._begin) * form[0])
        self._write(self._doubted.take(Block(position, samples), self._line.expected))

    def _write(self, blocks: list[Block]) -> None:
        assert self._form is not None
        for position, samples in blocks:
            fill, skip = self._line.place(position, len(samples))
            self._write_zeros(fill * self._form[1] * self.bits // 8)
            payload, clipped = to_pcm(samples[skip:], self.bits)
            self._writer.write(payload)
            self.clipped += clipped

    def _outside(self, begin: Fraction | None, count: int, rate_hz: int) -> tuple[int, int]:
        """Samples of a block before the start and after the stop of the cut."""
        if begin is None:
            return 0, 0
        head = tail = 0
        if self._cut.start_ns is not None:
            head = ceil((Fraction(self._cut.start_ns, NS) - begin) * rate_hz)
        if self._cut.stop_ns is not None:
            tail = count - ceil((Fraction(self._cut.stop_ns, NS) - begin) * rate_hz)
        head = min(max(head, 0), count)
        return head, min(max(tail, 0), count - head)

    def _write_zeros(self, size: int) -> None:
        for first in range(0, size, len(ZEROS)):
            self._writer.write(ZEROS[: size - first])


def as_rows(frame: av.AudioFrame) -> np.ndarray:
    """Samples of a decoded block, (samples, channels), in the decoder's own type."""
    if frame.format.is_planar and frame.layout.nb_channels >= TOO_MANY_PLANES:
        (frame,) = av.AudioResampler(format=frame.format.packed).resample(frame)
    block: np.ndarray = frame.to_ndarray()
    return block.T if frame.format.is_planar else block.reshape(-1, frame.layout.nb_channels)


def to_pcm(samples: np.ndarray, bits: int) -> tuple[bytes, int]:
    """Samples of any decoder as little-endian PCM of 16 or 24 bits, and how many were clipped.

    samples: uint8, int16, int32, int64 (full scale of their type) or float (full scale 1), (N, channels).
    """
    top = 1 << (bits - 1)
    clipped = 0
    if samples.dtype.kind == "f":
        scaled = np.rint(samples.astype(np.float64) * top)
        whole = np.clip(scaled, -top, top - 1)
        clipped = int(np.count_nonzero(np.abs(scaled - whole) > 1))
        values = whole.astype(np.int32)
    elif samples.dtype == np.uint8:
        values = (samples.astype(np.int32) - 128) << (bits - 8)
    else:
        shift = samples.dtype.itemsize * 8 - bits
        wide = samples.astype(np.int64)
        values = (wide >> shift if shift > 0 else wide << -shift).astype(np.int32)
    values = np.ascontiguousarray(values)
    if bits == 16:
        return values.astype("<i2").tobytes(), clipped
    return values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes(), clipped
