"""A stretch of a camera's video, to the frame: the original packets with an edit list, or encoded anew."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream

from scripts.common import mp4
from scripts.common.camera_pictures import TIME_TOLERANCE_US, microseconds, row_at
from scripts.common.edit_list import set_edit_length
from scripts.common.encoder import Coding
from scripts.common.frame_table import FrameTable
from scripts.common.lost_frames import leaning_on
from scripts.common.packet_writer import MP4_OPTIONS, TIME_BASE, disk_errors
from scripts.common.product_writer import ProductWriter, encoder_rate
from scripts.common.video import OPEN_OPTIONS, VideoReader, even, fitted, upright

# Codecs whose packets readers of MP4 leave as they are. Those of others go through a parser, which forgets what the
# edit list hides, so that a player shows it.
COPIED = ("h264", "hevc", "av1", "vp9", "mjpeg", "ffv1")


def cut_table(source: FrameTable, rows: np.ndarray) -> FrameTable:
    """`rows`, int64, rising, at least one, as the table of a file of their own.

    Nothing is missing before its first frame; rows between two of them are.
    """
    gaps = source.gap_before_ns[rows]
    gaps[0] = 0
    gaps[1:] += source.time_ns[rows[1:] - 1] - source.time_ns[rows[:-1]]
    return FrameTable.make(
        source.pts_us[rows] - source.pts_us[rows[0]],
        source.time_ns[rows],
        source_frame=source.source_frame[rows],
        keyframe=source.keyframe[rows],
        tainted=source.tainted[rows],
        gap_before_ns=gaps,
    )


def copy_packets(video: Path, source: FrameTable, first: int, stop: int, target: Path) -> None:
    """Copy the packets that frames [first, stop) need, from the keyframe before on; only these frames are shown.

    What stands before the first has a negative time, which the edit list leaves out; what a codec with B-frames needs
    from behind the last is cut off by the list's length.
    """
    zero_us, end_us = int(source.pts_us[first]), int(source.pts_us[stop - 1])
    keyframes = source.pts_us[: first + 1][source.keyframe[: first + 1]].tolist()
    with VideoReader(video) as reader:
        # An import may begin with packets that an edit list hides: their keyframe is no row of the table.
        if keyframes:
            reader.seek(keyframes[-1])
        earliest_us = keyframes[-1] - TIME_TOLERANCE_US if keyframes else -(2**62)
        with packet_copier(target, reader.stream) as copy:
            # Packets of later pictures, which count only if one of the wanted is decoded after them.
            later: list[Timed] = []
            begun = beyond = False
            for packet in reader.packets():
                timed = Timed.of(packet)
                if timed is None:
                    continue
                if timed.dts_us > end_us + TIME_TOLERANCE_US:
                    break
                begun = begun or (packet.is_keyframe and timed.pts_us >= earliest_us)
                if not begun:
                    continue
                later.append(timed)
                if timed.pts_us > end_us + TIME_TOLERANCE_US:
                    continue
                beyond = beyond or len(later) > 1
                for wanted in later:
                    row = row_at(source.pts_us, wanted.pts_us)
                    time_us = wanted.pts_us if row is None else int(source.pts_us[row])
                    copy(wanted, time_us - zero_us, wanted.dts_us - zero_us)
                later.clear()
    if beyond:
        # Stamps scatter: the next frame may begin less than a period after the last one.
        later_us = source.pts_us[stop : stop + 1].tolist()
        set_edit_length(target, min([end_us + (source.period_ns + 500) // 1000, *later_us]) - zero_us)


@dataclass(frozen=True)
class Timed:
    """A packet and its times in the source, microseconds."""

    packet: "av.Packet[Any]"
    pts_us: int
    dts_us: int

    @classmethod
    def of(cls, packet: "av.Packet[Any]") -> "Timed | None":
        """The packet with its times; None without."""
        if packet.pts is None or packet.dts is None or packet.time_base is None:
            return None
        pts_us, dts_us = (round(ticks * packet.time_base * 1_000_000) for ticks in (packet.pts, packet.dts))
        return cls(packet, pts_us, dts_us)


@contextmanager
def packet_copier(target: Path, template: VideoStream) -> Iterator[Callable[[Timed, int, int], None]]:
    """An MP4 of the packets of a stream, in the order of decoding, at new times: copy(packet, pts_us, dts_us)."""
    with disk_errors(target), mp4.create(target, **MP4_OPTIONS) as container:
        stream = container.add_stream_from_template(template, opaque=True)
        stream.time_base = TIME_BASE
        mp4.tag(stream, template.codec_context.name)
        last_us: int | None = None

        def copy(timed: Timed, pts_us: int, dts_us: int) -> None:
            nonlocal last_us
            packet = timed.packet
            duration_us = round((packet.duration or 0) * packet.time_base * 1_000_000)
            # Two ticks of a fine time base may fall on one microsecond.
            last_us = dts_us if last_us is None else max(dts_us, last_us + 1)
            packet.stream, packet.time_base = stream, TIME_BASE
            packet.pts, packet.dts, packet.duration = max(pts_us, last_us), last_us, duration_us
            container.mux_one(packet)

        yield copy


def codec_of(video: Path) -> str:
    """The codec of a video."""
    with av.open(f"file:{video}", **OPEN_OPTIONS) as container:
        return str(container.streams.video[0].codec_context.codec.canonical_name)


@dataclass(frozen=True)
class Encoded:
    """Frames that were encoded anew.

    rows: those that decode, int64 (K,).  lost: those that do not, int64.  tainted: bool (K,), those of the source, and
    what leans on a frame that does not decode.  keyframe: bool (K,), of the new file.
    """

    rows: np.ndarray
    lost: np.ndarray
    tainted: np.ndarray
    keyframe: np.ndarray

    def table(self, source: FrameTable) -> FrameTable:
        """The frame table of the new file; there must be a row."""
        return replace(cut_table(source, self.rows), tainted=self.tainted, keyframe=self.keyframe)


def encode_frames(video: Path, source: FrameTable, first: int, stop: int, target: Path, coding: Coding) -> Encoded:
    """Encode frames [first, stop) anew, each at its own time after the first one that decodes; none, no file."""
    keyframes = np.flatnonzero(source.keyframe[: first + 1])
    rate = encoder_rate(source.period_ns)
    longest_us = int(np.diff(source.pts_us[first:stop]).max(initial=0))
    writer: ProductWriter | None = None
    decoded = np.zeros(stop, bool)
    begin = int(keyframes[-1]) if len(keyframes) else 0
    zero_us = 0
    with VideoReader(video) as reader, ExitStack() as stack:
        if len(keyframes):
            reader.seek(int(source.pts_us[begin]))
        for picture in reader:
            row = row_at(source.pts_us, microseconds(picture))
            if row is not None and row >= stop:
                break
            if row is None or decoded[row]:
                continue
            decoded[row] = True
            if row < first:
                continue
            whole = upright(picture)
            if writer is None:
                size = (even(whole.width), even(whole.height))
                zero_us = int(source.pts_us[row])
                writer = stack.enter_context(ProductWriter(target, size, coding, rate=rate, longest_step_us=longest_us))
            if (whole.width, whole.height) != size:
                whole = fitted(whole, size)
            writer.write(whole, int(source.pts_us[row]) - zero_us)
    rows, lost = (first + np.flatnonzero(seen) for seen in (decoded[first:], ~decoded[first:]))
    here = slice(begin, stop)
    damaged = ~decoded[here] & ~source.tainted[here]
    tainted = source.tainted[:stop].copy()
    tainted[here] |= leaning_on(damaged, source.keyframe[here])
    return Encoded(rows, lost, tainted[rows], writer.is_keyframe if writer else np.empty(0, bool))
