"""JSON files for people and programs: sorted, indented, UTF-8, the same bytes on every run."""

import json
from pathlib import Path
from typing import Any


def write(path: Path, content: Any, *, indent: int | None = 1) -> None:
    """Write plain values. indent: None for one line."""
    path.write_text(text(content, indent=indent), encoding="utf-8")


def text(content: Any, *, indent: int | None = 1) -> str:
    """What `write` writes."""
    return json.dumps(content, indent=indent, sort_keys=True, ensure_ascii=False) + "\n"


def read(path: Path) -> Any:
    """Read what `write` wrote. Raises: ValueError, it is no JSON."""
    return json.loads(path.read_text(encoding="utf-8"))
