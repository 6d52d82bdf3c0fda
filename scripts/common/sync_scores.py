"""How well lips and sound fit together, frame by frame, for each shift of one against the other.

One row a face and frame that begins `FRAMES` frames of one track: `distance` float32 (2 x SHIFTS + 1,), from the
picture to the sound that is shift frames later, shifts from -SHIFTS to SHIFTS; NaN where no face is at that time.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from scripts.common import table_file

# As SyncNet has them: pictures of a fifth of a second, and shifts of up to 15 frames (Chung and Zisserman, 2016).
FRAMES, SHIFTS = 5, 15
SCHEMA = pa.schema([("frame", pa.int32()), ("track", pa.int32()), ("distance", pa.list_(pa.float32(), 2 * SHIFTS + 1))])


@dataclass(frozen=True)
class SyncScores:
    """frame, track: int32 (N,), in their order.  distance: float32 (N, 2 SHIFTS + 1)."""

    frame: np.ndarray
    track: np.ndarray
    distance: np.ndarray

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote; of an item that failed, none."""
        table = table_file.read(path)
        if not table.num_rows:
            return cls(np.empty(0, np.int32), np.empty(0, np.int32), np.empty((0, 2 * SHIFTS + 1), np.float32))
        distance = table["distance"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return cls(table["frame"].to_numpy(), table["track"].to_numpy(), distance.reshape(-1, 2 * SHIFTS + 1))

    def write(self, path: Path) -> None:
        """Write the table."""
        flat = pa.array(self.distance.astype(np.float32).ravel(), pa.float32())
        lists = pa.FixedSizeListArray.from_arrays(flat, 2 * SHIFTS + 1)
        columns = [pa.array(self.frame, pa.int32()), pa.array(self.track, pa.int32()), lists]
        table_file.write(path, pa.Table.from_arrays(columns, schema=SCHEMA))

    def judge(self, track: int, first: int, count: int) -> tuple[float, int]:
        """Confidence and shift of `count` frames of a track: how far the least mean distance lies below the median.

        The shift is that of the least distance: frames by which the sound comes later than the lips. (0, 0) where
        nothing was measured.
        """
        own = (self.track == track) & (self.frame >= first) & (self.frame + FRAMES <= first + count)
        if not own.any():
            return 0.0, 0
        with np.errstate(invalid="ignore"):
            known = np.isfinite(self.distance[own])
            total = np.where(known, self.distance[own], 0).sum(axis=0)
            mean = np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.inf)
        best = int(np.argmin(mean))
        return float(np.median(mean[np.isfinite(mean)]) - mean[best]), best - SHIFTS
