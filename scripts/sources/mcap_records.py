"""Records of an mcap: its messages by log time, or in the order in which they were written. The mcap format, version 0.

A message that is too large is passed over where it stands, and comes with None for its data.
"""

import heapq
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from scripts.sources.chunk_content import Chunk, DamagedChunkError, Taken, content_of
from scripts.sources.stretches import BEGIN, END, Within

MAGIC = b"\x89MCAP0\r\n"
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END = 2, 3, 4, 5, 6, 15
ENTRIES_AT_ONCE = 4096
# Opcode, length; then of a message: channel, sequence, log time, publish time.
_RECORD, _MESSAGE = struct.Struct("<BQ"), struct.Struct("<HIQQ")
# A message's content stands so far behind its record's beginning.
MESSAGE_HEAD = _RECORD.size + _MESSAGE.size
# Of a chunk: first and last log time, size without compression, CRC, length of the compression's name.
_CHUNK = struct.Struct("<QQQII")

# Log time, channel, content.
Message = tuple[int, int, bytes | memoryview | None]


class Places(NamedTuple):
    """Where messages stand. chunks: first log time, log time behind the last, position; loose: int64 (N, 4), log time,
    channel, position and size of messages outside of chunks, by log time."""

    chunks: list[tuple[int, int, int]]
    loose: np.ndarray


class Entry(NamedTuple):
    """A record: opcode, where its content begins, and how long that is; log time and channel of a message."""

    op: int
    start: int
    size: int
    log_ns: int = 0
    channel: int = 0


def read_head(read: Callable[[int], bytes]) -> tuple[bytes, int, bool]:
    """See chunk_content.Head."""
    head = read(_RECORD.size)
    if len(head) < _RECORD.size:
        return head, 0, False
    op, size = _RECORD.unpack(head)
    fixed = min(size, _MESSAGE.size) if op == MESSAGE else 0
    return head + read(fixed), size - fixed, op == MESSAGE


def walk(file: BinaryIO, position: int, stop: int) -> Iterator[Entry]:
    """Records of a file from `position` up to `stop`, or up to the end of its data. Raises DamagedChunkError."""
    while position < stop:
        file.seek(position)
        head = file.read(_RECORD.size + _MESSAGE.size)
        entry = _entry(head, 0, position)
        if entry is None or entry.start + entry.size > stop:
            raise DamagedChunkError(f"Truncated record at offset {position}.")
        if entry.op in (DATA_END, FOOTER):
            return
        yield entry
        position = entry.start + entry.size


def entries_in(content: memoryview) -> Iterator[Entry]:
    """Records of a chunk, as far as they are whole."""
    position, taken = 0, Taken()
    while (entry := _entry(content, position, position)) is not None:
        if entry.start + entry.size > len(content):
            return
        yield entry
        taken.add(entry.start + entry.size - position, content)
        position = entry.start + entry.size


def _entry(content: bytes | memoryview, offset: int, position: int) -> Entry | None:
    """The record at `offset`, said to stand at `position`; None if there is none. A message's content is its data."""
    if offset + _RECORD.size > len(content):
        return None
    op, size = _RECORD.unpack_from(content, offset)
    if op != MESSAGE:
        return Entry(op, position + _RECORD.size, size)
    if size < _MESSAGE.size or offset + _RECORD.size + _MESSAGE.size > len(content):
        return None
    channel, _, log_ns, _ = _MESSAGE.unpack_from(content, offset + _RECORD.size)
    return Entry(op, position + _RECORD.size + _MESSAGE.size, size - _MESSAGE.size, log_ns, channel)


def unpack_chunk(file: BinaryIO, position: int, max_bytes: int) -> memoryview:
    """Content of the chunk whose record begins at `position`. Raises one of chunk_content.DAMAGE."""
    file.seek(position)
    head = file.read(_RECORD.size + _CHUNK.size)
    if len(head) < _RECORD.size + _CHUNK.size or head[0] != CHUNK:
        raise DamagedChunkError(f"No chunk at offset {position}.")
    _, size = _RECORD.unpack_from(head)
    _, _, unpacked, crc, named = _CHUNK.unpack_from(head, _RECORD.size)
    rest = size - _CHUNK.size - named - 8
    if rest < 0:
        raise DamagedChunkError(f"Invalid chunk record length {size}.")
    name = file.read(named).decode("utf-8", "replace")
    packed = int.from_bytes(file.read(8), "little")
    if packed > rest:
        raise DamagedChunkError("Compressed data exceeds its chunk record boundary.")
    start = position + _RECORD.size + _CHUNK.size + named + 8
    return content_of(file, Chunk(start, packed, name, unpacked, crc), read_head, max_bytes)


