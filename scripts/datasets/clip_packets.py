"""A clip by its packets: as fast as the disk, from keyframe to keyframe."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import mp4
from scripts.common.cut_video import COPIED
from scripts.common.edit_list import set_edit_length
from scripts.common.video_item import ItemReader
from scripts.datasets.clip_writer import add_sound, sound_blocks
from scripts.datasets.decode_times import decode_times

# Times of clips are rounded more than those of packets.
TICK_S = Fraction(1, 2_000)
# Sound lies so much beside its pictures in a file, at most.
MARGIN_S = 5


class CopyError(ValueError):
    """Why a clip cannot be made of its packets."""


@dataclass(frozen=True)
class Listed:
    """What is known of a packet of the pictures before it is copied. shown_s: in the times of the file."""

    pts: int
    shown_s: Fraction
    key: bool
    hidden: bool


@dataclass(frozen=True)
class Plan:
    """Which packets are copied. dts: by their number, from where reading begins; in ticks of the file.

    until_s: when the first picture behind the clip would be shown, where one is copied that others lean on.
    """

    dts: dict[int, int]
    until_s: Fraction | None


def plan_copy(listed: list[Listed], start: Fraction, stop: Fraction, *, hides: bool) -> Plan:
    """The packets that the pictures of [start, stop) need, from their keyframe on. Raises CopyError.

    listed: in the order of the file, from a keyframe before `start` to beyond `stop`.  hides: whether an edit list can
    hide pictures that are copied for the sake of others.
    """
    first_s, end_s = start - TICK_S, stop - TICK_S
    keys = [number for number, packet in enumerate(listed) if packet.key and packet.shown_s < start + TICK_S]
    if not keys:
        raise CopyError("no keyframe stands before its start")
    key = listed[keys[-1]]
    wanted = [
        number
        for number, packet in enumerate(listed[keys[-1] :], keys[-1])
        if max(first_s, key.shown_s) <= packet.shown_s < end_s
    ]
    if not wanted:
        raise CopyError("it has no packet")
    # What is decoded after a keyframe and shown before it leans on what is not there.
    taken = [n for n in range(keys[-1], wanted[-1] + 1) if listed[n].pts >= key.pts]
    if any(listed[number].hidden for number in wanted):
        raise CopyError("an edit list hides pictures between others")
    behind = [listed[number].shown_s for number in taken if listed[number].shown_s >= end_s]
    if not hides and (behind or key.shown_s < first_s):
        raise CopyError("its codec is none whose pictures an edit list can hide")
    dts = dict(zip(taken, decode_times([listed[number].pts for number in taken]), strict=True))
    after = [packet.shown_s for packet in listed if packet.shown_s >= end_s]
    return Plan(dts, min(after) if behind else None)


def copy_packets(
    url: str,
    path: Path,
    start: Fraction,
    stop: Fraction,
    *,
    sound: tuple[np.ndarray, int] | None = None,
    bitrate: int = 0,
) -> None:
    """Copy the packets of the first video and audio shown in [start, stop); times then begin at 0.

    sound: float32 (channels, N) with its rate, encoded with `bitrate` in place of the file's own.  Pictures that are
    decoded for the sake of others alone are hidden by an edit list.  Raises CopyError, or ValueError or FFmpegError
    where MP4 does not take the packets.
    """
    with ItemReader(url) as source:
        plan = _plan(source, start, stop) if source.video is not None else Plan({}, None)
    # The edit list is told in microseconds; times of the pictures stay what they are.
    with ItemReader(url) as source, mp4.create(path, movie_timescale="1000000") as target:
        made = {}
        for stream in filter(None, (source.video, source.audio if sound is None else None)):
            made[stream.index] = target.add_stream_from_template(stream, opaque=True)
            if stream is source.video:
                mp4.tag(made[stream.index], stream.codec_context.name)
        # After the pictures: the edit list that is looked for is the first of the file.
        encoded = add_sound(target, sound, bitrate)
        count = 0
        for packet in _taken(source, plan, start, stop, sound=sound is None):
            offset = round(start / packet.time_base)
            packet.pts, packet.dts = packet.pts - offset, packet.dts - offset
            packet.stream = made[packet.stream_index]
            target.mux(packet)
            count += 1
        if sound is not None:
            for block in sound_blocks(*sound):
                target.mux(encoded.encode(block))
            target.mux(encoded.encode(None))
    if not count:
        raise CopyError("it has no packet")
    if plan.until_s is not None:
        set_edit_length(path, round((plan.until_s - start) * 1_000_000))


def _plan(source: ItemReader, start: Fraction, stop: Fraction) -> Plan:
    if source.numbered:
        raise CopyError("its container does not say when reordered pictures are shown")
    listed = []
    for packet in source.packets(start=start):
        if not packet.size:
            continue
        if packet.pts is None:
            raise CopyError("it has packets without a time")
        shown_s = packet.pts * packet.time_base
        listed.append(Listed(packet.pts, shown_s, packet.is_keyframe, packet.is_discard))
        decoded_s = shown_s - MARGIN_S if packet.dts is None else packet.dts * packet.time_base
        if decoded_s >= stop:
            break
    return plan_copy(listed, start, stop, hides=source.video.codec_context.codec.canonical_name in COPIED)


def _taken(source: ItemReader, plan: Plan, start: Fraction, stop: Fraction, *, sound: bool) -> Iterator[Any]:
    """The packets of the plan and those of the sound, with the times of their decoding."""
    number = -1
    left = len(plan.dts)
    for packet in source.packets(start=start, sound=sound):
        if not packet.size or packet.pts is None:
            continue
        shown_s = packet.pts * packet.time_base
        if source.video is not None and packet.stream_index == source.video.index:
            number += 1
            if number in plan.dts:
                packet.dts = plan.dts[number]
                left -= 1
                yield packet
        elif start - TICK_S <= shown_s < stop - TICK_S:
            packet.dts = packet.pts
            yield packet
        if not left and shown_s > stop + MARGIN_S:
            return
