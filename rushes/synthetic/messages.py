"""The message types of the demo bags that are not ROS's own, and the small parts that every message has."""

from collections import Counter
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

FFMPEG_PACKET = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
AUDIO_STAMPED = "audio_common_msgs/msg/AudioDataStamped"
AUDIO_FORMAT = "audio_common_msgs/msg/AudioFormat"
RAW_AUDIO = "foxglove_msgs/msg/RawAudio"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
IMAGE = "sensor_msgs/msg/Image"
STRING = "std_msgs/msg/String"

# The aviary's fork of audio_common_msgs, not the package of that name.
ROS1_DEFINITIONS = {
    FFMPEG_PACKET: """\
Header header
uint8[] data
int32 img_width
int32 img_height
string encoding
uint64 pts
uint8 flags
""",
    AUDIO_FORMAT: """\
string id
uint32 rate
uint8 channels
uint8 depth
""",
    AUDIO_STAMPED: """\
Header header
AudioFormat format
uint8[] data
""",
}

ROS2_DEFINITIONS = {
    FFMPEG_PACKET: """\
std_msgs/Header header
int32 width
int32 height
string encoding
uint64 pts
uint8 flags
bool is_bigendian
uint8[] data
""",
    RAW_AUDIO: """\
builtin_interfaces/Time timestamp
uint8[] data
string format
uint32 sample_rate
uint32 number_of_channels
""",
}


class Messages:
    """Makes the serialised messages of one ROS version."""

    def __init__(self, ros: int) -> None:
        self.typestore: Typestore = get_typestore(Stores.ROS1_NOETIC if ros == 1 else Stores.ROS2_HUMBLE)
        for name, text in (ROS1_DEFINITIONS if ros == 1 else ROS2_DEFINITIONS).items():
            self.typestore.register(get_types_from_msg(text, name))
        self._ros = ros
        self._sent: Counter[str] = Counter()

    def make(self, name: str, **fields: Any) -> Any:
        """An object of the message type `name`."""
        return self.typestore.types[name](**fields)

    def time(self, time_ns: int) -> Any:
        """A stamp; `time_ns` since the epoch."""
        return self.make("builtin_interfaces/msg/Time", sec=time_ns // 10**9, nanosec=time_ns % 10**9)

    def header(self, time_ns: int, frame_id: str) -> Any:
        """A header with its stamp, ns since the epoch; in ROS1 with a sequence number for each `frame_id`."""
        sequence = {"seq": self._sent[frame_id]} if self._ros == 1 else {}
        self._sent[frame_id] += 1
        return self.make("std_msgs/msg/Header", **sequence, stamp=self.time(time_ns), frame_id=frame_id)

    def serialize(self, name: str, **fields: Any) -> bytes:
        """The bytes of a message of type `name`."""
        message = self.make(name, **fields)
        if self._ros == 1:
            return bytes(self.typestore.serialize_ros1(message, name))
        return bytes(self.typestore.serialize_cdr(message, name))


def as_uint8(data: bytes | np.ndarray) -> np.ndarray:
    """Bytes or an array as flat uint8 (N,), the form of a `uint8[]` field."""
    return np.frombuffer(data, np.uint8) if isinstance(data, bytes) else np.ascontiguousarray(data).reshape(-1)
