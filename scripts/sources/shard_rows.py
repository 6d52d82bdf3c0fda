"""Planned rows as items."""

import json
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
    # Control characters would break whatever prints them.
    url = row["url"]
    item = Item(row["key"], row["shard"], url, row["caption"], clips, extra)
    return item, (row["path"], row["offset"], row["size"])
