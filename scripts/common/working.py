"""What a job has reached so far, where a killed one is gone on with."""

import hashlib
import json
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from scripts.common.checksum import sha256_of

Status = dict[str, Any]


class Working:
    """A folder that outlives its job: files, and a line of JSON for each item that ended."""

    def __init__(self, folder: Path, mark: str) -> None:
        """mark: what the work depends on; with another one, nothing of an earlier job can be used."""
        self.folder = folder
        self._lock = threading.Lock()
        note = folder / "mark"
        if not note.exists() or note.read_text(encoding="utf-8") != mark:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(mark, encoding="utf-8")
        self._status = folder / "status.jsonl"

    @staticmethod
    def mark(version: int, settings: Any, *files: Path) -> str:
        """The mark of work by a method of this version, with settings that JSON holds, on what `files` hold."""
        digest = hashlib.sha256(json.dumps([version, settings], sort_keys=True).encode())
        for file in files:
            digest.update(sha256_of(file).encode())
        return digest.hexdigest()

    def file(self, name: str) -> Path:
        """A file of the folder."""
        return self.folder / name

    def ended(self) -> dict[str, Status]:
        """The last status of each item; a line that a kill cut off counts as none."""
        return dict(self._ends())

    def times(self) -> Counter[str]:
        """How often each item has ended."""
        return Counter(key for key, _ in self._ends())

    def _ends(self) -> Iterator[tuple[str, Status]]:
        if self._status.exists():
            for line in self._status.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError, TypeError, KeyError):
                    status = json.loads(line)
                    yield status["key"], status

    def end(self, *statuses: Status) -> None:
        """Remember how each item `status["key"]` ended."""
        # After a kill in the middle of a line, the next one begins a line of its own.
        lines = "".join(f"\n{json.dumps(status, ensure_ascii=False, default=str)}\n" for status in statuses)
        with self._lock, self._status.open("a", encoding="utf-8") as file:
            file.write(lines)

    def remove(self) -> None:
        """Nothing is left to be gone on with."""
        # First of all: a kill in the middle of the rest leaves nothing that looks whole.
        (self.folder / "mark").unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
