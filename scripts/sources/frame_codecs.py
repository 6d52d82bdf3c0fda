"""The little that must be read out of coded video, by codec: whether a packet is one, is a keyframe, and how it begins.

h264 and hevc come as Annex B, av1 as a temporal unit of OBUs, vp9 as a bare frame. See AV1 5.3 and 5.9.2, VP9 6.2.
"""

import io
import struct
from collections.abc import Iterator
from typing import Any

import av

from scripts.sources import annex_b

AV1, VP9 = "av1", "vp9"
# First token of a message's encoding or format, beside those of Annex B.
_NAMES = {
    "av1": AV1, "av01": AV1, "libaom-av1": AV1, "libsvtav1": AV1, "librav1e": AV1,
    "vp9": VP9, "vp09": VP9, "libvpx-vp9": VP9,
}  # fmt: skip
KNOWN = "h264, h265, av1, vp9"

_SEQUENCE_HEADER, _TEMPORAL_DELIMITER, _FRAME_HEADER, _FRAME = 1, 2, 3, 6
_OBU_TYPES = {1, 2, 3, 4, 5, 6, 7, 8, 15}
_DELIMITER = b"\x12\x00"
_IVF_RATE = (1_000_000, 1)


def codec_of(encoding: str) -> str | None:
    """h264, hevc, av1 or vp9, from the name of an encoder or codec, e.g. "hevc_nvenc", "av1;yuv420p"."""
    token = encoding.strip().lower()
    for separator in ";/, ":
        token = token.split(separator)[0]
    return annex_b.codec_of(encoding) or _NAMES.get(token) or _NAMES.get(token.split("_")[0])


def is_packet(data: memoryview, codec: str) -> bool:
    """Whether bytes begin as a packet of the codec does."""
    if codec == AV1:
        return len(data) > 1 and not data[0] & 0x80 and (data[0] >> 3 & 15) in _OBU_TYPES and bool(data[0] & 2)
    if codec == VP9:
        return len(data) > 0 and data[0] >> 6 == 2
    return annex_b.is_annex_b(data)


def what_is_missing(codec: str) -> str:
    """What is wrong with a packet that is none."""
    return {AV1: "no OBU", VP9: "no VP9 frame"}.get(codec, "not Annex B")


def is_keyframe(data: memoryview, codec: str) -> bool:
    """Whether decoding can begin with a packet."""
    if codec == AV1:
        for kind, payload in _obus(data):
            if kind in (_FRAME_HEADER, _FRAME) and len(payload):
                # show_existing_frame, then two bits of frame_type: 0 is a keyframe.
                return payload[0] >> 5 == 0
        return False
    if codec == VP9:
        return _vp9_is_key(data)
    return annex_b.is_keyframe(data, codec)


def beginning(data: memoryview, codec: str) -> bytes:
    """What a decoder needs to begin with a packet, without the picture; empty if it is not there."""
    if codec == AV1:
        return b"".join(bytes(payload) for kind, payload in _obus(data) if kind == _SEQUENCE_HEADER)
    if codec == VP9:
        # Size and colours stand in the header of each keyframe; a new size is a new beginning.
        return bytes(data[:1]) + bytes(data[4:10]) if _vp9_is_key(data) else b""
    return annex_b.parameter_sets(data, codec)


def probe(data: memoryview, codec: str) -> Any:
    """An open container whose only stream begins with this packet. Raises av.FFmpegError."""
    if codec == AV1:
        whole = bytes(data)
        return av.open(io.BytesIO(whole if whole[:2] == _DELIMITER else _DELIMITER + whole), format="obu")
    if codec == VP9:
        header = struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"VP90", 0, 0, *_IVF_RATE, 1, 0)
        return av.open(io.BytesIO(header + struct.pack("<IQ", len(data), 0) + bytes(data)), format="ivf")
    return av.open(io.BytesIO(annex_b.head(data, codec)), format=codec)


def _obus(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Type and payload of each OBU, as far as their sizes make sense."""
    position = 0
    while position < len(data):
        head = data[position]
        position += 2 if head & 4 else 1
        if not head & 2:
            yield head >> 3 & 15, data[position:]
            return
        size, shift = 0, 0
        while position < len(data) and shift < 56:
            byte = data[position]
            size |= (byte & 127) << shift
            position, shift = position + 1, shift + 7
            if not byte & 128:
                break
        yield head >> 3 & 15, data[position : position + size]
        position += size


def _vp9_is_key(data: memoryview) -> bool:
    if not len(data) or data[0] >> 6 != 2:
        return False
    # frame_marker, profile (two bits, and one reserved in profile 3), show_existing_frame, frame_type.
    profile = (data[0] >> 5 & 1) | (data[0] >> 4 & 1) << 1
    skip = 5 if profile == 3 else 4
    show_existing, frame_type = data[0] >> (7 - skip) & 1, data[0] >> (6 - skip) & 1
    return not show_existing and frame_type == 0
