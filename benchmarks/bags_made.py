"""Bags for benchmarks: four cameras of 1920x1200 at 40 fps (h264, about 11 Mb/s each) and 24 channels of S24 at 48 kHz.

A few seconds are encoded and repeated: what reading, copying and decoding cost does not depend on what is shown.
"""

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from benchmarks.bags_mosaic import CAMERAS, FFMPEG, FPS, HEIGHT, START_NS, WIDTH

CODED_SECONDS = 4
GOP = 20
RATE_HZ, CHANNELS, WIDTH_BYTES = 48_000, 24, 3
BLOCK = RATE_HZ // 100
BLOCK_NS = 10_000_000
PERIOD_NS = 1_000_000_000 // FPS

PACKET = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
STAMPED = "audio_common_msgs/msg/AudioDataStamped"
CAMERA_TOPIC = "/cam_sync/cam{}/image_raw/ffmpeg"
SOUND_TOPIC = "/audio/audio_stamped"
DEFINITIONS = {
    PACKET: "std_msgs/Header header\nuint8[] data\nint32 img_width\nint32 img_height\nstring encoding\n"
    "uint64 pts\nuint8 flags\n",
    "audio_common_msgs/msg/AudioFormat": "string id\nuint32 rate\nuint8 channels\nuint8 depth\n",
    STAMPED: "std_msgs/Header header\nAudioFormat format\nuint8[] data\n",
}

# Log time, topic, type, message.
Sent = tuple[int, str, str, Any]


def encode_cameras() -> list[list[tuple[bytes, bool]]]:
    """Annex B packets of each camera, with whether each is a keyframe."""
    cameras = []
    for index in range(CAMERAS):
        source = f"testsrc2=size={WIDTH}x{HEIGHT}:rate={FPS}:duration={CODED_SECONDS},hue=h={index * 40}"
        command = [FFMPEG, "-v", "error", "-f", "lavfi", "-i", f"{source},noise=alls=6:allf=t", "-c:v", "libx264"]
        command += ["-preset", "superfast", "-b:v", "11M", "-maxrate", "11M", "-bufsize", "11M", "-g", str(GOP)]
        command += ["-bf", "0", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-f", "h264", "-"]
        stream = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout
        with av.open(io.BytesIO(stream), "r", format="h264") as container:
            packets = [(bytes(p), p.is_keyframe) for p in container.demux(video=0) if p.size]
        cameras.append(packets)
    return cameras


def write_bag(path: Path, seconds: int, cameras: list[list[tuple[bytes, bool]]]) -> int:
    """Write a ROS1 bag of that length; returns the bytes of its payloads."""
    store = get_typestore(Stores.ROS1_NOETIC)
    for name, text in DEFINITIONS.items():
        store.register(get_types_from_msg(text, name))
    size = 0
    with Writer(path) as writer:
        kinds = {CAMERA_TOPIC.format(k): PACKET for k in range(CAMERAS)} | {SOUND_TOPIC: STAMPED}
        connections = {topic: writer.add_connection(topic, kind, typestore=store) for topic, kind in kinds.items()}
        for log_ns, topic, kind, message in _messages(store, seconds, cameras):
            size += len(message.data)
            writer.write(connections[topic], log_ns, bytes(store.serialize_ros1(message, kind)))
    return size


def _messages(store: Any, seconds: int, cameras: list[list[tuple[bytes, bool]]]) -> Iterator[Sent]:
    """All messages by log time: 40 pictures of each camera and 100 blocks of sound a second."""
    make = store.types
    data = [[(np.frombuffer(packet, np.uint8), key) for packet, key in packets] for packets in cameras]
    noise = np.random.default_rng(1).integers(0, 256, (100, BLOCK * CHANNELS * WIDTH_BYTES), dtype=np.uint8)
    form = make["audio_common_msgs/msg/AudioFormat"](id="S24LE", rate=RATE_HZ, channels=CHANNELS, depth=24)
    jitter_ns = np.random.default_rng(2).integers(0, 2_000_000, 100 * seconds)

    def header(time_ns: int) -> Any:
        stamp = make["builtin_interfaces/msg/Time"](sec=time_ns // 10**9, nanosec=time_ns % 10**9)
        return make["std_msgs/msg/Header"](seq=0, stamp=stamp, frame_id="")

    for second in range(seconds):
        sent: list[Sent] = []
        for frame in range(second * FPS, (second + 1) * FPS):
            stamp_ns = START_NS + frame * PERIOD_NS
            for index, packets in enumerate(data):
                packet, key = packets[frame % len(packets)]
                message = make[PACKET](header(stamp_ns), packet, WIDTH, HEIGHT, "libx264", frame, int(key))
                sent.append((stamp_ns + 5_000_000 + index, CAMERA_TOPIC.format(index), PACKET, message))
        for block in range(second * 100, (second + 1) * 100):
            stamp_ns = START_NS + (block + 1) * BLOCK_NS + int(jitter_ns[block])
            message = make[STAMPED](header(stamp_ns), form, noise[block % 100])
            sent.append((stamp_ns + 100_000, SOUND_TOPIC, STAMPED, message))
        yield from sorted(sent, key=lambda message: message[0])
