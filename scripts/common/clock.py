"""The clock of a sound: at what instant each sample of the exported WAV stands.

Sample n of a segment that begins with sample `start_sample` stands at
`start_ns + (n - start_sample) / rate_hz`. Holes are filled with zeros, so the rate holds across them;
a restart of the device begins a new segment.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from scripts.common import json_file


@dataclass(frozen=True)
class Segment:
    """A run of samples on one line of time. start_ns: instant of its first sample on the recording's clock."""

    start_sample: int
    start_ns: int
    samples: int


@dataclass(frozen=True)
class Gap:
    """Samples [start_sample, stop_sample) that nobody recorded, filled with zeros.

    reason: hole (lost while recording), before_start or after_stop (padding of a conformed sound).
    """

    start_sample: int
    stop_sample: int
    reason: str


@dataclass(frozen=True)
class Clock:
    """Clock of one sound file. rate_hz is fitted to the recording's clock, nominal_rate_hz is what the device says."""

    start_ns: int
    rate_hz: float
    nominal_rate_hz: int
    samples: int
    channels: int
    drift_ppm: float = 0.0
    latency_ms: float = 0.0
    segments: list[Segment] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)

    @classmethod
    def empty(cls) -> Self:
        """The clock of a sound that could not be read."""
        return cls(start_ns=0, rate_hz=0.0, nominal_rate_hz=0, samples=0, channels=0)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a clock written by `write`."""
        fields = json_file.read(path)
        fields["segments"] = [Segment(**segment) for segment in fields["segments"]]
        fields["gaps"] = [Gap(**gap) for gap in fields["gaps"]]
        return cls(**fields)

    def write(self, path: Path) -> None:
        """Write as JSON, the same bytes on every run."""
        json_file.write(path, asdict(self))

    @property
    def stop_ns(self) -> int:
        """Instant at which the last sample ends."""
        return int(self.time_ns(np.array([self.samples]))[0])

    def time_ns(self, sample: np.ndarray) -> np.ndarray:
        """Instant of each sample number, int64 in and out, on the recording's clock."""
        sample = np.asarray(sample, np.int64)
        segments = self.segments or [Segment(0, self.start_ns, self.samples)]
        starts = np.array([segment.start_sample for segment in segments], np.int64)
        origins = np.array([segment.start_ns for segment in segments], np.int64)
        index = np.clip(np.searchsorted(starts, sample, side="right") - 1, 0, None)
        step_ns = 1e9 / self.rate_hz if self.rate_hz else 0.0
        since: np.ndarray = np.rint((sample - starts[index]) * step_ns).astype(np.int64)
        return origins[index] + since
