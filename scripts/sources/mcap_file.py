"""An mcap of any profile, or one that was cut off: read by the mcap library."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import Channel as ChannelRecord
from mcap.records import Message as MessageRecord
from mcap.records import Schema as SchemaRecord
from mcap.stream_reader import StreamReader

from scripts.common.errors import InputError
from scripts.sources.channels import Channel
from scripts.sources.mcap_schemas import fields_of

# What reading a file behind its damage raises.
DAMAGE = (McapError, EOFError, ValueError, RuntimeError, OSError, IndexError, OverflowError, MemoryError)


def profile_of(path: Path) -> str | None:
    """The profile of an mcap, e.g. "ros2"; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return str(make_reader(file).get_header().profile)
    except (*DAMAGE, AssertionError):
        return None


class McapFile:
    """Messages of an mcap by log time; of a salvaged one in the order in which they were written.

    salvage: read from the front up to the damage, instead of by the index.
    """

    def __init__(self, path: Path, *, salvage: bool = False) -> None:
        self._path, self._salvage = path, salvage
        self._by_id: dict[int, Channel] = {}
        self.connections: list[Channel] = []
        self.start_time = 0
        self.salvaged = 0

    def __enter__(self) -> Self:
        self._file = self._path.open("rb")
        try:
            self._survey() if self._salvage else self._read_summary()
        except BaseException:
            self._file.close()
            raise
        self.connections = list(self._by_id.values())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._file.close()

    def messages(
        self, connections: list[Channel], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Channel, int, bytes]]:
        """Channel, log time and bytes of the messages of `connections`."""
        wanted = {key for key, channel in self._by_id.items() if channel in connections}
        for key, log_ns, data in self._prefix() if self._salvage else self._indexed(wanted, start, stop):
            if key in wanted and (start is None or log_ns >= start) and (stop is None or log_ns < stop):
                yield self._by_id[key], log_ns, data

    def _indexed(self, wanted: set[int], start: int | None, stop: int | None) -> Iterator[tuple[int, int, bytes]]:
        self._file.seek(0)
        topics = {self._by_id[key].topic for key in wanted}
        for _, channel, message in make_reader(self._file).iter_messages(topics, start, stop):
            yield channel.id, message.log_time, message.data

    def _read_summary(self) -> None:
        summary = make_reader(self._file).get_summary()
        if summary is None or summary.statistics is None:
            raise InputError("unreadable", f"{self._path.name} has no summary: was the recording cut off?")
        self.start_time = summary.statistics.message_start_time
        for key, channel in summary.channels.items():
            count = summary.statistics.channel_message_counts.get(key, 0)
            self._by_id[key] = _channel(channel, summary.schemas.get(channel.schema_id), count)

    def _survey(self) -> None:
        """Find the channels and count the messages of the good part."""
        schemas: dict[int, SchemaRecord] = {}
        first = None
        for record in self._records():
            if isinstance(record, SchemaRecord):
                schemas[record.id] = record
            elif isinstance(record, ChannelRecord) and record.id not in self._by_id:
                self._by_id[record.id] = _channel(record, schemas.get(record.schema_id), 0)
            elif isinstance(record, MessageRecord) and record.channel_id in self._by_id:
                self._by_id[record.channel_id].msgcount += 1
                self.salvaged += 1
                first = record.log_time if first is None else min(first, record.log_time)
        if first is None:
            raise InputError("unreadable", f"{self._path.name}: nothing of it could be salvaged")
        self.start_time = first

    def _prefix(self) -> Iterator[tuple[int, int, bytes]]:
        for record in self._records():
            if isinstance(record, MessageRecord):
                yield record.channel_id, record.log_time, record.data

    def _records(self) -> Iterator[Any]:
        """Records from the front up to the end or the damage."""
        self._file.seek(0)
        try:
            yield from StreamReader(self._file, record_size_limit=2**31).records
        except (*DAMAGE, AssertionError):
            return


def _channel(record: ChannelRecord, schema: SchemaRecord | None, count: int) -> Channel:
    name, encoding, data = (schema.name, schema.encoding, schema.data) if schema else ("", "", b"")
    leaves, reader = fields_of(name, encoding, data, record.message_encoding)
    return Channel(record.topic, name, count, leaves, reader)
