"""What becomes of every clip that an item may have, as far as the item itself says: it stays, or is filtered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scripts.common.clip_form import AT_KEYFRAMES
from scripts.common.frame_table import FrameTable
from scripts.common.lots import Item, Speech
from scripts.datasets.clip_times import (
    Clip,
    divided,
    filtered,
    frames_of,
    keyframe_bounds,
    scores_of,
    wanted,
)
from scripts.datasets.unusable import unusable


@dataclass(frozen=True)
class Verdict:
    """A clip by its name; the reason is "" for one that stays.

    span: start_s and stop_s that the table or the subtitles ask for, and which part of them it is; () for a clip that
    the item alone decides on, so that items which show the same have the same ones.
    """

    name: str
    clip: Clip
    span: tuple[float, ...] = ()
    reason: str = ""
    value: float | None = None
    limit: float | None = None
    message: str = ""


def is_whole(item: Item, settings: dict[str, Any]) -> bool:
    """Whether an item is a sample of its own, under its own key."""
    return not settings["max_s"] and _source(item, settings) == "whole"


def verdicts(
    item: Item,
    facts: dict[str, Any],
    table: tuple[FrameTable, dict[str, np.ndarray]],
    settings: dict[str, Any],
    speech: Speech,
) -> list[Verdict]:
    """The clips of an item in the order of their names. settings: scan, clips, filters and those of their length."""
    frames, scores = table
    source = _source(item, settings)
    found = wanted(
        source,
        duration_s=facts["duration_s"],
        table=item.clips,
        subtitles=item.subtitles,
        speech=speech.stretches,
        frames=frames,
        change=scores["change"],
        threshold=settings["scan"]["threshold"],
        min_scene_frames=settings["scan"]["min_scene_frames"],
    )
    if is_whole(item, settings):
        return [_verdict(item, item.key, clip, (), table, settings) for clip in found]
    said: list[Verdict] = []
    for clip in found:
        for part, piece in enumerate(_parts(clip, facts, settings)):
            # Of two copies, one may end a little earlier, and its last clip with it.
            asked = (round(clip.start_s, 6), round(clip.stop_s + clip.short_s, 6), part)
            span = asked if source in ("table", "subtitles") else ()
            said.append(_verdict(item, f"{item.key}_{len(said):05d}", piece, span, table, settings))
    return said


def _source(item: Item, settings: dict[str, Any]) -> str:
    source = str(settings["clips"])
    return source if source != "auto" else "table" if item.clips else "whole"


def _verdict(
    item: Item,
    name: str,
    clip: Clip,
    span: tuple[float, ...],
    table: tuple[FrameTable, dict[str, np.ndarray]],
    settings: dict[str, Any],
) -> Verdict:
    frames, scores = table
    first, stop = frames_of(frames, clip.start_s, clip.stop_s)
    black, freeze = settings["scan"]["black"], settings["scan"]["freeze"]
    clip = replace(clip, scores=scores_of(scores, first, stop, black, freeze))
    lacks = unusable(item.extra, clip)
    if lacks.reason:
        return Verdict(name, clip, span, lacks.reason, lacks.value, lacks.limit, lacks.message)
    caption, language = clip.caption or item.caption, str(item.extra.get("language", ""))
    reason, value, limit = filtered(
        clip, min_s=settings["min_s"], filters=settings["filters"], caption=caption, language=language
    )
    if reason == "empty" and settings["precision"] == "keyframe_adjusted" and clip.asked_s is not None:
        reason = "no_keyframe"
    message = _language_note(language, settings["filters"]) if reason == "languages" else ""
    return Verdict(name, clip, span, reason, value, limit, message)


def _parts(clip: Clip, facts: dict[str, Any], settings: dict[str, Any]) -> Sequence[Clip]:
    """What is cut of a clip that is wanted: it is brought to keyframes first, which makes it longer."""
    keyframes_s = facts["keyframes_s"] if settings["precision"] in AT_KEYFRAMES else []
    if keyframes_s:
        clip = _at_keyframes(clip, facts, settings["precision"])
    return divided([clip], max_s=settings["max_s"], strategy=settings["strategy"], keyframes_s=keyframes_s)


def _language_note(language: str, filters: dict[str, Any]) -> str:
    wanted = ", ".join(filters["languages"])
    return f"its language is {repr(language) if language else 'not known'}; wanted: {wanted}"


def _at_keyframes(clip: Clip, facts: dict[str, Any], precision: str) -> Clip:
    # One that lies after the end, or has no length, is none: the keyframe before it would make one of it.
    if clip.seconds <= 0:
        return clip
    bounds = keyframe_bounds(clip, facts["keyframes_s"], facts["duration_s"], inwards=precision == "keyframe_adjusted")
    return replace(clip, start_s=bounds[0], stop_s=bounds[1], asked_s=(clip.start_s, clip.stop_s))
