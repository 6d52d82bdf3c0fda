"""The times of a camera's pictures: header stamps, checked against the log times, made strictly increasing.

Nothing is repaired silently: `counts` says what was found wrong, by its name.
"""

from collections import Counter

# Stamp and log time of a message differ by a delay; if that changes more than this, the stamp is not believed.
BELIEVED_NS = 10_000_000_000
# So many stamps in a row that are not believed are a clock that was set.
CLOCK_SET = 10
# A jump back is caught up with by pictures at twice their rate; beyond this it is a new clock.
JUMP_NS = 5_000_000_000
# Period of the pictures, as long as it is not known.
PERIOD_NS = 10_000_000


class PictureTimes:
    """Gives each picture its time. rule: "stamp", "log", or "auto": the stamp, where there is one."""

    def __init__(self, rule: str) -> None:
        self.counts: Counter[str] = Counter()
        self._rule = rule
        self._delay_ns: int | None = None
        self._unbelieved = 0
        self._shift_ns = 0

    def choose(self, stamp_ns: int, log_ns: int) -> int:
        """The instant of a picture by what its message says; not yet in order."""
        if self._rule == "log":
            return log_ns + self._shift_ns
        if stamp_ns == 0:
            self.counts["zero_stamps"] += 1
            return log_ns + self._shift_ns
        delay_ns = log_ns - stamp_ns
        if self._delay_ns is None:
            self._delay_ns = delay_ns
        if self._rule == "auto" and abs(delay_ns - self._delay_ns) > BELIEVED_NS:
            self._unbelieved += 1
            if self._unbelieved < CLOCK_SET:
                self.counts["unbelievable_stamps"] += 1
                return log_ns - self._delay_ns + self._shift_ns
            self.counts["clock_set"] += 1
            self._delay_ns = delay_ns
        self._unbelieved = 0
        return stamp_ns + self._shift_ns

    def put_after(self, time_ns: int, before_ns: int, period_ns: int) -> int:
        """The instant of a picture whose own is not after `before_ns`, that of the picture before it.

        It moves half a period behind that one, as do those that follow, until the stamps have caught up. After a
        jump too far back for that, all that follow are moved by the jump.
        """
        period_ns = period_ns or PERIOD_NS
        back_ns = before_ns - time_ns
        if back_ns < period_ns // 2:
            self.counts["repeated_stamps"] += 1
        elif back_ns < JUMP_NS:
            self.counts["stamps_out_of_order"] += 1
        else:
            self.counts["jumps_back"] += 1
            self._shift_ns += back_ns + period_ns
            return before_ns + period_ns
        return before_ns + max(period_ns // 2, 1_000)
