"""Opens a bag of any kind and reads it once: ROS1 .bag, ROS2 .mcap, .db3, and the folders of ROS2.

Whatever is wrong with the bag leaves this module as an InputError of one line, never as an error of a library.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from os.path import commonpath
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rosbags.interfaces import Connection
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag1 import ReaderError as ReaderError1
from rosbags.rosbag2 import Reader as Reader2
from rosbags.rosbag2 import ReaderError as ReaderError2
from rosbags.typesys import TypesysError

from scripts.common.errors import InputError, is_machine_fault
from scripts.sources import ros1_messages, ros2_messages
from scripts.sources.bag_files import ending_of, find_parts
from scripts.sources.channels import Channel
from scripts.sources.connection_fields import list_fields
from scripts.sources.joined_messages import JoinedMessages, Message
from scripts.sources.mcap_file import McapFile, is_without_summary, profile_of
from scripts.sources.message_layout import Leaf, Read, compile_reader
from scripts.sources.ros1_salvage import Ros1Salvage
from scripts.sources.set_back import LEAST_NS
from scripts.sources.storage_order import Order, find_order
from scripts.sources.stretches import WHOLE, Move, Stretch, merge_moves

# `max_message_mb`, where nobody says another.
MAX_BYTES = 256 * 2**20

READER_ERRORS = (ReaderError1, ReaderError2, TypesysError)
# What a reader says: what a person makes of it.
HINTS = {
    "not indexed": "; `rosbag reindex` mends it, `salvage: true` in the rig reads it",
    "index looks damaged": "; was the recording cut off? `salvage: true` in the rig reads what is good",
    "end magic": "; was the recording cut off? `salvage: true` in the rig reads what is good",
    "File magic": "; it is no such bag",
}

# rosbags reads what is whole and ROS's; the others are this project's own.
Reader = Reader1 | Reader2 | McapFile | Ros1Salvage


@dataclass(frozen=True)
class Topic:
    """A topic of the bag; connections: their keys, one for each that has published on it."""

    name: str
    type: str
    messages: int
    connections: tuple[int, ...]


class Bag:
    """An open bag. topics: by name.  notes: what a person should know of it. moves: what its recording machine's clock
    was set back by; log times are those of the clock that it began with, stamps are as they were sent.

    salvage: read what is good of a bag that is cut off or has no index. max_bytes: larger messages are not read.
    """

    def __init__(self, paths: list[Path], *, salvage: bool = False, max_bytes: int = MAX_BYTES) -> None:
        if not paths:
            raise InputError("unreadable", "the recording names no bag file")
        self._stack = ExitStack()
        self.topics: dict[str, Topic] = {}
        self.notes: list[str] = []
        self._salvage, self._max_bytes = salvage, max_bytes
        self._paths = paths
        self._files = [*paths]
        self._name = paths[0].name if len(paths) == 1 else f"{Path(commonpath(paths)).name} ({len(paths)} files)"
        self.moves: list[Move] = []
        self._readers: list[Reader] = []
        self._orders: dict[int, Order] = {}
        self._connections: dict[int, Connection | Channel] = {}
        self._leaves: dict[tuple[str, str], list[Leaf]] = {}

    def __enter__(self) -> Self:
        try:
            self._readers = [self._open(*makers) for makers in self._make_readers()]
            for reader in self._readers:
                self._connections |= {id(connection): connection for connection in reader.connections}
            self.topics = {topic.name: topic for topic in self._list_topics()}
            self._find_order()
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
        return min(order.start_ns for order in self._orders.values())

    def messages(self, topics: Iterable[str], start: int | None = None, stop: int | None = None) -> Iterator[Message]:
        """All messages of `topics` by log time, from `start` up to `stop`, ns, where they are given."""
        keys = {key for name in topics for key in self.topics[name].connections}
        readers, parts = [], []
        for reader in self._readers:
            wanted = [connection for connection in reader.connections if id(connection) in keys]
            if wanted:
                readers.append(reader)
                parts.append(self._read(reader, wanted, start, stop))
        yield from parts[0] if len(parts) == 1 else self._joined(readers, parts)

    def _joined(self, readers: list[Reader], parts: list[Iterator[Message]]) -> Iterator[Message]:
        """Messages of several files by log time. Slices may overlap: what two of them hold comes once."""
        orders = [self._orders[id(reader)] for reader in readers]
        joined = JoinedMessages([(order.start_ns, order.end_ns) for order in orders])
        yield from joined.join(parts, {key: connection.topic for key, connection in self._connections.items()})
        if joined.twice:
            self.notes.append(f"messages that two of the bag's files hold, taken once: {joined.twice}")

    def reader(self, key: int, wanted: tuple[str, ...]) -> Read:
        """Reads the `wanted` fields out of the messages of a connection."""
        connection = self._connections[key]
        if isinstance(connection, Channel):
            return connection.reader(wanted)
        return compile_reader(self.leaves(key), wanted, cdr=self._is_cdr(key))

    def leaves(self, key: int) -> list[Leaf]:
        """The plain fields of a connection's messages, by the definition that the bag embeds."""
        connection = self._connections[key]
        if isinstance(connection, Channel):
            return connection.leaves
        # Without a definition, connections of one name may be those of several packages.
        definition = (connection.msgtype, connection.msgdef.data or str(key))
        if definition not in self._leaves:
            self._leaves[definition] = list_fields(connection, partial(self._first_message, connection))
        return self._leaves[definition]

    def _first_message(self, connection: Connection) -> bytes | memoryview | None:
        reader = next(reader for reader in self._readers if any(own is connection for own in reader.connections))
        assert isinstance(reader, Reader2)
        return next((raw for _, _, raw in self._read_stretch(reader, [connection], (None, None), WHOLE)), None)

    def _make_readers(self) -> list[tuple[Callable[[], Reader], Callable[[], Reader] | None]]:
        """What opens each part of the bag, and what salvages it, where that is known."""
        folders, files, notes = find_parts(self._paths, self._stack, salvage=self._salvage)
        self.notes += notes
        self._files += files
        return [*((partial(Reader2, folder), None) for folder in folders), *map(self._makers, files)]

    def _makers(self, path: Path) -> tuple[Callable[[], Reader], Callable[[], Reader] | None]:
        kind = ending_of(path)
        if kind == ".bag":
            return partial(Reader1, path), partial(Ros1Salvage, path, max_bytes=self._max_bytes)
        if kind == ".mcap":
            own = partial(McapFile, path, max_bytes=self._max_bytes)
            # Of an mcap without summary, rosbags reads every chunk to open it.
            plain = path.suffix == kind and profile_of(path) in ("ros2", None) and not is_without_summary(path)
            return partial(Reader2, path) if plain else own, partial(own, salvage=True)
        if path.suffix != kind:
            raise InputError(
                "unreadable", f"{path.name}: a database of ROS2 is only read by the ending .db3; rename it"
            )
        return partial(Reader2, path), None

    def _open(self, make: Callable[[], Reader], salvage: Callable[[], Reader] | None) -> Reader:
        try:
            opened: Reader = make()
            self._stack.enter_context(opened)
            return opened
        except Exception as error:
            if not self._salvage or salvage is None:
                raise
            reader = salvage()
            assert isinstance(reader, McapFile | Ros1Salvage)
            self._stack.enter_context(reader)
            cause = self._unreadable(error)
            why = cause.message if isinstance(cause, InputError) else str(cause)
            self.notes.append(f"salvaged: {reader.salvaged} messages up to the damage ({why.partition('; ')[0]})")
            return reader

    def _is_cdr(self, key: int) -> bool:
        """Whether the messages of a connection of rosbags are serialised as in ROS2."""
        return any(
            isinstance(reader, Reader2) and any(id(connection) == key for connection in reader.connections)
            for reader in self._readers
        )

    def _list_topics(self) -> Iterator[Topic]:
        by_name: dict[str, dict[int, Connection | Channel]] = {}
        for key, connection in self._connections.items():
            by_name.setdefault(connection.topic, {})[key] = connection
        for name, connections in sorted(by_name.items()):
            kind = next(iter(connections.values())).msgtype.replace("/msg/", "/")
            yield Topic(name, kind, sum(c.msgcount for c in connections.values()), tuple(connections))

    def _find_order(self) -> None:
        """Find where the clock was set back, and say so."""
        set_back_ns = last_ns = 0
        doubted: set[str] = set()
        for reader in self._readers:
            order = find_order(reader, self._max_bytes)
            # What a recorder writes next goes on by the clock that was set.
            if set_back_ns and order.start_ns >= last_ns - LEAST_NS:
                order = order.moved(set_back_ns)
            set_back_ns, last_ns = order.stretches[-1].shift_ns, order.last_ns
            self._orders[id(reader)] = order
            doubted.update(order.doubted)
        self.moves = merge_moves(move for order in self._orders.values() for move in order.moves)
        for before, move in pairwise([Move(self.start_ns, 0), *self.moves] if self.moves else []):
            self.notes.append(
                f"the recording machine's clock was set back by {(move.shift_ns - before.shift_ns) / 1e9:.3f} s "
                f"{(move.log_ns - self.start_ns) / 1e9:.3f} s after the first message: all that follows is moved "
                "behind what was before"
            )
        if any(order.rearranged for order in self._orders.values()):
            self.notes.append(
                "parts of the recording are stored in another order than that of their log times, by which they fit "
                "together: they are taken in the order of their log times"
            )
        if doubted:
            self.notes.append(
                f"log times of {', '.join(sorted(doubted))} run back, those of other topics do not: its messages are "
                "taken in the order of their log times"
            )

    def _read(self, reader: Reader, connections: list[Any], start: int | None, stop: int | None) -> Iterator[Message]:
        """Messages of one reader; errors of this generator are the bag's, those of its consumer do not come here."""
        count = 0
        try:
            for stretch in self._orders[id(reader)].stretches:
                by_ns = stretch.shift_ns
                span = stretch.span(start, stop)
                for connection, log_ns, raw in self._read_stretch(reader, connections, span, stretch):
                    count += 1
                    yield id(connection), log_ns + by_ns, raw
        except Exception as error:
            broken = self._unreadable(error, f" after {count} messages")
            if not self._salvage or not isinstance(broken, InputError):
                raise broken from error
            said = f"salvaged: {broken.message}"
            self.notes += [said] if said not in self.notes else []

    def _read_stretch(
        self, reader: Reader, connections: list[Any], span: tuple[int | None, int | None], stretch: Stretch
    ) -> Iterator[tuple[Connection | Channel, int, bytes | memoryview | None]]:
        if isinstance(reader, Reader1):
            return ros1_messages.read_messages(reader, connections, *span, self._max_bytes, stretch)
        if isinstance(reader, McapFile | Ros1Salvage):
            return reader.messages(connections, *span, stretch)
        return ros2_messages.read_messages(reader, connections, *span, self._max_bytes, stretch)

    def _unreadable(self, error: Exception, where: str = "") -> Exception:
        """What to raise for an error of a library: the machine's faults stay what they are."""
        # Its bag was there, and could be opened, when it was planned.
        if is_machine_fault(error) or isinstance(error, InputError | FileNotFoundError | PermissionError):
            return error
        # rosbags puts the words of an inner error into its own as they come, in a tuple.
        words = re.sub(r"\('([^']*)',\)", r"\1", str(error))
        cause = " ".join(words.split()).rstrip(".")
        for path in self._files:
            cause = cause.replace(repr(str(path)), path.name).replace(str(path), path.name)
        if not isinstance(error, READER_ERRORS):
            cause = f"it is damaged ({type(error).__name__}: {cause})" if cause else "it is damaged"
        hint = next((hint for words, hint in HINTS.items() if words in cause), "")
        return InputError("unreadable", f"{self._name} cannot be read{where}: {cause}{hint}")
