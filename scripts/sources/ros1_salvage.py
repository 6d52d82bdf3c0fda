"""The good part of a ROS1 bag without index, or cut off: read chunk by chunk from the front (ROS bag format 2.0)."""

import bz2
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import lz4.frame
from rosbags.typesys import get_types_from_msg
from rosbags.typesys.msg import normalize_msgtype

from scripts.common.errors import InputError
from scripts.sources.channels import Channel
from scripts.sources.message_layout import compile_reader, list_leaves

MAGIC = b"#ROSBAG V2.0\n"
_MESSAGE, _CHUNK, _CONNECTION = 2, 5, 7
_LENGTH = struct.Struct("<I")
_NOT_A_BAG = 2**31


class Ros1Salvage:
    """Messages in the order in which they were recorded, up to the damage."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._by_id: dict[int, Channel] = {}
        self.connections: list[Channel] = []
        self.start_time = 0
        self.salvaged = 0

    def __enter__(self) -> Self:
        self._file = self._path.open("rb")
        if self._file.read(len(MAGIC)) != MAGIC:
            self._file.close()
            raise InputError("unreadable", f"{self._path.name} is no ROS1 bag: nothing could be salvaged")
        first = None
        for key, log_ns, _ in self._messages():
            self._by_id[key].msgcount += 1
            self.salvaged += 1
            first = log_ns if first is None else min(first, log_ns)
        if first is None:
            self._file.close()
            raise InputError("unreadable", f"{self._path.name}: nothing of it could be salvaged")
        self.start_time = first
        self.connections = list(self._by_id.values())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._file.close()

    def messages(
        self, connections: list[Channel], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Channel, int, memoryview]]:
        """Channel, log time and bytes of the messages of `connections`."""
        for key, log_ns, data in self._messages():
            channel = self._by_id[key]
            if channel in connections and (start is None or log_ns >= start) and (stop is None or log_ns < stop):
                yield channel, log_ns, data

    def _messages(self) -> Iterator[tuple[int, int, memoryview]]:
        self._file.seek(len(MAGIC))
        while (record := self._next_record()) is not None:
            header, data, whole = record
            if not whole and header.get("op") != bytes([_CHUNK]):
                return
            if header.get("op") == bytes([_CHUNK]):
                yield from self._in_chunk(_decompressed(header.get("compression", b""), data))
            else:
                yield from self._of_record(header, memoryview(data))

    def _next_record(self) -> tuple[dict[str, bytes], bytes, bool] | None:
        """The next record of the file, and whether its data is all there; None at the end or the damage."""
        header, whole = self._next_part()
        fields = _fields(header) if whole else None
        if fields is None:
            return None
        data, whole = self._next_part()
        return fields, data, whole

    def _next_part(self) -> tuple[bytes, bool]:
        raw = self._file.read(4)
        (length,) = _LENGTH.unpack(raw) if len(raw) == 4 else (_NOT_A_BAG,)
        if length >= _NOT_A_BAG:
            return b"", False
        part = self._file.read(length)
        return part, len(part) == length

    def _in_chunk(self, content: memoryview) -> Iterator[tuple[int, int, memoryview]]:
        position = 0
        while position + 4 <= len(content):
            (length,) = _LENGTH.unpack_from(content, position)
            fields = _fields(bytes(content[position + 4 : position + 4 + length]))
            position += 4 + length
            if fields is None or position + 4 > len(content):
                return
            (size,) = _LENGTH.unpack_from(content, position)
            data = content[position + 4 : position + 4 + size]
            position += 4 + size
            if len(data) < size:
                return
            yield from self._of_record(fields, data)

    def _of_record(self, fields: dict[str, bytes], data: memoryview) -> Iterator[tuple[int, int, memoryview]]:
        kind = fields.get("op", b"\0")[0]
        if kind not in (_MESSAGE, _CONNECTION) or len(fields.get("conn", b"")) != 4:
            return
        (key,) = _LENGTH.unpack(fields["conn"])
        if kind == _CONNECTION and key not in self._by_id:
            self._by_id[key] = _channel(fields, _fields(bytes(data)) or {})
        elif kind == _MESSAGE and key in self._by_id and len(fields.get("time", b"")) == 8:
            seconds, nanoseconds = struct.unpack("<II", fields["time"])
            yield key, seconds * 10**9 + nanoseconds, data


def _fields(header: bytes) -> dict[str, bytes] | None:
    """name=value fields of a header; None for what is none."""
    found, position = {}, 0
    while position < len(header):
        if position + 4 > len(header):
            return None
        (length,) = _LENGTH.unpack_from(header, position)
        name, equals, value = header[position + 4 : position + 4 + length].partition(b"=")
        if not equals:
            return None
        found[name.decode("utf-8", "replace")] = value
        position += 4 + length
    return found


def _decompressed(compression: bytes, data: bytes) -> memoryview:
    """Content of a chunk, as far as it decompresses."""
    try:
        if compression == b"lz4":
            return memoryview(lz4.frame.LZ4FrameDecompressor().decompress(data))
        return memoryview(bz2.BZ2Decompressor().decompress(data) if compression == b"bz2" else data)
    except (RuntimeError, OSError, ValueError, EOFError):
        return memoryview(b"")


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
