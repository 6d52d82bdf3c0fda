"""Where to look for perceptual hashes that differ in few bits: what is compared, and what need not be."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

# Of a perceptual hash.
BITS = 64
# A hash with so few bits set, or unset, is that of a plain picture, which says nothing.
PLAIN_BITS = 6


def is_plain(hashes: np.ndarray) -> np.ndarray:
    """Which hashes, uint64 (N,), are those of plain pictures, bool (N,)."""
    counts = np.bitwise_count(hashes)
    plain: np.ndarray = (counts < PLAIN_BITS) | (counts > BITS - PLAIN_BITS)
    return plain


def bands(most: int) -> Iterator[tuple[int, int]]:
    """(shift, mask) of `most` + 1 bands of bits: two hashes that differ in at most `most` bits agree in one of them."""
    for start, stop in pairwise([BITS * band // (most + 1) for band in range(most + 2)]):
        yield start, (1 << (stop - start)) - 1
