"""Clips of a lot's items: chosen by table, cuts or subtitles, filtered with a reason, and cut in one pass an item."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from scripts.common import clips as clip_tables
from scripts.common import ledger, lots
from scripts.common.clips import ClipRow
from scripts.common.frame_table import FrameTable
from scripts.common.job import run
from scripts.common.lot_work import work_on
from scripts.common.lots import Item, Speech
from scripts.common.scene_cuts import find_cuts, scenes
from scripts.common.tar_file import TarWriter
from scripts.common.working import Status, Working
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
from scripts.datasets.cut_item import CutTask, cut_item

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
    found = divided(found, max_s=settings["max_s"], strategy=settings["strategy"])
    whole = settings["clips"] == "whole" or (settings["clips"] == "auto" and not item.clips)
    alone = whole and not settings["max_s"]
    chosen = Chosen(item, facts, frames, {}, [], False, _scenes(frames, scores, facts, settings["scan"]))
    for number, clip in enumerate(found):
        name = item.key if alone else f"{item.key}_{number:05d}"
        clip = _at_keyframes(clip, facts, settings["precision"]) if not alone else clip
        first, stop = frames_of(frames, clip.start_s, clip.stop_s)
        black, freeze = settings["scan"]["black"], settings["scan"]["freeze"]
        clip = replace(clip, scores=scores_of(scores, first, stop, black, freeze))
        caption, language = clip.caption or item.caption, str(item.extra.get("language", ""))
        reason, value, limit = filtered(
            clip, min_s=settings["min_s"], filters=settings["filters"], caption=caption, language=language
        )
        if reason == "empty" and settings["precision"] == "keyframe_adjusted":
            reason = "no_keyframe"
        message = ""
        if duplicate_of:
            reason, value, limit, message = "duplicate", None, None, f"the same as {duplicate_of}"
        if reason:
            span = _span(clip)
            chosen.done.append(ledger.Row(STEP, dataset, name, "filtered", reason, value, limit, message, **span))
        else:
            chosen.clips[name] = clip
    if speech.reason:
        chosen.done.append(ledger.Row(STEP, dataset, item.key, "failed", speech.reason, message=speech.message))
    elif not found:
        chosen.done.append(ledger.Row(STEP, dataset, item.key, "filtered", "no_clips", message="it has no clip"))
    chosen.as_it_is = alone and not item.sound and _unchanged(facts, settings)
    return chosen


def _span(clip: Clip) -> dict[str, Any]:
    """Its times for the ledger; those that no int64 holds are left out."""
    times = {"start_ns": clip.start_s, "stop_ns": clip.stop_s}
    return {name: round(seconds * 1e9) if abs(seconds) < 9e9 else None for name, seconds in times.items()}


def _at_keyframes(clip: Clip, facts: dict[str, Any], precision: str) -> Clip:
    if precision not in ("keyframe", "keyframe_adjusted") or not facts["keyframes_s"]:
        return clip
    bounds = keyframe_bounds(clip, facts["keyframes_s"], facts["duration_s"], inwards=precision == "keyframe_adjusted")
    return replace(clip, start_s=bounds[0], stop_s=bounds[1], asked_s=(clip.start_s, clip.stop_s))


def _unchanged(facts: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Whether an item that is wanted whole may be taken byte by byte."""
    video, audio = settings["video"], settings["audio"]
    asked = video["width"] or video["height"] or video["fps"] or audio["rate_hz"] or audio["channels"]
    fits = facts["container"] == "mov" and {facts["video_codec"], facts["audio_codec"]} <= OF_MP4
    return not asked and fits and settings["encode_formats"] == {"video": "mp4"}


def cut_shard(
    media: Path,
    contents: Path,
    scans: Path,
    frames: Path,
    duplicates: Path | None,
    speech: Path | None,
    out_media: Path,
    out_clips: Path,
    out_ledger: Path,
    *,
    dataset: str,
    settings: dict[str, Any],
    working: str,
    threads: int,
) -> None:
    """Cut the clips of every item that was scanned; those of an item are in the order of time."""
    listed = [item for item in lots.read_items(contents) if item.is_there]
    facts, tables = lots.read_scans(scans), lots.read_frames(frames)
    same = _duplicates(duplicates)
    said = lots.read_speech(speech) if speech else {}
    empty = (FrameTable.empty(), {name: np.empty(0, np.float32) for name in lots.SCORES})
    chosen = {
        item.key: choose(
            dataset,
            item,
            facts[item.key]["facts"],
            tables.get(item.key, empty),
            settings,
            same.get(item.key, ""),
            said.get(item.key, Speech()),
        )
        for item in listed
        if item.key in facts
    }
    read = [path.read_bytes() for path in (contents, frames, duplicates, speech) if path]
    mark = hashlib.sha256(b"".join(read) + json.dumps([settings, 1], sort_keys=True).encode())
    place = Working(Path(working), mark.hexdigest())
    tasks = {
        key: _task(choice, media, settings, place)
        for key, choice in chosen.items()
        if choice.clips and not choice.as_it_is
    }
    ended = work_on(cut_item, tasks, place, threads, "items cut")
    rows: list[ClipRow] = []
    entries: list[ledger.Row] = []
    with TarWriter(out_media) as tar:
        for choice in chosen.values():
            entries += choice.done
            for row, entry in _finished(dataset, choice, ended.get(choice.item.key), place, tar):
                entries.append(entry)
                rows += [row] if row else []
    clip_tables.write(out_clips, rows)
    ledger.write(out_ledger, entries)
    place.remove()


