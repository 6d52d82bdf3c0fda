"""Stretches of a bag's storage on which its recording machine's clock ran, and what brings them onto one clock."""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

# Where a message is stored: number of the file in its bag; then row of a db3, position of a chunk and place in it, or
# position of a message outside of chunks.
Place = tuple[int, int, int]
# From the one place within a file up to the other.
Within = tuple[tuple[int, int], tuple[int, int]]
# Two recorders measure a step alike but for so much.
SAME_NS = 50_000_000
# Before every place within a file, and behind it.
BEGIN, END = (0, 0), (2**63 - 1, 2**63 - 1)


class Stretch(NamedTuple):
    """Messages from place `first` up to `stop`; shift_ns: from their log times to the recording's clock.

    first_ns, stop_ns: of these, the ones that were logged from then up to then.
    """

    first: Place
    stop: Place
    shift_ns: int = 0
    first_ns: int | None = None
    stop_ns: int | None = None

    def span(self, start: int | None, stop: int | None) -> tuple[int | None, int | None]:
        """What of it lies from `start` up to `stop` on the recording's clock: from which log time up to which."""
        begins = (None if start is None else start - self.shift_ns, self.first_ns)
        ends = (None if stop is None else stop - self.shift_ns, self.stop_ns)
        return (
            max((one for one in begins if one is not None), default=None),
            min((one for one in ends if one is not None), default=None),
        )

    def within(self, file: int) -> Within | None:
        """First place of it in a file, and that behind its last; None if it has none there."""
        first = self.first[1:] if self.first[0] == file else BEGIN if self.first[0] < file else END
        stop = self.stop[1:] if self.stop[0] == file else END if self.stop[0] > file else BEGIN
        return (first, stop) if first < stop else None


WHOLE = Stretch((0, *BEGIN), (2**63 - 1, *END))


class Move(NamedTuple):
    """From `log_ns` on, a log time on the recording's clock, stamps of the machine's clock are moved by `shift_ns`."""

    log_ns: int
    shift_ns: int


def merge_moves(moves: Iterable[Move]) -> list[Move]:
    """Moves by their log times; what two recorders tell of one step comes once."""
    found: list[Move] = []
    for move in sorted(moves):
        if not found or move.shift_ns - found[-1].shift_ns > SAME_NS:
            found.append(move)
    return found


def moved_stamp(stamp_ns: int, log_ns: int, delay_ns: int, moves: list[Move]) -> int:
    """A stamp on the recording's clock. log_ns: of its message, on that clock; delay_ns: from stamps to log times.

    Messages that were under way when the clock was set have stamps from before, and another machine's clock was not
    set: a move which would make a message come that much too early is none of its own.
    """
    for before, move in reversed(list(pairwise([Move(0, 0), *moves]))):
        early_ns = delay_ns - (log_ns - stamp_ns - move.shift_ns)
        if log_ns >= move.log_ns and early_ns <= (move.shift_ns - before.shift_ns) // 2:
            return stamp_ns + move.shift_ns
    return stamp_ns
