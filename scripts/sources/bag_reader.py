"""Opens a bag of any kind and reads it once: ROS1 .bag, ROS2 .mcap, .db3, and the folders of ROS2.

Whatever is wrong with the bag leaves this module as an InputError of one line, never as an error of a library.
"""

import errno
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from heapq import merge
from itertools import chain
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag1 import ReaderError as ReaderError1
from rosbags.rosbag2 import Reader as Reader2
from rosbags.rosbag2 import ReaderError as ReaderError2
from rosbags.typesys import TypesysError, get_types_from_idl, get_types_from_msg
from rosbags.typesys.msg import normalize_msgtype

from scripts.common.errors import InputError
from scripts.sources.known_types import known_types
from scripts.sources.message_layout import Leaf, list_leaves
from scripts.sources.ros1_messages import CORRUPT, read_messages

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

METADATA = "metadata.yaml"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_IDL_LINE = "=" * 80 + "\n"

READER_ERRORS = (ReaderError1, ReaderError2, TypesysError)
# Errors of the machine, which another try may not meet; all others are the bag's.
MACHINE_FAULTS = (
    errno.EACCES,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOENT,
    errno.ENOSPC,
    errno.EPERM,
    errno.ESTALE,
)
# What a reader says: what a person makes of it.
HINTS = {
    "not indexed": "; `rosbag reindex` mends it",
    "index looks damaged": "; was the recording cut off?",
    "end magic": "; was the recording cut off?",
    "Profile": "; of mcap, only files with the profile ros2 are read",
    "File magic": "; it is no such bag",
}

# Key of the connection, log time, bytes.
Message = tuple[int, int, bytes | memoryview]


@dataclass(frozen=True)
class Topic:
    """A topic of the bag; connections: their keys, one for each that has published on it."""

    name: str
    type: str
    messages: int
    connections: tuple[int, ...]


