"""Media files as an import sees them: which stream is meant, when its packets show, what a copy can take.

Times are those of the container, as ffmpeg reads them: edit lists are obeyed, packets that they hide are
`discard`.
"""

from array import array
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container.input import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from scripts.common.errors import InputError
from scripts.common.packets import NUMBERED, is_broken, packets
from scripts.common.timeline import NS
from scripts.common.video import OPEN_OPTIONS

KINDS = {"video": ("no_picture", "picture"), "sound": ("no_sound", "sound")}

# As ffmpeg chooses: a stream marked as default is worth this many pixels.
DEFAULT_PIXELS = 5_000_000
CHOICES = {
    "video": "the largest picture, 5,000,000 pixels more for a stream marked as default; the first of equals",
    "sound": "the first sound",
}
NAMED = "named in the config"

# Reading goes on so much beyond a stop, for what is stored out of order.
MARGIN_S = 5

# A packet without a time.
NO_TIME = np.iinfo(np.int64).min


def open_media(path: Path, *, edited: bool = True) -> InputContainer:
    """Open a media file. Raises InputError if it is none. edited: as the edit list of an MP4 shows it."""
    options = None if edited else {"ignore_editlist": "1"}
    try:
        return av.open(f"file:{path}", options=options, **OPEN_OPTIONS)
    except av.error.FFmpegError as error:
        if not is_broken(error):
            raise
        size = path.stat().st_size
        what = f"it is no media file, or it was cut off before its index was written ({size} bytes)"
        if not size:
            what = "it is empty"
        raise InputError(
            "unreadable",
            f"{path.name} cannot be read: {what}; copy it again, or exclude the recording",
            value=size,
        ) from error


def choose_stream(container: InputContainer, kind: str, named: int | None, name: str) -> tuple[Stream, str]:
    """The stream for a camera (kind "video") or microphone ("sound"), and the rule that chose it.

    named: index in the file, from the config.  name: of the file, for the message of the InputError.
    """
    reason, word = KINDS[kind]
    offered = [stream for stream in container.streams if is_media(stream, kind)]
    seen = ", ".join(f"{stream.index}: {stream.type} {codec_of(stream)}" for stream in container.streams)
    if named is not None:
        chosen = [stream for stream in offered if stream.index == named]
        if not chosen:
            raise InputError(reason, f"{name}: its stream {named} is no {word}; it holds {seen or 'nothing'}")
        return chosen[0], NAMED
    if not offered:
        raise InputError(reason, f"{name}: it holds no {word}, only {seen or 'nothing'}")
    rule = CHOICES[kind] if len(offered) > 1 else f"the only {word}"
    if kind == "sound":
        return offered[0], rule
    return max(offered, key=lambda stream: (_worth(stream), -stream.index)), rule


def is_media(stream: Stream, kind: str) -> bool:
    """Whether a stream is moving picture ("video") or sound ("sound") that can be decoded, no cover art."""
    cover = bool(stream.disposition & Disposition.attached_pic)
    return stream.type == ("audio" if kind == "sound" else kind) and stream.codec_context is not None and not cover


def codec_of(stream: Stream) -> str:
    """Name of the codec, not of the decoder."""
    return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"


def _worth(stream: Stream) -> int:
    context = cast(VideoStream, stream).codec_context
    return context.width * context.height + DEFAULT_PIXELS * bool(stream.disposition & Disposition.default)


@dataclass(frozen=True)
class PacketTable:
    """Packets of a video stream in the order of decoding; arrays of shape (N,), times in `time_base` ticks.

    pts: int64, NO_TIME where the container says none.  duration: int64, 0 if unknown.  key: bool.
    discard: bool, decoded but not shown.  corrupt: bool, the container says that it is damaged.
    """

    pts: np.ndarray
    duration: np.ndarray
    key: np.ndarray
    discard: np.ndarray
    corrupt: np.ndarray
    time_base: Fraction

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def shown(self) -> np.ndarray:
        """bool (N,): has a time and is not hidden."""
        shown: np.ndarray = ~self.discard & (self.pts != NO_TIME)
        return shown


def scan_packets(container: InputContainer, streams: list[Stream], stop_s: float) -> dict[int, PacketTable]:
    """The packets of each of `streams`, by its index; one pass over the file, nothing is decoded.

    stop_s: packets that come later than this after the first of their stream are not wanted; 0: all are.
    """
    rows = {stream.index: array("q") for stream in streams}
    numbered = container.format.name in NUMBERED
    ends: dict[int, Fraction] = {}
    ended: set[int] = set()
    for packet in packets(container, streams):
        if packet.size:
            if stop_s and packet.dts is not None:
                place = packet.dts * tick_of(packet.stream)
                end = ends.setdefault(packet.stream.index, place + Fraction(stop_s) + MARGIN_S)
                if place > end:
                    ended.add(packet.stream.index)
                    if len(ended) == len(rows):
                        break
            pts = packet.dts if numbered else packet.pts
            pts = NO_TIME if pts is None else pts
            flags = (packet.is_keyframe, packet.is_discard, packet.is_corrupt)
            rows[packet.stream.index].extend((pts, packet.duration or 0, *flags))
    tables = {}
    for stream in streams:
        table = np.array(rows[stream.index], np.int64).reshape(-1, 5)
        key, discard, corrupt = table[:, 2:].T.astype(bool)
        tables[stream.index] = PacketTable(table[:, 0], table[:, 1], key, discard, corrupt, tick_of(stream))
    return tables


