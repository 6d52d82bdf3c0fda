"""Beeps that begin exactly with a flash, speech-like syllables, and the bytes of PCM.

A sound is never digitally silent: it lies on noise of about 1e-4 of full scale; zeros are a filled hole.
"""

from dataclasses import dataclass

import numpy as np

BEEP_HZ = 1000.0
BEEP_S = 0.1
BEEP_LEVEL = 0.8
NOISE_LEVEL = 1e-4
SPEECH_LEVEL = 0.25
# Speech keeps quiet this long around a beep.
QUIET_S = 0.3


def make_noise(samples: int, seed: int) -> np.ndarray:
    """Seeded noise of standard deviation NOISE_LEVEL, float64 (samples,)."""
    return np.random.default_rng(seed).normal(0.0, NOISE_LEVEL, samples)


def add_beeps(sound: np.ndarray, rate_hz: float, times_s: list[float]) -> None:
    """Add a beep at each time, in seconds after the first sample of `sound`, float64 (N,), in place.

    The wave is a cosine of true time that starts there: the first sample at or after it is already loud.
    """
    for time_s in times_s:
        first = int(np.ceil(time_s * rate_hz - 1e-6))
        stop = int(np.ceil((time_s + BEEP_S) * rate_hz - 1e-6))
        sample = np.arange(max(first, 0), min(stop, len(sound)))
        sound[sample] += BEEP_LEVEL * np.cos(2 * np.pi * BEEP_HZ * (sample / rate_hz - time_s))


def find_beeps(sound: np.ndarray, rate_hz: float) -> np.ndarray:
    """Sample numbers at which beeps begin, int64 (B,), in `sound` (N,), any dtype.

    A beep begins where the sound first rises above half of its peak after 0.2 s below it.
    """
    level = np.abs(sound.astype(np.float64))
    loud = np.flatnonzero(level > 0.5 * level.max()) if len(sound) else np.empty(0, np.int64)
    return loud[np.diff(loud, prepend=-len(sound) - rate_hz) > 0.2 * rate_hz].astype(np.int64)


@dataclass(frozen=True)
class Speech:
    """Syllables: centre_s, length_s, level (0 … 1) and pitch_hz of each, all float64 (S,)."""

    centre_s: np.ndarray
    length_s: np.ndarray
    level: np.ndarray
    pitch_hz: np.ndarray

    @classmethod
    def make(cls, length_s: float, quiet_around_s: list[float], seed: int) -> "Speech":
        """Words of two to five syllables with pauses, over `length_s`, none near `quiet_around_s`."""
        rng = np.random.default_rng(seed)
        voice_hz = rng.uniform(105, 190)
        syllables = []
        time_s = 0.25
        while time_s < length_s - 0.3:
            for _ in range(rng.integers(2, 6)):
                syllable_s = rng.uniform(0.16, 0.26)
                pitch_hz = voice_hz * rng.uniform(0.9, 1.15)
                syllables.append((time_s + syllable_s / 2, syllable_s, rng.uniform(0.5, 1.0), pitch_hz))
                time_s += syllable_s * rng.uniform(0.85, 1.05)
            time_s += rng.uniform(0.08, 0.25)
        kept = [s for s in syllables if _is_clear(s[0], s[1], length_s, quiet_around_s)]
        return cls(*np.array(kept, np.float64).reshape(-1, 4).T)

    def envelope(self, time_s: np.ndarray) -> np.ndarray:
        """Loudness at each time, float64 like `time_s`, 0 … 1."""
        loudness = np.zeros(len(time_s))
        for centre_s, length_s, level in zip(self.centre_s, self.length_s, self.level, strict=True):
            near = np.abs(time_s - centre_s) < length_s / 2
            loudness[near] += level * np.cos(np.pi * (time_s[near] - centre_s) / length_s) ** 2
        return np.minimum(loudness, 1.0)

    def sound(self, samples: int, rate_hz: float) -> np.ndarray:
        """The voice, float64 (samples,): harmonics of each syllable's pitch under two moving formants."""
        voice = np.zeros(samples)
        for index, (centre_s, length_s, level, pitch_hz) in enumerate(
            zip(self.centre_s, self.length_s, self.level, self.pitch_hz, strict=True)
        ):
            first, stop = (int((centre_s + side * length_s / 2) * rate_hz) for side in (-1, 1))
            sample = np.arange(max(first, 0), min(stop, samples))
            time_s = sample / rate_hz - centre_s
            window = level * np.cos(np.pi * time_s / length_s) ** 2
            glide = 2 * np.pi * pitch_hz * (time_s - 0.4 * time_s**2)
            formants_hz = (300 + 450 * (index * 0.618 % 1), 1000 + 1300 * (index * 0.382 % 1))
            wave = np.zeros(len(sample))
            for harmonic in range(1, int(3600 / pitch_hz)):
                wave += _formant_gain(harmonic * pitch_hz, formants_hz) * np.sin(harmonic * glide)
            voice[sample] += window * wave
        peak = np.abs(voice).max(initial=0.0)
        return voice * (SPEECH_LEVEL / peak) if peak else voice


def _formant_gain(hz: float, formants_hz: tuple[float, float]) -> float:
    near = sum(gain / (1 + ((hz - centre) / 120) ** 2) for gain, centre in zip((1.0, 0.5), formants_hz, strict=True))
    return near + 0.05


def _is_clear(centre_s: float, length_s: float, stop_s: float, quiet_around_s: list[float]) -> bool:
    start, stop = centre_s - length_s / 2, centre_s + length_s / 2
    return stop < stop_s and all(stop < t - QUIET_S or start > t + BEEP_S + QUIET_S for t in quiet_around_s)


def to_s16(sound: np.ndarray) -> np.ndarray:
    """Full scale 1.0 as int16, same shape."""
    return np.asarray(np.rint(np.clip(sound, -1, 1) * 32767), np.int16)


def to_s24le(sound: np.ndarray) -> np.ndarray:
    """Full scale 1.0 as packed interleaved 24 bit: float64 (N, C) -> uint8 (N, C * 3)."""
    wide = np.rint(np.clip(sound, -1, 1) * 8388607).astype("<i4")
    return np.ascontiguousarray(wide.view(np.uint8).reshape(*wide.shape, 4)[..., :3]).reshape(len(wide), -1)
