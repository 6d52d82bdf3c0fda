"""Where somebody speaks in one item of a lot."""

from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from scripts.common.speech import RATE_HZ, SpeechNetwork, packaged_weights, speech_segments
from scripts.common.video_item import read_sound


@cache
def network() -> SpeechNetwork:
    """The network, once in a process."""
    return SpeechNetwork(packaged_weights())


def speech_of(task: dict[str, Any]) -> dict[str, Any]:
    """Stretches of speech of one item. task: url, sound_url, origin (seconds in the file), rule."""
    own = task["sound_url"]
    found = read_sound(own or task["url"], Fraction(0) if own else Fraction(task["origin"]))
    if found is None:
        return {"speech": []}
    samples, rate_hz = found
    step = Fraction(RATE_HZ, rate_hz)
    sound = resample_poly(samples.mean(axis=0), step.numerator, step.denominator).astype(np.float32)
    pairs = speech_segments(network().likelihoods([sound]), len(sound), **task["rule"])
    return {"speech": [[round(start / RATE_HZ, 4), round(stop / RATE_HZ, 4)] for start, stop in pairs]}
