"""Small bags of any content, for tests: what is in them is what the test says."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from scripts.common import ledger, manifest
from scripts.common.clock import Clock
from scripts.common.frame_table import FrameTable
from scripts.common.sound_writer import SAMPLE_FORMATS
from scripts.sources.export_bag import export_bag

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000

PERIOD_NS = 40 * MS
ENCODERS = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9"}
PACKET = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
IMAGE = "sensor_msgs/msg/Image"

PACKET1 = (
    "std_msgs/Header header\nuint8[] data\nint32 img_width\nint32 img_height\nstring encoding\n"
    "uint64 pts\nuint8 flags\n"
)
PACKET2 = (
    "std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\nuint8 flags\n"
    "bool is_bigendian\nuint8[] data\n"
)
VIDEO = "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n"
RAW_AUDIO = (
    "builtin_interfaces/Time timestamp\nuint8[] data\nstring format\nuint32 sample_rate\nuint32 number_of_channels\n"
)
FORK = {
    "audio_common_msgs/msg/AudioFormat": "string id\nuint32 rate\nuint8 channels\nuint8 depth\n",
    "audio_common_msgs/msg/AudioDataStamped": "std_msgs/Header header\nAudioFormat format\nuint8[] data\n",
}
DRIVERS = {
    "audio_common_msgs/msg/AudioData": "uint8[] data\n",
    "audio_common_msgs/msg/AudioDataStamped": "std_msgs/Header header\naudio_common_msgs/AudioData audio\n",
    "audio_common_msgs/msg/AudioInfo": (
        "uint8 channels\nuint32 sample_rate\nstring sample_format\nuint32 bitrate\nstring coding_format\n"
    ),
}
MULTI = {
    "audio_common_msgs/msg/AudioData": (
        "float32[] float32_data\nint32[] int32_data\nint16[] int16_data\nint8[] int8_data\nuint8[] uint8_data\n"
    ),
    "audio_common_msgs/msg/AudioInfo": "int32 format\nint32 channels\nint32 rate\nint32 chunk\n",
    "audio_common_msgs/msg/Audio": "AudioData audio_data\nAudioInfo info\n",
    "audio_common_msgs/msg/AudioStamped": "std_msgs/Header header\nAudio audio\n",
}


class Ros:
    """Makes and writes messages of ROS 1 or 2; `definitions`: type name -> text, on top of ROS's own."""

    def __init__(self, version: int, definitions: dict[str, str] | None = None) -> None:
        self.version = version
        self.store = get_typestore(Stores.ROS1_NOETIC if version == 1 else Stores.ROS2_HUMBLE)
        types: dict[str, Any] = {}
        for name, text in (definitions or {}).items():
            types |= get_types_from_msg(text, name)
        self.store.register(types)
        self.sent: list[tuple[int, str, str, bytes]] = []
        self._in_order = False

    def make(self, kind: str, **fields: Any) -> Any:
        """A message object."""
        return self.store.types[kind](**fields)

    def time(self, time_ns: int) -> Any:
        """A stamp."""
        return self.make("builtin_interfaces/msg/Time", sec=time_ns // 10**9, nanosec=time_ns % 10**9)

    def header(self, time_ns: int) -> Any:
        """A header."""
        extra = {"seq": len(self.sent)} if self.version == 1 else {}
        return self.make("std_msgs/msg/Header", **extra, stamp=self.time(time_ns), frame_id="somewhere")

    def send(self, log_ns: int, topic: str, kind: str, **fields: Any) -> None:
        """Add a message to what `write` will write."""
        message = self.make(kind, **fields)
        serialize = self.store.serialize_ros1 if self.version == 1 else self.store.serialize_cdr
        self.send_raw(log_ns, topic, kind, bytes(serialize(message, kind)))

    def send_raw(self, log_ns: int, topic: str, kind: str, content: bytes) -> None:
        """Add a message that need not fit its type."""
        self.sent.append((log_ns, topic, kind, content))

    def write(self, path: Path, compression: str = "", *, in_order: bool = False) -> Path:
        """Write a .bag (compression: LZ4 or BZ2), a .mcap or a .db3; in_order: as sent, else by log times."""
        self._in_order = in_order
        if path.suffix == ".bag":
            writer = Writer1(path)
            if compression:
                writer.set_compression(Writer1.CompressionFormat[compression])
            with writer:
                self._fill(writer)
            return path
        folder = path.with_name(f"{path.name}.folder")
        self.write_folder(folder, StoragePlugin.MCAP if path.suffix == ".mcap" else StoragePlugin.SQLITE3)
        next(folder.glob(f"*{path.suffix}")).rename(path)
        shutil.rmtree(folder)
        return path

    def write_folder(
        self, folder: Path, plugin: StoragePlugin, compression: CompressionMode = CompressionMode.NONE
    ) -> list[Path]:
        """Write a folder of ROS2; returns its files."""
        writer = Writer2(folder, version=9, storage_plugin=plugin)
        writer.set_compression(compression, CompressionFormat.ZSTD)
        with writer:
            self._fill(writer)
        return sorted(folder.iterdir())

    def _fill(self, writer: Any) -> None:
        connections = {}
        sent = self.sent if self._in_order else sorted(self.sent, key=lambda message: message[0])
        for log_ns, topic, kind, content in sent:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=self.store)
            writer.write(connections[topic], log_ns, content)


