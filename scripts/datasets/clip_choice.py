"""Which clips of an item are cut, and which are filtered with a reason."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import ledger
from scripts.common.clip_form import AT_KEYFRAMES, OF_COPIES, changes_pictures, changes_sound
from scripts.common.frame_table import FrameTable
from scripts.common.lots import Item, Speech
from scripts.common.scene_cuts import find_cuts, scenes
from scripts.common.versions import LOT_METHODS
from scripts.common.working import Working
from scripts.datasets.clip_times import (
    Clip,
    divided,
    filtered,
    frames_of,
    keyframe_bounds,
    scenes_in,
    scores_of,
    wanted,
)
from scripts.datasets.cut_task import CutTask, has_other_codec

STEP = "cut_shard"
# Codecs that MP4 holds, so that a whole item may stay as it is.
OF_MP4 = {"h264", "hevc", "av1", "vp9", "mpeg4", "aac", "mp3", "opus", ""}


@dataclass
class Chosen:
    """What is to be done with an item. clips: those that stay, by name; done: ledger rows of the others."""

    item: Item
    facts: dict[str, Any]
    frames: FrameTable
    clips: dict[str, Clip]
    done: list[ledger.Row]
    as_it_is: bool
    scenes_s: dict[str, list[tuple[float, float]]]


def choose(
    dataset: str,
    item: Item,
    facts: dict[str, Any],
    table: tuple[FrameTable, dict[str, np.ndarray]],
    settings: dict[str, Any],
    duplicate_of: str,
    speech: Speech,
) -> Chosen:
    """Which clips of an item are wanted, and which of them stay."""
    frames, scores = table
    found = wanted(
        settings["clips"],
        duration_s=facts["duration_s"],
        table=item.clips,
        subtitles=item.subtitles,
        speech=speech.stretches,
        frames=frames,
        change=scores["change"],
        threshold=settings["scan"]["threshold"],
        min_scene_frames=settings["scan"]["min_scene_frames"],
    )
    whole = settings["clips"] == "whole" or (settings["clips"] == "auto" and not item.clips)
    alone = whole and not settings["max_s"]
    found = found if alone else _parts(found, facts, settings)
    chosen = Chosen(item, facts, frames, {}, [], False, _scenes(frames, scores, facts, settings["scan"]))
    for number, clip in enumerate(found):
        name = item.key if alone else f"{item.key}_{number:05d}"
        first, stop = frames_of(frames, clip.start_s, clip.stop_s)
        black, freeze = settings["scan"]["black"], settings["scan"]["freeze"]
        clip = replace(clip, scores=scores_of(scores, first, stop, black, freeze))
        caption, language = clip.caption or item.caption, str(item.extra.get("language", ""))
        reason, value, limit = filtered(
            clip, min_s=settings["min_s"], filters=settings["filters"], caption=caption, language=language
        )
        if reason == "empty" and settings["precision"] == "keyframe_adjusted" and clip.asked_s is not None:
            reason = "no_keyframe"
        message = _language_note(language, settings["filters"]) if reason == "languages" else ""
        if duplicate_of:
            reason, value, limit, message = "duplicate", None, None, f"the same as {duplicate_of}"
        if reason:
            span = span_of(clip)
            chosen.done.append(ledger.Row(STEP, dataset, name, "filtered", reason, value, limit, message, **span))
        else:
            chosen.clips[name] = clip
    if speech.reason:
        chosen.done.append(ledger.Row(STEP, dataset, item.key, "failed", speech.reason, message=speech.message))
    elif not found and settings["clips"] == "subtitles" and "subtitles" in item.extra:
        message = f"its subtitles are no [[start, end, text], …]: {str(item.extra['subtitles'])[:80]!r}"
        chosen.done.append(ledger.Row(STEP, dataset, item.key, "failed", "subtitles", message=message))
    elif not found:
        chosen.done.append(ledger.Row(STEP, dataset, item.key, "filtered", "no_clips", message="it has no clip"))
    chosen.as_it_is = alone and not item.sound and _unchanged(facts, settings)
    return chosen


def span_of(clip: Clip) -> dict[str, Any]:
    """Its times for the ledger; those that no int64 holds are left out."""
    times = {"start_ns": clip.start_s, "stop_ns": clip.stop_s}
    return {name: round(seconds * 1e9) if abs(seconds) < 9e9 else None for name, seconds in times.items()}


def lacking(choice: Chosen, clip: Clip) -> str:
    """What a clip has not that was asked for, as far as it is known before it is cut; "" if that is nothing."""
    said = []
    # Times of tables are rounded.
    if clip.short_s > max(choice.frames.period_ns / 1e9, 0.001):
        said.append(f"it ends with its item, {clip.short_s:.3f} s before its time")
    lost = choice.facts["undecoded"]
    if lost:
        said.append(f"its item lacks {lost} of {lost + choice.facts['frames']} pictures (`source_undecoded`)")
    return "; ".join(said)


def _parts(clips: Sequence[Clip], facts: dict[str, Any], settings: dict[str, Any]) -> list[Clip]:
    """The clips that are cut of those that are wanted: brought to keyframes first, which makes them longer."""
    keyframes_s = facts["keyframes_s"] if settings["precision"] in AT_KEYFRAMES else []
    if keyframes_s:
        clips = [_at_keyframes(clip, facts, settings["precision"]) for clip in clips]
    return divided(clips, max_s=settings["max_s"], strategy=settings["strategy"], keyframes_s=keyframes_s)


def _language_note(language: str, filters: dict[str, Any]) -> str:
    wanted = ", ".join(filters["languages"])
    return f"its language is {repr(language) if language else 'not known'}; wanted: {wanted}"


def _at_keyframes(clip: Clip, facts: dict[str, Any], precision: str) -> Clip:
    # One that lies after the end, or has no length, is none: the keyframe before it would make one of it.
    if clip.seconds <= 0:
        return clip
    bounds = keyframe_bounds(clip, facts["keyframes_s"], facts["duration_s"], inwards=precision == "keyframe_adjusted")
    return replace(clip, start_s=bounds[0], stop_s=bounds[1], asked_s=(clip.start_s, clip.stop_s))


def _unchanged(facts: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Whether an item that is wanted whole may be taken byte by byte."""
    if has_other_codec(facts, settings["video"]):
        return False
    asked = changes_pictures(settings["video"]) or changes_sound(settings["audio"])
    fits = facts["container"] == "mov" and {facts["video_codec"], facts["audio_codec"]} <= OF_MP4
    return not asked and fits and settings["encode_formats"] == OF_COPIES


