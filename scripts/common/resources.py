"""Memory and runtime of a job as functions of its work and of the attempt; a site's factor multiplies every runtime."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.common.planning_cost import quick
from scripts.common.recordings import Recording

SHORTEST_MIN = 5
# What no first attempt asks for: an uncompressed source has many bytes and few frames.
LONGEST_MIN = 12 * 60

Resource = Callable[..., int]


@dataclass(frozen=True)
class Work:
    """Resource functions that know how large the source of each recording is, in megabytes."""

    recordings: Mapping[str, Recording]
    runtime_factor: float = 1.0

    def memory(self, *, base_mb: int, per_mb: float = 0.0) -> Resource:
        """Megabytes of memory: a base and a share of the source; half as much again with each attempt."""

        @quick
        def mem_mb(wildcards: Any, attempt: int) -> int:
            need = base_mb + per_mb * self._megabytes(wildcards)
            return math.ceil(need * (1 + 0.5 * (attempt - 1)))

        return mem_mb

    def runtime(self, *, seconds_per_mb: float) -> Resource:
        """Minutes: the source's megabytes at a slow node's pace, at least SHORTEST_MIN; doubled with each attempt."""

        @quick
        def runtime(wildcards: Any, attempt: int) -> int:
            minutes = min(SHORTEST_MIN + seconds_per_mb * self._megabytes(wildcards) / 60, LONGEST_MIN)
            return math.ceil(minutes * self.runtime_factor * 2 ** (attempt - 1))

        return runtime

    def of_all(self, *, base: float, per_recording: float) -> Resource:
        """Megabytes of memory of the rules that merge: grows with the number of recordings, and each attempt."""

        @quick
        def amount(wildcards: Any, attempt: int) -> int:
            return math.ceil((base + per_recording * len(self.recordings)) * (1 + 0.5 * (attempt - 1)))

        return amount

    def minutes(self, *, base: float, per_recording: float = 0.0) -> Resource:
        """Runtime of the rules without a source of their own; doubled with each attempt."""

        @quick
        def runtime(wildcards: Any, attempt: int) -> int:
            return math.ceil((base + per_recording * len(self.recordings)) * self.runtime_factor * 2 ** (attempt - 1))

        return runtime

    def _megabytes(self, wildcards: Any) -> float:
        recording = self.recordings.get(getattr(wildcards, "recording", ""))
        return recording.megabytes if recording else 0.0
