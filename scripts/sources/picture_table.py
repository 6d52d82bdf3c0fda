"""A camera's frame table in the making: each picture gets its time and its PTS when it is written."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from scripts.common.frame_table import FrameTable
from scripts.common.packet_writer import check_step
from scripts.sources.picture_times import PictureTimes
from scripts.sources.row_spool import RowSpool


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

    rule, delay_ns: see PictureTimes. `messages`: how many messages the camera has sent so far, with the present one.
    """

    def __init__(self, rule: str, delay_ns: int | None = None) -> None:
        self.times = PictureTimes(rule, delay_ns)
        self.messages = 0
        self.start_ns: int | None = None
        self._latest_ns = 0
        self._period_ns = 0
        # PTS, instant, number of its message, keyframe.
        self._rows = RowSpool(4)

    def __len__(self) -> int:
        return len(self._rows)

    def place(self, time_ns: int, source: int, *, keyframe: bool, fits: Callable[[int], bool]) -> int:
        """Enter a picture at `time_ns`, moved where that PTS does not fit; returns its PTS, µs.

        source: number of its message.
        """
        if self.start_ns is None:
            self.start_ns = self._latest_ns = time_ns
        pts_us = self._pts(time_ns)
        if fits(pts_us):
            if time_ns > self._latest_ns:
                self._period_ns = time_ns - self._latest_ns
        else:
            time_ns = self.times.put_after(time_ns, self._latest_ns, self._period_ns)
            pts_us = self._pts(time_ns)
        check_step((time_ns - self._latest_ns) // 1000)
        self._latest_ns = max(self._latest_ns, time_ns)
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
