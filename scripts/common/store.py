"""What leaves for a store, and what the store is called."""

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scripts.common.errors import ConfigError

if TYPE_CHECKING:
    from scripts.common.plan import Plan


def store_prefix(prefix: str) -> str:
    """The prefix without a slash at its end. Raises ConfigError for what is none."""
    parts = urlsplit(prefix)
    if prefix and (not parts.scheme or not parts.netloc or "{" in prefix or "}" in prefix):
        raise ConfigError(f"publish: `{prefix}` is no place in a store; write s3://bucket/folder")
    return prefix.rstrip("/")


def published(plan: "Plan") -> dict[str, list[str]]:
    """What leaves for the store, below the results folder: `files`, and `folders` of shards."""
    found: dict[str, list[str]] = {"files": [], "folders": []}
    for room in plan.rooms.values():
        for kind, paths in room.published().items():
            found[kind] += [path.removeprefix(f"{plan.path.results}/") for path in paths]
    return found


def publishable(plan: "Plan", kind: str) -> str:
    """What leaves for the store, as a wildcard's pattern; one that matches none where nothing does."""
    return "|".join(map(re.escape, published(plan)[kind])) or "(?!)"
