"""Which clips of an item are cut, and which are filtered with a reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import ledger
from scripts.common.clip_form import OF_COPIES, changes_pictures, changes_sound
from scripts.common.frame_table import FrameTable
from scripts.common.lots import Item, Speech
from scripts.common.scene_cuts import find_cuts, scenes
from scripts.common.versions import LOT_METHODS
from scripts.common.working import Working
from scripts.datasets.clip_times import Clip, scenes_in
from scripts.datasets.clip_verdicts import Verdict, is_whole, verdicts
from scripts.datasets.cut_task import CutTask, has_other_codec
from scripts.datasets.unusable import unusable

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
    duplicates: Mapping[str, str],
    speech: Speech,
) -> Chosen:
    """Which clips of an item are wanted, and which of them stay. duplicates: clips by name that others show, too."""
    frames, scores = table
    found = verdicts(item, facts, table, settings, speech)
    chosen = Chosen(item, facts, frames, {}, [], False, _scenes(frames, scores, facts, settings["scan"]))
    for verdict in found:
        if not verdict.reason and verdict.name in duplicates:
            verdict = replace(verdict, reason="duplicate", message=f"the same as {duplicates[verdict.name]}")
        if verdict.reason:
            chosen.done.append(_row(dataset, verdict))
        else:
            chosen.clips[verdict.name] = verdict.clip
    if speech.reason:
        chosen.done.append(ledger.Row(STEP, dataset, item.key, "failed", speech.reason, message=speech.message))
    elif not found and settings["clips"] == "subtitles" and "subtitles" in item.extra:
        message = f"its subtitles are no [[start, end, text], …]: {str(item.extra['subtitles'])[:80]!r}"
        chosen.done.append(ledger.Row(STEP, dataset, item.key, "failed", "subtitles", message=message))
    elif not found:
        chosen.done.append(ledger.Row(STEP, dataset, item.key, "filtered", "no_clips", message="it has no clip"))
    chosen.as_it_is = is_whole(item, settings) and not item.sound and _unchanged(facts, settings)
    return chosen


def _row(dataset: str, verdict: Verdict) -> ledger.Row:
    said = verdict.reason, verdict.value, verdict.limit, verdict.message
    return ledger.Row(STEP, dataset, verdict.name, "filtered", *said, **span_of(verdict.clip))


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
    said.append(unusable(choice.item.extra, clip).message)
    return "; ".join(filter(None, said))


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
