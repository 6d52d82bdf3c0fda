"""The list of the files of a folder, by which one knows whether what was made anew is the same."""

from pathlib import Path

from scripts.common import json_file
from scripts.common.checksum import sha256_of


def write(path: Path, folder: Path) -> None:
    """Write name below `folder` -> bytes and sha256 of every file that is not hidden."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    listed = {
        file.relative_to(folder).as_posix(): {"bytes": file.stat().st_size, "sha256": sha256_of(file)} for file in files
    }
    json_file.write(path, listed)
