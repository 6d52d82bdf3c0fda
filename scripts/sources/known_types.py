"""Message types for bags that embed no definitions (db3 before ROS2 Iron): ROS2's own, and those of this trade."""

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
}


def known_types(kind: str) -> dict[str, Any]:
    """Types that define `kind`, e.g. "sensor_msgs/msg/Image", as far as they are known."""
    from rosbags.typesys.stores.ros2_humble import FIELDDEFS

    types: dict[str, Any] = dict(FIELDDEFS)
    if kind in types or kind not in _DEFINITIONS:
        return types
    for name, definition in _DEFINITIONS.items():
        types |= get_types_from_msg(definition, name)
    return types
