"""The same camera in every container."""

from pathlib import Path

from mcap.writer import Writer
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from tests.unit.bag_formats.register import FRAMES, exported, form, is_whole
from tests.unit.bag_maker import (
    PACKET2,
    Ros,
    camera_of,
    export,
    small_ros2,
)

for name, compression in (("ros1-none", ""), ("ros1-lz4", "LZ4"), ("ros1-bz2", "BZ2")):

    @form(name)
    def _ros1(folder: Path, compression: str = compression) -> None:
        is_whole(exported(camera_of("h264", FRAMES).write(folder / "a.bag", compression), folder))


for name, ending in (("mcap-none", "mcap"), ("db3-none", "db3")):

    @form(name)
    def _ros2(folder: Path, ending: str = ending) -> None:
        is_whole(exported(small_ros2(FRAMES).write(folder / f"a.{ending}"), folder))


for name, plugin, mode in (
    ("mcap-zstd-file", StoragePlugin.MCAP, CompressionMode.FILE),
    ("mcap-zstd-message", StoragePlugin.MCAP, CompressionMode.MESSAGE),
    ("db3-zstd-file", StoragePlugin.SQLITE3, CompressionMode.FILE),
    ("db3-zstd-message", StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
):

    @form(name)
    def _compressed(folder: Path, plugin: StoragePlugin = plugin, mode: CompressionMode = mode) -> None:
        files = small_ros2(FRAMES).write_folder(folder / "bag", plugin, mode)
        made = export(files, folder / "out", {"cam": "/cam"})
        is_whole(made)


for name, chunks in (("mcap-lz4", "LZ4"), ("mcap-zstd", "ZSTD")):

    @form(name)
    def _chunks(folder: Path, chunks: str = chunks) -> None:
        is_whole(exported(as_mcap(small_ros2(FRAMES), folder / "a.mcap", chunks), folder))


def as_mcap(ros: Ros, path: Path, chunks: str, *, profile: str = "ros2", cut: float = 1.0) -> Path:
    """A bag of one topic as an mcap, written by the mcap library; cut: share of the file that is left."""
    from mcap.writer import CompressionType

    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType[chunks], chunk_size=2000)
        writer.start(profile, "test")
        schema = writer.register_schema(
            "ffmpeg_image_transport_msgs/msg/FFMPEGPacket", "ros2msg", WHOLE_PACKET.encode()
        )
        channel = writer.register_channel("/cam", "cdr", schema)
        for log_ns, _, _, content in sorted(ros.sent, key=lambda message: message[0]):
            writer.add_message(channel, log_ns, content, log_ns)
        writer.finish()
    whole = path.read_bytes()
    path.write_bytes(whole[: round(len(whole) * cut)])
    return path


SEPARATOR = "=" * 80 + "\n"
WHOLE_PACKET = (
    f"{PACKET2}{SEPARATOR}MSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n"
    f"{SEPARATOR}MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n"
)


@form("several-files")
def _several(folder: Path) -> None:
    ros = camera_of("h264", FRAMES)
    parts = []
    # Slices that overlap: two messages stand in both.
    for number, messages in enumerate((ros.sent[:8], ros.sent[6:])):
        part = camera_of("h264", 0)
        part.sent = list(messages)
        parts.append(part.write(folder / f"{number}.bag"))
    made = export(parts, folder / "out", {"cam": "/cam"})
    is_whole(made)
    assert "taken once: 2" in made.rows["cam"].message
