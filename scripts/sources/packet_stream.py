"""Encoded video of a topic into MP4, packet by packet, as it is."""

from collections import Counter
from pathlib import Path

import av
import numpy as np

from scripts.common.errors import InputError
from scripts.common.packet_writer import PacketWriter
from scripts.sources import frame_codecs
from scripts.sources.h264_loss import H264Loss
from scripts.sources.hevc_loss import HevcLoss
from scripts.sources.packet_loss import find_loss
from scripts.sources.picture_table import PictureTable, Video
from scripts.sources.picture_times import Instant
from scripts.sources.row_spool import RowSpool
from scripts.sources.wanted_part import WHOLE, Part

# So many packets are held back, to see how far the encoder reorders pictures.
HEAD_PACKETS = 64
# No h264 or h265 stream reorders more.
MAX_REORDER = 16
# Codecs whose stream itself says that something is missing.
STREAM_LOSS: dict[str, type[H264Loss | HevcLoss]] = {"h264": H264Loss, "hevc": HevcLoss}

# Instant, counter (-1: none), keyframe, number of its message, data.
Packet = tuple[Instant, int, bool, int, memoryview]


class PacketStream:
    """One camera that sends h264, h265, av1 or vp9; `codec` as in frame_codecs.

    part: what is wanted; the video begins with the keyframe before it, and ends with the last packet of it in the order
    of decoding.
    """

    def __init__(self, path: Path, table: PictureTable, codec: str, part: Part = WHOLE) -> None:
        self._path = path
        self._table = table
        self._codec = codec
        self._part = part
        self._head: list[Packet] = []
        # Shown behind the part, but needed if pictures in it are decoded after them.
        self._behind: list[Packet] = []
        self._writer: PacketWriter | None = None
        self._reorder = 0
        self._flagged = False
        self._flags_right = 0
        self._size = (0, 0)
        self._sets = b""
        self._changed = 0
        # Where the encoder's counter says nothing.
        self._stream_loss: H264Loss | HevcLoss | None = None
        # The encoder's counter, keyframe, tainted by the stream itself.
        self._rows = RowSpool(3)
        self._last = (0, -1, memoryview(b""))
        self._dropped: Counter[str] = Counter()

    def take(self, stamp_ns: int, log_ns: int, data: memoryview, counter: int, keyframe: bool | None) -> None:
        """Write a packet. counter: the encoder's pts, -1 without; keyframe: None to look into the packet."""
        number = self._table.messages - 1
        if not frame_codecs.is_packet(data, self._codec):
            self._dropped[frame_codecs.what_is_missing(self._codec)] += 1
            return
        last_stamp_ns, last_counter, last_data = self._last
        self._last = (stamp_ns, counter, data)
        if stamp_ns == last_stamp_ns and counter == last_counter and data == last_data:
            self._dropped["sent twice"] += 1
            return
        key = self._is_key(data, keyframe)
        entry = self._writer is None and key and bool(frame_codecs.beginning(data, self._codec))
        if self._writer is None and not self._head and not entry:
            # Whether a stamp is in the part is asked where there is one only: it counts for those that follow.
            whole = self._part.start_ns is None
            if whole or self._part.has_begun(self._table.times.choose(stamp_ns, log_ns).time_ns):
                self._dropped["before the first keyframe"] += 1
            return
        instant = self._table.times.choose(stamp_ns, log_ns)
        packet = (instant, counter, key, number, data)
        if self._writer is not None:
            self._write(packet)
            return
        if entry and self._part.start_ns is not None and instant.time_ns <= self._part.start_ns:
            self._head.clear()
        self._head.append(packet)
        if len(self._head) >= HEAD_PACKETS and self._part.has_begun(instant.time_ns):
            self._open()

    def _is_key(self, data: memoryview, flag: bool | None) -> bool:
        """Whether a packet is a keyframe. A flag is believed once it has been set, and right HEAD_PACKETS times."""
        if flag:
            self._flagged = True
            return True
        if flag is not None and self._flags_right >= HEAD_PACKETS:
            return False
        key = frame_codecs.is_keyframe(data, self._codec)
        self._flags_right = self._flags_right + 1 if self._flagged and not key else 0
        return key

    def finish(self) -> Video | None:
        """Close the file; None where no picture is in the part. Raises InputError where decoding cannot begin."""
        if self._writer is None and self._head:
            self._open()
        if self._writer is None:
            raise InputError("undecodable", f"none of its {self._table.messages} packets is a keyframe to begin with")
        if not len(self._table):
            return None
        self._writer.close()
        tainted, lost, notes = self._find_loss()
        if self._changed:
            notes.append(f"its parameter sets change {self._changed} times; the file has the first ones in front")
        return Video(
            frames=self._table.make(tainted=tainted),
            codec=self._codec,
            width=self._size[0],
            height=self._size[1],
            copied=True,
            dropped=self._dropped,
            lost=lost,
            notes=notes,
        )

    def _find_loss(self) -> tuple[np.ndarray, int, list[str]]:
        """Which packets are tainted, in the order of writing, how many are lost, and what a person should know."""
        counter, keyframe, tainted = self._rows.rows().T
        notes = []
        if self._stream_loss is not None:
            lost, holes = self._stream_loss.lost, self._stream_loss.holes_allowed
            if lost:
                notes.append("it has no pts that count: packets that no other picture leans on may be lost, too")
            if holes:
                notes.append(f"its frame_num has holes, as it may: {holes}; whether packets are lost is not known")
            return tainted != 0, lost, notes
        if counter[0] < 0:
            return tainted != 0, 0, notes
        loss = find_loss(counter, keyframe != 0)
        if loss.lost and not loss.counts_pictures:
            notes.append("its pts are times: pictures that the camera dropped count as lost packets, too")
        return loss.tainted, loss.lost, notes

    def _open(self) -> None:
        """Start the file with the packets held back, at the first keyframe that is whole."""
        counts = len({packet[1] for packet in self._head}) > 1
        self._stream_loss = None if counts or self._codec not in STREAM_LOSS else STREAM_LOSS[self._codec]()
        while self._head and not self._open_at(self._head[0][-1]):
            keys = [k for k, packet in enumerate(self._head) if k and packet[2]]
            begin = keys[0] if keys else len(self._head)
            self._dropped["before the first keyframe"] += begin
            del self._head[:begin]
        head, self._head = self._head, []
        for packet in head:
            self._write(packet)

    def _open_at(self, data: memoryview) -> bool:
        self._sets = frame_codecs.beginning(data, self._codec)
        try:
            with frame_codecs.probe(data, self._codec) as probe:
                template = probe.streams.video[0]
                self._size = (template.codec_context.width, template.codec_context.height)
                if not self._sets or not all(self._size):
                    return False
                self._reorder = max(template.codec_context.reorder_depth, _find_reorder(self._head))
                self._writer = PacketWriter(self._path, template, reorder=self._reorder)
        except (av.InvalidDataError, av.EOFError, IndexError):
            return False
        return True

    def _write(self, packet: Packet) -> None:
        """Write a packet, if it is wanted or a later one that is leans on it."""
        if self._part is WHOLE:
            self._put(packet)
        elif self._part.is_over(packet[0].time_ns + self._table.times.shift_ns):
            if len(self._behind) <= MAX_REORDER:
                self._behind.append(packet)
        elif len(self._behind) <= MAX_REORDER:
            behind, self._behind = self._behind, []
            for one in (*behind, packet):
                self._put(one)

    def _put(self, packet: Packet) -> None:
        instant, counter, keyframe, number, data = packet
        assert self._writer is not None
        table = self._table
        if (
            table.start_ns is not None
            and instant.time_ns < table.start_ns
            and self._reorder
            and len(table) <= MAX_REORDER
        ):
            # Shown before the first keyframe, decoded after it: it leans on pictures that are not there.
            if self._part.has_begun(instant.time_ns):
                self._dropped["before the first keyframe"] += 1
            return
        if keyframe:
            sets = frame_codecs.beginning(data, self._codec)
            if sets and sets != self._sets:
                self._changed += 1
                self._sets = sets
        pts_us = table.place(instant, number, keyframe=keyframe, fits=self._writer.fits)
        tainted = self._stream_loss is not None and self._stream_loss.take(data)
        self._rows.append(counter, keyframe, tainted)
        self._writer.write(data, pts_us, keyframe=keyframe)


def _find_reorder(head: list[Packet]) -> int:
    """How many pictures shown later are decoded before one, at most; by the counter, else by the times."""
    counters = [packet[1] for packet in head]
    shown = np.array(counters if len(set(counters)) == len(head) else [packet[0].time_ns for packet in head])
    first_key_only = shown[shown >= shown[0]]
    earlier = [int(np.count_nonzero(first_key_only[k + 1 :] < value)) for k, value in enumerate(first_key_only)]
    reorder = max(earlier, default=0)
    return reorder if reorder <= MAX_REORDER else 0
