"""How long an MP4 shows its pictures: the length of its edit, behind which nothing is shown."""

import struct
from pathlib import Path
from typing import BinaryIO

from scripts.common.errors import RunError

# Boxes of MP4 that hold other boxes on the way to the edit list.
PARENTS = (b"moov", b"trak", b"edts")


def set_edit_length(path: Path, length_us: int) -> None:
    """Make the one edit of an MP4 whose movie time scale is microseconds as long as `length_us`."""
    with path.open("r+b") as file:
        offset = _edit_list(file, 0, path.stat().st_size)
        if offset is None:
            raise RunError(f"{path.name} has no edit list")
        file.seek(offset)
        version, count = struct.unpack(">B3xI", file.read(8))
        size = 20 if version else 12
        file.seek(offset + 8 + (count - 1) * size)
        file.write(struct.pack(">Q" if version else ">I", length_us))


def _edit_list(stream: BinaryIO, start: int, stop: int) -> int | None:
    """Where the contents of the box `elst` begin; None if there is none in the bytes [start, stop)."""
    while start + 8 <= stop:
        stream.seek(start)
        size, kind = struct.unpack(">I4s", stream.read(8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", stream.read(8))[0], 16
        size = size or stop - start
        if kind == b"elst":
            return start + head
        if kind in PARENTS and (found := _edit_list(stream, start + head, start + size)) is not None:
            return found
        start += max(size, 8)
    return None
