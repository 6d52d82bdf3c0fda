"""Stretches of a recorded item that are no material: a person has ruled them out, or they show filler."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scripts.common.sample_columns import EXCLUDED, UNUSABLE
from scripts.datasets.clip_times import ROUNDING_S, Clip

# Of a clip; with more filler, it shows nothing of its time.
MOST_FILLER = 0.5


@dataclass(frozen=True)
class Unusable:
    """Why a clip of a recording is left out, or what it lacks. reason: "" for one that stays."""

    reason: str = ""
    value: float | None = None
    limit: float | None = None
    message: str = ""


def unusable(extra: dict[str, Any], clip: Clip) -> Unusable:
    """What a clip holds of the stretches in `extra` of its item, as `list_recordings` wrote them."""
    filler: dict[str, float] = defaultdict(float)
    for start, stop, reason, message in _stretches(extra):
        begin = clip.start_s if start is None else max(start, clip.start_s)
        end = clip.stop_s if stop is None else min(stop, clip.stop_s)
        if end - begin <= ROUNDING_S:
            continue
        if reason == EXCLUDED:
            return Unusable(EXCLUDED, end - begin, 0.0, message)
        filler[reason] += end - begin
    if not filler:
        return Unusable()
    missing_s = sum(filler.values())
    message = f"its camera has no picture for {missing_s:.3f} of {clip.seconds:.3f} s ({', '.join(sorted(filler))})"
    if missing_s > MOST_FILLER * clip.seconds + ROUNDING_S:
        return Unusable(max(filler, key=filler.__getitem__), missing_s / clip.seconds, MOST_FILLER, message)
    return Unusable(message=message)


def _stretches(extra: dict[str, Any]) -> Sequence[Any]:
    # A table of URLs may have a column of the same name.
    found = extra.get(UNUSABLE) if "rig" in extra else None
    return found if isinstance(found, list) else []
