"""Where a labelled picture stands in class folders, for ImageFolder, and among the raw frames of MMAction2."""

import re
from collections.abc import Iterable
from typing import Any

from scripts.common.errors import RunError

# What the old system called them.
FOLDERS = {"train": "Training", "val": "Validation", "test": "Test"}
_UNSAFE = re.compile(r"[^\w .,+=@()-]")
MAX_FOLDER_BYTES = 200


def class_folder(label: str) -> str:
    """A folder's name for a label: whatever is no letter, digit or plain sign becomes an underscore."""
    name = _UNSAFE.sub("_", label).strip()
    name = "_" + name[1:] if name.startswith(".") else name
    return name.encode()[:MAX_FOLDER_BYTES].decode(errors="ignore").rstrip(" .") or "_"


def check_folders(labels: Iterable[str]) -> None:
    """Raises RunError if two labels would have one folder, on any file system."""
    seen: dict[str, str] = {}
    for label in sorted(set(labels)):
        other = seen.setdefault(class_folder(label).casefold(), label)
        if other != label:
            raise RunError(f"`{other}` and `{label}` would be one folder; name one of them in labels.map")


def class_folder_path(row: dict[str, Any], split: str) -> str:
    """Training/<label>/<name>.<ending>"""
    return f"{FOLDERS[split]}/{class_folder(row['label'])}/{row['name']}.{row['ending']}"


def bout_folder(row: dict[str, Any]) -> str:
    """The folder of a bout's raw frames: one for each interval of a camera."""
    return f"{row['recording']}.{row['camera']}.{row['interval']:05d}"
