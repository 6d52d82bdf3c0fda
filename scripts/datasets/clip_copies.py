"""Clips that are made of an item's own packets: copied from keyframe to keyframe, or but for their edges."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from scripts.common.clip_form import OF_COPIES, changes_pictures
from scripts.common.timeline import NS
from scripts.common.video_item import origin_of
from scripts.datasets.clip_packets import CopyError, copy_packets
from scripts.datasets.clip_sound import heard, sound_of_item
from scripts.datasets.cut_task import CutTask, has_other_codec
from scripts.datasets.smart_copy import SmartCutter

# What a rounded instant may lie beside its own.
ROUNDING_S = Fraction(1, NS)


def copied_clips(task: CutTask) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """The clips that can be copied by their packets, and why others, which are left to be encoded, cannot."""
    made, notes = {}, {}
    if has_other_codec(task.facts, task.video):
        note = f"encoded, not copied: it is {task.facts['video_codec']}, and {task.video['codec']} is asked for"
        return {}, {name: note for name, _, _ in task.clips}
    origin = origin_of(task.frames)
    sound = sound_of_item(task) if task.sound_url else None
    for name, start_s, stop_s in task.clips:
        path = Path(task.folder, f"{name}.mp4")
        own_sound = heard(task, sound, start_s, stop_s)
        try:
            if task.begins_between(start_s):
                raise CopyError("no keyframe stands at its start")
            bounds = (origin + Fraction(start_s), origin + Fraction(stop_s))
            copy_packets(task.url, path, *bounds, sound=own_sound, bitrate=task.audio["bitrate"])
        except (av.error.FFmpegError, ValueError) as error:
            if isinstance(error, OSError):
                raise
            path.unlink(missing_ok=True)
            notes[name] = f"encoded, not copied: {' '.join(str(error).split())}"
        else:
            made[name] = {"mp4": path.name}
    return made, notes


def smart_clips(task: CutTask, sound: tuple[np.ndarray, int] | None) -> dict[str, dict[str, str]]:
    """The clips that can be put together of copied GOPs and encoded edges; the others are left to be encoded."""
    if changes_pictures(task.video) or task.formats != OF_COPIES or not len(task.frames):
        return {}
    cutter = SmartCutter(task.url, task.video, task.audio)
    if not cutter.fits:
        return {}
    origin, made = origin_of(task.frames), {}
    for name, start_s, stop_s in task.clips:
        own_sound = heard(task, sound, start_s, stop_s)
        path = Path(task.folder, f"{name}.mp4")
        # A nanosecond earlier: times of the table are rounded, and a picture at a border belongs to its clip.
        bounds = (origin + Fraction(start_s) - ROUNDING_S, origin + Fraction(stop_s) - ROUNDING_S)
        try:
            fits = cutter.cut(path, *bounds, own_sound)
        except (av.error.FFmpegError, ValueError):
            # Packets that cannot stand in one track can still be decoded.
            fits = False
        if fits:
            made[name] = {"mp4": path.name}
        else:
            path.unlink(missing_ok=True)
    return made
