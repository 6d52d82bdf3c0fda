"""Where whole samples stand in blocks that end within one, as those of a driver that reads a pipe do.

Blocks that follow each other are one run of bytes. At a hole the run breaks: where whole blocks were lost, the place
within a sample is known all the same; else the device is taken to have begun with a whole one.
"""

from dataclasses import dataclass

import numpy as np

# The length of a hole is known this well, but no better than a quarter of a block tells.
HOLE_S = 1e-4


@dataclass(frozen=True)
class Stretch:
    """Samples without a hole: whole ones from byte `offset` of all blocks. known: whether it is sure that one begins
    there."""

    offset: int
    samples: int
    known: bool = True


def find_whole(
    sizes: np.ndarray, starts: np.ndarray, lost: np.ndarray, *, frame_bytes: int, rate_hz: float
) -> list[Stretch]:
    """The stretches of blocks of bytes int64 (K,).

    starts: int64 (N,), byte at which each stretch begins; lost: float64 (N - 1,), samples missing before each but the
    first, negative where the clock was set back.
    """
    ends = [*starts[1:].tolist(), int(np.sum(sizes))]
    if not np.any(sizes % frame_bytes):
        return [Stretch(start, (end - start) // frame_bytes) for start, end in zip(starts.tolist(), ends, strict=True)]
    usual = int(np.median(sizes))
    equal = bool(np.all(sizes[:-1] == usual))
    known = True
    stretches, origin = [], 0
    for k, (start, end) in enumerate(zip(starts.tolist(), ends, strict=True)):
        if k:
            lost_bytes = lost[k - 1] * frame_bytes
            blocks = round(lost_bytes / usual)
            unsure = min(HOLE_S * rate_hz * frame_bytes, usual / 4)
            known = equal and blocks > 0 and abs(lost_bytes - blocks * usual) <= unsure
            # The byte of these blocks at which a sample would begin.
            origin = origin - blocks * usual if known else start
        offset = start + (origin - start) % frame_bytes
        stretches.append(Stretch(offset, max(0, end - offset) // frame_bytes, known))
    return stretches
