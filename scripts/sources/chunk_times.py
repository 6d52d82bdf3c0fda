"""When the chunks of a recording begin: decided on numbers alone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.common.errors import InputError
from scripts.common.timeline import NS


@dataclass(frozen=True)
class Placed:
    """A chunk on the recording's clock. gap_ns: what is missing before it.  moved_ns: how much later it stands than it
    says, for the chunk before had not ended."""

    start_ns: int
    gap_ns: int
    moved_ns: int = 0

    @property
    def notes(self) -> list[str]:
        """What a person should know of its place."""
        missing = [f"{self.gap_ns / NS:.3f} s are missing before it"] if self.gap_ns else []
        moved = (
            f"it says that it begins {self.moved_ns / NS:.3f} s before the end of the chunk before, and follows it; "
            "see `chunks.starts`"
        )
        return [*missing, moved] if self.moved_ns else missing


def place(lengths_ns: Sequence[int | None], declared_ns: Sequence[int] | None, tolerance_ns: int) -> list[Placed]:
    """Where each chunk begins, the first at 0, in the order of the chunks.

    lengths_ns: of each, None for one that cannot be read.  declared_ns: when each begins, on any clock; None: each
    begins where the one before ends. A declared start at most `tolerance_ns` after the end of the chunk before
    is that end; so is one that lies earlier, for chunks of one camera do not overlap: by more than the tolerance it
    is `moved_ns`.
    Raises InputError if the length of a chunk before another one is wanted and not known.
    """
    found: list[Placed] = []
    end_ns: int | None = 0
    for number, length_ns in enumerate(lengths_ns):
        follows_ns, moved_ns = end_ns, 0
        if declared_ns is not None:
            start_ns = declared_ns[number] - declared_ns[0]
            if follows_ns is not None and number and start_ns - follows_ns <= tolerance_ns:
                moved_ns = follows_ns - start_ns if follows_ns - start_ns > tolerance_ns else 0
                start_ns = follows_ns
        elif follows_ns is None:
            message = f"chunk {number} cannot be read, and nothing says when the next one begins; set `chunks.starts`"
            raise InputError("chunk_start", message)
        else:
            start_ns = follows_ns
        gap_ns = start_ns - follows_ns if follows_ns is not None and number else 0
        found.append(Placed(start_ns, gap_ns, moved_ns))
        end_ns = None if length_ns is None else start_ns + length_ns
    return found


def declared(files: Sequence[Path], lengths_ns: Sequence[int | None], settings: Mapping[str, Any]) -> list[int] | None:
    """When each chunk says that it begins, in nanoseconds of some clock; None where each follows the one before.

    settings: `chunks` of a rig.  Raises InputError for a name that does not fit, or a file without a start.
    """
    kind = settings["starts"]
    if kind == "follow":
        return None
    if kind == "names":
        return [_from_name(path.stem, settings["pattern"]) for path in files]
    if kind == "modified":
        # A camera writes until the chunk ends.
        return [path.stat().st_mtime_ns - (length or 0) for path, length in zip(files, lengths_ns, strict=True)]
    starts = settings["starts_s"]
    for path in files:
        if path.name not in starts:
            raise InputError("chunk_start", f"{path.name} has no start in chunks.starts_s")
    return [round(starts[path.name] * NS) for path in files]


def _from_name(stem: str, pattern: str) -> int:
    """The instant that a file's name tells by strptime's `pattern`; `*` stands for anything before or after it."""
    text = stem
    before, after = pattern.startswith("*"), pattern.endswith("*")
    plain = pattern.strip("*")
    for first in range(len(text) + 1) if before else [0]:
        for stop in range(len(text), first, -1) if after else [len(text)]:
            try:
                parsed = datetime.strptime(text[first:stop], plain).replace(tzinfo=UTC)
            except ValueError:
                continue
            since = parsed - datetime(1970, 1, 1, tzinfo=UTC)
            return (since.days * 86400 + since.seconds) * NS + since.microseconds * 1000
    raise InputError("chunk_start", f"the name `{stem}` tells no time by the pattern `{pattern}` (chunks.pattern)")


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts `c2` before `c10`."""
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name.casefold()) if part
    ]
