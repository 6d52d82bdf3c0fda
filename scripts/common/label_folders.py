"""Labels as names of files and folders."""

import re
from collections.abc import Iterable

from scripts.common.names import folded

_UNSAFE = re.compile(r"[^\w .,+=@()-]")
MAX_BYTES = 200


def folder_of(label: str) -> str:
    """A folder's name for a label: whatever is no letter, digit or plain sign becomes an underscore."""
    name = _UNSAFE.sub("_", label).strip()
    name = "_" + name[1:] if name.startswith(".") else name
    return name.encode()[:MAX_BYTES].decode(errors="ignore").rstrip(" .") or "_"


def folders_of(labels: Iterable[str]) -> dict[str, str]:
    """A name for each label, no two of them one on any file system: whatever comes later has a number."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for label in sorted(set(labels)):
        name, number = folder_of(label), 1
        while folded(name) in taken:
            number += 1
            name = f"{folder_of(label)} ({number})"
        taken.add(folded(name))
        found[label] = name
    return found


def said_of_numbered(folders: dict[str, str], ending: str) -> str:
    """Which labels have a number in their file's name; "" for none."""
    numbered = [f"`{label}` is in {name}{ending}" for label, name in folders.items() if name != folder_of(label)]
    return f"{', '.join(numbered)}: another label has the name without the number" if numbered else ""


def collision(labels: Iterable[str]) -> tuple[str, str] | None:
    """Two labels that would have one folder, on any file system; None if there are none."""
    seen: dict[str, str] = {}
    for label in sorted(set(labels)):
        other = seen.setdefault(folded(folder_of(label)), label)
        if other != label:
            return other, label
    return None
