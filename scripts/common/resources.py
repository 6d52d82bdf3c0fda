"""Memory and runtime of a job as functions of its work and of the attempt. Site factors come from the environment."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.common.recordings import Recording

# A site whose nodes are slower sets this in its profile's environment; see profiles/slurm/profile.yaml.
RUNTIME_FACTOR = "RUSHES_RUNTIME_FACTOR"
SHORTEST_MIN = 5

Resource = Callable[..., int]


def runtime_factor() -> float:
    """What the site multiplies every runtime with; 1 unless the environment says otherwise."""
    try:
        return float(os.environ.get(RUNTIME_FACTOR, "") or 1)
    except ValueError:
        return 1.0


@dataclass(frozen=True)
class Work:
    """Resource functions that know how large the source of each recording is, in megabytes."""

    recordings: Mapping[str, Recording]

    def memory(self, *, base_mb: int, per_mb: float = 0.0) -> Resource:
        """Megabytes of memory: a base and a share of the source; half as much again with each attempt."""

        def mem_mb(wildcards: Any, attempt: int) -> int:
            need = base_mb + per_mb * self._megabytes(wildcards)
            return math.ceil(need * (1 + 0.5 * (attempt - 1)))

        return mem_mb

    def runtime(self, *, seconds_per_mb: float) -> Resource:
        """Minutes: the source's megabytes at a slow node's pace, at least SHORTEST_MIN; doubled with each attempt."""
        factor = runtime_factor()

        def runtime(wildcards: Any, attempt: int) -> int:
            minutes = SHORTEST_MIN + seconds_per_mb * self._megabytes(wildcards) / 60
            return math.ceil(minutes * factor * 2 ** (attempt - 1))

        return runtime

    def of_all(self, *, base: float, per_recording: float) -> Resource:
        """Megabytes of memory of the rules that merge: grows with the number of recordings, and each attempt."""

        def amount(wildcards: Any, attempt: int) -> int:
            return math.ceil((base + per_recording * len(self.recordings)) * (1 + 0.5 * (attempt - 1)))

        return amount

    def minutes(self, *, base: float, per_recording: float = 0.0) -> Resource:
        """Runtime of the rules without a source of their own; doubled with each attempt."""
        factor = runtime_factor()

        def runtime(wildcards: Any, attempt: int) -> int:
            return math.ceil((base + per_recording * len(self.recordings)) * factor * 2 ** (attempt - 1))

        return runtime

    def _megabytes(self, wildcards: Any) -> float:
        recording = self.recordings.get(getattr(wildcards, "recording", ""))
        return recording.megabytes if recording else 0.0
