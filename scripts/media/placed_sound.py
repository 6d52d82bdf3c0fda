"""Sound at its place on the recording's clock, at any rate, as a mix of any microphones.

Each segment of a sound is resampled by the rate that was fitted to its clock and begins where its first sample stood,
to a small part of a sample. What nobody recorded is silence.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile

from scripts.common.clock import Clock, Segment
from scripts.common.resample import CHUNK_SAMPLES, Line, nominal_ratio, resample
from scripts.common.timeline import NS


@dataclass(frozen=True)
class Span:
    """Wanted samples [first, stop) that a segment of the source covers."""

    first: int
    stop: int
    segment: Segment


def with_segment(clock: Clock) -> Clock:
    """The clock with its one segment spelled out."""
    return Clock(**{**vars(clock), "segments": [Segment(0, clock.start_ns, clock.samples)]})


def place_segments(clock: Clock, start_ns: int, count: int, rate_hz: int) -> list[Span]:
    """The wanted samples, of `count` from `start_ns` on, that each segment covers; a later one ends an earlier."""
    ends = [segment.start_ns for segment in clock.segments[1:]] + [None]
    spans = []
    for segment, next_ns in zip(clock.segments, ends, strict=True):
        end_ns = segment.start_ns + segment.samples * NS / Fraction(clock.rate_hz)
        if next_ns is not None:
            end_ns = min(end_ns, Fraction(next_ns))
        first, stop = (
            min(max(ceil((instant - start_ns) * Fraction(rate_hz, NS)), 0), count)
            for instant in (Fraction(segment.start_ns), end_ns)
        )
        if first < stop:
            spans.append(Span(first, stop, segment))
    return spans


def resampled(
    source: soundfile.SoundFile, clock: Clock, span: Span, start_ns: int, rate_hz: int, weights: np.ndarray
) -> Iterator[np.ndarray]:
    """Wanted samples of a span, float64 chunks: the channels of `source` summed by `weights`, float64 (channels,)."""
    segment = span.segment
    # A plain mean keeps its exact form.
    used = np.flatnonzero(weights)
    even = len(set(weights[used].tolist())) == 1

    def read(first: int, stop: int) -> np.ndarray:
        source.seek(segment.start_sample + first)
        block = source.read(stop - first, dtype="float64", always_2d=True)
        if even:
            mean: np.ndarray = block[:, used].mean(axis=1) * (weights[used[0]] * len(used))
            return mean
        return block @ weights

    rate = Fraction(clock.rate_hz)
    line = Line(
        origin=Fraction(start_ns - segment.start_ns, NS) * rate,
        step=rate / rate_hz,
        samples=segment.samples,
        nominal=nominal_ratio(clock.nominal_rate_hz, rate_hz),
    )
    return resample(read, line, span.first, span.stop)


@dataclass(frozen=True)
class Part:
    """A share of a side's sound: a channel of a microphone, or the mean of all (None)."""

    microphone: str
    channel: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "array" or "array:3"."""
        name, _, channel = text.partition(":")
        return cls(name, int(channel) if channel else None)


class MissingChannelError(ValueError):
    """A mix names a channel that its microphone does not have."""


class Mix:
    """Sides (one: mono, two: stereo) of mixed microphones, from `start_ns` on at `rate_hz`, read in rising order.

    sides: the parts of each side, all equally loud; sounds: WAV and clock of each microphone that there is.
    """

    def __init__(
        self,
        sides: Sequence[Sequence[Part]],
        sounds: Mapping[str, tuple[Path, Clock]],
        *,
        start_ns: int,
        samples: int,
        rate_hz: int,
    ) -> None:
        """Raises MissingChannelError."""
        self.sides, self.samples, self.rate_hz = len(sides), samples, rate_hz
        self._files = ExitStack()
        self._tracks: list[list[_Track]] = []
        for parts in sides:
            heard = [part for part in parts if part.microphone in sounds]
            weights: dict[str, np.ndarray] = {}
            for part in heard:
                clock = sounds[part.microphone][1]
                weight = weights.setdefault(part.microphone, np.zeros(clock.channels))
                weight += _weights(part, clock.channels) / len(heard)
            self._tracks.append(
                [
                    _Track(self._files, *sounds[name], weight, start_ns, samples, rate_hz)
                    for name, weight in weights.items()
                ]
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._files.close()

    def read(self, count: int) -> np.ndarray:
        """The next `count` samples as float32 (sides, count), full scale 1, clipped."""
        block = np.zeros((self.sides, count))
        for side, tracks in zip(block, self._tracks, strict=True):
            for track in tracks:
                side += track.read(count)
        clipped: np.ndarray = np.clip(block, -1, 1).astype(np.float32)
        return clipped


def _weights(part: Part, channels: int) -> np.ndarray:
    if part.channel is None:
        return np.full(channels, 1 / channels)
    if part.channel >= channels:
        raise MissingChannelError(
            f"`{part.microphone}:{part.channel}`: the microphone has {channels} channels, numbered from 0"
        )
    weights = np.zeros(channels)
    weights[part.channel] = 1
    return weights


class _Track:
    """One microphone's part of one side, chunk after chunk."""

    def __init__(
        self,
        files: ExitStack,
        sound: Path,
        clock: Clock,
        weights: np.ndarray,
        start_ns: int,
        samples: int,
        rate_hz: int,
    ) -> None:
        clock = clock if clock.segments else with_segment(clock)
        source = files.enter_context(soundfile.SoundFile(sound))
        spans = place_segments(clock, start_ns, samples, rate_hz)
        self._chunks = self._all(source, clock, spans, start_ns, rate_hz, weights)
        self._left = np.empty(0)

    @staticmethod
    def _all(
        source: soundfile.SoundFile,
        clock: Clock,
        spans: list[Span],
        start_ns: int,
        rate_hz: int,
        weights: np.ndarray,
    ) -> Iterator[np.ndarray]:
        done = 0
        for span in spans:
            for first in range(done, span.first, CHUNK_SAMPLES):
                yield np.zeros(min(CHUNK_SAMPLES, span.first - first))
            yield from resampled(source, clock, span, start_ns, rate_hz, weights)
            done = span.stop

    def read(self, count: int) -> np.ndarray:
        pieces, have = [self._left], len(self._left)
        while have < count:
            chunk = next(self._chunks, None)
            if chunk is None:
                chunk = np.zeros(count - have)
            pieces.append(chunk)
            have += len(chunk)
        whole = np.concatenate(pieces)
        self._left = whole[count:]
        return whole[:count]
