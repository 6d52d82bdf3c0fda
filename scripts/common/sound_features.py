"""Features of a sound that stand beside it in a window: log-mel, MFCC and pitch, each float32, one row a step of 10 ms.

At 16 kHz windows of 400 samples every 160, at other rates as many milliseconds. They are cut first, and neither padded
nor centred: floor((N - 400) / 160) + 1 rows, 254 of them for 2.56 s.
"""

from fractions import Fraction
from typing import Any

import numpy as np
from scipy.fft import dct

# The rate of which FEATURES counts samples.
RATE_HZ = 16_000
# What a model's checkpoint keeps of its features, see `features_at`; another value of any of them is another feature.
FEATURES: dict[str, Any] = {
    "name": "log_mel",
    "window": 400,
    "hop": 160,
    "fft": 512,
    "bands": 64,
    "low_hz": 125.0,
    "high_hz": 7500.0,
    "offset": 1e-6,
}
CEPSTRA = 13
# A voice between a deep man's and a child's; below the threshold the difference function has found a period.
LOWEST_HZ, HIGHEST_HZ, APERIODIC = 60.0, 500.0, 0.15
# Two of the longest periods, so that each lag is judged by as many samples.
PITCH_WINDOW_S = 2 / LOWEST_HZ


def features_at(rate_hz: int) -> dict[str, Any]:
    """FEATURES of a sound of another rate: window, hop (which need not be whole) and transform last as long."""
    scale = Fraction(rate_hz, RATE_HZ)
    hop = FEATURES["hop"] * scale
    lengths = {name: round(FEATURES[name] * scale) for name in ("window", "fft")}
    return {**FEATURES, **lengths, "hop": int(hop) if hop.denominator == 1 else float(hop)}


def row_starts(samples: int, rate_hz: int) -> np.ndarray:
    """The first sample of each row of a sound of so many, int64."""
    features = features_at(rate_hz)
    rows = max(0, int((samples - features["window"]) // features["hop"]) + 1)
    return np.rint(np.arange(rows) * features["hop"]).astype(np.int64)


def mel_bands(rate_hz: int) -> np.ndarray:
    """Triangles on HTK's scale, mel = 1127 ln(1 + f / 700), linear in mel. Returns float64 (fft // 2 + 1, 64).

    A tone comes out equally strong at every rate; bands above half of it hold nothing.
    """

    def mel(hz: np.ndarray) -> np.ndarray:
        return 1127.0 * np.log1p(hz / 700.0)

    fft = features_at(rate_hz)["fft"]
    bins = mel(np.arange(fft // 2 + 1) * (rate_hz / fft))[:, None]
    lowest, highest = mel(np.array([FEATURES["low_hz"], FEATURES["high_hz"]])).tolist()
    edges = np.linspace(lowest, highest, FEATURES["bands"] + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.maximum(0.0, np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre)))
    # The constant part of a sound says nothing.
    triangles[0] = 0.0
    return np.asarray(triangles * (RATE_HZ / rate_hz))


def log_mel(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """log(|STFT| in 64 bands of HTK's mel scale from 125 to 7,500 Hz + 1e-6). sound: float (N,).  Returns (T, 64)."""
    features = features_at(rate_hz)
    inside = np.arange(features["window"])
    # A periodic Hann window.
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * inside / len(inside))
    cut = sound.astype(np.float64)[row_starts(len(sound), rate_hz)[:, None] + inside]
    magnitudes = np.abs(np.fft.rfft(cut * hann, features["fft"], axis=1))
    return np.asarray(np.log(magnitudes @ mel_bands(rate_hz) + FEATURES["offset"]), np.float32)


def mfcc(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """The first 13 coefficients of an orthonormal DCT-II of the log-mel bands, (T, 13)."""
    return np.asarray(dct(log_mel(sound, rate_hz), axis=1, norm="ortho")[:, :CEPSTRA], np.float32)


def pitch(sound: np.ndarray, rate_hz: int) -> np.ndarray:
    """Fundamental frequency in Hz, 0 where there is none, (T,); rows stand at the middles of those of `log_mel`.

    YIN: de Cheveigné and Kawahara (2002), steps 2 to 5: difference function, its cumulative mean, threshold, parabola.
    """
    starts = row_starts(len(sound), rate_hz)
    half = round(PITCH_WINDOW_S * rate_hz / 2)
    found = np.zeros(len(starts), np.float32)
    padded = np.pad(sound.astype(np.float64), 2 * half)
    for row, start in enumerate(starts.tolist()):
        middle = start + features_at(rate_hz)["window"] // 2 + 2 * half
        found[row] = _period_hz(padded[middle - half : middle + 2 * half], half, rate_hz)
    return found


def _period_hz(piece: np.ndarray, half: int, rate_hz: int) -> float:
    shortest, longest = int(rate_hz / HIGHEST_HZ), min(half, int(np.ceil(rate_hz / LOWEST_HZ)))
    first = piece[: 2 * half]
    energy = np.r_[0.0, np.cumsum(piece**2)]
    if energy[2 * half] < 1e-6 * half:
        return 0.0
    size = 4 * half
    products = np.fft.irfft(np.fft.rfft(piece, size) * np.conj(np.fft.rfft(first, size)), size)[: longest + 2]
    lags = np.arange(min(longest + 2, half + 1))
    difference = energy[2 * half] + (energy[lags + 2 * half] - energy[lags]) - 2 * products[: len(lags)]
    mean = np.ones(len(lags))
    mean[1:] = difference[1:] * lags[1:] / np.maximum(np.cumsum(difference[1:]), 1e-12)
    below = np.flatnonzero(mean[shortest:-1] < APERIODIC)
    if not len(below):
        return 0.0
    lag = shortest + int(below[0])
    while lag + 1 < len(mean) - 1 and mean[lag + 1] < mean[lag]:
        lag += 1
    before, here, after = mean[lag - 1 : lag + 2]
    bend = before - 2 * here + after
    return float(rate_hz / (lag + (0.5 * (before - after) / bend if bend > 0 else 0.0)))


MAKERS = {"log_mel": log_mel, "mfcc": mfcc, "pitch": pitch}
# Of one row.
_SHAPES: dict[str, tuple[int, ...]] = {"log_mel": (FEATURES["bands"],), "mfcc": (CEPSTRA,), "pitch": ()}


def shape_of(feature: str, samples: int, rate_hz: int) -> tuple[int, ...]:
    """The shape of a feature, a key of MAKERS, of a sound of so many samples."""
    return (len(row_starts(samples, rate_hz)), *_SHAPES[feature])
