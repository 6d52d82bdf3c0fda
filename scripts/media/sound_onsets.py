"""Where a short loud sound begins: a beep, a clap."""

import numpy as np
import soundfile

STEP_S = 0.001
QUIET_S = 0.05
# Louder than what came before it by 20 dB, and within 20 dB of the loudest.
RISE = 10.0
OF_LOUDEST = 0.1
# Within the first step that is loud, the sound begins where it first reaches this share of the step's peak.
EDGE = 0.3
BLOCK_STEPS = 4096


def onset_samples(source: soundfile.SoundFile) -> np.ndarray:
    """First samples of short loud sounds in the mean of all channels, int64 (E,); read in blocks."""
    step = max(1, round(STEP_S * source.samplerate))
    peaks = _peaks(source, step)
    quiet = max(1, round(QUIET_S / STEP_S))
    # The loudest of the steps before, but for the one just before: a sound may begin at its end.
    before = np.full(len(peaks), 0.0)
    for back in range(2, quiet + 2):
        before[back:] = np.maximum(before[back:], peaks[: len(peaks) - back])
    loud = (peaks > RISE * before) & (peaks > OF_LOUDEST * peaks.max(initial=0.0)) & (peaks > 0)
    first = np.flatnonzero(loud & ~np.concatenate([[False], loud[:-1]]))
    onsets = []
    for index in first.tolist():
        start = max(0, (index - 1) * step)
        source.seek(start)
        samples = np.abs(source.read(4 * step, dtype="float64", always_2d=True).mean(axis=1))
        onsets.append(start + int(np.argmax(samples >= EDGE * samples.max())))
    return np.array(onsets, np.int64)


def _peaks(source: soundfile.SoundFile, step: int) -> np.ndarray:
    """Largest magnitude of each step, float64 (S,)."""
    source.seek(0)
    parts = []
    while len(block := source.read(BLOCK_STEPS * step, dtype="float64", always_2d=True)):
        mono = np.abs(block.mean(axis=1))
        mono = np.pad(mono, (0, -len(mono) % step))
        parts.append(mono.reshape(-1, step).max(axis=1))
    return np.concatenate(parts) if parts else np.empty(0)
