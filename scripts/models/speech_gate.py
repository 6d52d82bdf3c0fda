"""Where somebody speaks in a sound, by its loudness alone."""

import numpy as np

# Loudness is taken over so long a stretch.
BLOCK_S = 0.02
# Speech is louder than this share of the way from the quietest to the loudest, in dB, and than this level.
SHARE, LEAST_DB = 0.35, -60.0
# Pauses shorter than this are spoken through; stretches shorter than that are none; and so much is left around each.
PAUSE_S, SHORTEST_S, MARGIN_S = 0.3, 0.06, 0.1
TINY = 1e-10


def speech_stretches(signal: np.ndarray, rate_hz: int) -> list[tuple[int, int]]:
    """First sample and one past the last of every stretch of speech, in order, none touching another.

    signal: float (N,), -1 … 1.
    """
    block = max(1, round(BLOCK_S * rate_hz))
    count = -(-len(signal) // block)
    level_db = levels_db(signal, block)
    if not count or level_db.max() < LEAST_DB:
        return []
    quiet_db, loud_db = max(np.percentile(level_db, 10), LEAST_DB - 20), np.percentile(level_db, 95)
    # A sound without pauses is as loud everywhere: all of it counts.
    limit_db = quiet_db + SHARE * (loud_db - quiet_db) if loud_db - quiet_db > 6 else LEAST_DB
    loud = level_db >= max(limit_db, LEAST_DB)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(int)))
    joined = _joined(edges.reshape(-1, 2).tolist(), round(PAUSE_S / BLOCK_S))
    kept = [(first, stop) for first, stop in joined if stop - first >= round(SHORTEST_S / BLOCK_S)]
    margin = round(MARGIN_S / BLOCK_S)
    widened = _joined([[max(0, first - margin), stop + margin] for first, stop in kept], 0)
    return [(first * block, min(stop * block, len(signal))) for first, stop in widened]


def levels_db(signal: np.ndarray, block: int) -> np.ndarray:
    """Loudness of each block of samples about the block's own mean, float (ceil(N / block),): an offset is no sound."""
    count = -(-len(signal) // block)
    padded = np.zeros(count * block)
    padded[: len(signal)] = signal
    parts = padded.reshape(count, block)
    # The last block may hold fewer samples, and stands as if silence followed.
    held = np.minimum(block, len(signal) - block * np.arange(count))[:, None]
    swing = np.where(np.arange(block) < held, parts - parts.sum(axis=1, keepdims=True) / held, 0.0)
    level: np.ndarray = 10 * np.log10((swing**2).mean(axis=1) + TINY)
    return level


def _joined(stretches: list[list[int]], pause: int) -> list[list[int]]:
    """Stretches with pauses of at most `pause` between them as one."""
    found: list[list[int]] = []
    for first, stop in stretches:
        if found and first - found[-1][1] <= pause:
            found[-1][1] = max(stop, found[-1][1])
        else:
            found.append([first, stop])
    return found
