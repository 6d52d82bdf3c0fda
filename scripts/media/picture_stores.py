"""Where the pictures of all frames go: single files, or tar shards."""

import io
import tarfile
from pathlib import Path
from typing import Protocol

from scripts.common import jpeg

GRID = "grid"


class Store(Protocol):
    """Where pictures go."""

    def add(self, frame: int, time_ns: int, view: str, picture: bytes) -> tuple[str, str]:
        """Keep a picture; returns the shard, "" without, and the file's name."""

    def close(self) -> None:
        """Finish."""


class Folder:
    """Single files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, frame: int, time_ns: int, view: str, picture: bytes) -> tuple[str, str]:
        """Write a file, named by its instant."""
        name = jpeg.file_name(time_ns, "" if view == GRID else view)
        (self._folder / name).write_bytes(picture)
        return "", name

    def close(self) -> None:
        """Nothing is left to do."""


class Shards:
    """USTAR tars of about `limit_bytes`; the pictures of an instant stand in one."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder, self._limit = folder, limit_bytes
        self._tar: tarfile.TarFile | None = None
        self._count = self._size = 0
        self._frame = -1

    def add(self, frame: int, time_ns: int, view: str, picture: bytes) -> tuple[str, str]:
        """Append a member, named <instant>.<view>.jpg."""
        if self._tar is None or (self._size > self._limit and frame != self._frame):
            self.close()
            name = self._folder / f"frames-{self._count:06d}.tar"
            self._tar = tarfile.TarFile(name, "w", format=tarfile.USTAR_FORMAT)
            self._count, self._size = self._count + 1, 0
        self._frame = frame
        member = tarfile.TarInfo(f"{frame:09d}.{view}.jpg")
        member.size = len(picture)
        self._tar.addfile(member, io.BytesIO(picture))
        self._size += len(picture)
        return f"frames-{self._count - 1:06d}.tar", member.name

    def close(self) -> None:
        """Finish the shard."""
        if self._tar is not None:
            self._tar.close()
