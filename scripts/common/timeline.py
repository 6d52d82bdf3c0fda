"""The timeline of a recording: where conformed time begins, and how many frames and samples it holds."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

from scripts.common.errors import InputError

NS = 1_000_000_000
DAY_NS = 86_400 * NS
# A frame a moment for years would fill every memory.
MOST_DAYS = 31
# Instants of user tables end here, in the year 2116, so that the difference of any two is an int64, too.
LAST_S = 2**62 // NS

# A last frame that lacks no more than this share of itself counts: times are rounded to microseconds, and
# containers round their lengths to milliseconds.
ROUNDING = Fraction(2, 100)


@dataclass(frozen=True)
class Timeline:
    """Conformed time 0 is `start_ns` on the recording's clock; nothing is made beyond `stop_ns`."""

    start_ns: int
    stop_ns: int

    @classmethod
    def of(cls, manifest: dict[str, Any]) -> Self:
        """The timeline that a manifest names. Raises InputError if it is too long for one recording."""
        found = cls(int(manifest["timeline"]["start_ns"]), int(manifest["timeline"]["stop_ns"]))
        days = (found.stop_ns - found.start_ns) / DAY_NS
        if days > MOST_DAYS:
            raise InputError(
                "timeline",
                f"from the first stream's start to the last one's end there are {days:,.0f} days: a stream has another "
                "clock; see the manifest's start_ns, and `time` of the rig's cameras",
                value=days,
                limit=MOST_DAYS,
            )
        return found

    def frames(self, fps: Fraction) -> int:
        """Number of conformed frames: those that fit whole, but for ROUNDING."""
        return max(0, int((self.stop_ns - self.start_ns) * fps / NS + ROUNDING))

    def samples(self, fps: Fraction, rate_hz: int) -> int:
        """Number of conformed samples: exactly as long as the frames, to half a sample."""
        return round(self.frames(fps) * rate_hz / fps)