@dataclass
class Export:
    """What an export has made, by names of streams."""

    folder: Path
    rows: dict[str, ledger.Row]
    manifest: dict[str, Any]

    def frames(self, camera: str) -> FrameTable:
        """The frame table of a camera."""
        return FrameTable.read(self.folder / f"{camera}.frames.parquet")

    def clock(self, microphone: str) -> Clock:
        """The clock of a microphone."""
        return Clock.read(self.folder / f"{microphone}.clock.json")

    def decode(self, camera: str) -> list[tuple[int, np.ndarray]]:
        """PTS in µs and BGR picture of all that ffmpeg decodes."""
        with av.open(str(self.folder / f"{camera}.mp4")) as container:
            return [
                (round(frame.pts * frame.time_base * 1_000_000), frame.to_ndarray(format="bgr24"))
                for frame in container.decode(video=0)
            ]

    def is_empty(self, name: str) -> bool:
        """Whether both outputs of a stream are whole and empty."""
        if (self.folder / f"{name}.mp4").exists():
            return (self.folder / f"{name}.mp4").stat().st_size == 0 and len(self.frames(name)) == 0
        return (self.folder / f"{name}.wav").stat().st_size == 0 and self.clock(name) == Clock.empty()


def export(
    bag: Path | list[Path],
    folder: Path,
    cameras: dict[str, Any] | None = None,
    microphones: dict[str, Any] | None = None,
    **settings: Any,
) -> Export:
    """Export a bag; cameras, microphones: name -> topic, or what the rig says of it."""
    folder.mkdir(parents=True, exist_ok=True)
    as_setting = lambda value: value if isinstance(value, dict) else {"topic": value}  # noqa: E731
    cameras = {name: {"time": "auto", **as_setting(value)} for name, value in (cameras or {}).items()}
    microphones = {name: {"stamp": "auto", **as_setting(value)} for name, value in (microphones or {}).items()}
    export_bag(
        bag if isinstance(bag, list) else [bag],
        [folder / f"{name}.mp4" for name in cameras],
        [folder / f"{name}.frames.parquet" for name in cameras],
        [folder / f"{name}.wav" for name in microphones],
        [folder / f"{name}.clock.json" for name in microphones],
        folder / "manifest.json",
        folder / "export.ledger.parquet",
        recording="it",
        cameras=cameras,
        microphones=microphones,
        crf=18,
        **settings,
    )
    rows = ledger.rows(ledger.read([folder / "export.ledger.parquet"]))
    return Export(folder, {row.item: row for row in rows}, manifest.read(folder / "manifest.json"))


def moving(number: int, size: tuple[int, int]) -> np.ndarray:
    """A circle on its way, BGR."""
    image = np.full((size[1], size[0], 3), 40, np.uint8)
    cv2.circle(image, (8 + number * 3 % 48, 24), 7, (30, 200, 250), -1)
    return image