def _task(choice: Chosen, media: Path, settings: dict[str, Any], place: Working) -> CutTask:
    video = dict(settings["video"])
    video["fps"] = str(Fraction(str(video["fps"]))) if video["fps"] else ""
    return CutTask(
        url=lots.media_url(choice.item, media),
        sound_url=f"file:{choice.item.sound}" if choice.item.sound else "",
        frames=choice.frames,
        clips=[(name, clip.start_s, clip.stop_s) for name, clip in choice.clips.items()],
        facts=choice.facts,
        video=video,
        audio=settings["audio"],
        formats=settings["encode_formats"],
        precision=settings["precision"],
        folder=str(place.folder),
    )


def _finished(
    dataset: str, choice: Chosen, status: Status | None, place: Working, tar: TarWriter
) -> Iterator[tuple[ClipRow | None, ledger.Row]]:
    item = choice.item
    for name, clip in choice.clips.items():
        span = _span(clip)
        parts: list[dict[str, Any]] = []
        message, reason = "", "not_cut"
        if choice.as_it_is:
            ending = "mp4" if choice.facts["video_codec"] else "m4a"
            parts = [{"ending": ending, "from_item": True, "path": item.path, "offset": item.offset, "size": item.size}]
            parts[0]["sha256"] = item.sha256
        elif status is None or status["outcome"] == "failed":
            reason, message = (status["reason"], status["message"]) if status else ("not_cut", "")
        elif name in status["failed"]:
            message = status["failed"][name]
        else:
            for ending, file in sorted(status["parts"][name].items()):
                member = tar.copy(f"{name}.{ending}", place.file(file))
                parts.append({"ending": ending, "from_item": False, "path": "", "offset": member.offset})
                parts[-1] |= {"size": member.size, "sha256": member.sha256}
        if not parts:
            yield None, ledger.Row(STEP, dataset, name, "failed", reason, message=message or "nothing was made", **span)
            continue
        row = ClipRow(
            key=name,
            item=item.key,
            shard=item.shard,
            start_s=round(clip.start_s, 6),
            stop_s=round(clip.stop_s, 6),
            caption=clip.caption or item.caption,
            meta=clip_tables.metadata(item, choice.facts, clip.scores)
            | _snapped(clip)
            | _scenes_of(clip, choice.scenes_s),
            parts=parts,
        )
        yield row, ledger.Row(STEP, dataset, name, "written", value=clip.seconds, **span)


def _snapped(clip: Clip) -> dict[str, Any]:
    """What was asked of a clip that begins and ends at keyframes, and how much of it was dropped, or came on top."""
    if clip.asked_s is None:
        return {}
    start_s, stop_s = clip.asked_s
    dropped = (clip.start_s - start_s) + (stop_s - clip.stop_s)
    return {"asked_start_s": round(start_s, 6), "asked_stop_s": round(stop_s, 6), "dropped_s": round(dropped, 6)}


def _scenes(
    frames: FrameTable, scores: dict[str, np.ndarray], facts: dict[str, Any], scan: dict[str, Any]
) -> dict[str, list[tuple[float, float]]]:
    """Scenes in seconds by the name under which they stand in the json: at the item's own frame rate, and at others."""
    rule = (scan["threshold"], scan["min_scene_frames"])
    found = {"cuts_s": scenes_in(frames, scores["change"], *rule)}
    for fps, slow in facts.get("slow_changes", {}).items():
        edges = [*slow["time_s"], frames.stop_ns / 1e9]
        cuts = scenes(len(slow["change"]), find_cuts(np.array(slow["change"]), *rule))
        found[f"cuts_s_{fps}"] = [(edges[a], edges[b]) for a, b in cuts]
    return found


def _scenes_of(clip: Clip, scenes_s: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    """The scenes of a clip, in seconds after its start; nothing where nobody looked for them."""
    said = {}
    for name, every in scenes_s.items():
        inside = [(max(start, clip.start_s), min(stop, clip.stop_s)) for start, stop in every]
        inside = [(start - clip.start_s, stop - clip.start_s) for start, stop in inside if stop > start]
        said[name] = [[round(start, 6), round(stop, 6)] for start, stop in inside]
    return {name: times for name, times in said.items() if times}


def _duplicates(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    table = pq.read_table(path, partitioning=None)
    return dict(zip(table["key"].to_pylist(), table["same_as"].to_pylist(), strict=True)) if table.num_rows else {}


if __name__ == "__main__":
    run(cut_shard)
