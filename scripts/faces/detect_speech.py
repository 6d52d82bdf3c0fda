"""Where somebody speaks in a conformed sound, as a table of intervals."""

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

from scripts.common import ledger
from scripts.common.clock import Clock
from scripts.common.errors import UpstreamError
from scripts.common.intervals import Intervals
from scripts.common.job import run
from scripts.common.resample import Line, resample
from scripts.common.speech import CHUNK, RATE_HZ, SpeechNetwork, packaged_weights, speech_segments

log = logging.getLogger("rushes")


def detect_speech(
    sound: Path,
    clock: Path,
    out_speech: Path,
    out_ledger: Path,
    *,
    recording: str,
    microphone: str,
    rule: dict[str, float],
) -> None:
    """Write the stretches of speech of the conformed `sound`.

    rule: threshold, min_speech_s, min_silence_s, pad_s; see `speech_segments`.
    Raises InputError if the sound failed in an earlier step.
    """
    times = Clock.read(clock)
    if not times.samples:
        raise UpstreamError(f"{recording}, {microphone}", "the sound failed")
    network = SpeechNetwork(packaged_weights())
    with soundfile.SoundFile(sound) as audio:
        rate = audio.samplerate
        length = times.samples * RATE_HZ // rate
        likelihood = network.likelihoods(_at_16_khz(audio, length))
    pairs = speech_segments(likelihood, length, **rule)
    scores = [float(likelihood[start // CHUNK : -(-stop // CHUNK)].mean()) for start, stop in pairs]
    scaled = [
        (round(start * rate / RATE_HZ), min(times.samples, round(stop * rate / RATE_HZ))) for start, stop in pairs
    ]
    found = Intervals.make(scaled, scores, origin_ns=times.start_ns, per_second=rate)
    found.write(out_speech)
    seconds = float((found.stop_ns - found.start_ns).sum() / 1e9)
    message = f"{seconds:.2f} s of speech in {len(found)} stretches"
    log.info("%s, %s: %s", recording, microphone, message)
    ledger.write(
        out_ledger, [ledger.Row("detect_speech", recording, microphone, "written", value=seconds, message=message)]
    )


def _at_16_khz(audio: soundfile.SoundFile, length: int) -> Iterator[np.ndarray]:
    """The first channel at the network's rate, float32 pieces, `length` samples in all."""
    step = Fraction(audio.samplerate, RATE_HZ)

    def read(first: int, stop: int) -> np.ndarray:
        audio.seek(first)
        samples: np.ndarray = audio.read(stop - first, dtype="float64", always_2d=True)[:, 0]
        return samples

    for block in resample(read, Line(Fraction(0), step, audio.frames, step), 0, length):
        yield block.astype(np.float32)


if __name__ == "__main__":
    run(detect_speech)
