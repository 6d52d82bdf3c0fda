"""Messages of a ROS1 bag that rosbags has opened, without copies: the same as its own, in half the time."""

import mmap
import struct
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag1 import Reader
from rosbags.rosbag1.reader import Compression, decompressors, read_bytes

# Stands for a message that is damaged in the bag: too short for any definition.
CORRUPT = b""

ENTRIES_AT_ONCE = 4096
# A chunk that large, if it is not compressed, is mapped and not read: it may hold a message that nobody wants.
LARGE_CHUNK = 32 * 2**20
_LENGTH = struct.Struct("<I")
_CONNECTION_RECORD = b"op=\x07"
_MESSAGE_RECORD = b"op=\x02"


def read_messages(
    reader: Reader, connections: list[Connection], start: int | None, stop: int | None
) -> Iterator[tuple[Connection, int, bytes | memoryview]]:
    """Connection, log time and bytes of the messages of `connections` by log time, from `start` up to `stop`, ns.

    Messages that are damaged, and those of a damaged chunk, come as CORRUPT.
    """
    current, content = -1, memoryview(b"")
    for time, chunk, offset, number in _entries(reader, connections, start, stop):
        if chunk != current:
            current, content = chunk, _read_chunk(reader, chunk)
        yield connections[number], time, _message_at(content, offset) if content else CORRUPT


def _entries(reader: Reader, connections: list[Connection], start: int | None, stop: int | None) -> Iterator[list[int]]:
    """Time, chunk, offset and number of the connection of each message, by time; a table, for they are many."""
    parts = []
    for number, connection in enumerate(connections):
        index = reader.indexes[connection.id]
        table = np.empty((len(index), 4), np.int64)
        table[:, :3] = np.fromiter(chain.from_iterable(index), np.int64, 3 * len(index)).reshape(-1, 3)
        table[:, 3] = number
        first = np.int64(0) if start is None else np.searchsorted(table[:, 0], start)
        parts.append(table[first : None if stop is None else np.searchsorted(table[:, 0], stop)])
    table = np.concatenate(parts) if parts else np.empty((0, 4), np.int64)
    table = table[np.argsort(table[:, 0], kind="stable")]
    for some in range(0, len(table), ENTRIES_AT_ONCE):
        yield from table[some : some + ENTRIES_AT_ONCE].tolist()


def _read_chunk(reader: Reader, position: int) -> memoryview:
    """Content of a chunk; nothing if it does not decompress."""
    assert reader.bio is not None
    chunk = reader.chunks[position]
    if chunk.datasize > LARGE_CHUNK and chunk.decompressor is decompressors[Compression.NONE.value]:
        return _map(reader.bio, chunk.datapos, chunk.datasize)
    reader.bio.seek(chunk.datapos)
    compressed = read_bytes(reader.bio, chunk.datasize)
    try:
        return memoryview(chunk.decompressor(compressed))
    except (OSError, RuntimeError, ValueError, EOFError):
        return memoryview(b"")


def _map(file: BinaryIO, start: int, size: int) -> memoryview:
    """A part of a file; nothing if it ends before. It is let go of with the last view of it."""
    before = start % mmap.ALLOCATIONGRANULARITY
    try:
        mapped = mmap.mmap(file.fileno(), before + size, offset=start - before, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return memoryview(b"")
    return memoryview(mapped)[before:]


def _message_at(content: memoryview, offset: int) -> bytes | memoryview:
    """The message whose record begins at `offset` of a chunk; it may stand behind records of connections."""
    try:
        while True:
            (length,) = _LENGTH.unpack_from(content, offset)
            header = bytes(content[offset + 4 : offset + 4 + length])
            offset += 4 + length
            (size,) = _LENGTH.unpack_from(content, offset)
            offset += 4
            if _MESSAGE_RECORD in header:
                break
            if _CONNECTION_RECORD not in header:
                return CORRUPT
            offset += size
    except struct.error:
        return CORRUPT
    return content[offset : offset + size] if offset + size <= len(content) else CORRUPT
