"""Sound at any instants: band-limited resampling by an exact rate, aligned to a small part of a sample.

Two steps, both in float64 and in a fixed order, so the same samples come out everywhere. A polyphase low-pass
brings the sound to OVERSAMPLING times the wanted rate as if the source had its nominal rate; a short windowed
sinc then reads that at the exact instants, which the fitted rate and the fractional start decide. Flat (0.1
dB) to 0.93 of half the lower rate; what lies above 1.05 of it comes back at less than -80 dB.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import gcd

import numpy as np
from scipy.signal import upfirdn

OVERSAMPLING = 2

# The low-pass has some 200 taps for each unit of the larger term of its ratio; 44,056 : 48,000 has 6,000.
LARGEST_TERM = 10_000

# Low-pass: lobes on each side, edge as a share of half the lower rate, Kaiser's beta for 80 dB.
LOBES, EDGE, BETA = 48, 0.99, 7.857

# Interpolation: taps, tabled phases between two samples, Kaiser's beta for 100 dB.
TAPS, PHASES, FINE_BETA = 16, 1024, 10.056

CHUNK_SAMPLES = 1 << 17

# (first, stop) -> float64 (stop - first,), samples of the source.
Read = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Line:
    """Where wanted samples stand in the source: sample n at `origin + n * step`, in source samples, exactly.

    samples: length of the source; beyond it there is silence.  nominal: the source's nominal rate over the
    wanted one, near `step`.
    """

    origin: Fraction
    step: Fraction
    samples: int
    nominal: Fraction


def resample(read: Read, line: Line, first: int, stop: int) -> Iterator[np.ndarray]:
    """Wanted samples first … stop - 1 as float64 chunks, with memory that does not grow with the sound."""
    plain = line.step == 1 and line.origin.denominator == 1
    lowpass = None if plain else LowPass(of_small_terms(line.nominal) / OVERSAMPLING)
    for begin in range(first, stop, CHUNK_SAMPLES):
        end = min(begin + CHUNK_SAMPLES, stop)
        if lowpass is None:
            yield _padded(read, line.samples, begin + int(line.origin), end + int(line.origin))
        else:
            yield _chunk(read, line, lowpass, begin, end)


class LowPass:
    """Polyphase filter onto a grid whose samples lie `step` source samples apart."""

    def __init__(self, step: Fraction) -> None:
        self.up, self.down = step.denominator, step.numerator
        # The lower of the two rates, in units of `up` times the source's; the grid is oversampled.
        share = min(Fraction(1), 1 / (step * OVERSAMPLING))
        cutoff = EDGE * float(share) / self.up
        half = int(np.ceil(LOBES / cutoff))
        # The centre stands at a multiple of `down`, so that grid point 0 stands at source sample 0.
        self.centre = -(-half // self.down) * self.down
        n = np.arange(-half, half + 1)
        taps = np.sinc(n * cutoff) * np.kaiser(len(n), BETA)
        self.taps = np.concatenate([np.zeros(self.centre - half), taps * (self.up / taps.sum())])

    def grid(self, read: Read, samples: int, first: int, stop: int) -> np.ndarray:
        """Points first … stop - 1 of the grid, float64."""
        # Begin at a source sample that is a grid point, far enough before the first one asked for.
        begin = ((first * self.down - self.centre) // self.up // self.down) * self.down
        end = (stop * self.down + self.centre) // self.up + 2
        filtered = upfirdn(self.taps, _padded(read, samples, begin, end), self.up, self.down)
        skip = first + (self.centre - begin * self.up) // self.down
        points: np.ndarray = filtered[skip : skip + stop - first]
        return points


def _chunk(read: Read, line: Line, lowpass: LowPass, begin: int, end: int) -> np.ndarray:
    per_point = Fraction(lowpass.up, lowpass.down)
    start = (line.origin + begin * line.step) * per_point
    place = float(start - int(start // 1)) + np.arange(end - begin) * float(line.step * per_point)
    whole = np.floor(place).astype(np.int64)
    phase = (place - whole) * PHASES
    row = phase.astype(np.int64)
    share = phase - row
    first = int(start // 1) - TAPS // 2 + 1
    points = lowpass.grid(read, line.samples, first, first + int(whole[-1]) + TAPS)
    value = np.zeros(end - begin)
    for tap in range(TAPS):
        weight = _FINE[row, tap]
        value += points[whole + tap] * (weight + share * (_FINE[row + 1, tap] - weight))
    return value


def _fine_table() -> np.ndarray:
    """Weights of the TAPS points around an instant p / PHASES after the middle one. (PHASES + 1, TAPS)."""
    distance = np.arange(TAPS) - (TAPS // 2 - 1) - np.arange(PHASES + 1)[:, None] / PHASES
    inside = np.clip(1 - (distance / (TAPS / 2)) ** 2, 0, None)
    table = np.sinc(distance) * np.i0(FINE_BETA * np.sqrt(inside))
    weights: np.ndarray = table / table.sum(axis=1, keepdims=True)
    return weights


_FINE = _fine_table()


def _padded(read: Read, samples: int, first: int, stop: int) -> np.ndarray:
    """Samples first … stop - 1 of the source, zeros where it has none."""
    values = np.zeros(stop - first)
    begin, end = max(first, 0), min(stop, samples)
    if begin < end:
        values[begin - first : end - first] = read(begin, end)
    return values


def nominal_ratio(source_hz: int, wanted_hz: int) -> Fraction:
    """Ratio of two rates in lowest terms."""
    divisor = gcd(source_hz, wanted_hz)
    return Fraction(source_hz // divisor, wanted_hz // divisor)


def of_small_terms(ratio: Fraction) -> Fraction:
    """The nearest ratio whose terms are at most LARGEST_TERM: the grid may lie anywhere, as `step` reads it exactly."""
    if ratio > 1:
        return 1 / of_small_terms(1 / ratio)
    return max(ratio.limit_denominator(LARGEST_TERM), Fraction(1, LARGEST_TERM))
