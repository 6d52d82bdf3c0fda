"""A message above `max_message_mb` is never held in memory, whatever the bag; the others come out, and it is named."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mcap.writer import CompressionType, IndexType, Writer
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
from tests.unit.bag_maker import camera_of, export

def memory_mb(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

def answer(bag, out, salvage):
    # The peak counts from here.
    Path("/proc/self/clear_refs").write_text("5")
    before = memory_mb("VmRSS")
    paths = sorted(Path(bag).iterdir()) if Path(bag).is_dir() else Path(bag)
    made = export(paths, Path(out), {"cam": "/cam"}, max_message_mb=8, salvage=salvage)
    peak = memory_mb("VmHWM") - before
    decoded = len(made.decode("cam"))
    dropped = made.manifest["streams"]["cam"].get("dropped")
    return [len(made.frames("cam")), decoded, dropped, made.rows["cam"].message, peak]

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

    def check(self, bag: Path, folder: Path, *, salvage: bool = False) -> None:
        """Check that the huge message is named, all others came out, and that it took little memory."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(bag), str(folder / "out"), salvage]) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert isinstance(answer, list), answer
        frames, decoded, dropped, message, peak_mb = answer
        assert dropped == {"larger than 8 MB (max_message_mb)": 1}
        assert "larger than 8 MB (max_message_mb): 1" in message
        assert frames == decoded == FRAMES
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
