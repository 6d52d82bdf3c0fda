"""The frame table: the true time of every picture of a video. Nothing downstream computes frame / fps."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from scripts.common import table_file

# A picture later than this many frame periods after the one before it follows a gap.
GAP_PERIODS = 1.5

SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        ("pts_us", pa.int64()),
        ("time_ns", pa.int64()),
        ("source_frame", pa.int32()),
        ("keyframe", pa.bool_()),
        ("tainted", pa.bool_()),
        ("gap_before_ns", pa.int64()),
    ]
)


@dataclass(frozen=True)
class FrameTable:
    """One row a frame, in display order; all arrays have shape (N,).

    frame: int32, 0 … N-1.  pts_us: int64, presentation time in the video file.
    time_ns: int64, the instant on the recording's clock.  source_frame: int32, the frame of the source
    that is shown, -1 where the source shows nothing.  keyframe: bool.  tainted: bool, decodes but was damaged by
    a lost packet.  gap_before_ns: int64, time missing before this frame (0: none).
    """

    frame: np.ndarray
    pts_us: np.ndarray
    time_ns: np.ndarray
    source_frame: np.ndarray
    keyframe: np.ndarray
    tainted: np.ndarray
    gap_before_ns: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)

    @classmethod
    def make(
        cls,
        pts_us: np.ndarray,
        time_ns: np.ndarray,
        *,
        source_frame: np.ndarray | None = None,
        keyframe: np.ndarray | None = None,
        tainted: np.ndarray | None = None,
        gap_before_ns: np.ndarray | None = None,
    ) -> Self:
        """A table from the times; what is not given is: own numbers, no keyframe, not tainted, gaps from `time_ns`."""
        count = len(pts_us)
        number = np.arange(count, dtype=np.int32)
        time_ns = np.asarray(time_ns, np.int64)
        return cls(
            frame=number,
            pts_us=np.asarray(pts_us, np.int64),
            time_ns=time_ns,
            source_frame=number if source_frame is None else np.asarray(source_frame, np.int32),
            keyframe=np.zeros(count, bool) if keyframe is None else np.asarray(keyframe, bool),
            tainted=np.zeros(count, bool) if tainted is None else np.asarray(tainted, bool),
            gap_before_ns=find_gaps(time_ns) if gap_before_ns is None else np.asarray(gap_before_ns, np.int64),
        )

    @classmethod
    def empty(cls) -> Self:
        """A table without rows: what stands for a video that could not be read."""
        return cls.make(np.empty(0, np.int64), np.empty(0, np.int64))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a table written by `write`."""
        table = table_file.read(path, schema=SCHEMA)
        return cls(**{name: table[name].to_numpy() for name in SCHEMA.names})

    def write(self, path: Path) -> None:
        """Write to parquet, the same bytes on every run."""
        columns = [pa.array(getattr(self, field.name), SCHEMA.field(field.name).type) for field in fields(self)]
        table_file.write(path, pa.Table.from_arrays(columns, schema=SCHEMA))

    @property
    def period_ns(self) -> int:
        """Median time between two frames; 0 with fewer than two."""
        return frame_period_ns(self.time_ns)

    @property
    def start_ns(self) -> int:
        """Instant of the first frame. The table must not be empty."""
        return int(self.time_ns[0])

    @property
    def stop_ns(self) -> int:
        """End of the last frame: its instant and one period."""
        return int(self.time_ns[-1]) + self.period_ns


def frame_period_ns(time_ns: np.ndarray) -> int:
    """Median step of `time_ns`, int64 (N,); 0 with fewer than two."""
    return int(np.median(np.diff(time_ns))) if len(time_ns) > 1 else 0


def find_gaps(time_ns: np.ndarray) -> np.ndarray:
    """Time missing before each frame: the step less one period where it exceeds GAP_PERIODS, else 0. int64 (N,)."""
    gaps = np.zeros(len(time_ns), np.int64)
    period = frame_period_ns(time_ns)
    if period > 0:
        steps = np.diff(time_ns)
        gaps[1:] = np.where(steps > GAP_PERIODS * period, steps - period, 0)
    return gaps
