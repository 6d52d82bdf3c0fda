"""What a truth table is made of: its rows, and where the results of a recording stand."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

# Rigs of the demo's recordings, where they are not those of a talking head.
RIGS = {"aviary": "aviary", "bench": "bench"}
FILE_RIG = "booth"


class Row(NamedTuple):
    """One fact: it is right if `value` does not exceed `limit`."""

    measure: str
    value: float
    unit: str
    limit: float

    @property
    def ok(self) -> bool:
        """Whether the limit holds; a value that is no number does not."""
        return bool(self.value <= self.limit)


@dataclass(frozen=True)
class Results:
    """The folder of the results, and the columns of its tables."""

    root: Path

    def folder(self, stage: str, recording: str) -> Path:
        """Where a stage keeps the files of a recording."""
        return self.root / stage / RIGS.get(recording, FILE_RIG) / recording

    def frames(self, stage: str, recording: str, camera: str) -> dict[str, np.ndarray]:
        """Columns of a frame table."""
        return columns(self.folder(stage, recording) / f"{camera}.frames.parquet")

    def clock(self, recording: str, microphone: str) -> dict[str, Any]:
        """The clock of an exported sound."""
        clock: dict[str, Any] = json.loads(
            (self.folder("media", recording) / f"{microphone}.clock.json").read_text(encoding="utf-8")
        )
        return clock


def columns(table: Path) -> dict[str, np.ndarray]:
    """The columns of a parquet file."""
    return {name: column.to_numpy() for name, column in zip(*_named(table), strict=True)}


def _named(table: Path) -> tuple[list[str], list[Any]]:
    read = pq.read_table(table, partitioning=None)
    return read.column_names, read.columns