class Bag:
    """An open bag. topics: by name. cdr: whether its messages are serialised as in ROS2."""

    def __init__(self, paths: list[Path]) -> None:
        if not paths:
            raise InputError("unreadable", "the recording names no bag file")
        self._stack = ExitStack()
        self.cdr = any(path.suffix != ".bag" for path in paths)
        self.topics: dict[str, Topic] = {}
        self._paths = paths
        self._name = paths[0].name if len(paths) == 1 else f"{paths[0].parent.name} ({len(paths)} files)"
        self._readers: list[Reader1 | Reader2] = []
        self._connections: dict[int, Connection] = {}
        self._leaves: dict[tuple[str, str], list[Leaf]] = {}

    def __enter__(self) -> Self:
        try:
            self._readers = self._make_readers()
            for reader in self._readers:
                self._stack.enter_context(reader)
            for reader in self._readers:
                self._connections |= {id(connection): connection for connection in reader.connections}
            self.topics = {topic.name: topic for topic in self._list_topics()}
        except Exception as error:
            self._stack.close()
            raise self._unreadable(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def start_ns(self) -> int:
        """Log time of the first message."""
        return min(reader.start_time for reader in self._readers)

    def messages(self, topics: Iterable[str], start: int | None = None, stop: int | None = None) -> Iterator[Message]:
        """All messages of `topics` by log time, from `start` up to `stop`, ns, where they are given."""
        keys = {key for name in topics for key in self.topics[name].connections}
        parts = []
        for reader in self._readers:
            wanted = [connection for connection in reader.connections if id(connection) in keys]
            if wanted:
                parts.append(self._read(reader, wanted, start, stop))
        yield from parts[0] if len(parts) == 1 else merge(*parts, key=itemgetter(1))

    def leaves(self, key: int) -> list[Leaf]:
        """The plain fields of a connection's messages, by the definition that the bag embeds."""
        connection = self._connections[key]
        definition = (connection.msgtype, connection.msgdef.data)
        if definition not in self._leaves:
            self._leaves[definition] = _list_fields(connection)
        return self._leaves[definition]

    def _make_readers(self) -> list[Reader1 | Reader2]:
        folders = {path.parent for path in self._paths if path.name == METADATA}
        folders |= {path for path in self._paths if path.is_dir()}
        if folders:
            return [Reader2(folder) for folder in sorted(folders)]
        for path in self._paths:
            if path.suffix not in (".bag", ".mcap", ".db3"):
                raise InputError("unreadable", f"{path.name} is no bag: its name ends in none of .bag, .mcap, .db3")
            if path.stat().st_size == 0:
                raise InputError("unreadable", f"{path.name} is empty (0 bytes)")
        return [Reader1(path) if path.suffix == ".bag" else Reader2(path) for path in self._paths]

    def _list_topics(self) -> Iterator[Topic]:
        by_name: dict[str, dict[int, Connection]] = {}
        for key, connection in self._connections.items():
            by_name.setdefault(connection.topic, {})[key] = connection
        for name, connections in sorted(by_name.items()):
            kind = next(iter(connections.values())).msgtype.replace("/msg/", "/")
            yield Topic(name, kind, sum(c.msgcount for c in connections.values()), tuple(connections))

    def _read(
        self, reader: Reader1 | Reader2, connections: list[Connection], start: int | None, stop: int | None
    ) -> Iterator[Message]:
        """Messages of one reader; errors of this generator are the bag's, those of its consumer do not come here."""
        count = 0
        try:
            messages: Iterator[tuple[Connection, int, bytes | memoryview]]
            if isinstance(reader, Reader1):
                messages = read_messages(reader, connections, start, stop)
            else:
                messages = _unpacked(reader.messages(connections, start, stop))
            for connection, log_ns, raw in messages:
                count += 1
                yield id(connection), log_ns, raw
        except Exception as error:
            raise self._unreadable(error, f" after {count} messages") from error

    def _unreadable(self, error: Exception, where: str = "") -> Exception:
        """What to raise for an error of a library: the machine's faults stay what they are."""
        if isinstance(error, InputError) or (isinstance(error, OSError) and error.errno in MACHINE_FAULTS):
            return error
        cause = " ".join(str(error).split()).rstrip(".")
        for path in self._paths:
            cause = cause.replace(repr(str(path)), path.name).replace(str(path), path.name)
        if not isinstance(error, READER_ERRORS):
            cause = f"it is damaged ({type(error).__name__}: {cause})" if cause else "it is damaged"
        hint = next((hint for words, hint in HINTS.items() if words in cause), "")
        return InputError("unreadable", f"{self._name} cannot be read{where}: {cause}{hint}")


def _list_fields(connection: Connection) -> list[Leaf]:
    """Fields of a connection's type; none where its definition cannot be understood."""
    kind = normalize_msgtype(connection.msgtype)
    definition = connection.msgdef
    try:
        if definition.format == MessageDefinitionFormat.MSG:
            types = get_types_from_msg(definition.data, kind)
        elif definition.format == MessageDefinitionFormat.IDL:
            types = _parse_idl(definition.data)
        else:
            types = known_types(kind)
    except Exception:
        # Whatever rosbags cannot parse is a topic that cannot be taken.
        return []
    return list_leaves(types, kind)


def _parse_idl(definition: str) -> dict[str, Any]:
    if not definition.startswith(f"{_IDL_LINE}IDL: "):
        return dict(get_types_from_idl(definition))
    types: dict[str, Any] = {}
    for part in definition.split(_IDL_LINE)[1:]:
        types |= get_types_from_idl(part.split("\n", 1)[1])
    return types


def _unpacked(messages: Iterator[tuple[Connection, int, bytes]]) -> Iterator[tuple[Connection, int, bytes]]:
    """Messages as they were sent: a bare mcap or db3 of a compressed recording holds each as zstd."""
    first = next(messages, None)
    if first is None:
        return
    if first[2][:4] != ZSTD_MAGIC:
        yield first
        yield from messages
        return
    for connection, log_ns, raw in chain([first], messages):
        try:
            content = zstd.decompress(raw)
        except zstd.ZstdError:
            content = CORRUPT
        yield connection, log_ns, content