@dataclass(frozen=True)
class Cut:
    """The wanted stretch of the recording's clock; None: from its start, to its end."""

    start_ns: int | None = None
    stop_ns: int | None = None

    def ticks(self, time_base: Fraction) -> tuple[int | None, int | None]:
        """Last tick not after the start, first tick not before the stop."""
        start = None if self.start_ns is None else floor(self.start_ns / (time_base * NS))
        stop = None if self.stop_ns is None else ceil(self.stop_ns / (time_base * NS))
        return start, stop


@dataclass(frozen=True)
class CopyPlan:
    """Packets [first, stop) of a table, in the order of decoding, make the copy.

    base: tick of the first picture that is shown; what comes before is decoded and hidden.  until: first tick that is
    not shown any more, where packets of pictures behind the stretch are copied, which others lean on.
    reorder: how many pictures the codec reorders at most.  why_not: why they cannot be copied, "" if they
    can.
    """

    first: int
    stop: int
    base: int
    reorder: int
    why_not: str = ""
    until: int | None = None


def plan_copy(table: PacketTable, cut: Cut, first_pts: int | None = None) -> CopyPlan | None:
    """What to copy for a stretch: from the keyframe before the picture that is on screen at its start.

    first_pts: the first picture that decodes, where that is known.  None: no picture is in the stretch.
    """
    shown = table.shown
    start, stop = cut.ticks(table.time_base)
    if first_pts is not None:
        shown = shown & (table.pts >= first_pts)
    if start is not None and (shown & (table.pts <= start)).any():
        shown = shown & (table.pts >= table.pts[shown & (table.pts <= start)].max())
    if stop is not None:
        shown = shown & (table.pts < stop)
    wanted = np.flatnonzero(shown)
    if not len(wanted):
        return None
    base = int(table.pts[wanted].min())
    keys = np.flatnonzero(table.key[: wanted[0] + 1] & (table.pts[: wanted[0] + 1] <= base))
    first, end = (int(keys[-1]) if len(keys) else 0), int(wanted[-1]) + 1
    inside = table.pts[first:end]
    if (inside == NO_TIME).any():
        return CopyPlan(first, end, base, 0, "packets without a time")
    order = np.argsort(np.argsort(inside, kind="stable"), kind="stable")
    reorder = int((np.arange(len(inside)) - order).max(initial=0))
    why_not = ""
    if (table.discard[first:end] & (inside >= base)).any():
        why_not = "an edit list hides pictures between others"
    elif (np.diff(np.sort(rescale(inside, table.time_base, 1_000_000))) <= 0).any():
        why_not = "two packets with the same time"
    behind = table.pts[table.shown & (table.pts >= stop)] if stop is not None else inside[:0]
    leant_on = len(behind) and (table.shown[first:end] & (inside >= stop)).any()
    return CopyPlan(first, end, base, reorder, why_not, int(behind.min()) if leant_on else None)


def find_tainted(table: PacketTable, plan: CopyPlan, damaged: np.ndarray) -> np.ndarray:
    """Pictures that lean on a damaged one: all after it up to the next keyframe, in the order of decoding.

    damaged: bool (n,) of the packets of `plan`.  Pictures that are decoded after a keyframe but shown before
    it lean on both sides.  Returns bool (n,).
    """
    if not damaged.any():
        return damaged
    pts, key = table.pts[plan.first : plan.stop], table.key[plan.first : plan.stop]
    tainted = np.zeros(len(pts), bool)
    behind = before = False
    key_pts = NO_TIME
    for k in range(len(pts)):
        if key[k]:
            before, behind, key_pts = behind, False, pts[k]
        behind = behind or bool(damaged[k])
        tainted[k] = behind or (before and pts[k] < key_pts)
    return tainted


def tick_of(stream: Stream) -> Fraction:
    """Length of a tick in seconds; a stream that does not say counts microseconds."""
    return stream.time_base or Fraction(1, 1_000_000)


def rescale(ticks: np.ndarray | int, time_base: Fraction, per_s: int) -> np.ndarray:
    """Ticks as int64 counts of 1 / per_s seconds, rounded to the nearest, exactly."""
    ratio = time_base * per_s
    return (2 * ratio.numerator * np.asarray(ticks, np.int64) + ratio.denominator) // (2 * ratio.denominator)
