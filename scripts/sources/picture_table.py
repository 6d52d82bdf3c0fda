"""A camera's frame table in the making: each picture gets its time and its PTS when it is written."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from scripts.common.frame_table import FrameTable
from scripts.common.packet_writer import check_step
from scripts.sources.picture_times import Instant, PictureTimes
from scripts.sources.row_spool import RowSpool
from scripts.sources.stamp_belief import UNKNOWN, StampTimes

# The usual time between two pictures is the median of so many, the least delay that of so many.
STEPS = 15
# Distances of pictures that are in order, in usual ones.
NEAREST, FURTHEST = 0.75, 1.5


@dataclass
class Video:
    """What has become of a camera.

    copied: whether the packets are those of the bag; dropped: messages that gave no frame, by reason; lost: packets
    missing in the bag; stamps: what was wrong with them; notes: what a person should know, one line each; pixels: of
    pictures that were encoded, what they were, and the scale of float ones.
    """

    frames: FrameTable
    codec: str
    width: int
    height: int
    copied: bool
    dropped: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    stamps: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    pixels: dict[str, object] = field(default_factory=dict)


class PictureTable:
    """The pictures of one video, in the order in which they are written.

    rule, stamps: see PictureTimes. `messages`: how many messages the camera has sent so far, with the present one.
    """

    def __init__(self, rule: str, stamps: StampTimes = UNKNOWN) -> None:
        self.times = PictureTimes(rule, stamps)
        self.messages = 0
        self.start_ns: int | None = None
        self._latest_ns: int | None = None
        self._delay_ns = 0
        # Between pictures whose own times fitted: neither a gap nor a wrong stamp makes the usual one.
        self._steps_ns: deque[int] = deque(maxlen=STEPS)
        self._delays_ns: deque[int] = deque(maxlen=STEPS)
        self._fitted = True
        # PTS, instant, number of its message, keyframe.
        self._rows = RowSpool(4)

    def __len__(self) -> int:
        return len(self._rows)

    def place(
        self,
        instant: Instant,
        source: int,
        *,
        keyframe: bool,
        fits: Callable[[int], bool],
        after: Instant | None = None,
    ) -> int:
        """Enter a picture at its instant; see `settle` and `enter`."""
        return self.enter(self.settle(instant, fits=fits, after=after), source, keyframe=keyframe)

    def settle(self, instant: Instant, *, fits: Callable[[int], bool], after: Instant | None = None) -> int:
        """The time of the next picture, ns: its instant, moved where that PTS does not fit.

        after: the instant of the picture that is shown next, where that is known.
        """
        own_ns = time_ns = self.times.moved(instant)
        if self._latest_ns is None:
            self._latest_ns = time_ns
            in_order = True
        else:
            if after is not None:
                time_ns = self.times.between(instant, self._latest_ns, after, self._delay_ns)
            in_order = time_ns > self._latest_ns if self.start_ns is None else fits(self._pts(time_ns))
        if not in_order:
            delays_ns = self._delay_ns, instant.delay_ns
            period_ns = int(median(self._steps_ns)) if self._steps_ns else 0
            time_ns = self.times.put_after(time_ns, self._latest_ns, period_ns, delays_ns)
        if self.start_ns is not None:
            check_step((time_ns - self._latest_ns) // 1000)
        if self._fitted and time_ns == own_ns > self._latest_ns:
            self._steps_ns.append(time_ns - self._latest_ns)
        self._fitted = time_ns == own_ns
        if self._fitted:
            self._delay_ns = instant.delay_ns
            self._delays_ns.append(instant.delay_ns)
        self._latest_ns = max(self._latest_ns, time_ns)
        return time_ns

    def came_late(self, instant: Instant, overtaken_by: Instant) -> bool:
        """Whether a picture comes behind the next one, which has no time yet, while the stamps of both are right: as
        far apart as pictures are, and the other one's not before it could come. Counts it."""
        if self._latest_ns is None or not self._steps_ns or self.times.shift_ns:
            return False
        period_ns = median(self._steps_ns)
        steps_ns = instant.time_ns - self._latest_ns, overtaken_by.time_ns - instant.time_ns
        fits = NEAREST * period_ns <= min(steps_ns) and max(steps_ns) <= FURTHEST * period_ns
        late = fits and overtaken_by.delay_ns >= min(self._delays_ns) - period_ns / 2
        if late:
            self.times.counts["late_messages"] += 1
        return late

    def enter(self, time_ns: int, source: int, *, keyframe: bool) -> int:
        """Enter a picture at a settled time; returns its PTS, µs. source: number of its message."""
        if self.start_ns is None:
            self.start_ns = time_ns
        pts_us = self._pts(time_ns)
        self._rows.append(pts_us, time_ns, source, keyframe)
        return pts_us

    def make(self, *, tainted: np.ndarray | None = None, keyframes_us: set[int] | None = None) -> FrameTable:
        """The frame table, in display order.

        tainted: bool (N,), in the order of writing; keyframes_us: PTS of the keyframes, where an encoder chose them.
        """
        pts_us, time_ns, source, flag = self._rows.rows().T
        keyframe = flag != 0
        if keyframes_us is not None:
            keyframe = np.isin(pts_us, list(keyframes_us))
        order = np.argsort(pts_us)
        return FrameTable.make(
            pts_us[order],
            time_ns[order],
            source_frame=source[order],
            keyframe=keyframe[order],
            tainted=None if tainted is None else tainted[order],
        )

    def _pts(self, time_ns: int) -> int:
        assert self.start_ns is not None
        return (time_ns - self.start_ns + 500) // 1000
