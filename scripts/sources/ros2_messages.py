"""Messages of a ROS2 bag that rosbags has opened: the same as its own, but what is too large is never read."""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.reader import DirectoryReader
from rosbags.rosbag2.storage_mcap import McapReader

from scripts.sources import mcap_order, mcap_records
from scripts.sources.mcap_records import Places
from scripts.sources.ros1_messages import CORRUPT
from scripts.sources.set_back import runs_back
from scripts.sources.stretches import BEGIN, END, WHOLE, Stretch, Within

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

# Connection, log time, content; None for what is too large.
Message = tuple[Connection, int, bytes | memoryview | None]


def read_messages(
    reader: Reader,
    connections: list[Connection],
    start: int | None,
    stop: int | None,
    max_bytes: int,
    stretch: Stretch = WHOLE,
) -> Iterator[Message]:
    """Messages of `connections` in a stretch of the storage by log time, those of a folder file after file, from
    `start` up to `stop`, ns.

    A message that does not decompress comes as CORRUPT, one of more than `max_bytes` as None.
    """
    for file, storage in enumerate(storages_of(reader)):
        known = {own.id: wanted for own in storage.connections for wanted in connections if _same(own, wanted)}
        within = stretch.within(file)
        if not known or within is None:
            continue
        read = _read_mcap if isinstance(storage, McapReader) else _read_sqlite
        for key, log_ns, raw in read(storage, list(known), start, stop, max_bytes, within):
            # A bare mcap or db3 of a compressed recording holds each message as zstd, too.
            yield known[key], log_ns, _decompressed(raw, max_bytes) if raw and raw[:4] == ZSTD_MAGIC else raw


def storages_of(reader: Reader) -> list[Any]:
    """The files of a bag, as rosbags reads them."""
    opened: Any = reader.storage
    return opened.storages if isinstance(opened, DirectoryReader) else [opened]


def stored_messages(storage: Any, max_bytes: int) -> Iterator[np.ndarray]:
    """Place (two numbers), log time and connection of the messages of a file, int64 (N, 4)."""
    if isinstance(storage, McapReader):
        assert storage.bio is not None
        yield from mcap_order.stored_messages(storage.bio, _places(storage), max_bytes)
    else:
        rows = storage.dbconn.execute("SELECT 0, rowid, timestamp, topic_id FROM messages ORDER BY rowid")
        yield np.array(list(rows), np.int64).reshape(-1, 4)


def may_run_back(storage: Any, max_bytes: int) -> bool:
    """Whether log times of a file run back in the order of storage."""
    if isinstance(storage, McapReader):
        assert storage.bio is not None
        return mcap_order.mcap_runs_back(storage.bio, _places(storage), max_bytes)
    # The index alone answers this: no message is read.
    rows = storage.dbconn.execute("SELECT rowid FROM messages ORDER BY timestamp, rowid")
    in_order = np.fromiter((row for (row,) in rows), np.int64)
    if np.all(np.diff(in_order) > 0):
        return False
    rows = storage.dbconn.execute("SELECT rowid, timestamp FROM messages")
    known = np.array(list(rows), np.int64).reshape(-1, 2)
    return runs_back(known[np.argsort(known[:, 0]), 1])


def _same(own: Connection, wanted: Connection) -> bool:
    """Whether a file's connection is one of the whole bag's."""
    if (own.topic, own.msgtype, own.ext) != (wanted.topic, wanted.msgtype, wanted.ext):
        return False
    return not own.digest or not wanted.digest or own.digest == wanted.digest


def _read_sqlite(
    storage: Any, keys: list[int], start: int | None, stop: int | None, max_bytes: int, within: Within
) -> Iterator[tuple[int, int, bytes | None]]:
    """The order and the lengths come first: so neither sorting nor passing over reads what was sent."""
    condition = f"topic_id IN ({','.join('?' * len(keys))})"
    values: list[int] = list(keys)
    for bound, sign in ((start, ">="), (stop, "<")):
        if bound is not None:
            condition += f" AND timestamp {sign} ?"
            values.append(bound)
    if within != (BEGIN, END):
        condition += " AND rowid >= ? AND rowid < ?"
        values += [within[0][1], within[1][1]]
    rows = storage.dbconn.execute(
        f"SELECT rowid, topic_id, timestamp, length(data) FROM messages WHERE {condition} ORDER BY timestamp, rowid",
        values,
    )
    content = storage.dbconn.cursor()
    for row, key, log_ns, size in rows:
        if (size or 0) > max_bytes:
            yield key, log_ns, None
        else:
            ((data,),) = content.execute("SELECT data FROM messages WHERE rowid = ?", (row,))
            yield key, log_ns, data


def _read_mcap(
    storage: Any, keys: list[int], start: int | None, stop: int | None, max_bytes: int, within: Within
) -> Iterator[tuple[int, int, bytes | memoryview | None]]:
    places = _places(storage, keys)
    for log_ns, key, data in mcap_records.messages_by_time(storage.bio, places, keys, start, stop, max_bytes, within):
        yield key, log_ns, data


def _places(storage: Any, keys: list[int] | None = None) -> Places:
    """Where messages stand, those of the channels `keys` (None: all) among them."""
    if not storage.chunks:
        return mcap_records.find_places(storage.bio, storage.data_end)
    chunks = [
        (chunk.message_start_time, chunk.message_end_time + 1, chunk.chunk_start_offset)
        for chunk in storage.chunks
        if keys is None or not chunk.channel_count or any(chunk.channel_count.get(key) for key in keys)
    ]
    return Places(chunks, np.empty((0, 4), np.int64))


def _decompressed(raw: bytes | memoryview, max_bytes: int) -> bytes | None:
    """What was sent; None if that is more than `max_bytes`, which is found without making more of it."""
    try:
        size = zstd.get_frame_info(raw).decompressed_size
        if size is not None:
            return zstd.decompress(raw) if size <= max_bytes else None
        decompressor = zstd.ZstdDecompressor()
        content = decompressor.decompress(raw, max_length=max_bytes + 1)
        if len(content) > max_bytes:
            return None
        return content if decompressor.eof else CORRUPT
    except zstd.ZstdError:
        return CORRUPT
