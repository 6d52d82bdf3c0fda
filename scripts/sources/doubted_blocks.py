"""Blocks of sound whose stamps jumped: whether the sound jumped, or one stamp is wrong, is told by those that follow.

Demuxers of Ogg and of MPEG program streams give single blocks a wrong time: the block before a page or a packet ends
late or early, and the next one stands where it always would have.
"""

from typing import NamedTuple

import numpy as np

# So many blocks wait at most; whose stamps agree with nothing until then are taken by them.
LONGEST_DOUBT = 4


class Block(NamedTuple):
    """Samples (N, channels), and the place on the line that their stamp says; None: right behind the last ones."""

    position: int | None
    samples: np.ndarray


class DoubtedBlocks:
    """Holds back blocks that stand elsewhere than right behind the one before."""

    def __init__(self, jitter: int) -> None:
        """jitter: so many samples beside its place a block may stand."""
        self._jitter = jitter
        self._held: list[Block] = []

    def take(self, block: Block, expected: int) -> list[Block]:
        """What can be placed now that this block is there, in order; nothing while that is open.

        expected: the place right behind the last block that was given back.
        """
        self._held.append(block)
        offsets = self._offsets(expected)
        if offsets[-1] is None:
            return self.rest() if len(offsets) == 1 or len(offsets) >= LONGEST_DOUBT else []
        if abs(offsets[-1]) <= self._jitter:
            return self._from(len(offsets) - 1)
        before = [(index, offset) for index, offset in enumerate(offsets[:-1]) if offset is not None]
        if before and abs(before[-1][1] - offsets[-1]) <= self._jitter:
            known = [offset for _, offset in before]
            # Holes behind each other only grow.
            return self.rest() if [0, *known] == sorted([0, *known]) else self._from(before[-1][0])
        return self.rest() if len(offsets) >= LONGEST_DOUBT else []

    def rest(self) -> list[Block]:
        """What is held, each block where its own stamp says."""
        held, self._held = self._held, []
        return held

    def _from(self, first: int) -> list[Block]:
        """What is held; the stamps of blocks before `first` were wrong."""
        return [block if index >= first else Block(None, block.samples) for index, block in enumerate(self.rest())]

    def _offsets(self, expected: int) -> list[int | None]:
        """How far each block stands behind its place, if the sound went on without a jump."""
        found: list[int | None] = []
        for position, samples in self._held:
            found.append(None if position is None else position - expected)
            expected += len(samples)
        return found
