"""The part of a recording that is wanted, by the times of its pictures and samples."""

from dataclasses import dataclass, replace
from typing import Self

# Pictures whose stamp and log time both lie so far outside need not be looked at.
NEAR_NS = 1_000_000_000


@dataclass(frozen=True)
class Part:
    """From start_ns up to stop_ns on the recording's clock; None: from its beginning, to its end."""

    start_ns: int | None = None
    stop_ns: int | None = None

    def holds(self, time_ns: int) -> bool:
        """Whether an instant lies in it."""
        return self.has_begun(time_ns) and not self.is_over(time_ns)

    def has_begun(self, time_ns: int) -> bool:
        """Whether an instant does not lie before it."""
        return self.start_ns is None or time_ns >= self.start_ns

    def is_over(self, time_ns: int) -> bool:
        """Whether an instant lies behind it."""
        return self.stop_ns is not None and time_ns >= self.stop_ns

    def moved(self, by_ns: int) -> Self:
        """The same part on a clock that is `by_ns` ahead."""
        return replace(
            self,
            start_ns=None if self.start_ns is None else self.start_ns + by_ns,
            stop_ns=None if self.stop_ns is None else self.stop_ns + by_ns,
        )


WHOLE = Part()
