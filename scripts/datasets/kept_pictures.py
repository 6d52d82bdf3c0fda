"""Pictures of an item that its clips will show, kept while it is scanned: so it is decoded once for both.

Which frames a clip shows is known when the scan has ended; what is kept here is a guess, made while scenes are found,
that holds them all but in rare cases. Who cuts looks whether it does, and decodes anew where it does not.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import numpy as np

from scripts.common.scene_cuts import CutRule
from scripts.common.timeline import NS
from scripts.datasets.clip_picture import TIE_NS, Shaper

# With more than this of one item in memory, its clips are decoded anew.
MAX_BYTES = 256_000_000
# More clips of a table than this are not followed picture by picture.
MAX_CLIPS = 50
# A share of a frame of the grid: less than TIE_NS, more than rounding.
SLACK = 1e-6


@dataclass(frozen=True)
class _Grid:
    """The frames of a clip of some start and stop, at `fps` (0: the item's own), divided each `part_ns` (0: never)."""

    start_ns: float
    stop_ns: float
    fps: float
    part_ns: float

    def shows(self, before_ns: float, since_ns: int, until_ns: int) -> bool:
        """Whether one of them shows the picture that is on screen from `since_ns` to `until_ns`.

        before_ns: since when the picture before it was; a part shows no picture from before it began, but its first.
        """
        if until_ns <= self.start_ns or since_ns >= self.stop_ns:
            return False
        if not self.fps:
            return True
        parts = {0}
        if self.part_ns:
            parts = {max(0, math.floor((instant - self.start_ns) / self.part_ns)) for instant in (since_ns, until_ns)}
        for part in parts:
            start_ns = self.start_ns + part * self.part_ns - TIE_NS
            if before_ns < start_ns <= since_ns:
                return True
            first, last = ((instant - start_ns) * self.fps / NS - 0.5 for instant in (since_ns, until_ns))
            if max(0, math.ceil(first - SLACK)) <= last + SLACK:
                return True
        return False


@dataclass(frozen=True)
class _Seen:
    number: int
    picture: av.VideoFrame
    instant: Fraction
    time_ns: int
    before_ns: float


class KeptPictures:
    """See every picture of an item; afterwards, read those that are kept, in their clips' shape, as from its reader."""

    video = True

    def __init__(self, settings: dict[str, Any], table: Sequence[Sequence[float]]) -> None:
        """settings: of the cut.  table: start and stop of the item's own clips, in seconds."""
        self._fps = float(Fraction(str(settings["video"]["fps"]))) if settings["video"]["fps"] else 0.0
        self._part_ns = settings["max_s"] * NS
        self._threshold = np.float32(settings["scan"]["threshold"])
        self._shaper = Shaper(settings["video"])
        source = settings["clips"]
        if source == "auto":
            source = "table" if table else "whole"
        self._rule = CutRule(settings["scan"]["min_scene_frames"]) if source in ("cuts", "longest_cut") else None
        clips = table if source == "table" else [(0.0, math.inf)]
        self._grids = [self._grid(start * NS, stop * NS) for start, stop, *_ in clips if math.isfinite(start)]
        self._before: _Seen | None = None
        self._doubtful: list[_Seen] = []
        self._scene_has_one = False
        self._count = self._bytes = 0
        self._kept: dict[int, tuple[av.VideoFrame, Fraction]] = {}
        self._full = len(self._grids) > MAX_CLIPS

    def begin(self, pixel_shape: Fraction) -> None:
        """The pictures of an item follow. pixel_shape: width of a coded pixel over its height."""
        self._shaper.pixel_shape = pixel_shape

    def see(self, picture: av.VideoFrame, instant: Fraction, time_ns: int, change: float) -> None:
        """The next picture. time_ns: on the item's clock; change: of content against the picture before."""
        seen = _Seen(self._count, picture, instant, time_ns, self._before.time_ns if self._before else -math.inf)
        self._count += 1
        if self._full:
            return
        if self._before is not None:
            self._judge(self._before, time_ns)
        if self._rule is not None:
            self._follow(seen, self._rule, bool(np.float32(change) >= self._threshold))
        self._before = seen
        if self._bytes + len(self._doubtful) * _size(picture) > MAX_BYTES:
            self._full = True
            self._kept.clear()
            self._doubtful.clear()

    def end(self) -> None:
        """No picture follows. The last one is on screen for a time that nobody knows."""
        if self._before is not None and not self._full:
            self._keep(self._before)
        self._before = None
        self._doubtful.clear()

    def hold(self, numbers: set[int]) -> bool:
        """Whether all these frames are kept."""
        return numbers <= self._kept.keys()

    def pictures(self, wanted: object = None) -> Iterator[tuple[av.VideoFrame, Fraction]]:
        """The kept pictures and their times, in the order of the file."""
        return iter([self._kept[number] for number in sorted(self._kept)])

    def _grid(self, start_ns: float, stop_ns: float = math.inf) -> _Grid:
        return _Grid(start_ns, stop_ns, self._fps, self._part_ns)

    def _follow(self, seen: _Seen, rule: CutRule, above: bool) -> None:
        """Begin the grid anew where a scene begins."""
        cut = rule.see(above)
        if cut is not None:
            self._keep_one()
            # Cuts that were merged are known a shortest scene later.
            again = [*self._doubtful, seen] if cut < seen.number else [seen]
            self._grids = [self._grid(again[0].time_ns)]
            self._scene_has_one = False
            for one, after in pairwise(again):
                self._judge(one, after.time_ns)
        if rule.doubtful is None or rule.doubtful == seen.number:
            self._doubtful.clear()
        if rule.doubtful is not None:
            self._doubtful.append(seen)

    def _keep_one(self) -> None:
        """A scene that is shorter than a frame of its grid shows its last picture."""
        if not self._scene_has_one and self._before is not None:
            self._keep(self._before)

    def _judge(self, seen: _Seen, until_ns: int) -> None:
        if any(grid.shows(seen.before_ns, seen.time_ns, until_ns) for grid in self._grids):
            self._keep(seen)

    def _keep(self, seen: _Seen) -> None:
        self._scene_has_one = True
        if seen.number not in self._kept:
            shaped = self._shaper.shaped(seen.picture)
            self._bytes += _size(shaped)
            self._kept[seen.number] = (shaped, seen.instant)


def _size(picture: av.VideoFrame) -> int:
    return sum(plane.buffer_size for plane in picture.planes)
