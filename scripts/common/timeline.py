"""The timeline of a recording: where conformed time begins, and how many frames and samples it holds."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

NS = 1_000_000_000

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
        """The timeline that a manifest names."""
        return cls(int(manifest["timeline"]["start_ns"]), int(manifest["timeline"]["stop_ns"]))

    def frames(self, fps: Fraction) -> int:
        """Number of conformed frames: those that fit whole, but for ROUNDING."""
        return max(0, int((self.stop_ns - self.start_ns) * fps / NS + ROUNDING))

    def samples(self, fps: Fraction, rate_hz: int) -> int:
        """Number of conformed samples: exactly as long as the frames, to half a sample."""
        return round(self.frames(fps) * rate_hz / fps)
