"""The clips of an item that are encoded: its pictures are decoded once, and each goes to every clip that shows it."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.video_item import ItemReader
from scripts.datasets.clip_picture import Shaper, grid
from scripts.datasets.clip_sound import heard
from scripts.datasets.clip_writer import ClipWriter
from scripts.datasets.cut_task import CutTask
from scripts.datasets.kept_pictures import KeptPictures

US = Fraction(1, 1_000_000)
# Fewer frames than this are decoded and thrown away rather than sought over.
SEEK_FRAMES = 50
MAX_RATE = 240
# Above this share of its pictures that do not decode, a clip is none.
MOST_UNDECODED = 0.5
NONE_DECODES = "none of its pictures can be decoded"


class _Plan(NamedTuple):
    """What a clip shows. shown: numbers of frames, (M,), rising; times_us: after its start, (M,)."""

    name: str
    start_s: float
    stop_s: float
    shown: np.ndarray
    times_us: np.ndarray

    @property
    def first(self) -> int:
        """The first frame that it shows."""
        return int(self.shown[0])


@dataclass
class _Open:
    """A clip that is being written. next: index of what it shows next."""

    plan: _Plan
    writer: ClipWriter
    part: Path
    on_grid: bool
    next: int = 0
    pictures: list[np.ndarray] = field(default_factory=list)


class _Numbered:
    """Pictures of an item with the numbers that they have in its frame table; long stretches are sought over."""

    def __init__(self, reader: ItemReader | KeptPictures, frames: FrameTable, needed: Collection[int]) -> None:
        self._reader, self._needed = reader, needed
        self._pts_us = frames.pts_us
        self._keyframes = np.flatnonzero(frames.keyframe)
        self._number_at = {int(pts): number for number, pts in enumerate(frames.pts_us)}
        self._pictures = reader.pictures(self._is_needed)
        self._at = self._sought = -1

    def next(self, wanted_from: int | None) -> tuple[av.VideoFrame, int] | None:
        """The next picture that is in the table; None at the end. wanted_from: nothing before it is of use."""
        if wanted_from is not None:
            self._seek(wanted_from)
        for picture, instant in self._pictures:
            number = self._number_at.get(round(instant / US))
            if number is not None:
                self._at = number
                return picture, number
        return None

    def _is_needed(self, instant: Fraction) -> bool:
        number = self._number_at.get(round(instant / US))
        return number is None or number in self._needed

    def _seek(self, number: int) -> None:
        before = self._keyframes[: np.searchsorted(self._keyframes, number, side="right")]
        key = int(before[-1]) if len(before) else 0
        if key - self._at > SEEK_FRAMES and key != self._sought and not isinstance(self._reader, KeptPictures):
            self._pictures = self._reader.pictures(self._is_needed, start=int(self._pts_us[key]) * US)
            self._sought = key


class ClipEncodes:
    """The clips of one item while they are encoded: `pictures` or `sounds` once, then `result`."""

    def __init__(self, task: CutTask, sound: tuple[np.ndarray, int] | None) -> None:
        self._task, self._sound = task, sound
        self._fps = task.fps
        self._coding = task.coding
        self._shaper, self._in_shape = Shaper(task.video), False
        self._parts: dict[str, dict[str, str]] = {name: {} for name, _, _ in task.clips}
        self._failed: dict[str, tuple[str, str]] = {}
        self._notes: dict[str, str] = {}
        self._decoded = np.zeros(len(task.frames), bool)

    def result(self) -> dict[str, Any]:
        """What `cut_item` returns."""
        return {"parts": self._parts, "failed": self._failed, "notes": self._notes}

    def sounds(self) -> None:
        """Clips of an item without pictures, or of whose pictures nobody wants any."""
        if not {"video", "audio"} & set(self._task.formats):
            raise InputError("no_pictures", "it has no picture, and nothing else is wanted of it")
        if self._sound is None:
            nothing = "" if len(self._task.frames) else ", and no picture"
            raise InputError("no_sound", f"it has no sound that can be decoded{nothing}")
        for name, start_s, stop_s in self._task.clips:
            self._write_sound(name, start_s, stop_s)

    def pictures(self, reader: ItemReader | KeptPictures) -> None:
        """Decode once; every picture goes to the clips that show it."""
        self._in_shape = isinstance(reader, KeptPictures)
        if not isinstance(reader, KeptPictures):
            self._shaper.pixel_shape = reader.pixel_shape
        waiting = self._plan()
        numbered = _Numbered(reader, self._task.frames, {int(number) for plan in waiting for number in plan.shown})
        active: list[_Open] = []
        last: tuple[av.VideoFrame, int] | None = None
        while waiting or active:
            found = numbered.next(wanted_from=None if active else waiting[0].first)
            if found is None:
                break
            picture, number = found
            # A picture that did not decode is stood in for by the one before it.
            if last is not None:
                active = self._give(active, last[0], range(last[1] + 1, number))
            self._decoded[number] = True
            while waiting and waiting[0].first <= number:
                active.append(self._open(waiting.pop(0)))
            active = self._give(active, picture, range(number, number + 1))
            last = found
        if last is not None:
            self._give(active, last[0], range(last[1] + 1, len(self._task.frames)))
        for plan in waiting:
            self._failed[plan.name] = "undecoded", NONE_DECODES

    def _plan(self) -> list[_Plan]:
        """What each clip shows, in the order in which they begin; clips that show nothing have failed."""
        plans = []
        for name, start_s, stop_s in self._task.clips:
            shown, times = grid(self._task.frames, start_s, stop_s, self._fps)
            if len(shown):
                plans.append(_Plan(name, start_s, stop_s, shown, times))
            else:
                self._failed[name] = "not_cut", "no picture lies in it"
        return sorted(plans, key=lambda plan: (plan.first, plan.name))

    def _give(self, active: list[_Open], picture: av.VideoFrame, numbers: Sequence[int]) -> list[_Open]:
        """Write `picture` to each clip that shows one of `numbers`; returns the clips that want more."""
        if not numbers:
            return active
        ready: av.VideoFrame | None = None
        left = []
        for clip in active:
            while clip.next < len(clip.plan.shown) and clip.plan.shown[clip.next] <= numbers[-1]:
                if ready is None:
                    ready = picture if self._in_shape else self._shaper.shaped(picture)
                self._add(clip, ready)
            if clip.next < len(clip.plan.shown):
                left.append(clip)
            else:
                self._finish(clip)
        return left

    def _add(self, clip: _Open, picture: av.VideoFrame) -> None:
        formats = self._task.formats
        if formats.get("frames") == "npy" or ("frames" in formats and not clip.pictures):
            clip.pictures.append(picture.to_ndarray(format="rgb24"))
        if "video" in formats:
            on_grid = clip.next if clip.on_grid else None
            clip.writer.write(picture, int(clip.plan.times_us[clip.next]), on_grid=on_grid)
        clip.next += 1

    def _open(self, plan: _Plan) -> _Open:
        rate = self._fps or Fraction(self._task.facts["fps"] or 25).limit_denominator(100_000)
        rate = min(max(rate, Fraction(1, 60)), Fraction(MAX_RATE))
        part = Path(self._task.folder, f"{plan.name}.mp4")
        sound, rate_hz = self._clip_sound(plan.start_s, plan.stop_s)
        # Equal steps are written as a number and a rate: their times are exact then.
        step_us = 1e6 / float(rate)
        on_grid = self._fps is not None or bool(
            np.all(np.abs(plan.times_us - np.arange(len(plan.times_us)) * step_us) < step_us * 0.05)
        )
        writer = ClipWriter(
            part if "video" in self._task.formats else Path(os.devnull),
            rate=rate,
            coding=self._coding,
            sound=sound,
            rate_hz=rate_hz,
            bitrate=self._task.audio["bitrate"],
        )
        if "audio" in self._task.formats:
            self._write_sound(plan.name, plan.start_s, plan.stop_s)
        return _Open(plan, writer, part, on_grid)

    def _finish(self, clip: _Open) -> None:
        every = np.unique(clip.plan.shown)
        lost = int(np.count_nonzero(~self._decoded[every]))
        whole = lost <= MOST_UNDECODED * len(every)
        clip.writer.__exit__(None if whole else InputError, None)
        said = f"{lost} of its {len(every)} pictures do not decode"
        if not whole:
            clip.part.unlink(missing_ok=True)
            self._failed[clip.plan.name] = "undecoded", said if lost < len(every) else NONE_DECODES
            return
        if lost:
            self._notes[clip.plan.name] = f"{said}: a neighbour stands in their place"
        if "video" in self._task.formats:
            self._parts[clip.plan.name]["mp4"] = clip.part.name
        if "frames" in self._task.formats:
            self._write_frames(clip)

    def _write_frames(self, clip: _Open) -> None:
        form = self._task.formats["frames"]
        path = Path(self._task.folder, f"{clip.plan.name}.{form}")
        if form == "npy":
            np.save(path, np.stack(clip.pictures), allow_pickle=False)
        else:
            import simplejpeg

            path.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(clip.pictures[0]), quality=90))
        self._parts[clip.plan.name][form] = path.name

    def _clip_sound(self, start_s: float, stop_s: float) -> tuple[np.ndarray | None, int]:
        return heard(self._task, self._sound, start_s, stop_s) or (None, 0)

    def _write_sound(self, name: str, start_s: float, stop_s: float) -> None:
        sound, rate_hz = self._clip_sound(start_s, stop_s)
        if sound is None:
            return
        ending = "m4a" if "audio" in self._task.formats else "mp4"
        path = Path(self._task.folder, f"{name}.{ending}")
        with ClipWriter(
            path, rate=None, coding=self._coding, sound=sound, rate_hz=rate_hz, bitrate=self._task.audio["bitrate"]
        ):
            pass
        self._parts[name][ending] = path.name
