"""Which stamps of a topic can be believed: those whose distance from their log time is the usual one.

One flipped bit would else make hours of nothing. Nothing is repaired silently: `counts` says what was found.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scripts.sources.row_spool import RowSpool

# Stamp and log time of a message differ by a delay; if that changes more than this, the stamp is not believed.
BELIEVED_NS = 10_000_000_000
# So many stamps in a row that are not believed are a clock that was set.
CLOCK_SET = 10
# So many first messages say what delay is the usual one; of fewer than that, the first does.
SURVEYED, FEWEST = 25, 3
# A clock that is set moves the least delay for good: that of so long before and after it, in log time. A machine that
# is busy for less than that is no such step.
STEP_NS = 500_000_000
AROUND_NS = 5_000_000_000
STEP_MESSAGES = 10
WRONG_STAMPS = 2


def usual_delay_ns(stamps: Iterable[tuple[int, int]]) -> int | None:
    """Median of log time less stamp over the first messages, (stamp, log time) each, ns; of one or two the least.

    None where there is no message; without stamps it is 0: the log time is the time.
    """
    delays = [log_ns - stamp_ns if stamp_ns else None for stamp_ns, log_ns in stamps]
    stamped = sorted(delay for delay in delays if delay is not None)
    if not stamped:
        return 0 if delays else None
    return stamped[len(stamped) // 2] if len(stamped) >= FEWEST else min(stamped, key=abs)


def clock_offsets(delays_ns: Sequence[int | None]) -> list[int]:
    """How far the clock of each stream's stamps lies behind that of the recording, ns; 0 for what it may have from
    transport.

    delays_ns: the usual delay of each stream. The recording's clock is that of its log where any stream keeps to it,
    else that of the streams (a bag that was played again has stamps of another day, which agree).
    """
    known = sorted(delay_ns for delay_ns in delays_ns if delay_ns is not None)
    on_log = not known or min(map(abs, known)) <= BELIEVED_NS
    home_ns = 0 if on_log else known[len(known) // 2]
    apart = [0 if delay_ns is None else delay_ns - home_ns for delay_ns in delays_ns]
    return [offset_ns if abs(offset_ns) > BELIEVED_NS else 0 for offset_ns in apart]


@dataclass(frozen=True)
class StampTimes:
    """What is known of a topic's stamps before it is read.

    delay_ns: the usual one to the log time, None: that of the first message. offset_ns: added to stamps of another
    clock.
    """

    delay_ns: int | None = None
    offset_ns: int = 0

    @property
    def lag_ns(self) -> int:
        """From an instant on the recording's clock to the log time of its message, usually."""
        return (self.delay_ns or 0) - self.offset_ns


UNKNOWN = StampTimes()


@dataclass(frozen=True)
class Step:
    """A clock that was set: before message `message`, counted from 0, by `step_ns`; positive: forward."""

    message: int
    step_ns: int


class StampBelief:
    """Says the instant of each message."""

    def __init__(self, known: StampTimes) -> None:
        self.counts: Counter[str] = Counter()
        self._delay_ns, self._offset_ns = known.delay_ns, known.offset_ns
        self._unbelieved = 0
        # Stamp, log time, number of the message.
        self._rows = RowSpool(3)

    def choose(self, stamp_ns: int, log_ns: int, message: int = 0) -> int:
        """The stamp, or the log time less the usual delay where the stamp lies far off. message: its number."""
        delay_ns = log_ns - stamp_ns
        if self._delay_ns is None:
            self._delay_ns = delay_ns
        if abs(delay_ns - self._delay_ns) > BELIEVED_NS:
            self._unbelieved += 1
            if self._unbelieved < CLOCK_SET:
                self.counts["unbelievable_stamps"] += 1
                return self.without_stamp(log_ns)
            self.counts["clock_set"] += 1
            self._delay_ns = delay_ns
        self._unbelieved = 0
        self.note(stamp_ns, log_ns, message)
        return stamp_ns + self._offset_ns

    def of_block(self, value: dict[str, Any], log_ns: int) -> int:
        """The instant of a block of sound. value: the fields of its message by their roles."""
        if "sec" not in value:
            self.counts["log_times"] += 1
            return log_ns
        stamp_ns: int = value["sec"] * 10**9 + value["nanosec"]
        if stamp_ns == 0:
            self.counts["zero_stamps"] += 1
            return self.without_stamp(log_ns)
        return self.choose(stamp_ns, log_ns)

    def without_stamp(self, log_ns: int) -> int:
        """The log time less the usual delay, as far as that is known."""
        return log_ns - (self._delay_ns or 0) + self._offset_ns

    def note(self, stamp_ns: int, log_ns: int, message: int) -> None:
        """Keep a stamp that is believed, for `steps`."""
        self._rows.append(stamp_ns, log_ns, message)

    def steps(self) -> list[Step]:
        """Where the clock of the stamps was set, by half a second or more."""
        stamp_ns, log_ns, message = self._rows.rows().T
        found = find_steps(log_ns - stamp_ns, log_ns)
        return [Step(int(message[index]), -rise_ns) for index, rise_ns in found]


def find_steps(delay_ns: np.ndarray, log_ns: np.ndarray) -> list[tuple[int, int]]:
    """Messages in front of which the least delay changes for good, and by how much, ns. int64 (N,) each."""
    count = len(delay_ns)
    found: list[tuple[int, int]] = []
    jumps = np.flatnonzero(np.abs(np.diff(delay_ns)) > STEP_NS // 2) + 1
    for index in jumps.tolist():
        first = int(np.searchsorted(log_ns[:index], log_ns[index] - AROUND_NS))
        stop = index + int(np.searchsorted(log_ns[index:], log_ns[index] + AROUND_NS))
        first, stop = min(first, max(0, index - STEP_MESSAGES)), max(stop, min(count, index + STEP_MESSAGES))
        first = max(first, found[-1][0]) if found else first
        if min(index - first, stop - index) < STEP_MESSAGES:
            continue
        rise_ns = _least(delay_ns[index:stop]) - _least(delay_ns[first:index])
        if abs(rise_ns) > STEP_NS:
            found.append((index, rise_ns))
    return found


def _least(delays_ns: np.ndarray) -> int:
    """The least delay, but for a wrong stamp or two."""
    return int(np.partition(delays_ns, WRONG_STAMPS)[WRONG_STAMPS])
