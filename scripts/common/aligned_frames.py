"""The table of common frames of several cameras: which frame of each camera shows the same instant."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from scripts.common import table_file

MISSING = -1
OWN_COLUMNS = ("frame", "time_ns")


@dataclass(frozen=True)
class AlignedFrames:
    """One row a common frame.

    time_ns: int64 (M,), on the recording's clock.  shown: int32 (M, C), the frame of each camera's video, MISSING where
    the camera has none. On disk one column a camera, by its name, with nulls.
    """

    cameras: tuple[str, ...]
    time_ns: np.ndarray
    shown: np.ndarray

    def __len__(self) -> int:
        return len(self.time_ns)

    def of(self, camera: str) -> np.ndarray:
        """The frames of a camera, int32 (M,)."""
        column: np.ndarray = self.shown[:, self.cameras.index(camera)]
        return column

    @property
    def fps(self) -> float:
        """Common frames a second, from the median step; 0 with fewer than two."""
        return 1e9 / float(np.median(np.diff(self.time_ns))) if len(self) > 1 else 0.0

    def write(self, path: Path) -> None:
        """Write `frame, {camera}…, time_ns`, the same bytes on every run."""
        columns = [pa.array(np.arange(len(self), dtype=np.int64))]
        columns += [pa.array(column.astype(np.int32), mask=column == MISSING) for column in self.shown.T]
        columns.append(pa.array(self.time_ns.astype(np.int64)))
        table_file.write(path, pa.Table.from_arrays(columns, names=["frame", *self.cameras, "time_ns"]))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a table written by `write`; without rows where the alignment failed."""
        table = table_file.read(path)
        names = tuple(name for name in table.column_names if name not in OWN_COLUMNS)
        if not names:
            return cls.empty()
        columns = [table[name].fill_null(MISSING).to_numpy().astype(np.int32) for name in names]
        return cls(names, table["time_ns"].to_numpy(), np.stack(columns, axis=1))

    @classmethod
    def empty(cls) -> Self:
        """What stands for cameras that could not be aligned."""
        return cls((), np.empty(0, np.int64), np.empty((0, 0), np.int32))
