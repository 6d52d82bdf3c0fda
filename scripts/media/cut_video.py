"""A stretch of a camera's video, to the frame: the original packets with an edit list, or encoded anew."""

import struct
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np

from scripts.common.camera_pictures import TIME_TOLERANCE_US, microseconds, row_at
from scripts.common.encoder import Coding
from scripts.common.errors import RunError
from scripts.common.frame_table import FrameTable
from scripts.common.packet_writer import PacketWriter
from scripts.common.product_writer import ProductWriter
from scripts.common.timeline import NS
from scripts.common.video import OPEN_OPTIONS, VideoReader, even, fitted, packets, upright

# Boxes of MP4 that hold other boxes on the way to the edit list.
PARENTS = (b"moov", b"trak", b"edts")


def cut_table(source: FrameTable, first: int, stop: int) -> FrameTable:
    """Rows [first, stop) as the table of a file of their own; nothing is missing before its first frame."""
    rows = slice(first, stop)
    gaps = source.gap_before_ns[rows].copy()
    gaps[:1] = 0
    return FrameTable.make(
        source.pts_us[rows] - source.pts_us[first],
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
    keyframes = np.flatnonzero(source.keyframe[: first + 1])
    begin_us = int(source.pts_us[keyframes[-1]]) if len(keyframes) else int(source.pts_us[0])
    with av.open(f"file:{video}", **OPEN_OPTIONS) as container:
        stream = container.streams.video[0]
        container.seek(begin_us, backward=True)
        writer = PacketWriter(target, stream, reorder=int(stream.codec_context.has_b_frames))
        # Packets of later pictures, which count only if one of the wanted is decoded after them.
        later: list[tuple[av.Packet[Any], int]] = []
        begun = beyond = False
        for packet in packets(container, [stream]):
            if packet.pts is None or packet.dts is None or packet.time_base is None:
                continue
            pts_us, dts_us = (round(t * packet.time_base * 1_000_000) for t in (packet.pts, packet.dts))
            if dts_us > end_us + TIME_TOLERANCE_US:
                break
            begun = begun or pts_us >= begin_us - TIME_TOLERANCE_US
            if not begun:
                continue
            if pts_us > end_us + TIME_TOLERANCE_US:
                later.append((packet, pts_us))
                continue
            beyond = beyond or bool(later)
            for wanted, time_us in [*later, (packet, pts_us)]:
                row = row_at(source.pts_us, time_us)
                time_us = (time_us if row is None else int(source.pts_us[row])) - zero_us
                if writer.fits(time_us):
                    writer.write(wanted, time_us, keyframe=wanted.is_keyframe)
            later.clear()
        writer.close()
    if beyond:
        # Stamps scatter: the next frame may begin less than a period after the last one.
        later_us = source.pts_us[stop : stop + 1].tolist()
        set_edit_length(target, min([end_us + (source.period_ns + 500) // 1000, *later_us]) - zero_us)


def set_edit_length(path: Path, length_us: int) -> None:
    """Make the one edit of an MP4 whose movie time scale is microseconds as long as `length_us`."""
    with path.open("r+b") as file:
        offset = _edit_list(file, 0, path.stat().st_size)
        if offset is None:
            raise RunError(f"{path.name} has no edit list; ask for mode: exact")
        file.seek(offset)
        version, count = struct.unpack(">B3xI", file.read(8))
        size = 20 if version else 12
        file.seek(offset + 8 + (count - 1) * size)
        file.write(struct.pack(">Q" if version else ">I", length_us))


def _edit_list(stream: BinaryIO, start: int, stop: int) -> int | None:
    """Where the contents of the box `elst` begin; None if there is none in the bytes [start, stop)."""
    while start + 8 <= stop:
        stream.seek(start)
        size, kind = struct.unpack(">I4s", stream.read(8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", stream.read(8))[0], 16
        size = size or stop - start
        if kind == b"elst":
            return start + head
        if kind in PARENTS and (found := _edit_list(stream, start + head, start + size)) is not None:
            return found
        start += max(size, 8)
    return None


def encode_frames(video: Path, source: FrameTable, first: int, stop: int, target: Path, coding: Coding) -> int:
    """Encode frames [first, stop) anew, each at its own time. Returns how many did not decode."""
    keyframes = np.flatnonzero(source.keyframe[: first + 1])
    rate = Fraction(NS, source.period_ns).limit_denominator(1001) if source.period_ns else Fraction(25)
    writer: ProductWriter | None = None
    shown = 0
    with VideoReader(video) as reader, ExitStack() as stack:
        if len(keyframes):
            reader.seek(int(source.pts_us[keyframes[-1]]))
        for picture in reader:
            row = row_at(source.pts_us, microseconds(picture))
            if row is None or row < first:
                continue
            if row >= stop:
                break
            whole = upright(picture)
            if writer is None:
                size = (even(whole.width), even(whole.height))
                writer = stack.enter_context(ProductWriter(target, size, coding, rate=rate))
            if (whole.width, whole.height) != size:
                whole = fitted(whole, size)
            writer.write(whole, int(source.pts_us[row] - source.pts_us[first]))
            shown += 1
    return stop - first - shown
