"""The good part of a ROS1 bag without index, or cut off: read chunk by chunk from the front (ROS bag format 2.0)."""

import struct
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from rosbags.typesys import get_types_from_msg
from rosbags.typesys.msg import normalize_msgtype

from scripts.common.errors import InputError
from scripts.sources.channels import Channel
from scripts.sources.chunk_content import Chunk, DamagedChunkError, Taken, content_of, or_nothing
from scripts.sources.message_layout import compile_reader, list_leaves
from scripts.sources.ros1_records import LENGTH, chunk_of, fields_of, read_head
from scripts.sources.set_back import LatestLogTimes
from scripts.sources.stretches import WHOLE, Stretch

MAGIC = b"#ROSBAG V2.0\n"
_MESSAGE, _CHUNK, _CONNECTION = 2, 5, 7


class Ros1Salvage:
    """Messages in the order in which they were recorded, up to the damage. max_bytes: larger ones come as None."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._path, self._max_bytes = path, max_bytes
        self._by_id: dict[int, Channel] = {}
        self.connections: list[Channel] = []
        self.start_time = self.end_time = 0
        self.salvaged = 0
        self._latest = LatestLogTimes()

    def __enter__(self) -> Self:
        self._file = self._path.open("rb")
        if self._file.read(len(MAGIC)) != MAGIC:
            self._file.close()
            raise InputError("unreadable", f"{self._path.name} is no ROS1 bag: nothing could be salvaged")
        first = None
        for key, log_ns, _ in self._messages(0):
            self._by_id[key].msgcount += 1
            self.salvaged += 1
            self._latest.add(key, log_ns)
            first = log_ns if first is None else min(first, log_ns)
            self.end_time = max(self.end_time, log_ns)
        if first is None:
            self._file.close()
            raise InputError("unreadable", f"{self._path.name}: nothing of it could be salvaged")
        self.start_time = first
        self.connections = list(self._by_id.values())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._file.close()

    def messages(
        self,
        connections: list[Channel],
        start: int | None = None,
        stop: int | None = None,
        stretch: Stretch = WHOLE,
    ) -> Iterator[tuple[Channel, int, memoryview | None]]:
        """Channel, log time and bytes of the messages of `connections` in a stretch of the storage."""
        if (within := stretch.within(0)) is None:
            return
        for key, log_ns, data in islice(self._messages(self._max_bytes), within[0][1], within[1][1]):
            channel = self._by_id[key]
            if channel in connections and (start is None or log_ns >= start) and (stop is None or log_ns < stop):
                yield channel, log_ns, data

    def stored(self) -> Iterator[np.ndarray]:
        """Place (two numbers), log time and channel of the messages, int64 (N, 4); none where no log time runs back."""
        if self._latest.ran_back:
            rows = [(0, number, log_ns, key) for number, (key, log_ns, _) in enumerate(self._messages(0))]
            yield np.array(rows, np.int64)

    def topic_of(self, key: int) -> str:
        """Topic of a channel."""
        return self._by_id[key].topic

    def _messages(self, max_bytes: int) -> Iterator[tuple[int, int, memoryview | None]]:
        position, end = len(MAGIC), self._path.stat().st_size
        while (record := self._record_at(position)) is not None:
            fields, start, size = record
            position = start + size
            is_chunk = fields.get("op") == bytes([_CHUNK])
            if position > end and not is_chunk:
                return
            if is_chunk:
                chunk = chunk_of(fields, start, min(size, end - start))
                content = self._content_of(chunk, max_bytes)
                yield from self._in_chunk(content, max_bytes)
            elif size > max_bytes and fields.get("op") == bytes([_MESSAGE]):
                yield from self._of_record(fields, None)
            else:
                self._file.seek(start)
                yield from self._of_record(fields, memoryview(self._file.read(size)))

    def _content_of(self, chunk: Chunk, max_bytes: int) -> memoryview:
        """Content of a chunk, as far as it decompresses."""
        return or_nothing(partial(content_of, self._file, chunk, read_head, max_bytes, partly=True))

    def _record_at(self, position: int) -> tuple[dict[str, bytes], int, int] | None:
        """A record of the file: its fields, where its data begin and how long they are; None at the damage."""
        self._file.seek(position)
        try:
            head, size, _ = read_head(self._file.read)
        except DamagedChunkError:
            return None
        # The lengths before and behind the fields.
        whole = len(head) >= 2 * LENGTH.size and len(head) == 2 * LENGTH.size + LENGTH.unpack_from(head)[0]
        fields = fields_of(head[LENGTH.size : -LENGTH.size]) if whole else None
        return None if fields is None else (fields, position + len(head), size)

    def _in_chunk(self, content: memoryview, max_bytes: int) -> Iterator[tuple[int, int, memoryview | None]]:
        position, taken = 0, Taken()
        while position + 4 <= len(content):
            (length,) = LENGTH.unpack_from(content, position)
            fields = fields_of(bytes(content[position + 4 : position + 4 + length]))
            position += 4 + length
            if fields is None or position + 4 > len(content):
                return
            (size,) = LENGTH.unpack_from(content, position)
            data = content[position + 4 : position + 4 + size]
            position += 4 + size
            if len(data) < size:
                return
            kept = size <= max_bytes or fields.get("op") != bytes([_MESSAGE])
            yield from self._of_record(fields, data if kept else None)
            taken.add(size, content)

    def _of_record(
        self, fields: dict[str, bytes], data: memoryview | None
    ) -> Iterator[tuple[int, int, memoryview | None]]:
        kind = fields.get("op", b"\0")[0]
        if kind not in (_MESSAGE, _CONNECTION) or len(fields.get("conn", b"")) != 4:
            return
        (key,) = LENGTH.unpack(fields["conn"])
        if kind == _CONNECTION and data is not None and key not in self._by_id:
            self._by_id[key] = _channel(fields, fields_of(bytes(data)) or {})
        elif kind == _MESSAGE and key in self._by_id and len(fields.get("time", b"")) == 8:
            seconds, nanoseconds = struct.unpack("<II", fields["time"])
            yield key, seconds * 10**9 + nanoseconds, data


def _channel(fields: dict[str, bytes], data: dict[str, bytes]) -> Channel:
    kind = normalize_msgtype(data.get("type", b"").decode("utf-8", "replace")) if data.get("type") else ""
    try:
        types = dict(get_types_from_msg(data.get("message_definition", b"").decode("utf-8", "replace"), kind))
        leaves = list_leaves(types, kind)
    except Exception:
        # Whatever rosbags cannot parse is a topic that cannot be taken.
        leaves = []
    topic = fields.get("topic", b"").decode("utf-8", "replace")
    return Channel(topic, kind, 0, leaves, lambda wanted: compile_reader(leaves, wanted, cdr=False))
