"""What a topic carries, decided by the fields of its messages, never by the name of their type.

Three packages are called audio_common_msgs, and FFMPEGPacket has two forms: the definition embedded in the bag says
which one it is.
"""

from dataclasses import dataclass

from scripts.sources.message_layout import Leaf

# Carriers of pictures, of sound, and of what is known about a sound.
PACKET, COMPRESSED, IMAGE = "packet", "compressed", "image"
PCM, MULTI_PCM, CODED_SOUND = "pcm", "multi_pcm", "coded_sound"
SOUND_INFO = "sound_info"
PICTURES = (PACKET, COMPRESSED, IMAGE)
SOUNDS = (PCM, MULTI_PCM, CODED_SOUND)

# mgonzs13's AudioData has one sequence a sample format; one of them is filled.
MULTI_FORMATS = {"float32": "f32le", "int32": "s32le", "int16": "s16le", "int8": "s8", "uint8": "u8"}

_STAMPS = (("header.stamp.sec", "header.stamp.nanosec"), ("timestamp.sec", "timestamp.nanosec"))
_DATA = {"data": "uint8[]"}


@dataclass(frozen=True)
class Carrier:
    """How a message carries its content. kind: see above; fields: role -> path of the field; stamp: what instant of
    its block the stamp of a sound is, by custom: drivers stamp what has arrived, foxglove's messages its start.

    Roles: sec, nanosec (absent without a stamp), data; packet: encoding, pts, flags; compressed: format; image:
    height, width, encoding, step, big_endian; pcm and sound_info: rate, channels, depth, format, coding;
    multi_pcm: one role for each of MULTI_FORMATS.
    """

    kind: str
    fields: dict[str, str]
    stamp: str = "block_end"


def recognise(leaves: list[Leaf]) -> Carrier | None:
    """The carrier that a message with these fields is; None for messages without pictures or sound."""
    fields = {leaf.path: str(leaf) for leaf in leaves}
    stamp = next((dict(zip(("sec", "nanosec"), pair, strict=True)) for pair in _STAMPS if pair[0] in fields), {})

    def has(**wanted: str) -> bool:
        return all(fields.get(path) == kind for path, kind in wanted.items())

    def named(*roles: str) -> dict[str, str]:
        return {role: role for role in roles}

    if has(**_DATA, encoding="string", pts="uint64", flags="uint8"):
        return Carrier(PACKET, {**stamp, **named("data", "encoding", "pts", "flags")})
    if has(**_DATA, height="uint32", width="uint32", encoding="string", step="uint32"):
        big = {"big_endian": "is_bigendian"} if "is_bigendian" in fields else {}
        return Carrier(IMAGE, {**stamp, **named("data", "height", "width", "encoding", "step"), **big})
    if has(**_DATA, format="string", sample_rate="uint32", number_of_channels="uint32"):
        known = {"rate": "sample_rate", "channels": "number_of_channels", "format": "format"}
        return Carrier(PCM, {**stamp, "data": "data", **known}, stamp="block_start")
    if has(**_DATA, format="string") and stamp:
        framed = "frame_id" in fields or "header.frame_id" in fields
        kind = COMPRESSED if framed else CODED_SOUND
        return Carrier(kind, {**stamp, **named("data", "format")}, stamp="block_start")
    return _recognise_ros_sound(fields, stamp)


def _recognise_ros_sound(fields: dict[str, str], stamp: dict[str, str]) -> Carrier | None:
    """The three packages called audio_common_msgs, and their kin."""
    if fields.get("data") == "uint8[]" and {"format.rate", "format.channels", "format.depth"} <= set(fields):
        known = {role: f"format.{role}" for role in ("rate", "channels", "depth")}
        return Carrier(PCM, {**stamp, "data": "data", **known})
    for place in ("audio.audio_data.", "audio_data.", ""):
        arrays = {kind: f"{place}{kind}_data" for kind in MULTI_FORMATS}
        if all(fields.get(path) == f"{kind}[]" for kind, path in arrays.items()):
            info = place.replace("audio_data.", "info.")
            known = {role: f"{info}{role}" for role in ("rate", "channels") if f"{info}{role}" in fields}
            return Carrier(MULTI_PCM, {**stamp, **arrays, **known})
    if fields.get("audio.data") == "uint8[]":
        known = {"rate": "info.sample_rate", "channels": "info.channels", "format": "info.sample_format"}
        return Carrier(PCM, {**stamp, "data": "audio.data", **(known if set(known.values()) <= set(fields) else {})})
    if fields == {"data": "uint8[]"}:
        return Carrier(PCM, {"data": "data"})
    if {"sample_rate", "channels", "sample_format"} <= set(fields):
        coding = {"coding": "coding_format"} if "coding_format" in fields else {}
        roles = {"rate": "sample_rate", "channels": "channels", "format": "sample_format"}
        return Carrier(SOUND_INFO, {**roles, **coding})
    if set(fields) == {"format", "channels", "rate", "chunk"}:
        return Carrier(SOUND_INFO, {"rate": "rate", "channels": "channels"})
    return None
