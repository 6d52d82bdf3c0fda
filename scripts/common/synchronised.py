"""Cameras side by side: which frame of each is shown at every common instant.

Each camera shows the frame whose time is nearest to the instant, if it lies within half a period; else it shows
nothing. The period is the longer one of the camera's own and of the instants', so a slow camera stands still between
its frames; where pictures must be of one instant, it is the fastest camera's, and a slow one shows nothing between.
Without a frame rate the instants are the stamps of the fastest camera, and those of the others wherever it
has a gap: cameras that a common trigger drives lose nothing, and each picture keeps its true time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from scripts.common import table_file
from scripts.common.frame_table import GAP_PERIODS, FrameTable, frame_period_ns
from scripts.common.timeline import NS, ROUNDING

# Stamps scatter: a frame this share of a period beyond the half still counts.
TOLERANCE = float(ROUNDING)
NOTHING = -1

SCHEMA = pa.schema(
    [
        ("frame", pa.int32()),
        ("pts_us", pa.int64()),
        ("time_ns", pa.int64()),
        ("camera", pa.string()),
        ("source_frame", pa.int32()),
        ("offset_ns", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Synchronised:
    """Common instants of several cameras.

    time_ns: int64 (M,), strictly increasing, on the recording's clock.  shown: int32 (M, C), the frame of each camera,
    NOTHING where it has none.  offset_ns: int64 (M, C), time of that frame less the instant, 0 where there is none.
    """

    cameras: tuple[str, ...]
    time_ns: np.ndarray
    shown: np.ndarray
    offset_ns: np.ndarray

    def __len__(self) -> int:
        return len(self.time_ns)

    @property
    def pts_us(self) -> np.ndarray:
        """Where each instant stands in a file whose first picture is at 0; int64 (M,), strictly increasing."""
        if not len(self):
            return np.empty(0, np.int64)
        since = (self.time_ns - self.time_ns[0] + 500) // 1000
        steps = np.arange(len(self), dtype=np.int64)
        # Stamps less than a microsecond apart still need two places.
        pts: np.ndarray = np.maximum.accumulate(since - steps) + steps
        return pts

    @property
    def period_ns(self) -> int:
        """Median time between two instants; 0 with fewer than two."""
        return frame_period_ns(self.time_ns)

    @property
    def stop_ns(self) -> int:
        """End of the last picture. There must be one."""
        return int(self.time_ns[-1]) + self.period_ns

    def of(self, camera: str) -> np.ndarray:
        """The frames that a camera shows, int32 (M,)."""
        column: np.ndarray = self.shown[:, self.cameras.index(camera)]
        return column

    def showing(self, shown: Mapping[str, np.ndarray], tables: Mapping[str, FrameTable]) -> Self:
        """The same instants with the frames that cameras have really shown, int32 (M,); another shows nothing."""
        nothing = np.full(len(self), NOTHING, np.int32)
        columns = np.stack([shown.get(name, nothing) for name in self.cameras], axis=1)
        offsets = offsets_ns([tables[name].time_ns for name in self.cameras], self.time_ns, columns)
        return replace(self, shown=columns, offset_ns=offsets)

    def write(self, path: Path) -> None:
        """Write one row an instant and camera, in that order; the same bytes on every run."""
        count, width = self.shown.shape
        numbers = np.tile(np.arange(width, dtype=np.int32), count)
        names = pa.DictionaryArray.from_arrays(numbers, pa.array(self.cameras, pa.string()))
        columns = [
            pa.array(np.repeat(np.arange(count, dtype=np.int32), width)),
            pa.array(np.repeat(self.pts_us, width)),
            pa.array(np.repeat(self.time_ns, width)),
            names.cast(pa.string()),
            pa.array(self.shown.ravel().astype(np.int32)),
            pa.array(self.offset_ns.ravel()),
        ]
        table_file.write(path, pa.Table.from_arrays(columns, schema=SCHEMA))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a table written by `write`."""
        table = table_file.read(path, schema=SCHEMA)
        frame = table["frame"].to_numpy()
        width = int((frame == 0).sum())
        shape = (len(frame) // width if width else 0, width)
        return cls(
            cameras=tuple(table["camera"][:width].to_pylist()),
            time_ns=table["time_ns"].to_numpy()[:: width or 1],
            shown=table["source_frame"].to_numpy().reshape(shape),
            offset_ns=table["offset_ns"].to_numpy().reshape(shape),
        )

    @classmethod
    def empty(cls) -> Self:
        """What stands for cameras of which none could be read."""
        return cls((), np.empty(0, np.int64), np.empty((0, 0), np.int32), np.empty((0, 0), np.int64))


def synchronise(
    tables: Mapping[str, FrameTable], fps: Fraction | None = None, *, stand_still: bool = True
) -> Synchronised:
    """The common instants of the cameras in `tables`, and what each shows; a table may be empty, not all of them.

    fps: a constant frame rate that begins with the earliest frame; None: the cameras' own instants.  stand_still:
    whether a slow camera is shown between its frames, too.
    """
    times = {name: table.time_ns for name, table in tables.items()}
    instants = own_instants(list(times.values())) if fps is None else regular_instants(list(times.values()), fps)
    period = round(NS / fps) if fps else frame_period_ns(instants)
    own = [frame_period_ns(time_ns) for time_ns in times.values()]
    # A single frame has no period.
    shortest = min(filter(None, [period, *own]), default=0)
    periods = [max(mine, period) if stand_still else shortest for mine in own]
    columns = [nearest(time_ns, instants, mine) for time_ns, mine in zip(times.values(), periods, strict=True)]
    shown = np.stack(columns, axis=1)
    return Synchronised(tuple(tables), instants, shown, offsets_ns(list(times.values()), instants, shown))


def offsets_ns(times_ns: list[np.ndarray], instants: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Time of the frame `shown`, int32 (M, C), less the instant; 0 where there is none. int64 (M, C)."""
    offsets = np.zeros(shown.shape, np.int64)
    for column, time_ns in enumerate(times_ns):
        seen = shown[:, column] >= 0
        offsets[seen, column] = time_ns[shown[seen, column]] - instants[seen]
    return offsets


def nearest(time_ns: np.ndarray, instants: np.ndarray, period_ns: int) -> np.ndarray:
    """Index of the time nearest to each instant, NOTHING if it is further than half a period. int32 (M,).

    time_ns: int64 (N,), increasing.  instants: int64 (M,).  Of two equally near the earlier one is taken. With a
    period of 0, which a single frame has, any distance will do but for a second.
    """
    if not len(time_ns):
        return np.full(len(instants), NOTHING, np.int32)
    after = np.clip(np.searchsorted(time_ns, instants), 0, len(time_ns) - 1)
    before = np.maximum(after - 1, 0)
    chosen = np.where(np.abs(time_ns[before] - instants) <= np.abs(time_ns[after] - instants), before, after)
    limit_ns = (0.5 + TOLERANCE) * (period_ns or NS)
    return np.where(np.abs(time_ns[chosen] - instants) <= limit_ns, chosen, NOTHING).astype(np.int32)


def own_instants(times_ns: list[np.ndarray]) -> np.ndarray:
    """The stamps of the fastest camera, and of the others where it has none; int64 (M,), strictly increasing."""
    several = [time_ns for time_ns in times_ns if len(time_ns) > 1]
    if not several:
        return np.unique(np.concatenate(times_ns))
    period = min(frame_period_ns(time_ns) for time_ns in several)
    # Of cameras that are equally fast the first one leads.
    fast = [time_ns for time_ns in several if frame_period_ns(time_ns) <= (1 + TOLERANCE) * period]
    instants = fast[0]
    # Where a frame is missing, its neighbours are two periods apart: what stands in the middle is new.
    far = period * GAP_PERIODS / 2
    for time_ns in times_ns:
        if time_ns is not instants and len(time_ns):
            after = np.clip(np.searchsorted(instants, time_ns), 0, len(instants) - 1)
            before = np.maximum(after - 1, 0)
            distance = np.minimum(np.abs(instants[before] - time_ns), np.abs(instants[after] - time_ns))
            instants = np.union1d(instants, time_ns[distance > far])
    return instants


def regular_instants(times_ns: list[np.ndarray], fps: Fraction) -> np.ndarray:
    """Instants of a constant rate from the earliest frame to the end of the latest. int64 (M,)."""
    seen = [time_ns for time_ns in times_ns if len(time_ns)]
    start = min(int(time_ns[0]) for time_ns in seen)
    stop = max(int(time_ns[-1]) + (frame_period_ns(time_ns) or round(NS / fps)) for time_ns in seen)
    count = max(1, int((stop - start) * fps / NS + ROUNDING))
    whole, rest = divmod(NS * fps.denominator, fps.numerator)
    number = np.arange(count, dtype=np.int64)
    instants: np.ndarray = start + number * whole + number * rest // fps.numerator
    return instants
