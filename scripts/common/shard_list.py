"""The list of the files of a folder, by which one knows whether what was made anew is the same."""

import hashlib
import json
from pathlib import Path


def write(path: Path, folder: Path) -> None:
    """Write name below `folder` -> bytes and sha256 of every file that is not hidden."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    listed = {
        file.relative_to(folder).as_posix(): {"bytes": file.stat().st_size, "sha256": digest_of(file)} for file in files
    }
    path.write_text(json.dumps(listed, indent=1, sort_keys=True) + "\n")


def digest_of(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
