"""The clips of one item: packets, copied; or one decode of what they need of it, and one encode of each."""

import contextlib
from dataclasses import replace
from typing import Any

import numpy as np

from scripts.common.video_item import ItemReader
from scripts.datasets.clip_copies import copied_clips, smart_clips
from scripts.datasets.clip_encodes import ClipEncodes
from scripts.datasets.clip_sound import sound_of_item
from scripts.datasets.cut_task import CutTask
from scripts.datasets.kept_pictures import KeptPictures


def cut_item(task: CutTask) -> dict[str, Any]:
    """Write every clip.

    Returns `parts`: name -> {ending: file name}; `failed`: name -> (reason, message); `notes`: name -> message.
    """
    made: dict[str, dict[str, str]] = {}
    notes: dict[str, str] = {}
    if task.copies:
        made, notes = copied_clips(task)
    if len(made) == len(task.clips):
        return {"parts": made, "failed": {}, "notes": notes}
    sound = sound_of_item(task)
    if task.precision == "smart":
        made = smart_clips(task, sound)
    left = replace(task, clips=[clip for clip in task.clips if clip[0] not in made])
    done = _encode_all(left, sound) if left.clips else {"parts": {}, "failed": {}, "notes": {}}
    for name, note in done["notes"].items():
        notes[name] = "; ".join(filter(None, (notes.get(name), note)))
    return {"parts": made | done["parts"], "failed": done["failed"], "notes": notes}


def cut_kept(task: CutTask, kept: KeptPictures) -> dict[str, Any]:
    """As `cut_item`, of pictures that are in their shape already; `kept` holds all that the clips show."""
    cut = ClipEncodes(task, sound_of_item(task))
    cut.pictures(kept)
    return cut.result()


def _encode_all(task: CutTask, sound: tuple[np.ndarray, int] | None) -> dict[str, Any]:
    stack = contextlib.ExitStack()
    with stack:
        reader = stack.enter_context(ItemReader(task.url)) if len(task.frames) else None
        cut = ClipEncodes(task, sound)
        if reader is not None and reader.video is not None and set(task.formats) & {"video", "frames"}:
            cut.pictures(reader)
        else:
            cut.sounds()
        return cut.result()
