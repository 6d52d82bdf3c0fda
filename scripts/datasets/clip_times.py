"""Which stretches of an item become clips, and by what they are filtered. Pure."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from scripts.common.frame_table import FrameTable
from scripts.common.scene_cuts import find_cuts, scenes

# Shorter ends of a clip that was divided are rounding.
ROUNDING_S = 1e-6


@dataclass(frozen=True)
class Clip:
    """start_s, stop_s: on the item's clock. caption: of the clip. scores: see `scores_of`.

    asked_s: the times that were asked for, where keyframes moved them.  short_s: how much of its time lies behind the
    end of its item.
    """

    start_s: float
    stop_s: float
    caption: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    asked_s: tuple[float, float] | None = None
    short_s: float = 0.0

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.stop_s - self.start_s


def wanted(
    source: str,
    *,
    duration_s: float,
    table: Sequence[Sequence[float]],
    subtitles: Sequence[Sequence[Any]],
    speech: Sequence[Sequence[float]],
    frames: FrameTable,
    change: np.ndarray,
    threshold: float,
    min_scene_frames: int,
) -> list[Clip]:
    """The clips of an item by their source: whole, table, cuts, longest_cut, subtitles, speech, or auto."""
    if source == "auto":
        source = "table" if table else "whole"
    if source == "whole":
        return [Clip(0.0, duration_s)]
    if source == "table":
        return [_inside(Clip(start, stop), duration_s) for start, stop in table]
    if source == "subtitles":
        return [_inside(Clip(start, stop, str(text)), duration_s) for start, stop, text in subtitles]
    if source == "speech":
        # Its end is no wish of anybody's: a network rounds it.
        return [Clip(start, min(stop, duration_s) if duration_s else stop) for start, stop in speech]
    clips = [Clip(*times) for times in scenes_in(frames, change, duration_s, threshold, min_scene_frames)]
    if source == "longest_cut" and clips:
        return [max(clips, key=lambda clip: clip.seconds)]
    return clips


def _inside(clip: Clip, duration_s: float) -> Clip:
    short_s = clip.stop_s - duration_s if duration_s else 0.0
    return replace(clip, stop_s=duration_s, short_s=short_s) if short_s > 0 else clip


def scenes_in(
    frames: FrameTable, change: np.ndarray, duration_s: float, threshold: float, min_scene_frames: int
) -> list[tuple[float, float]]:
    """Start and stop of every scene in seconds; none where nobody looked at the pictures.

    duration_s: of the item, which alone says how long a single picture is shown.
    """
    if not len(frames) or math.isnan(float(change[0])):
        return []
    ends = [*(frames.time_ns / 1e9).tolist(), duration_s]
    return [(ends[a], ends[b]) for a, b in scenes(len(frames), find_cuts(change, threshold, min_scene_frames))]


def divided(clips: Sequence[Clip], *, max_s: float, strategy: str, keyframes_s: Sequence[float] = ()) -> list[Clip]:
    """Clips longer than `max_s` in parts of that length, the last of what is left; `first`: the first part alone.

    keyframes_s: rising; where one stands within that length, a part ends at the last of them.
    """
    parts: list[Clip] = []
    for clip in clips:
        own = _parts(clip, max_s, keyframes_s) if max_s and clip.seconds > max_s + ROUNDING_S else [clip]
        parts += own[:1] if strategy == "first" else own
    return parts


def _parts(clip: Clip, max_s: float, keyframes_s: Sequence[float]) -> list[Clip]:
    asked_start_s, asked_stop_s = clip.asked_s or (clip.start_s, clip.stop_s)
    # What a keyframe far before it put ahead of a clip is in no part of its own.
    spans = [span for span in pairwise(_bounds(clip, max_s, keyframes_s)) if span[1] > asked_start_s]
    parts = []
    for start_s, stop_s in spans:
        is_first, is_last = start_s == spans[0][0], stop_s == clip.stop_s
        asked_s = asked_start_s if is_first else start_s, asked_stop_s if is_last else stop_s
        part = replace(clip, start_s=start_s, stop_s=stop_s, short_s=clip.short_s if is_last else 0.0)
        parts.append(replace(part, asked_s=asked_s if clip.asked_s else None))
    return parts


def _bounds(clip: Clip, max_s: float, keyframes_s: Sequence[float]) -> list[float]:
    """Where parts of a clip begin and end."""
    bounds = [clip.start_s]
    # Multiples of the length, not sums: errors of rounding do not add up.
    origin_s, count = clip.start_s, 1
    while clip.stop_s - bounds[-1] > max_s + ROUNDING_S:
        limit_s = origin_s + count * max_s
        key = bisect_right(keyframes_s, limit_s + ROUNDING_S) - 1
        if key >= 0 and keyframes_s[key] > bounds[-1] + ROUNDING_S:
            origin_s, count = float(keyframes_s[key]), 0
            limit_s = origin_s
        bounds.append(limit_s)
        count += 1
    return [*bounds, clip.stop_s]


def keyframe_bounds(
    clip: Clip, keyframes_s: Sequence[float], duration_s: float, *, inwards: bool
) -> tuple[float, float]:
    """What can be copied of a clip: from the keyframe before it, or between those inside; empty if start >= stop."""
    keys = np.asarray(keyframes_s, float)
    if not inwards:
        before = keys[keys <= clip.start_s + ROUNDING_S]
        return (float(before[-1]) if len(before) else 0.0), clip.stop_s
    after = keys[keys >= clip.start_s - ROUNDING_S]
    start = float(after[0]) if len(after) else duration_s
    if clip.stop_s >= duration_s - ROUNDING_S:
        return start, clip.stop_s
    ends = keys[keys <= clip.stop_s + ROUNDING_S]
    return start, float(ends[-1]) if len(ends) else 0.0


def frames_of(frames: FrameTable, start_s: float, stop_s: float) -> tuple[int, int]:
    """First frame and the frame after the last of a stretch."""
    first, stop = np.searchsorted(frames.time_ns, [round(start_s * 1e9), round(stop_s * 1e9)])
    return int(first), int(stop)


def scores_of(scores: dict[str, np.ndarray], first: int, stop: int, black: float, freeze: float) -> dict[str, float]:
    """Mean motion, shares of black and frozen pictures, sharpness and brightness of the frames first … stop - 1."""
    motion, luma = scores["motion"][first:stop], scores["luma"][first:stop]
    if not len(motion) or math.isnan(float(luma[0])):
        return {}
    # The first picture of a clip has none before it to move from.
    inner = motion[1:] if len(motion) > 1 else motion
    return {
        "motion": round(float(inner.mean()), 4),
        "black": round(float((luma < black).mean()), 4),
        "freeze": round(float((inner < freeze).mean()), 4),
        "sharpness": round(float(scores["sharpness"][first:stop].mean()), 3),
        "brightness": round(float(luma.mean()), 3),
    }


def filtered(
    clip: Clip, *, min_s: float, filters: dict[str, Any], caption: str, language: str
) -> tuple[str, float | None, float | None]:
    """Why a clip is filtered: reason, value, limit; the reason is "" for one that stays."""
    if clip.seconds <= 0:
        return "empty", clip.seconds, 0.0
    if min_s and clip.seconds < min_s - ROUNDING_S:
        return "min_s", clip.seconds, min_s
    for name in ("motion", "black", "freeze", "sharpness", "brightness"):
        value = clip.scores.get(name)
        for end, beyond in (("min", -1), ("max", 1)):
            limit = filters.get(f"{end}_{name}", 0)
            if limit and value is not None and (value - limit) * beyond > 0:
                return f"{end}_{name}", value, limit
    if filters["min_caption"] and len(caption) < filters["min_caption"]:
        return "min_caption", len(caption), filters["min_caption"]
    if filters["languages"] and language not in filters["languages"]:
        return "languages", None, None
    return "", None, None
