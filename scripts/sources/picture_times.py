"""The times of a camera's pictures: header stamps, checked against the log times, made strictly increasing.

A wrong stamp moves its own picture and no other. Nothing is repaired silently: `counts` says what was found wrong, by
its name.
"""

from collections import Counter
from typing import NamedTuple

from scripts.sources.stamp_belief import UNKNOWN, StampBelief, StampTimes, Step

# A smaller jump back is caught up with by pictures at twice their rate; beyond this it is a new clock.
JUMP_NS = 500_000_000
# Period of the pictures, as long as it is not known.
PERIOD_NS = 10_000_000


class Instant(NamedTuple):
    """When a picture was taken, and when its message was logged, ns."""

    time_ns: int
    log_ns: int

    @property
    def delay_ns(self) -> int:
        """From the one to the other."""
        return self.log_ns - self.time_ns


class PictureTimes:
    """Gives each picture its time. rule: "stamp", "log", or "auto": the stamp, where there is one."""

    def __init__(self, rule: str, stamps: StampTimes = UNKNOWN) -> None:
        self._rule = rule
        self._belief = StampBelief(stamps)
        self.counts: Counter[str] = self._belief.counts
        self._messages = 0
        # Of a clock that was set back: what is added to its times, and the delay to the log before and after it.
        self._shift_ns = 0
        self._delays_ns = (0, 0)

    def choose(self, stamp_ns: int, log_ns: int) -> Instant:
        """The instant of a picture by what its message says; not yet in order."""
        self._messages += 1
        return Instant(self._choose(stamp_ns, log_ns), log_ns)

    def steps(self) -> list[Step]:
        """Where the clock of the stamps was set; `message` counts the pictures."""
        return self._belief.steps()

    @property
    def shift_ns(self) -> int:
        """What a clock that was set back adds to the instants now."""
        return self._shift_ns

    def moved(self, instant: Instant) -> int:
        """The chosen instant, moved by what the clock was set back, until it is set right again."""
        before_ns, after_ns = self._delays_ns
        if abs(instant.delay_ns - before_ns) < abs(instant.delay_ns - after_ns):
            self._shift_ns = 0
            self._delays_ns = (0, 0)
        return instant.time_ns + self._shift_ns

    def between(self, instant: Instant, before_ns: int, after: Instant, delay_ns: int) -> int:
        """The time of a picture, in the middle between its neighbours where they are in order and it is not.

        before_ns: that of the picture before it, after: what the next one says; delay_ns: the latest from a right
        stamp to its log time.
        """
        time_ns, after_ns = self.moved(instant), self.moved(after)
        if not before_ns < after_ns or before_ns < time_ns <= after_ns:
            return time_ns
        strange, next_strange = (abs(one.delay_ns - delay_ns) for one in (instant, after))
        if time_ns > after_ns and strange <= next_strange:
            # It is the next one that is wrong.
            return time_ns
        self.counts["repeated_stamps" if time_ns == before_ns else "stamps_out_of_order"] += 1
        return (before_ns + after_ns) // 2

    def put_after(self, time_ns: int, before_ns: int, period_ns: int, delays_ns: tuple[int, int]) -> int:
        """The instant of a picture whose own is not after `before_ns`, that of the picture before it.

        It moves half a period behind that one, as do those that follow, until the stamps have caught up. After a
        jump too far back for that, all that follow are moved by the jump. delays_ns: from the instants that
        were chosen for that picture and this one to their log times.
        """
        period_ns = period_ns or PERIOD_NS
        back_ns = before_ns - time_ns
        if back_ns < period_ns // 2:
            self.counts["repeated_stamps"] += 1
        elif back_ns < JUMP_NS:
            self.counts["stamps_out_of_order"] += 1
        else:
            self.counts["jumps_back"] += 1
            self._delays_ns = delays_ns
            self._shift_ns += back_ns + period_ns
            return before_ns + period_ns
        return before_ns + max(period_ns // 2, 1_000)

    def _choose(self, stamp_ns: int, log_ns: int) -> int:
        if self._rule == "log":
            return log_ns
        if stamp_ns == 0:
            self.counts["zero_stamps"] += 1
            return self._belief.without_stamp(log_ns)
        if self._rule == "auto":
            return self._belief.choose(stamp_ns, log_ns, self._messages - 1)
        self._belief.note(stamp_ns, log_ns, self._messages - 1)
        return stamp_ns