def _scenes(
    frames: FrameTable, scores: dict[str, np.ndarray], facts: dict[str, Any], scan: dict[str, Any]
) -> dict[str, list[tuple[float, float]]]:
    """Scenes in seconds by the name under which they stand in the json: at the item's own frame rate, and at others."""
    rule = (scan["threshold"], scan["min_scene_frames"])
    found = {"cuts_s": scenes_in(frames, scores["change"], facts["duration_s"], *rule)}
    for fps, slow in facts.get("slow_changes", {}).items():
        edges = [*slow["time_s"], facts["duration_s"]]
        cuts = scenes(len(slow["change"]), find_cuts(np.array(slow["change"]), *rule))
        found[f"cuts_s_{fps}"] = [(edges[a], edges[b]) for a, b in cuts]
    return found


def cut_task(choice: Chosen, url: str, settings: dict[str, Any], folder: Path) -> CutTask:
    """What `cut_item` is told of an item. url: what ffmpeg opens; folder: where the clips go."""
    video = dict(settings["video"])
    video["fps"] = str(Fraction(str(video["fps"]))) if video["fps"] else ""
    return CutTask(
        url=url,
        sound_url=f"file:{choice.item.sound}" if choice.item.sound else "",
        frames=choice.frames,
        clips=[(name, clip.start_s, clip.stop_s) for name, clip in choice.clips.items()],
        facts=choice.facts,
        video=video,
        audio=settings["audio"],
        formats=settings["encode_formats"],
        precision=settings["precision"],
        folder=str(folder),
    )


def cut_mark(tables: Iterable[Path], settings: dict[str, Any]) -> str:
    """What the clips of a lot depend on: its tables and the settings; with another, what a killed job cut is void."""
    return Working.mark(LOT_METHODS[STEP], settings, *tables)
