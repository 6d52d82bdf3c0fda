"""Planned rows as items."""

import json
from dataclasses import replace
from typing import Any

from scripts.common.lots import Item


def item_of(row: dict[str, Any]) -> tuple[Item, tuple[str, int, int]]:
    """The item of a row of the plan, and where it stands if it is a member of a tar: path, offset, size."""
    extra = json.loads(row["extra"] or "{}")
    try:
        clips = json.loads(row["clips"]) if row["clips"] else []
    except ValueError:
        clips = []
        extra["clips_not_read"] = row["clips"]
    subtitles = extra.pop("subtitles", [])
    sound = str(extra.pop("_sound", ""))
    item = Item(row["key"], row["shard"], row["url"], row["caption"], clips, extra, sound=sound)
    if isinstance(subtitles, list) and all(isinstance(line, list) and len(line) == 3 for line in subtitles):
        item = replace(item, subtitles=[[float(start), float(stop), str(text)] for start, stop, text in subtitles])
    return item, (row["path"], row["offset"], row["size"])
