"""Where a labelled picture stands in class folders, for ImageFolder, and among the raw frames of MMAction2."""

from collections.abc import Iterable
from typing import Any

from scripts.common.errors import RunError
from scripts.common.label_folders import collision, folder_of

# What the old system called them.
FOLDERS = {"train": "Training", "val": "Validation", "test": "Test"}


def check_folders(labels: Iterable[str]) -> None:
    """Raises RunError if two labels would have one folder."""
    if pair := collision(labels):
        raise RunError(f"`{pair[0]}` and `{pair[1]}` would be one folder; name one of them in labels.map")


def class_folder_path(row: dict[str, Any], split: str) -> str:
    """Training/<label>/<name>.<ending>"""
    return f"{FOLDERS[split]}/{folder_of(row['label'])}/{row['name']}.{row['ending']}"


def bout_folder(row: dict[str, Any]) -> str:
    """The folder of a bout's raw frames: one for each interval of a camera."""
    return f"{row['recording']}.{row['camera']}.{row['interval']:05d}"
