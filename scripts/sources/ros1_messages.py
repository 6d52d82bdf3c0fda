"""Messages of a ROS1 bag that rosbags has opened, without copies: the same as its own, in half the time."""

import struct
from bisect import bisect_left
from collections.abc import Iterator
from functools import partial
from itertools import islice, pairwise
from operator import itemgetter

import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag1 import Reader
from rosbags.rosbag1.reader import IndexData

from scripts.sources.chunk_content import Taken, content_of, or_nothing
from scripts.sources.ros1_records import MESSAGE_RECORD, chunk_of, fields_of, read_head
from scripts.sources.stretches import WHOLE, Stretch

# Stands for a message that is damaged in the bag: too short for any definition.
CORRUPT = b""

ENTRIES_AT_ONCE = 4096
_LENGTH = struct.Struct("<I")
_CONNECTION_RECORD = b"op=\x07"


def read_messages(
    reader: Reader,
    connections: list[Connection],
    start: int | None,
    stop: int | None,
    max_bytes: int,
    stretch: Stretch = WHOLE,
) -> Iterator[tuple[Connection, int, bytes | memoryview | None]]:
    """Connection, log time and bytes of the messages of `connections` in a stretch of the storage, by log time, from
    `start` up to `stop`, ns.

    Messages that are damaged, and those of a damaged chunk, come as CORRUPT, those of more than `max_bytes` as None.
    """
    current, content, taken = -1, memoryview(b""), Taken()
    for time, chunk, offset, number in _entries(reader, connections, start, stop):
        if stretch is not WHOLE and not stretch.first <= (0, chunk, offset) < stretch.stop:
            continue
        if chunk != current:
            current, content = chunk, _read_chunk(reader, chunk, max_bytes)
        raw = _message_at(content, offset) if content else CORRUPT
        yield connections[number], time, raw if len(raw) <= max_bytes else None
        taken.add(len(raw), content)


def stored_messages(reader: Reader) -> Iterator[np.ndarray]:
    """Place (two numbers), log time and connection of the messages, int64 (N, 4); none where no log time runs back."""
    # An index holds (time, chunk, offset) by time.
    if all(one[1:] <= other[1:] for index in reader.indexes.values() for one, other in pairwise(index)):
        return
    for key, index in reader.indexes.items():
        columns = [np.fromiter(map(itemgetter(k), index), np.int64, len(index)) for k in (1, 2, 0)]
        yield np.stack([*columns, np.full(len(index), key)], axis=1)


def _entries(
    reader: Reader, connections: list[Connection], start: int | None, stop: int | None
) -> Iterator[tuple[int, int, int, int]]:
    """Time, chunk, offset and number of the connection of each message, by time.

    Besides the index that the reader holds, only the order of its entries: 4 bytes a message.
    """
    indexes = [reader.indexes[connection.id] for connection in connections]
    first = [0 if start is None else bisect_left(index, start, key=itemgetter(0)) for index in indexes]
    after = [len(index) if stop is None else bisect_left(index, stop, key=itemgetter(0)) for index in indexes]
    counts = [max(0, end - begin) for begin, end in zip(first, after, strict=True)]
    begins = np.cumsum([0, *counts])
    order = _by_time(indexes, first, counts)
    for some in range(0, len(order), ENTRIES_AT_ONCE):
        places = order[some : some + ENTRIES_AT_ONCE]
        numbers = np.searchsorted(begins, places, "right") - 1
        for number, place in zip(numbers.tolist(), (places - begins[numbers]).tolist(), strict=True):
            time, chunk, offset = indexes[number][first[number] + place]
            yield time, chunk, offset, number


def _by_time(indexes: list[list[IndexData]], first: list[int], counts: list[int]) -> np.ndarray:
    """Order by time of all entries that are wanted, as they stand one index behind the other; uint32 (N,)."""
    times = np.fromiter(
        (
            entry[0]
            for index, begin, count in zip(indexes, first, counts, strict=True)
            for entry in islice(index, begin, begin + count)
        ),
        np.int64,
        sum(counts),
    )
    return np.argsort(times, kind="stable").astype(np.uint32)


def _read_chunk(reader: Reader, position: int, max_bytes: int) -> memoryview:
    """Content of a chunk; nothing if it is damaged."""
    assert reader.bio is not None
    known = reader.chunks[position]
    reader.bio.seek(position)
    fields = fields_of(reader.bio.read(known.datapos - position)[4:-4]) or {}
    chunk = chunk_of(fields, known.datapos, known.datasize)
    return or_nothing(partial(content_of, reader.bio, chunk, read_head, max_bytes))


def _message_at(content: memoryview, offset: int) -> bytes | memoryview:
    """The message whose record begins at `offset` of a chunk; it may stand behind records of connections."""
    try:
        while True:
            (length,) = _LENGTH.unpack_from(content, offset)
            header = bytes(content[offset + 4 : offset + 4 + length])
            offset += 4 + length
            (size,) = _LENGTH.unpack_from(content, offset)
            offset += 4
            if MESSAGE_RECORD in header:
                break
            if _CONNECTION_RECORD not in header:
                return CORRUPT
            offset += size
    except struct.error:
        return CORRUPT
    return content[offset : offset + size] if offset + size <= len(content) else CORRUPT
