"""The order in which an mcap's messages are stored, by the index behind each chunk."""

import struct
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

import numpy as np

from scripts.sources.chunk_content import or_nothing
from scripts.sources.mcap_records import MESSAGE, MESSAGE_HEAD, Places, entries_in, unpack_chunk
from scripts.sources.set_back import is_long, reach_back, runs_back

MESSAGE_INDEX = 7
# Opcode, length; of an index: channel, bytes of its entries.
_RECORD, _INDEX = struct.Struct("<BQ"), struct.Struct("<HI")
# Entry of an index: log time, where the message's record begins in the chunk.
_ENTRY = np.dtype([("log_ns", "<u8"), ("offset", "<u8")])


def mcap_runs_back(file: BinaryIO, places: Places, max_bytes: int) -> bool:
    """Whether log times can run back in the order of storage. Chunks so short that theirs cannot are not looked at."""
    if len(places.loose) and runs_back(places.loose[np.argsort(places.loose[:, 2]), 0]):
        return True
    chunks = sorted(places.chunks, key=lambda chunk: chunk[2])
    spans = [(first_ns, after_ns - 1) for first_ns, after_ns, _ in chunks]
    if reach_back(spans):
        return True
    long = (chunks[k][2] for k, span in enumerate(spans) if is_long(span))
    return any(runs_back(_in_chunk(file, position, max_bytes)[:, 2]) for position in long)


def stored_messages(file: BinaryIO, places: Places, max_bytes: int) -> Iterator[np.ndarray]:
    """Place (two numbers), log time and channel of the messages, int64 (N, 4); those of a chunk in their order."""
    for _, _, position in places.chunks:
        yield _in_chunk(file, position, max_bytes)
    if len(places.loose):
        log_ns, channel, start, _ = places.loose.T
        yield np.stack([start, np.zeros_like(start), log_ns, channel], axis=1)


def _in_chunk(file: BinaryIO, position: int, max_bytes: int) -> np.ndarray:
    rows = _by_index(file, position)
    return rows if len(rows) else _by_content(file, position, max_bytes)


def _by_index(file: BinaryIO, position: int) -> np.ndarray:
    """The messages of a chunk by the index that follows it; none where it has none."""
    parts = [np.empty((0, 4), np.int64)]
    file.seek(position)
    _, size = _head(file)
    file.seek(size, 1)
    while (head := _head(file))[0] == MESSAGE_INDEX:
        record = file.read(head[1])
        channel, length = _INDEX.unpack_from(record)
        entries = np.frombuffer(record, _ENTRY, length // _ENTRY.itemsize, _INDEX.size)
        columns = entries["offset"] + MESSAGE_HEAD, entries["log_ns"]
        rows = [np.full(len(entries), position), *columns, np.full(len(entries), channel)]
        parts.append(np.stack([column.astype(np.int64) for column in rows], axis=1))
    found = np.concatenate(parts)
    return found[np.argsort(found[:, 1])]


def _head(file: BinaryIO) -> tuple[int, int]:
    """Opcode and length of the record that comes next; 0 where there is none."""
    head = file.read(_RECORD.size)
    op, size = _RECORD.unpack(head) if len(head) == _RECORD.size else (0, 0)
    return op, size


def _by_content(file: BinaryIO, position: int, max_bytes: int) -> np.ndarray:
    content = or_nothing(partial(unpack_chunk, file, position, max_bytes))
    rows = [(position, e.start, e.log_ns, e.channel) for e in entries_in(content) if e.op == MESSAGE]
    return np.array(rows, np.int64).reshape(-1, 4)
