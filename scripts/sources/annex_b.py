"""The little that must be read out of h264 and h265 packets (Annex B): keyframes and parameter sets."""

from collections.abc import Iterator

START = b"\0\0\1"
# Bytes that hold the head of any packet: parameter sets, messages, the type of the first slice.
HEAD_BYTES = 4096

# First token of a message's encoding or format: codec as PyAV calls it. ROS1 messages name the encoder instead.
_CODECS = {"h264": "h264", "avc1": "h264", "libx264": "h264", "libx264rgb": "h264", "libopenh264": "h264"}
_CODECS |= {"h265": "hevc", "hevc": "hevc", "hvc1": "hevc", "libx265": "hevc"}

# NAL unit types: slices, slices of keyframes (IDR; in hevc all that may be entered), parameter sets.
SLICES = {"h264": {1, 2, 5}, "hevc": set(range(32))}
_KEYS = {"h264": {5}, "hevc": set(range(16, 24))}
_SETS = {"h264": {7, 8, 13}, "hevc": {32, 33, 34}}
_SEQUENCE_SETS = {"h264": 7, "hevc": 33}


def codec_of(encoding: str) -> str | None:
    """h264 or hevc, from the name of an encoder or codec, e.g. "hevc_nvenc", "h264;yuv420p;bgr8;bgr8"."""
    token = encoding.strip().lower()
    for separator in ";/, ":
        token = token.split(separator)[0]
    return _CODECS.get(token) or _CODECS.get(token.split("_")[0])


def is_annex_b(data: memoryview) -> bool:
    """Whether a packet begins with a start code."""
    return data[:3] == START or data[:4] == b"\0" + START


def is_keyframe(data: memoryview, codec: str) -> bool:
    """Whether the first slice of a packet is a keyframe's."""
    for part in (bytes(data[:HEAD_BYTES]), bytes(data)):
        for kind, _, _ in _units(part, codec):
            if kind in SLICES[codec]:
                return kind in _KEYS[codec]
    return False


def parameter_sets(data: memoryview, codec: str) -> bytes:
    """The parameter sets in front of the first slice, with start codes; empty if there is none for the sequence."""
    part = bytes(data)
    sets, complete = [], False
    for kind, start, stop in _units(part, codec):
        if kind in SLICES[codec]:
            break
        if kind in _SETS[codec]:
            sets.append(START + part[start:stop].rstrip(b"\0"))
            complete |= kind == _SEQUENCE_SETS[codec]
    return b"".join(sets) if complete else b""


def units_ahead(data: memoryview, codec: str) -> list[tuple[int, bytes]]:
    """Type and bytes of each NAL unit up to the first slice, and of that its head."""
    for part in (bytes(data[:HEAD_BYTES]), bytes(data)):
        units = [(kind, part[start : min(stop, start + HEAD_BYTES)]) for kind, start, stop in _units(part, codec)]
        if units and units[-1][0] in SLICES[codec]:
            break
    return units


def head(data: memoryview, codec: str) -> memoryview:
    """A packet without most of its picture: enough to know its size and form, and quickly decoded."""
    for kind, start, _ in _units(bytes(data), codec):
        if kind in SLICES[codec]:
            return data[: start + HEAD_BYTES]
    return data


def _units(data: bytes, codec: str) -> Iterator[tuple[int, int, int]]:
    """Type, start and stop of each NAL unit, without its start code."""
    found = data.find(START)
    while 0 <= found < len(data) - len(START):
        start = found + len(START)
        kind = data[start] & 31 if codec == "h264" else data[start] >> 1 & 63
        if kind in SLICES[codec]:
            # What follows is not looked at: no need to search the whole picture.
            yield kind, start, len(data)
            return
        found = data.find(START, start)
        yield kind, start, found if found >= 0 else len(data)
