"""A table of intervals of a conformed stream: speech of a microphone, scenes of a camera."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from scripts.common import table_file

SCHEMA = pa.schema(
    [
        ("start_ns", pa.int64()),
        ("stop_ns", pa.int64()),
        ("first", pa.int64()),
        ("stop", pa.int64()),
        ("score", pa.float32()),
    ]
)


@dataclass(frozen=True)
class Intervals:
    """Intervals in their order, arrays of shape (N,).

    start_ns, stop_ns: int64, on the recording's clock.  first, stop: int64, the same in samples or frames of the
    conformed stream, the one after the last for `stop`.  score: float32, how sure the network is of speech, or how
    much the picture changes at the start of a scene.
    """

    start_ns: np.ndarray
    stop_ns: np.ndarray
    first: np.ndarray
    stop: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    @classmethod
    def make(cls, pairs: list[tuple[int, int]], score: list[float], *, origin_ns: int, per_second: float) -> Self:
        """Intervals [first, stop) of a stream that begins at `origin_ns` and has `per_second` units."""
        edges = np.array(pairs, np.int64).reshape(-1, 2)
        start_ns, stop_ns = (origin_ns + np.rint(edges[:, k] * (1e9 / per_second)).astype(np.int64) for k in (0, 1))
        return cls(start_ns, stop_ns, edges[:, 0], edges[:, 1], np.array(score, np.float32))

    @classmethod
    def empty(cls) -> Self:
        """No interval."""
        return cls.make([], [], origin_ns=0, per_second=1.0)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        table = table_file.read(path, schema=SCHEMA)
        return cls(**{name: table[name].to_numpy() for name in SCHEMA.names})

    def write(self, path: Path) -> None:
        """Write to parquet, the same bytes on every run."""
        columns = [pa.array(getattr(self, field.name), SCHEMA.field(field.name).type) for field in fields(self)]
        table_file.write(path, pa.Table.from_arrays(columns, schema=SCHEMA))
