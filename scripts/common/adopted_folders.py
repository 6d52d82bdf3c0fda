"""Folders of windows that are there already: `{train,val,test}/<speaker>/*.npz`, and npz that lie elsewhere in them."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from scripts.common.splits import SPLITS

# What a dataset of ours holds beside the folders of its splits.
OURS = ("npz", "windows")


def npz_below(folder: Path) -> Iterator[Path]:
    """Every npz in a folder and below it, the folder's own first, in the order of names; no folder twice."""
    seen = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a link that leads back up
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (Path(root, name) for name in sorted(files) if name.lower().endswith(".npz"))


def misplaced(folder: Path) -> Iterator[Path]:
    """The npz of a folder that lie in no speaker's folder of a split, from `folder` on, in the order of names."""
    known = (*SPLITS, *(OURS if (folder / "card.json").exists() else ()))
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and entry.name in SPLITS:
            found: Iterable[Path] = (path for path in sorted(entry.iterdir()) if not path.is_dir())
        elif entry.is_dir() and entry.name not in known:
            found = npz_below(entry)
        else:
            found = () if entry.is_dir() else (entry,)
        yield from (path.relative_to(folder) for path in found if path.name.lower().endswith(".npz"))
