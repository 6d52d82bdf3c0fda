"""How inference finds speech: by loudness, which takes any sound for it, or by silero-vad's network."""

from collections.abc import Callable

import numpy as np

from scripts.models.sounds import at_rate
from scripts.models.speech_gate import speech_stretches

LOUDNESS, SILERO = "loudness", "silero"
# As the section faces.speech has them by default.
RULE = {"threshold": 0.5, "min_speech_s": 0.25, "min_silence_s": 0.1, "pad_s": 0.03}

# A sound, float (N,), and its rate to the first sample and one past the last of each stretch.
Find = Callable[[np.ndarray, int], list[tuple[int, int]]]


def stretches_by(speech: str) -> Find:
    """The function for `speech`. Raises RunError where silero's network is not installed."""
    return _by_network() if speech == SILERO else speech_stretches


def _by_network() -> Find:
    # Only here: onnxruntime takes its time, and loudness needs none.
    from scripts.common.speech import RATE_HZ, SpeechNetwork, packaged_weights, speech_segments

    network = SpeechNetwork(packaged_weights())

    def find(signal: np.ndarray, rate_hz: int) -> list[tuple[int, int]]:
        sound = at_rate(signal, rate_hz, RATE_HZ).astype(np.float32)
        found = speech_segments(network.likelihoods([sound]), len(sound), **RULE)
        scale = rate_hz / RATE_HZ
        return [(round(first * scale), min(len(signal), round(stop * scale))) for first, stop in found]

    return find
