"""The times of a camera's pictures: header stamps, checked against the log times, made strictly increasing.

Nothing is repaired silently: `counts` says what was found wrong, by its name.
"""

from collections import Counter

from scripts.sources.stamp_belief import StampBelief, Step

# A jump back is caught up with by pictures at twice their rate; beyond this it is a new clock.
JUMP_NS = 5_000_000_000
# Period of the pictures, as long as it is not known.
PERIOD_NS = 10_000_000


class PictureTimes:
    """Gives each picture its time. rule: "stamp", "log", or "auto": the stamp, where there is one.

    delay_ns: how long after its stamp a message is usually logged, where that is known.
    """

    def __init__(self, rule: str, delay_ns: int | None = None) -> None:
        self._rule = rule
        self._belief = StampBelief(delay_ns)
        self.counts: Counter[str] = self._belief.counts
        self._messages = 0
        self._shift_ns = 0

    def choose(self, stamp_ns: int, log_ns: int) -> int:
        """The instant of a picture by what its message says; not yet in order."""
        self._messages += 1
        if self._rule == "log":
            return log_ns + self._shift_ns
        if stamp_ns == 0:
            self.counts["zero_stamps"] += 1
            return log_ns + self._shift_ns
        if self._rule == "auto":
            stamp_ns = self._belief.choose(stamp_ns, log_ns, self._messages - 1)
        else:
            self._belief.note(stamp_ns, log_ns, self._messages - 1)
        return stamp_ns + self._shift_ns

    def steps(self) -> list[Step]:
        """Where the clock of the stamps was set; `message` counts the pictures."""
        return self._belief.steps()

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