def encode(
    codec: str,
    count: int,
    *,
    gop: int = 10,
    b_frames: int = 0,
    size: tuple[int, int] = (64, 48),
    draw: Callable[[int, tuple[int, int]], np.ndarray] = moving,
    preset: str = "ultrafast",
    params: str = "",
) -> list[tuple[bytes, int, bool]]:
    """Packets of a moving picture: (Annex B, number in display order, keyframe), in the order of decoding.

    preset, params: of x264 and x265; they go before what is said otherwise.
    """
    context: Any = av.CodecContext.create(ENCODERS[codec], "w")
    context.width, context.height = size
    context.pix_fmt, context.time_base, context.framerate = "yuv420p", Fraction(1, 25), Fraction(25)
    fixed = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:repeat-headers=1:log-level=none"
    more = f":{params}" if params else ""
    of_encoder = "x264-params" if codec == "h264" else "x265-params"
    context.options = {
        "h264": {"preset": preset, of_encoder: fixed + ":b-adapt=0" + more},
        "hevc": {"preset": preset, of_encoder: fixed + ":open-gop=0" + more},
        "av1": {"preset": "12", "svtav1-params": f"keyint={gop}:pred-struct=1:lp=1"},
        "vp9": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"},
    }[codec]
    context.gop_size = gop
    packets = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(draw(number, size), format="bgr24")
        frame.pts = number
        packets += context.encode(frame)
    packets += context.encode(None)
    return [(bytes(packet), packet.pts, packet.is_keyframe) for packet in packets]


def as_uint8(data: bytes | np.ndarray) -> np.ndarray:
    """Flat uint8, the form of a `uint8[]` field."""
    return np.frombuffer(data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes(), np.uint8)


def payload_of(path: Path, sample_format: str, channels: int) -> np.ndarray:
    """Samples of a WAV as they stand in it, uint8 (N, bytes of a sample of all channels)."""
    width = SAMPLE_FORMATS[sample_format][0] * channels
    return np.frombuffer(path.read_bytes()[104:], np.uint8).reshape(-1, width)


def small_ros2(count: int = 30) -> Ros:
    ros = Ros(2, {PACKET: PACKET2})
    for index, (data, number, key) in enumerate(encode("h264", count, b_frames=2)):
        send_packet(ros, START_NS + index * PERIOD_NS, START_NS + number * PERIOD_NS, data, number, key)
    return ros


def send_packet(ros: Ros, log_ns: int, stamp_ns: int, data: bytes, pts: int, key: bool, encoding: str = "") -> None:
    size = (
        {"img_width": 64, "img_height": 48} if ros.version == 1 else {"width": 64, "height": 48, "is_bigendian": False}
    )
    ros.send(
        log_ns,
        "/cam",
        PACKET,
        header=ros.header(stamp_ns),
        data=as_uint8(data),
        encoding=encoding or ("libx264" if ros.version == 1 else "h264;yuv420p;bgr8;bgr8"),
        pts=pts,
        flags=int(key),
        **size,
    )


def camera_of(codec: str, count: int, *, lost: tuple[int, ...] = (), step: int = 1, ros: Ros | None = None) -> Ros:
    """A camera at 25 fps, keyframe every 10; `lost` packets are missing, `step` is that of the counter."""
    ros = ros or Ros(1, {PACKET: PACKET1})
    encoding = {"h264": "h264_nvenc", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9"}[codec]
    for data, number, key in encode(codec, count):
        if number not in lost:
            stamp_ns = START_NS + number * PERIOD_NS
            send_packet(ros, stamp_ns + 5 * MS, stamp_ns, data, 7 + number * step, key, encoding)
    return ros


def picture(width: int = 64, height: int = 48) -> np.ndarray:
    """Colours that differ from corner to corner, BGR."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (200, 40, 30)
    image[: height // 2, width // 2 :] = (40, 190, 60)
    image[height // 2 :, : width // 2] = (30, 50, 210)
    image[height // 2 :, width // 2 :] = (120, 120, 120)
    return image


def send_image(ros: Ros, index: int, image: np.ndarray, encoding: str, padding: int = 0) -> None:
    rows = image.reshape(len(image), -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    stamp_ns = START_NS + index * PERIOD_NS
    ros.send(
        stamp_ns + MS,
        "/cam",
        IMAGE,
        header=ros.header(stamp_ns),
        height=image.shape[0],
        width=image.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=rows.shape[1],
        data=as_uint8(rows),
    )


def send_compressed(ros: Ros, index: int, data: bytes, form: str, *, stamp_ns: int | None = None) -> None:
    stamp_ns = START_NS + index * PERIOD_NS if stamp_ns is None else stamp_ns
    ros.send(stamp_ns + MS, "/cam", COMPRESSED, header=ros.header(stamp_ns), format=form, data=as_uint8(data))
