"""An mcap of any profile, one without an index, or one that was cut off."""

import struct
import sys
from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import Channel as ChannelRecord
from mcap.records import Schema as SchemaRecord

from scripts.common.errors import InputError, is_machine_fault
from scripts.sources import mcap_records
from scripts.sources.channels import Channel
from scripts.sources.mcap_order import mcap_runs_back, stored_messages
from scripts.sources.mcap_records import FOOTER, MAGIC, Message, Places
from scripts.sources.mcap_schemas import fields_of
from scripts.sources.set_back import LatestLogTimes
from scripts.sources.stretches import WHOLE, Stretch

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# What reading a file behind its damage raises.
DAMAGE = (
    McapError,
    EOFError,
    ValueError,
    RuntimeError,
    OSError,
    IndexError,
    OverflowError,
    MemoryError,
    struct.error,
    zstd.ZstdError,
)
# Footer of an mcap: opcode, length, where the summary begins (0: there is none), and what else comes before the magic.
_FOOTER = struct.Struct("<BQQ12x8s")


def profile_of(path: Path) -> str | None:
    """The profile of an mcap, e.g. "ros2"; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return str(make_reader(file).get_header().profile)
    except (*DAMAGE, AssertionError) as error:
        if is_machine_fault(error):
            raise
        return None


def is_without_summary(path: Path) -> bool:
    """Whether an mcap ends well, but says nowhere what it holds."""
    size = path.stat().st_size
    if size < len(MAGIC) + _FOOTER.size:
        return False
    with path.open("rb") as file:
        file.seek(size - _FOOTER.size)
        op, length, summary, magic = _FOOTER.unpack(file.read(_FOOTER.size))
    return bool(op == FOOTER and length == 20 and summary == 0 and magic == MAGIC)


class McapFile:
    """Messages of an mcap by log time; of a salvaged one in the order in which they were written.

    salvage: read from the front up to the damage, instead of by the index. max_bytes: larger messages come as None.
    """

    def __init__(self, path: Path, *, max_bytes: int, salvage: bool = False) -> None:
        self._path, self._salvage, self._max_bytes = path, salvage, max_bytes
        self._by_id: dict[int, Channel] = {}
        self._places = Places([], np.empty((0, 4), np.int64))
        self.connections: list[Channel] = []
        self.start_time = self.end_time = 0
        self.salvaged = 0
        self._latest = LatestLogTimes()

    def __enter__(self) -> Self:
        self._file = self._path.open("rb")
        try:
            if self._salvage:
                self._survey()
            elif is_without_summary(self._path):
                self._survey()
                self._places = mcap_records.find_places(self._file, self._path.stat().st_size)
            else:
                self._read_summary()
        except BaseException:
            self._file.close()
            raise
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
    ) -> Iterator[tuple[Channel, int, bytes | memoryview | None]]:
        """Channel, log time and bytes of the messages of `connections` in a stretch of the storage."""
        wanted = {key for key, channel in self._by_id.items() if channel in connections}
        if (within := stretch.within(0)) is None:
            return
        found: Iterator[Message]
        if self._salvage:
            found = islice(self._prefix(self._max_bytes), within[0][1], within[1][1])
        else:
            found = mcap_records.messages_by_time(
                self._file, self._places, wanted, start, stop, self._max_bytes, within
            )
        for log_ns, key, data in found:
            if key in wanted and (start is None or log_ns >= start) and (stop is None or log_ns < stop):
                yield self._by_id[key], log_ns, data

    def stored(self) -> Iterator[np.ndarray]:
        """Place (two numbers), log time and channel of the messages, int64 (N, 4); none where no log time runs back."""
        ran_back = self._latest.ran_back if self.salvaged else mcap_runs_back(self._file, self._places, self._max_bytes)
        if not ran_back:
            return
        if self._salvage:
            rows = [(0, number, log_ns, key) for number, (log_ns, key, _) in enumerate(self._prefix(0))]
            yield np.array(rows, np.int64)
        else:
            yield from stored_messages(self._file, self._places, self._max_bytes)

    def topic_of(self, key: int) -> str:
        """Topic of a channel."""
        return self._by_id[key].topic

    def _read_summary(self) -> None:
        summary = make_reader(self._file).get_summary()
        if summary is None or summary.statistics is None:
            raise InputError("unreadable", f"{self._path.name} has no summary: was the recording cut off?")
        self.start_time = summary.statistics.message_start_time
        self.end_time = summary.statistics.message_end_time
        for key, channel in summary.channels.items():
            count = summary.statistics.channel_message_counts.get(key, 0)
            self._by_id[key] = _channel(channel, summary.schemas.get(channel.schema_id), count)
        chunks = [(c.message_start_time, c.message_end_time + 1, c.chunk_start_offset) for c in summary.chunk_indexes]
        if chunks:
            self._places = Places(chunks, self._places.loose)
        else:
            self._places = mcap_records.find_places(self._file, self._path.stat().st_size)

    def _survey(self) -> None:
        """Find the channels and count the messages of the good part."""
        first = None
        for log_ns, key, _ in self._prefix(0):
            self._by_id[key].msgcount += 1
            self.salvaged += 1
            self._latest.add(key, log_ns)
            first = log_ns if first is None else min(first, log_ns)
            self.end_time = max(self.end_time, log_ns)
        if first is None:
            raise InputError("unreadable", f"{self._path.name}: nothing of it could be salvaged")
        self.start_time = first

    def _prefix(self, max_bytes: int) -> Iterator[Message]:
        """Messages from the front up to the end or the damage; channels become known on the way."""
        schemas: dict[int, SchemaRecord] = {}
        try:
            for content, entry in mcap_records.records(self._file, self._path.stat().st_size, max_bytes):
                if entry.op == mcap_records.MESSAGE:
                    if entry.channel in self._by_id:
                        yield entry.log_ns, entry.channel, content
                elif entry.op == mcap_records.SCHEMA and content is not None:
                    schema = SchemaRecord.read(ReadDataStream(BytesIO(content)))
                    schemas[schema.id] = schema
                elif entry.op == mcap_records.CHANNEL and content is not None:
                    channel = ChannelRecord.read(ReadDataStream(BytesIO(content)))
                    if channel.id not in self._by_id:
                        self._by_id[channel.id] = _channel(channel, schemas.get(channel.schema_id), 0)
        except (*DAMAGE, AssertionError) as error:
            if is_machine_fault(error):
                raise
            return


def _channel(record: ChannelRecord, schema: SchemaRecord | None, count: int) -> Channel:
    name, encoding, data = (schema.name, schema.encoding, schema.data) if schema else ("", "", b"")
    leaves, reader = fields_of(name, encoding, data, record.message_encoding)
    return Channel(record.topic, name, count, leaves, reader)
