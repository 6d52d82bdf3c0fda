"""Memory and runtime of a job as functions of its work and of the attempt; a site's factor multiplies every runtime."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.planning.planning_cost import quick
from scripts.planning.recordings import Recording

SHORTEST_MIN = 5
# What no first attempt asks for: an uncompressed source has many bytes and few frames.
LONGEST_MIN = 12 * 60

Resource = Callable[..., int]


@dataclass(frozen=True)
class Work:
    """Resource functions that know how large the source of each recording is, in megabytes."""

    recordings: Mapping[str, Recording]
    runtime_factor: float = 1.0
    # By rule: seconds a frame that a site has measured to be more, or less, than the rule says.
    seconds_per_frame: Mapping[str, float] = field(default_factory=dict)
    # What the rules that merge meet beside the recordings: speakers whose windows come from a folder.
    adopted: int = 0

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

    def per_frame(self, rule: str, *, seconds: float, seconds_per_mb: float, of: str = "frames") -> Resource:
        """Minutes: `seconds` for each frame that was COUNTED, in the tables of the input that `of` names.

        Before these are there the source's megabytes tell, as in `runtime`; Snakemake asks again when a job is ready.
        """
        each = self.seconds_per_frame.get(rule, seconds)
        estimate = self.runtime(seconds_per_mb=seconds_per_mb)

        @quick
        def runtime(wildcards: Any, input: Any, attempt: int) -> int:  # noqa: A002, Snakemake's name
            count = counted(getattr(input, of))
            if count is None:
                return estimate(wildcards, attempt)
            minutes = min(SHORTEST_MIN + each * count / 60, LONGEST_MIN)
            return math.ceil(minutes * self.runtime_factor * 2 ** (attempt - 1))

        return runtime

    def memory_per_frame(self, *, base_mb: int, kb_per_frame: float, per_mb: float, of: str = "frames") -> Resource:
        """Megabytes of memory that grow with the frames that were COUNTED; before that, with the source's megabytes."""
        estimate = self.memory(base_mb=base_mb, per_mb=per_mb)

        @quick
        def mem_mb(wildcards: Any, input: Any, attempt: int) -> int:  # noqa: A002, Snakemake's name
            count = counted(getattr(input, of))
            if count is None:
                return estimate(wildcards, attempt)
            return math.ceil((base_mb + kb_per_frame * count / 1000) * (1 + 0.5 * (attempt - 1)))

        return mem_mb

    def of_all(self, *, base: float, per_recording: float = 0.0) -> Resource:
        """Megabytes of memory of the rules that have no source of their own; half as much again with each attempt."""

        @quick
        def amount(wildcards: Any, attempt: int) -> int:
            return math.ceil((base + per_recording * self._count) * (1 + 0.5 * (attempt - 1)))

        return amount

    def minutes(self, *, base: float, per_recording: float = 0.0) -> Resource:
        """Runtime of the rules without a source of their own; doubled with each attempt."""

        @quick
        def runtime(wildcards: Any, attempt: int) -> int:
            return math.ceil((base + per_recording * self._count) * self.runtime_factor * 2 ** (attempt - 1))

        return runtime

    def download(self, *, base: float, seconds_per_mb: float, weights: Mapping[str, Mapping[str, Any]]) -> Resource:
        """Minutes to bring a weight file at the pace of a slow line, where its `size_mb` is known; doubled with each
        attempt."""

        @quick
        def runtime(wildcards: Any, attempt: int) -> int:
            minutes = base + seconds_per_mb * weights[wildcards.weights].get("size_mb", 0.0) / 60
            return math.ceil(min(minutes, LONGEST_MIN) * self.runtime_factor * 2 ** (attempt - 1))

        return runtime

    @property
    def _count(self) -> int:
        return len(self.recordings) + self.adopted

    def _megabytes(self, wildcards: Any) -> float:
        recording = self.recordings.get(getattr(wildcards, "recording", ""))
        return recording.megabytes if recording else 0.0


def counted(tables: Any) -> int | None:
    """Rows of a frame table, or of several together; None if one is not there yet."""
    paths = [tables] if isinstance(tables, str) else list(tables)
    if not all(map(os.path.exists, paths)):
        return None
    # Not until a job is ready: a dry run before the first one has no table, and reads none.
    import pyarrow.parquet as pq

    return sum(int(pq.read_metadata(path).num_rows) for path in paths)
