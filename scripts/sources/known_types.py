"""Message types for bags that embed no definitions (db3 before ROS2 Iron): ROS2's own, and those of this trade."""

from collections.abc import Iterable
from typing import Any

from rosbags.typesys import get_types_from_msg

# As the packages define them today; where a bag embeds its definition, that one holds.
_DEFINITIONS = {
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket": """\
std_msgs/Header header
int32 width
int32 height
string encoding
uint64 pts
uint8 flags
bool is_bigendian
uint8[] data
""",
    "foxglove_msgs/msg/CompressedVideo": """\
builtin_interfaces/Time timestamp
string frame_id
uint8[] data
string format
""",
    "foxglove_msgs/msg/CompressedImage": """\
builtin_interfaces/Time timestamp
string frame_id
uint8[] data
string format
""",
    "foxglove_msgs/msg/RawImage": """\
builtin_interfaces/Time timestamp
string frame_id
uint32 width
uint32 height
string encoding
uint32 step
uint8[] data
""",
    "foxglove_msgs/msg/RawAudio": """\
builtin_interfaces/Time timestamp
uint8[] data
string format
uint32 sample_rate
uint32 number_of_channels
""",
}
# Three packages have this one name: mgonzs13's, ros-drivers', and an aviary's own form of the latter.
_AUDIO_COMMON = (
    {
        "audio_common_msgs/msg/AudioInfo": """\
int32 format
int32 channels
int32 rate
int32 chunk
""",
        "audio_common_msgs/msg/AudioData": """\
float32[] float32_data
int32[] int32_data
int16[] int16_data
int8[] int8_data
uint8[] uint8_data
""",
        "audio_common_msgs/msg/Audio": """\
audio_common_msgs/AudioData audio_data
audio_common_msgs/AudioInfo info
""",
        "audio_common_msgs/msg/AudioStamped": """\
std_msgs/Header header
audio_common_msgs/Audio audio
""",
    },
    {
        "audio_common_msgs/msg/AudioInfo": """\
uint8 channels
uint32 sample_rate
string sample_format
uint32 bitrate
string coding_format
""",
        "audio_common_msgs/msg/AudioData": "uint8[] data\n",
        "audio_common_msgs/msg/AudioDataStamped": """\
std_msgs/Header header
audio_common_msgs/AudioData audio
""",
    },
    {
        "audio_common_msgs/msg/AudioFormat": """\
string id
uint32 rate
uint8 channels
uint8 depth
""",
        "audio_common_msgs/msg/AudioDataStamped": """\
std_msgs/Header header
audio_common_msgs/AudioFormat format
uint8[] data
""",
    },
)


def known_types(kind: str) -> list[dict[str, Any]]:
    """Sets of types that define `kind`, e.g. "sensor_msgs/msg/Image": one for each package that may be meant."""
    from rosbags.typesys.stores.ros2_humble import FIELDDEFS

    if kind in FIELDDEFS:
        return [dict(FIELDDEFS)]
    return [
        FIELDDEFS | {known: fields for name, text in package.items() for known, fields in _parsed(name, text)}
        for package in (_DEFINITIONS, *_AUDIO_COMMON)
        if kind in package
    ]


def _parsed(name: str, definition: str) -> Iterable[tuple[str, Any]]:
    return get_types_from_msg(definition, name).items()
