"""What a folder holds, to compare two of them whole."""

from pathlib import Path


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file below `folder`, by its path there; a folder without files has nothing to compare."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    assert found, f"{folder} holds no file"
    return found