def records(file: BinaryIO, stop: int, max_bytes: int) -> Iterator[tuple[bytes | memoryview | None, Entry]]:
    """Content of all records as they were written, those in chunks, too; None for a larger one than `max_bytes`.

    Of other records than messages only schemas and channels. Raises one of chunk_content.DAMAGE where they end.
    """
    for entry in walk(file, len(MAGIC), stop):
        if entry.op == CHUNK:
            content = unpack_chunk(file, entry.start - _RECORD.size, max_bytes)
            for inner in entries_in(content):
                fits = inner.op != MESSAGE or inner.size <= max_bytes
                yield content[inner.start : inner.start + inner.size] if fits else None, inner
        elif entry.op in (SCHEMA, CHANNEL, MESSAGE):
            fits = entry.op != MESSAGE or entry.size <= max_bytes
            if fits:
                file.seek(entry.start)
            yield file.read(entry.size) if fits else None, entry


def find_places(file: BinaryIO, stop: int) -> Places:
    """Where the messages of an mcap without index stand; its records up to `stop` are passed over by their lengths."""
    chunks, rows = [], array("q")
    for entry in walk(file, len(MAGIC), stop):
        if entry.op == MESSAGE:
            rows.extend((entry.log_ns, entry.channel, entry.start, entry.size))
        elif entry.op == CHUNK and entry.size >= _CHUNK.size:
            file.seek(entry.start)
            first_ns, last_ns, *_ = _CHUNK.unpack(file.read(_CHUNK.size))
            chunks.append((first_ns, last_ns + 1, entry.start - _RECORD.size))
    loose = np.array(rows, np.int64).reshape(-1, 4)
    return Places(chunks, loose[np.argsort(loose[:, 0], kind="stable")])


def messages_by_time(
    file: BinaryIO,
    places: Places,
    wanted: Iterable[int],
    start: int | None,
    stop: int | None,
    max_bytes: int,
    within: Within = (BEGIN, END),
) -> Iterator[Message]:
    """Messages of the channels `wanted` by log time, from `start` up to `stop`, ns. within: the places of those that
    are wanted, from the first up to the second."""
    channels = frozenset(wanted)
    begin, end = 0 if start is None else start, 2**64 if stop is None else stop
    first, behind = within
    open_ones: list[tuple[int, int, Message, Iterator[Message]]] = []

    def advance(position: int, messages: Iterator[Message]) -> None:
        if (message := next(messages, None)) is not None:
            heapq.heappush(open_ones, (message[0], position, message, messages))

    def take_before(time_ns: int) -> Iterator[Message]:
        while open_ones and open_ones[0][0] < time_ns:
            _, position, message, messages = heapq.heappop(open_ones)
            yield message
            advance(position, messages)

    starts = places.loose[:, 2]
    loose = places.loose if within == (BEGIN, END) else places.loose[(starts >= first[0]) & (starts < behind[0])]
    advance(-1, (m for m in _read_loose(file, loose, max_bytes) if m[1] in channels and begin <= m[0] < end))
    for first_ns, after_ns, position in sorted(places.chunks):
        if after_ns > begin and first_ns < end and first[0] <= position <= behind[0]:
            yield from take_before(first_ns)
            inside = (first[1] if position == first[0] else 0, behind[1] if position == behind[0] else END[1])
            advance(position, _read_chunk(file, position, channels, (begin, end), inside, max_bytes))
    yield from take_before(2**64)


def _read_chunk(
    file: BinaryIO,
    position: int,
    channels: frozenset[int],
    span: tuple[int, int],
    inside: tuple[int, int],
    max_bytes: int,
) -> Iterator[Message]:
    """Messages of a chunk by log time. span: their log times; inside: their places; up to the second of each."""
    content = unpack_chunk(file, position, max_bytes)
    (begin, end), (first, behind) = span, inside
    found = [
        entry
        for entry in entries_in(content)
        if entry.op == MESSAGE
        and entry.channel in channels
        and begin <= entry.log_ns < end
        and first <= entry.start < behind
    ]
    found.sort(key=lambda entry: entry.log_ns)
    taken = Taken()
    for entry in found:
        data = content[entry.start : entry.start + entry.size] if entry.size <= max_bytes else None
        yield entry.log_ns, entry.channel, data
        taken.add(entry.size, content)


def _read_loose(file: BinaryIO, loose: np.ndarray, max_bytes: int) -> Iterator[Message]:
    for some in range(0, len(loose), ENTRIES_AT_ONCE):
        for log_ns, channel, start, size in loose[some : some + ENTRIES_AT_ONCE].tolist():
            if size > max_bytes:
                yield log_ns, channel, None
                continue
            file.seek(start)
            yield log_ns, channel, file.read(size)
