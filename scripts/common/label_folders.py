"""Labels as names of files and folders."""

import re
from collections.abc import Iterable

_UNSAFE = re.compile(r"[^\w .,+=@()-]")
MAX_BYTES = 200


def folder_of(label: str) -> str:
    """A folder's name for a label: whatever is no letter, digit or plain sign becomes an underscore."""
    name = _UNSAFE.sub("_", label).strip()
    name = "_" + name[1:] if name.startswith(".") else name
    return name.encode()[:MAX_BYTES].decode(errors="ignore").rstrip(" .") or "_"


def collision(labels: Iterable[str]) -> tuple[str, str] | None:
    """Two labels that would have one folder, on any file system; None if there are none."""
    seen: dict[str, str] = {}
    for label in sorted(set(labels)):
        other = seen.setdefault(folder_of(label).casefold(), label)
        if other != label:
            return other, label
    return None
