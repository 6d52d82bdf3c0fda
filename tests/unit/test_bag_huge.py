"""A message above `max_message_mb` is never held in memory, whatever the bag; the others come out, and it is named."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.writer import CompressionType, IndexType, Writer
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from tests.unit.bag_formats.containers import WHOLE_PACKET
from tests.unit.bag_maker import PACKET, PERIOD_NS, START_NS, Ros, camera_of, send_packet, small_ros2
from tests.unit.examples import REPO

HUGE = 40 * 2**20
FRAMES = 30
# What is decompressed into memory before it is looked at, and some for the machine.
WELL_BELOW_MB = 14

EXPORTS = """
import json, sys, traceback
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from scripts.sources.bag_reader import Bag
from tests.unit.bag_maker import camera_of, export

def memory_mb(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

def read(bag, salvage):
    with Bag([Path(bag)], salvage=salvage) as source:
        return sum(sum(bytes(raw[::4096])) for _, _, raw in source.messages(source.topics))

def exported(bag, out, salvage):
    paths = sorted(Path(bag).iterdir()) if Path(bag).is_dir() else Path(bag)
    made = export(paths, Path(out), {"cam": "/cam"}, max_message_mb=8, salvage=salvage)
    dropped = made.manifest["streams"]["cam"].get("dropped")
    return [len(made.frames("cam")), dropped, made.rows["cam"].message]

def answer(bag, out, salvage):
    # The peak counts from here.
    Path("/proc/self/clear_refs").write_text("5")
    before = memory_mb("VmRSS")
    found = exported(bag, out, salvage) if out else read(bag, salvage)
    return {"found": found, "peak_mb": memory_mb("VmHWM") - before}

small = Path(sys.argv[2])
export(camera_of("h264", 30).write(small / "small.bag"), small / "small", {"cam": "/cam"})
for line in sys.stdin:
    try:
        print(json.dumps(answer(*json.loads(line))), flush=True)
    except Exception:
        print(json.dumps(traceback.format_exc()), flush=True)
"""


class Exporter:
    """Exports bags in a process of its own, where nothing but that takes memory."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", EXPORTS, str(REPO), str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, bag: Path, out: str, *, salvage: bool) -> tuple[Any, float]:
        """What came of a bag, and the MB that took. out: folder of the export; "": only read it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(bag), out, salvage]) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert isinstance(answer, dict), answer
        return answer["found"], answer["peak_mb"]

    def check(self, bag: Path, folder: Path, *, salvage: bool = False) -> None:
        """Check that the huge message is named, all others came out, and that it took little memory."""
        (frames, dropped, message), peak_mb = self.ask(bag, str(folder / "out"), salvage=salvage)
        assert dropped == {"larger than 8 MB (max_message_mb)": 1}
        assert "larger than 8 MB (max_message_mb): 1" in message
        assert frames == FRAMES
        assert peak_mb < WELL_BELOW_MB


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    exporter = Exporter(tmp_path_factory.mktemp("small"))
    yield exporter
    exporter.process.communicate()


def with_huge(ros: Ros, *, plain: bool = False) -> Ros:
    """With a huge packet in the middle; noise, unless `plain`."""
    content = bytes(HUGE) if plain else np.random.default_rng(1).bytes(HUGE)
    middle = START_NS + FRAMES // 2 * PERIOD_NS
    send_packet(ros, middle, middle, content, FRAMES // 2, False)
    return ros


def as_mcap(path: Path, compression: str, *, profile: str = "ros2", cut: bool = False, **settings: object) -> Path:
    """By the mcap library, whose chunks take what fits into 100 kB and a message more. cut: the end is missing."""
    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType[compression], chunk_size=100_000, **settings)
        writer.start(profile, "test")
        schema = writer.register_schema(PACKET, "ros2msg", WHOLE_PACKET.encode())
        channel = writer.register_channel("/cam", "cdr", schema)
        for log_ns, _, _, content in sorted(with_huge(small_ros2(FRAMES)).sent, key=lambda message: message[0]):
            writer.add_message(channel, log_ns, content, log_ns)
        writer.finish()
    if cut:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 200)
    return path


NO_SUMMARY = {
    "index_types": IndexType.NONE,
    "repeat_channels": False,
    "repeat_schemas": False,
    "use_statistics": False,
    "use_summary_offsets": False,
}

BAGS: dict[str, Callable[[Path], Path]] = {
    "ros1-none": lambda folder: with_huge(camera_of("h264", FRAMES)).write(folder / "a.bag"),
    "ros1-lz4": lambda folder: with_huge(camera_of("h264", FRAMES)).write(folder / "a.bag", "LZ4"),
    "ros1-bz2": lambda folder: with_huge(camera_of("h264", FRAMES), plain=True).write(folder / "a.bag", "BZ2"),
    "db3": lambda folder: with_huge(small_ros2(FRAMES)).write(folder / "a.db3"),
    "db3-zstd-message": lambda folder: packed(folder, StoragePlugin.SQLITE3),
    "mcap-zstd-message": lambda folder: packed(folder, StoragePlugin.MCAP),
    "mcap-none": lambda folder: as_mcap(folder / "a.mcap", "NONE"),
    "mcap-lz4": lambda folder: as_mcap(folder / "a.mcap", "LZ4"),
    "mcap-zstd": lambda folder: as_mcap(folder / "a.mcap", "ZSTD"),
    "mcap-without-chunks": lambda folder: as_mcap(folder / "a.mcap", "NONE", use_chunking=False),
    "mcap-without-summary": lambda folder: as_mcap(folder / "a.mcap", "ZSTD", **NO_SUMMARY),
    "mcap-without-anything": lambda folder: as_mcap(folder / "a.mcap", "NONE", use_chunking=False, **NO_SUMMARY),
    "mcap-of-no-profile": lambda folder: as_mcap(folder / "a.mcap", "ZSTD", profile=""),
}


def packed(folder: Path, plugin: StoragePlugin) -> Path:
    """A folder of a recording whose messages are each compressed."""
    with_huge(small_ros2(FRAMES), plain=True).write_folder(folder / "bag", plugin, CompressionMode.MESSAGE)
    return folder / "bag"


@pytest.mark.parametrize("name", BAGS)
def test_a_huge_message_takes_no_memory_and_is_named_while_all_others_come_out(
    tmp_path: Path, exporter: Exporter, name: str
) -> None:
    exporter.check(BAGS[name](tmp_path), tmp_path)


@pytest.mark.parametrize("compression", ["", "LZ4", "BZ2"])
def test_nor_does_it_in_a_ros1_bag_that_is_salvaged(tmp_path: Path, exporter: Exporter, compression: str) -> None:
    bag = with_huge(camera_of("h264", FRAMES), plain=compression == "BZ2").write(tmp_path / "a.bag", compression)
    with bag.open("r+b") as file:
        head = file.read(200)
        file.seek(head.index(b"index_pos=") + 10)
        file.write(bytes(8))
    exporter.check(bag, tmp_path, salvage=True)


@pytest.mark.parametrize("compression", ["NONE", "LZ4", "ZSTD"])
def test_nor_does_it_in_an_mcap_that_is_salvaged(tmp_path: Path, exporter: Exporter, compression: str) -> None:
    exporter.check(as_mcap(tmp_path / "a.mcap", compression, cut=True), tmp_path, salvage=True)


@pytest.mark.parametrize("salvage", ["", "salvaged"])
@pytest.mark.parametrize("name", ["a.bag", "lz4.bag", "a.mcap", "lz4.mcap"])
def test_a_whole_recording_in_one_chunk_takes_little_memory(
    tmp_path: Path, exporter: Exporter, name: str, salvage: str
) -> None:
    count, size, path = 120, 2**20, tmp_path / name
    if name.endswith("bag"):
        writer = Writer1(path)
        writer.chunk_threshold = 2**31
        if name == "lz4.bag":
            writer.set_compression(Writer1.CompressionFormat.LZ4)
        with writer:
            connection = writer.add_connection("/x", "std_msgs/msg/String", typestore=Ros(1).store)
            for number in range(count):
                writer.write(connection, START_NS + number, bytes([1]) * size)
    else:
        with path.open("wb") as file:
            chunks = Writer(file, compression=CompressionType["LZ4" if "lz4" in name else "NONE"], chunk_size=2**31)
            chunks.start("ros2", "test")
            schema = chunks.register_schema("std_msgs/msg/String", "ros2msg", b"string data\n")
            channel = chunks.register_channel("/x", "cdr", schema)
            for number in range(count):
                chunks.add_message(channel, START_NS + number, bytes([1]) * size, START_NS + number)
            chunks.finish()
    if salvage:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 20)
    found, peak_mb = exporter.ask(path, "", salvage=bool(salvage))
    assert found == count * size // 4096
    # What is looked at before memory is given back, and a message or two.
    assert peak_mb < 70
