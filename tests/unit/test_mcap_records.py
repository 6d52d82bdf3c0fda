"""Messages of an mcap come by log time, whole, whatever its chunks are; damage is found in chunks of any size."""

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType, IndexType, Writer

from scripts.sources import chunk_content
from scripts.sources.chunk_content import DAMAGE, DamagedChunkError
from scripts.sources.mcap_file import McapFile
from scripts.sources.mcap_records import CHUNK, MAGIC, Entry, unpack_chunk, walk
from tests.unit.bag_maker import START_NS, camera_of, export

MAX_BYTES = 60
NO_INDEX = {
    "index_types": IndexType.NONE,
    "repeat_channels": False,
    "repeat_schemas": False,
    "use_statistics": False,
    "use_summary_offsets": False,
}


def as_mcap(
    sent: list[tuple[int, int, int]], compression: str, *, chunk_size: int = 300, chunked: bool = True, indexed: bool
) -> bytes:
    """Messages (log time, channel 0 or 1, size), each filled with its number."""
    file = io.BytesIO()
    settings = {} if indexed else NO_INDEX
    writer = Writer(
        file, compression=CompressionType[compression], chunk_size=chunk_size, use_chunking=chunked, **settings
    )
    writer.start("", "test")
    schema = writer.register_schema("X", "ros1msg", b"uint8[] data\n")
    channels = [writer.register_channel(topic, "ros1", schema) for topic in ("/a", "/b")]
    for number, (log_ns, channel, size) in enumerate(sent):
        writer.add_message(channels[channel], log_ns, bytes([number]) * size, log_ns)
    writer.finish()
    return file.getvalue()


@pytest.fixture(params=[chunk_content.LARGE_CHUNK, 0], ids=["small", "large"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks are taken for small ones, or for large ones."""
    monkeypatch.setattr(chunk_content, "LARGE_CHUNK", request.param)


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("form", ["NONE", "LZ4", "ZSTD", "loose"])
@given(
    sent=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1), st.integers(0, 99)), min_size=1, max_size=40),
    span=st.tuples(st.none() | st.integers(0, 20), st.none() | st.integers(0, 21)),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_messages_come_by_log_time_and_those_too_large_as_none(
    tmp_path: Path,
    form: str,
    indexed: bool,
    sent: list[tuple[int, int, int]],
    span: tuple[int | None, int | None],
) -> None:
    path = tmp_path / "a.mcap"
    path.write_bytes(as_mcap(sent, form if form != "loose" else "NONE", chunked=form != "loose", indexed=indexed))
    first, stop = 0 if span[0] is None else span[0], 99 if span[1] is None else span[1]
    expected = [
        (log_ns, ("/a", "/b")[channel], bytes([number]) * size if size <= MAX_BYTES else None)
        for number, (log_ns, channel, size) in enumerate(sent)
        if first <= log_ns < stop
    ]
    expected.sort(key=lambda message: message[0])
    with McapFile(path, max_bytes=MAX_BYTES) as reader:
        found = [
            (log_ns, channel.topic, None if data is None else bytes(data))
            for channel, log_ns, data in reader.messages(reader.connections, *span)
        ]
        assert sum(channel.msgcount for channel in reader.connections) == len(sent)
    assert found == expected


def chunk_at(content: bytes) -> Entry:
    """The first chunk of an mcap."""
    return next(entry for entry in walk(io.BytesIO(content), len(MAGIC), len(content)) if entry.op == CHUNK)


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("compression", ["NONE", "LZ4", "ZSTD"])
def test_a_flipped_bit_anywhere_in_a_chunk_is_found(tmp_path: Path, compression: str) -> None:
    whole = as_mcap([(k, 0, 50) for k in range(8)], compression, chunk_size=10_000, indexed=True)
    chunk = chunk_at(whole)
    # Behind the times of the chunk, which only the index repeats.
    for position in range(chunk.start + 16, chunk.start + chunk.size, 7):
        damaged = bytearray(whole)
        damaged[position] ^= 0x40
        path = tmp_path / "a.mcap"
        path.write_bytes(damaged)
        with path.open("rb") as file, pytest.raises((*DAMAGE, OverflowError)):
            unpack_chunk(file, chunk.start - 9, MAX_BYTES)


def test_a_record_behind_the_end_of_the_file_is_damage() -> None:
    whole = as_mcap([(0, 0, 50)], "NONE", chunked=False, indexed=True)
    with pytest.raises(DamagedChunkError, match="Truncated record"):
        list(walk(io.BytesIO(whole[:150]), len(MAGIC), 150))


@pytest.mark.parametrize("compression", ["", "LZ4", "BZ2"])
def test_a_ros1_bag_gives_the_same_whether_its_chunks_are_taken_for_large_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    bag = camera_of("h264", 60).write(tmp_path / "a.bag", compression)
    small = export(bag, tmp_path / "small", {"cam": "/cam"})
    monkeypatch.setattr(chunk_content, "LARGE_CHUNK", 0)
    large = export(bag, tmp_path / "large", {"cam": "/cam"})
    assert small.frames("cam").time_ns[0] == START_NS
    for name in ("cam.mp4", "cam.frames.parquet", "export.ledger.parquet"):
        assert (small.folder / name).read_bytes() == (large.folder / name).read_bytes()
