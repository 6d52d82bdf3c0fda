"""What the files of each sound's results are called: short enough to be written, and none is a folder of another's."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from scripts.common.errors import InputError
from scripts.common.names import folded

# Of one name, and of a path below the folder of the results; Linux takes 4096 with what stands before it.
LONGEST_NAME_BYTES = 255
LONGEST_PATH_BYTES = 3000


class ResultNames:
    """The names that are taken in `folder`. endings: what each result's name is followed by."""

    def __init__(self, folder: Path, endings: list[str]) -> None:
        self._endings = endings
        self._as_stored = str if _tells_case(folder) else folded
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def claim(self, name: str, endings: Sequence[str] | None = None) -> None:
        """Take the names of a result's files and folders. Raises InputError for one that cannot be written."""
        path = PurePosixPath(name)
        files = {f"{path}{ending}" for ending in (self._endings if endings is None else endings)}
        longest = max(len(os.fsencode(part)) for file in files for part in PurePosixPath(file).parts)
        if longest > LONGEST_NAME_BYTES or len(os.fsencode(name)) > LONGEST_PATH_BYTES:
            raise InputError(
                "long_name",
                f"{name[:40]}… is too long a name for its results: shorten it",
                value=longest,
                limit=LONGEST_NAME_BYTES,
            )
        files = {self._as_stored(file) for file in files}
        folders = {self._as_stored(str(folder)) for folder in path.parents}
        if files & (self._files | self._folders) or folders & self._files:
            raise InputError("same_name", f"the results of another sound are called {name}, too: rename one")
        self._files |= files
        self._folders |= folders


def _tells_case(folder: Path) -> bool:
    """Whether A and a are two files in `folder`, as on Linux, or one, as on most other systems."""
    probe = folder / ".case"
    probe.touch()
    alike = probe.with_name(".CASE").exists()
    probe.unlink()
    return not alike
