"""What stands under its final name is whole: files are written beside their place and renamed."""

import os
import shutil
import socket
from pathlib import Path

PART = ".part."


def part_path(path: Path) -> Path:
    """Where this process writes `path` until it is whole: same folder, own name."""
    # No dot in the host's name: so the name after it is found again, whatever dots that holds.
    host = socket.gethostname().replace(".", "_")
    return path.with_name(f"{PART}{host}-{os.getpid()}.{path.name}")


def remove_old_parts(path: Path) -> None:
    """Remove what killed jobs left of `path`."""
    for part in path.parent.glob(f"{PART}*"):
        _, _, rest = part.name.removeprefix(PART).partition(".")
        if rest == path.name:
            remove(part)


def remove(path: Path) -> None:
    """Remove a file or a folder; neither is fine, too."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def publish(part: Path, path: Path) -> None:
    """Give a whole file or folder its final name, replacing what stood there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    os.replace(part, path)


def write_text(path: Path, text: str) -> None:
    """Write a small text file atomically."""
    part = part_path(path)
    part.write_text(text, encoding="utf-8")
    publish(part, path)
