"""Planned rows as items."""

import json
from typing import Any

from scripts.common.lots import Item
from scripts.sources.url_rows import clips_of, subtitles_of


def item_of(row: dict[str, Any]) -> tuple[Item, tuple[str, int, int]]:
    """The item of a row of the plan, and where it stands if it is a member of a tar: path, offset, size.

    Clips that cannot be read stand in `extra` as `clips_not_read`; subtitles that cannot be read stay there.
    """
    extra = json.loads(row["extra"] or "{}")
    sound = str(extra.pop("_sound", ""))
    clips, subtitles = [], []
    try:
        clips = clips_of(row["clips"])
    except ValueError:
        extra["clips_not_read"] = row["clips"]
    try:
        subtitles = subtitles_of(extra.get("subtitles"))
        extra.pop("subtitles", None)
    except ValueError:
        # A column of that name which is something else is metadata as any other.
        pass
    item = Item(row["key"], row["shard"], row["url"], row["caption"], clips, extra, sound=sound, subtitles=subtitles)
    return item, (row["path"], row["offset"], row["size"])
