"""Where somebody speaks: silero-vad's network through onnxruntime, and its rule from likelihoods to segments.

The network and the rule are those of silero-vad (Silero Team, MIT); of its package only the weights are used, so that
neither torch nor torchaudio is needed.
"""

import hashlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime

from scripts.common.errors import RunError

RATE_HZ = 16_000
CHUNK = 512
CONTEXT = 64
# A stretch of speech ends only where the likelihood falls this far below the threshold.
HYSTERESIS = 0.15
# silero_vad.onnx of silero-vad 6.2.3.
SHA256 = "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"


def packaged_weights() -> Path:
    """The network's file in the installed package, which is found without being imported: that would want torch.

    Raises RunError if it is missing or another one.
    """
    spec = find_spec("silero_vad")
    if spec is None or spec.origin is None:
        raise RunError("the package silero-vad is not installed; it brings the network that finds speech")
    path = Path(spec.origin).parent / "data" / "silero_vad.onnx"
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise RunError(f"{path} is not the network of silero-vad 6.2.3; install that version")
    return path


class SpeechNetwork:
    """Likelihood of speech in each chunk of a sound that comes in pieces; sounds of 16 kHz."""

    def __init__(self, weights: Path) -> None:
        """Raises RunError if the weights cannot be read."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        # onnxruntime's own exceptions share no other base.
        except Exception as error:
            raise RunError(f"{weights}: not the network of silero-vad") from error

    def likelihoods(self, blocks: Iterable[np.ndarray]) -> np.ndarray:
        """How likely each CHUNK of samples holds speech, the last one padded with zeros.

        blocks: float32 (n,) each, one after the other, of any length.  Returns float32 (ceil(N / CHUNK),).
        """
        state = np.zeros((2, 1, 128), np.float32)
        rate = np.array(RATE_HZ, np.int64)
        window = np.zeros((1, CONTEXT + CHUNK), np.float32)
        found: list[float] = []
        for chunk in _chunks(blocks):
            window[0, CONTEXT:] = chunk
            likelihood, state = self._session.run(None, {"input": window, "state": state, "sr": rate})
            window[0, :CONTEXT] = chunk[-CONTEXT:]
            found.append(float(likelihood[0, 0]))
        return np.array(found, np.float32)


def _chunks(blocks: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
    rest = np.empty(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block])
        whole = len(rest) // CHUNK
        yield from rest[: whole * CHUNK].reshape(whole, CHUNK)
        rest = rest[whole * CHUNK :]
    if len(rest):
        yield np.pad(rest, (0, CHUNK - len(rest)))


def speech_segments(
    likelihood: np.ndarray, samples: int, *, threshold: float, min_speech_s: float, min_silence_s: float, pad_s: float
) -> list[tuple[int, int]]:
    """First sample and the sample after the last of each stretch of speech.

    likelihood: float (C,), of each chunk.  samples: length of the sound.  A stretch goes from the first chunk at
    `threshold` to the last one, before `min_silence_s` lie below `threshold` - HYSTERESIS. Stretches of
    `min_speech_s` or less are dropped. The others begin `pad_s` earlier, at most in the middle of the pause before
    them: the network is sure of a word only a chunk after its onset. Silero's own rule also ends a stretch later, at
    the lower threshold and with a pad; on the GRID clip swwp2s that is 0.09 s after the last word, this 0.03 s.
    """
    runs = _runs(np.asarray(likelihood, np.float64), samples, threshold, min_silence_s * RATE_HZ)
    runs = [(start, stop) for start, stop in runs if stop - start > min_speech_s * RATE_HZ]
    found, before = [], -samples
    for start, stop in runs:
        found.append((max(0, start - min(round(pad_s * RATE_HZ), (start - before) // 2)), stop))
        before = stop
    return found


def _runs(likelihood: np.ndarray, samples: int, threshold: float, min_silence: float) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    start = last = quiet = -1
    for number, value in enumerate(likelihood):
        sample = number * CHUNK
        if value >= threshold:
            start, last, quiet = (sample if start < 0 else start), sample + CHUNK, -1
        elif start >= 0 and value < max(threshold - HYSTERESIS, 0.01):
            quiet = sample if quiet < 0 else quiet
            if sample + CHUNK - quiet >= min_silence:
                found.append((start, min(last, samples)))
                start = quiet = -1
    return [*found, (start, min(last, samples))] if start >= 0 else found
