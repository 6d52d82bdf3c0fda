"""The clips of one item: one decode of what they need of it, one encode of each; or packets, copied."""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from scripts.common.clip_form import OF_COPIES, changes_pictures
from scripts.common.errors import InputError
from scripts.common.timeline import NS
from scripts.common.video_item import ItemReader, origin_of, read_sound
from scripts.datasets.clip_packets import CopyError, copy_packets
from scripts.datasets.clip_picture import Shaper, grid
from scripts.datasets.clip_writer import ClipWriter, sound_of_clip
from scripts.datasets.cut_task import CutTask, has_other_codec
from scripts.datasets.kept_pictures import KeptPictures
from scripts.datasets.smart_copy import SmartCutter

US = Fraction(1, 1_000_000)
# What a rounded instant may lie beside its own.
ROUNDING_S = Fraction(1, NS)
# Fewer frames than this are decoded and thrown away rather than sought over.
SEEK_FRAMES = 50
MAX_RATE = 240
# Above this share of its pictures that do not decode, a clip is none.
MOST_UNDECODED = 0.5
NONE_DECODES = "none of its pictures can be decoded"


@dataclass
class _Open:
    """A clip that is being written."""

    name: str
    writer: ClipWriter
    part: Path
    shown: np.ndarray
    times: np.ndarray
    on_grid: bool
    next: int = 0
    pictures: list[np.ndarray] = field(default_factory=list)


def cut_item(task: CutTask) -> dict[str, Any]:
    """Write every clip.

    Returns `parts`: name -> {ending: file name}; `failed`: name -> (reason, message); `notes`: name -> message.
    """
    made: dict[str, dict[str, str]] = {}
    notes: dict[str, str] = {}
    if task.copies:
        made, notes = _copied(task)
    if len(made) == len(task.clips):
        return {"parts": made, "failed": {}, "notes": notes}
    sound = _sound_of(task)
    if task.precision == "smart":
        made = _smart(task, sound)
    left = replace(task, clips=[clip for clip in task.clips if clip[0] not in made])
    done = _encode_all(left, sound) if left.clips else {"parts": {}, "failed": {}, "notes": {}}
    for name, note in done["notes"].items():
        notes[name] = "; ".join(filter(None, (notes.get(name), note)))
    return {"parts": made | done["parts"], "failed": done["failed"], "notes": notes}


def cut_kept(task: CutTask, kept: KeptPictures) -> dict[str, Any]:
    """As `cut_item`, of pictures that are in their shape already; `kept` holds all that the clips show."""
    cut = _Cut(task, _sound_of(task))
    cut.pictures(kept)
    return cut.result()


def _encode_all(task: CutTask, sound: tuple[np.ndarray, int] | None) -> dict[str, Any]:
    stack = contextlib.ExitStack()
    with stack:
        reader = stack.enter_context(ItemReader(task.url)) if len(task.frames) else None
        cut = _Cut(task, sound)
        if reader is not None and reader.video is not None and set(task.formats) & {"video", "frames"}:
            cut.pictures(reader)
        else:
            cut.sounds()
        return cut.result()


def _sound_of(task: CutTask) -> tuple[np.ndarray, int] | None:
    return read_sound(task.sound_url or task.url, Fraction(0) if task.sound_url else origin_of(task.frames))


def _heard(
    task: CutTask, sound: tuple[np.ndarray, int] | None, start_s: float, stop_s: float
) -> tuple[np.ndarray, int] | None:
    """The sound of a clip as it is asked for; None if there is none."""
    if sound is None:
        return None
    rate_hz, channels = task.audio["rate_hz"], task.audio["channels"]
    return sound_of_clip(*sound, start_s, stop_s, out_rate_hz=rate_hz, out_channels=channels)


