"""The files of a bag before they are opened: folders that ROS2's recorder has described, and files read by themselves.

What a recorder that was killed has left beside them is read or refused, never passed over.
"""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from scripts.common.errors import InputError
from scripts.common.file_endings import ACTIVE, BAGS, ROS2_BAGS, ZSTD

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

METADATA = "metadata.yaml"
BLOCK = 2**16


def find_parts(paths: list[Path], stack: ExitStack, *, salvage: bool) -> tuple[list[Path], list[Path], list[str]]:
    """Folders that `metadata.yaml` describes, the files of others, unpacked until `stack` is closed, and notes.

    paths: files, and folders for all that is in them.  salvage: take what can be unpacked of a file that is cut off.
    Raises InputError for what would be passed over.
    """
    for path in paths:
        _refuse_unmerged(path)
    folders = {path.parent for path in paths if path.name == METADATA} | {path for path in paths if path.is_dir()}
    for folder in folders:
        _refuse_unnamed(folder)
    # A recorder that was killed leaves a folder without a description: its files are read by themselves.
    alone = [path for path in paths if path not in folders and path.parent not in folders]
    for path in alone:
        if not path.name.lower().endswith(BAGS):
            raise InputError("unreadable", f"{path.name} is no bag: its name ends in none of {', '.join(BAGS)}")
        if path.stat().st_size == 0:
            raise InputError("unreadable", f"{path.name} is empty (0 bytes)")
    # The recorder removes a file when it has compressed it: killed before, it leaves both.
    halves = [path for path in alone if path.name.lower().endswith(ZSTD) and path.with_suffix("") in alone]
    notes = [f"{path.name} is passed over: {path.with_suffix('').name} beside it is the file itself" for path in halves]
    files = [_unpacked(path, stack, salvage, notes) for path in alone if path not in halves]
    return sorted(folders), files, notes


def ending_of(path: Path) -> str:
    """`.bag`, `.mcap` or `.db3`, also where the recorder has not closed the file."""
    return Path(path.name.lower().removesuffix(ACTIVE)).suffix


def _refuse_unmerged(path: Path) -> None:
    """Raises InputError for a database beside which a recorder that was killed has left messages."""
    log = path.with_name(f"{path.name}-wal")
    if path.suffix == ".db3" and log.exists() and log.stat().st_size:
        raise InputError(
            "unreadable",
            f"{log.name} beside it holds messages that its recorder did not merge: close the recorder, or let "
            f"`sqlite3 {path.name} 'pragma wal_checkpoint(truncate)'` merge them",
        )


def _refuse_unnamed(folder: Path) -> None:
    """Raises InputError for a folder with a file of ROS2 that its description does not name."""
    try:
        described = yaml.safe_load((folder / METADATA).read_bytes())["rosbag2_bagfile_information"]
        named = {Path(name).name for name in described["relative_file_paths"]}
    except Exception:
        # What is wrong with the description is said by rosbags, which reads it, too.
        return
    for name in sorted(os.listdir(folder)):
        if name.lower().endswith(ROS2_BAGS) and not name.startswith(".") and not _is_named(name, named):
            raise InputError(
                "unreadable",
                f"{METADATA} does not name {name} beside it: move it away, or let `ros2 bag reindex` describe all",
            )


def _is_named(name: str, named: set[str]) -> bool:
    # Some keep what they have unpacked, or packed, beside the other.
    return not named.isdisjoint({name, name.removesuffix(ZSTD), f"{name}{ZSTD}"})


def _unpacked(path: Path, stack: ExitStack, salvage: bool, notes: list[str]) -> Path:
    """The file itself, or what a recorder has compressed as a whole, in a folder that goes with `stack`."""
    if not path.name.lower().endswith(ZSTD):
        return path
    plain = Path(stack.enter_context(TemporaryDirectory())) / path.name[: -len(ZSTD)]
    with path.open("rb") as packed, zstd.open(packed, "rb") as source, plain.open("wb") as target:
        try:
            while block := source.read1(BLOCK):
                target.write(block)
        except (EOFError, zstd.ZstdError) as error:
            if not salvage:
                raise
            notes.append(f"salvaged: {path.name} is unpacked up to the damage ({error})")
    return plain
