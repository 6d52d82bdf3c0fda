"""Packets of a container, as far as it is whole, and from a keyframe on."""

import errno
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain
from math import floor
from typing import Any

import av
from av.container.input import InputContainer
from av.frame import Frame
from av.stream import Stream

# Formats that number their packets as they are decoded and do not say when they are shown.
NUMBERED = {"avi"}
# Times of a frame table are rounded to a microsecond.
ROUNDING_S = Fraction(1, 1_000_000)


def packets(container: InputContainer, streams: Sequence[Stream]) -> Iterator["av.Packet[Any]"]:
    """Packets in the order of the file up to where it is broken, then empty ones that flush the decoders."""
    try:
        yield from container.demux(streams)
    except av.error.FFmpegError as error:
        if not is_broken(error):
            raise


def is_broken(error: av.error.FFmpegError) -> bool:
    """Whether ffmpeg failed for what it read, and not for the machine. Some demuxers say EPERM when they give up."""
    return not isinstance(error, OSError) or error.errno == errno.EPERM


def instant_of(item: "Frame | av.Packet[Any]") -> Fraction | None:
    """When a picture, a block of sound or a packet is presented, in seconds, exactly; None if nobody says."""
    return None if item.pts is None or item.time_base is None else item.pts * item.time_base


def packets_from(
    container: InputContainer, streams: Sequence[Stream], start: Fraction
) -> Iterator["av.Packet[Any]"] | None:
    """Packets in the order of the file, those of the first stream from a keyframe on, shown at `start` or before.

    start: seconds in the times of the file.  None if no seek leads to one: the file is to be opened anew, then, and
    read from its beginning.
    """
    begin = (streams[0].start_time or 0) * (streams[0].time_base or Fraction(1))
    back_s = Fraction(0)
    found = _sought(container, streams, start, back_s)
    # Demuxers seek by the times of decoding, and some of them to packets that are no keyframes.
    while found is None and start - back_s >= begin:
        back_s = 2 * back_s + 1
        found = _sought(container, streams, start, back_s)
    return found


def _sought(
    container: InputContainer, streams: Sequence[Stream], start: Fraction, back_s: Fraction
) -> Iterator["av.Packet[Any]"] | None:
    """From where a seek to `back_s` before `start` leads; None if the first keyframe there is after `start`."""
    lead = streams[0]
    latest = start + ROUNDING_S
    try:
        container.seek(floor((latest - back_s) / (lead.time_base or 1)), stream=lead)
    except av.error.FFmpegError as error:
        if not is_broken(error):
            raise
        return None
    passed: list[av.Packet[Any]] = []
    following = packets(container, streams)
    for packet in following:
        if packet.stream_index != lead.index:
            passed.append(packet)
        elif packet.is_keyframe:
            shown = instant_of(packet)
            return None if shown is None or shown > latest else chain(passed, [packet], following)
    return None
