"""Records of a ROS1 bag (ROS bag format 2.0): a header of fields, and what it heads, each behind its length."""

import struct
from collections.abc import Callable

from scripts.sources.chunk_content import LONGEST_HEAD, Chunk, DamagedChunkError

LENGTH = struct.Struct("<I")
MESSAGE_RECORD = b"op=\x02"


def fields_of(header: bytes) -> dict[str, bytes] | None:
    """name=value fields of a header; None for what is none."""
    found, position = {}, 0
    while position < len(header):
        if position + 4 > len(header):
            return None
        (length,) = LENGTH.unpack_from(header, position)
        name, equals, value = header[position + 4 : position + 4 + length].partition(b"=")
        if not equals:
            return None
        found[name.decode("utf-8", "replace")] = value
        position += 4 + length
    return found


def chunk_of(fields: dict[str, bytes], start: int, size: int) -> Chunk:
    """The chunk with this header, whose content stands at `start`, `size` bytes long."""
    unpacked = fields.get("size", b"")
    return Chunk(
        start,
        size,
        fields.get("compression", b"").decode("utf-8", "replace"),
        LENGTH.unpack(unpacked)[0] if len(unpacked) == LENGTH.size else size,
    )


def read_head(read: Callable[[int], bytes]) -> tuple[bytes, int, bool]:
    """See chunk_content.Head."""
    head = read(LENGTH.size)
    if len(head) < LENGTH.size:
        return head, 0, False
    (length,) = LENGTH.unpack(head)
    if length > LONGEST_HEAD:
        raise DamagedChunkError(f"A header of {length} bytes.")
    head += read(length)
    size = read(LENGTH.size)
    return head + size, LENGTH.unpack(size)[0] if len(size) == LENGTH.size else 0, MESSAGE_RECORD in head