def _copied(task: CutTask) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The clips that can be copied by their packets, and why others, which are left to be encoded, cannot."""
    made, notes = {}, {}
    if has_other_codec(task.facts, task.video):
        note = f"encoded, not copied: it is {task.facts['video_codec']}, and {task.video['codec']} is asked for"
        return {}, {name: note for name, _, _ in task.clips}
    origin = origin_of(task.frames)
    sound = _sound_of(task) if task.sound_url else None
    for name, start_s, stop_s in task.clips:
        path = Path(task.folder, f"{name}.mp4")
        heard = _heard(task, sound, start_s, stop_s)
        try:
            if task.begins_between(start_s):
                raise CopyError("no keyframe stands at its start")
            bounds = (origin + Fraction(start_s), origin + Fraction(stop_s))
            copy_packets(task.url, path, *bounds, sound=heard, bitrate=task.audio["bitrate"])
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, OSError):
                raise
            path.unlink(missing_ok=True)
            notes[name] = f"encoded, not copied: {' '.join(str(error).split())}"
        else:
            made[name] = {"mp4": path.name}
    return made, notes


def _smart(task: CutTask, sound: tuple[np.ndarray, int] | None) -> dict[str, dict[str, str]]:
    """The clips that can be put together of copied GOPs and encoded edges; the others are left to be encoded."""
    if changes_pictures(task.video) or task.formats != OF_COPIES or not len(task.frames):
        return {}
    cutter = SmartCutter(task.url, task.video, task.audio)
    if not cutter.fits:
        return {}
    origin, made = origin_of(task.frames), {}
    for name, start_s, stop_s in task.clips:
        heard = _heard(task, sound, start_s, stop_s)
        path = Path(task.folder, f"{name}.mp4")
        # A nanosecond earlier: times of the table are rounded, and a picture at a border belongs to its clip.
        bounds = (origin + Fraction(start_s) - ROUNDING_S, origin + Fraction(stop_s) - ROUNDING_S)
        try:
            fits = cutter.cut(path, *bounds, heard)
        except (av.error.FFmpegError, ValueError):
            # Packets that cannot stand in one track can still be decoded.
            fits = False
        if fits:
            made[name] = {"mp4": path.name}
        else:
            path.unlink(missing_ok=True)
    return made


class _Cut:
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
        frames = self._task.frames
        plans = [(name, start, stop, *grid(frames, start, stop, self._fps)) for name, start, stop in self._task.clips]
        for name, _, _, shown, _ in plans:
            if not len(shown):
                self._failed[name] = "not_cut", "no picture lies in it"
        waiting = sorted((plan for plan in plans if len(plan[3])), key=lambda plan: (plan[3][0], plan[0]))
        by_pts = {int(pts): number for number, pts in enumerate(frames.pts_us)}
        needed = {int(number) for plan in plans for number in plan[3]}

        def wanted(instant: Fraction) -> bool:
            number = by_pts.get(round(instant / US))
            return number is None or number in needed

        keys = np.flatnonzero(frames.keyframe)
        active: list[_Open] = []
        last: tuple[av.VideoFrame, int] | None = None
        pictures = reader.pictures(wanted)
        at = sought = -1
        while waiting or active:
            if not active and waiting:
                first = int(waiting[0][3][0])
                key = int(keys[np.searchsorted(keys, first, side="right") - 1]) if len(keys) and keys[0] <= first else 0
                if key - at > SEEK_FRAMES and key != sought and not isinstance(reader, KeptPictures):
                    pictures, sought = reader.pictures(wanted, start=int(frames.pts_us[key]) * US), key
            found = next(pictures, None)
            if found is None:
                break
            picture, instant = found
            number = by_pts.get(round(instant / US), -1)
            if number < 0:
                continue
            # A picture that did not decode is stood in for by the one before it.
            if last is not None:
                active = self._give(active, last[0], range(last[1] + 1, number))
            at = number
            self._decoded[number] = True
            while waiting and int(waiting[0][3][0]) <= number:
                active.append(self._open(*waiting.pop(0)))
            active = self._give(active, picture, range(number, number + 1))
            last = (picture, number)
        if last is not None:
            self._give(active, last[0], range(last[1] + 1, len(frames)))
        for name, *_ in waiting:
            self._failed[name] = "undecoded", NONE_DECODES

    def _give(self, active: list[_Open], picture: av.VideoFrame, numbers: Sequence[int]) -> list[_Open]:
        """Write `picture` to each clip that shows one of `numbers`; returns the clips that want more."""
        if not numbers:
            return active
        ready: av.VideoFrame | None = None
        left = []
        for clip in active:
            while clip.next < len(clip.shown) and clip.shown[clip.next] <= numbers[-1]:
                if ready is None:
                    ready = picture if self._in_shape else self._shaper.shaped(picture)
                if self._task.formats.get("frames") == "npy" or ("frames" in self._task.formats and not clip.pictures):
                    clip.pictures.append(ready.to_ndarray(format="rgb24"))
                if "video" in self._task.formats:
                    clip.writer.write(ready, int(clip.times[clip.next]), on_grid=clip.next if clip.on_grid else None)
                clip.next += 1
            if clip.next < len(clip.shown):
                left.append(clip)
            else:
                self._finish(clip)
        return left

    def _open(self, name: str, start_s: float, stop_s: float, shown: np.ndarray, times: np.ndarray) -> _Open:
        rate = self._fps or Fraction(self._task.facts["fps"] or 25).limit_denominator(100_000)
        rate = min(max(rate, Fraction(1, 60)), Fraction(MAX_RATE))
        part = Path(self._task.folder, f"{name}.mp4")
        sound, rate_hz = self._clip_sound(start_s, stop_s)
        # Equal steps are written as a number and a rate: their times are exact then.
        step_us = 1e6 / float(rate)
        on_grid = self._fps is not None or bool(
            np.all(np.abs(times - np.arange(len(times)) * step_us) < step_us * 0.05)
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
            self._write_sound(name, start_s, stop_s)
        return _Open(name, writer, part, shown, times, on_grid)

    def _finish(self, clip: _Open) -> None:
        every = np.unique(clip.shown)
        lost = int(np.count_nonzero(~self._decoded[every]))
        whole = lost <= MOST_UNDECODED * len(every)
        clip.writer.__exit__(None if whole else InputError, None)
        said = f"{lost} of its {len(every)} pictures do not decode"
        if not whole:
            clip.part.unlink(missing_ok=True)
            self._failed[clip.name] = "undecoded", said if lost < len(every) else NONE_DECODES
            return
        if lost:
            self._notes[clip.name] = f"{said}: a neighbour stands in their place"
        if "video" in self._task.formats:
            self._parts[clip.name]["mp4"] = clip.part.name
        if "frames" in self._task.formats:
            self._write_frames(clip)

    def _write_frames(self, clip: _Open) -> None:
        form = self._task.formats["frames"]
        path = Path(self._task.folder, f"{clip.name}.{form}")
        if form == "npy":
            np.save(path, np.stack(clip.pictures), allow_pickle=False)
        else:
            import simplejpeg

            path.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(clip.pictures[0]), quality=90))
        self._parts[clip.name][form] = path.name

    def _clip_sound(self, start_s: float, stop_s: float) -> tuple[np.ndarray | None, int]:
        return _heard(self._task, self._sound, start_s, stop_s) or (None, 0)

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
