"""The track of a located sound: one row a block of sound, with its place in the room and in each camera."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from scripts.common import table_file

FIXED = [
    ("time_ns", pa.int64()),
    ("heard", pa.bool_()),
    ("level_db", pa.float32()),
    ("score", pa.float32()),
    ("x_m", pa.float64()),
    ("y_m", pa.float64()),
    ("z_m", pa.float64()),
]


@dataclass(frozen=True)
class LocationTrack:
    """Places of the strongest sound, one a block.

    time_ns: int64 (T,), middle of the block on the recording's clock.  heard: bool (T,), whether there is a place.
    level_db, score: float32 (T,).  position_m: float64 (T, 3).  pixels: camera -> float32 (T, 2), as recorded. What
    is not heard, or not seen by a camera, is NaN.
    """

    time_ns: np.ndarray
    heard: np.ndarray
    level_db: np.ndarray
    score: np.ndarray
    position_m: np.ndarray
    pixels: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.time_ns)

    def near(self, time_ns: int, within_ns: int) -> int:
        """The row heard nearest to an instant, -1 if none lies within `within_ns`."""
        rows = np.flatnonzero(self.heard)
        if not len(rows):
            return -1
        at = int(np.searchsorted(self.time_ns[rows], time_ns))
        around = rows[max(0, at - 1) : at + 1]
        best = int(around[np.abs(self.time_ns[around] - time_ns).argmin()])
        return best if abs(int(self.time_ns[best]) - time_ns) <= within_ns else -1

    def write(self, path: Path) -> None:
        """Write as parquet, the same bytes on every run; pixels stand in `{camera}_x_px` and `{camera}_y_px`."""
        values = [self.time_ns, self.heard, self.level_db, self.score, *self.position_m.T]
        fields, columns = list(FIXED), [pa.array(v, t) for v, (_, t) in zip(values, FIXED, strict=True)]
        for camera, pixels in self.pixels.items():
            for axis, column in zip("xy", pixels.T, strict=True):
                fields.append((f"{camera}_{axis}_px", pa.float32()))
                columns.append(pa.array(column.astype(np.float32)))
        table_file.write(path, pa.Table.from_arrays(columns, schema=pa.schema(fields)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a track written by `write`; empty where an earlier step failed."""
        table = table_file.read(path)
        if "time_ns" not in table.column_names:
            return cls.empty()
        column = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
        cameras = [name.removesuffix("_x_px") for name in table.column_names if name.endswith("_x_px")]
        return cls(
            column["time_ns"],
            column["heard"],
            column["level_db"],
            column["score"],
            np.stack([column[name] for name in ("x_m", "y_m", "z_m")], axis=1),
            {name: np.stack([column[f"{name}_x_px"], column[f"{name}_y_px"]], axis=1) for name in cameras},
        )

    @classmethod
    def empty(cls) -> Self:
        """What stands for a sound that could not be located."""
        none = np.empty(0, np.float32)
        return cls(np.empty(0, np.int64), np.empty(0, bool), none, none, np.empty((0, 3)), {})
