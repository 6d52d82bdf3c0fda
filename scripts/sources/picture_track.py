"""The pictures of a file: their packets as they are wherever MP4 can hold them, else encoded once."""

from array import array
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from scripts.common.edit_list import set_edit_length
from scripts.common.errors import InputError, RunError
from scripts.common.frame_table import FrameTable, frame_period_ns
from scripts.common.packet_writer import PacketWriter
from scripts.common.packets import instant_of, is_broken
from scripts.common.timeline import NS
from scripts.common.video import VideoReader, VideoWriter, pixel_shape, turn_of, upright
from scripts.sources.container import CopyPlan, Cut, PacketTable, find_tainted, plan_copy, rescale

# Of pictures that must be encoded: nearly without loss, and quick.
CRF, PRESET = 12, "veryfast"
MAX_FPS = 1000
US = 1_000_000


class PictureCopy:
    """Writes the packets of a plan to `path`, as they come. `why_not`: why it could not, "" while it can."""

    def __init__(self, path: Path, stream: av.VideoStream, table: PacketTable, plan: CopyPlan) -> None:
        self._plan = plan
        self._pts_us = rescale(table.pts - plan.base, table.time_base, US)
        self._key = table.key
        self._path = path
        self._until_us = None if plan.until is None else int(rescale(plan.until - plan.base, table.time_base, US))
        self._next = 0
        self._writer: PacketWriter | None = None
        self.why_not = plan.why_not
        if self.why_not:
            return
        try:
            self._writer = PacketWriter(path, stream, reorder=plan.reorder)
        except (ValueError, av.error.FFmpegError):
            self.why_not = "MP4 does not hold its codec"

    @property
    def done(self) -> bool:
        """Whether no further packet is wanted."""
        return self._next >= self._plan.stop or bool(self.why_not)

    def take(self, packet: "av.Packet[Any]") -> None:
        """Write a packet if it is in the plan; every packet of the stream in the order of the file, once."""
        number, self._next = self._next, self._next + 1
        if self._writer is None or self.why_not or not packet.size:
            return
        if self._plan.first <= number < self._plan.stop:
            try:
                self._writer.write(packet, int(self._pts_us[number]), keyframe=bool(self._key[number]))
            except (ValueError, av.error.FFmpegError) as error:
                self.why_not = f"MP4 does not take its packets ({' '.join(str(error).split())})"

    def finish(self) -> None:
        """Finish the file."""
        if self._writer is None:
            return
        try:
            self._writer.close()
            if self._until_us is not None:
                set_edit_length(self._path, self._until_us)
        except (ValueError, RunError, av.error.FFmpegError) as error:
            self.why_not = f"MP4 does not take its packets ({' '.join(str(error).split())})"


@dataclass(frozen=True)
class Decoded:
    """What a file gives when it is decoded: arrays (N,) in display order, times in µs of the file."""

    pts_us: np.ndarray
    keyframe: np.ndarray
    corrupt: np.ndarray
    undecoded: int
    size: tuple[int, int]


def decode_all(path: Path) -> Decoded:
    """Decode every picture, for its time and state alone; nothing where the file cannot be opened."""
    rows = array("q")
    size = (0, 0)
    undecoded = 0
    with suppress(av.error.FFmpegError), VideoReader(path) as reader:
        for picture in reader:
            pts_us = round((instant_of(picture) or Fraction(0)) * US)
            rows.extend((pts_us, picture.key_frame, picture.is_corrupt))
            if size == (0, 0):
                turned = turn_of(picture)[0]
                size = (picture.height, picture.width) if turned else (picture.width, picture.height)
        undecoded = reader.undecoded
    table = np.array(rows, np.int64).reshape(-1, 3)
    return Decoded(table[:, 0], table[:, 1].astype(bool), table[:, 2].astype(bool), undecoded, size)


def in_display_order(decoded: Decoded, table: PacketTable, plan: CopyPlan) -> PacketTable | None:
    """The packets with their times put in the order in which their pictures come out of the decoder.

    None: they are so already. See `packets.NUMBERED`.
    """
    if not len(decoded.pts_us) or (np.diff(decoded.pts_us) > 0).all():
        return None
    known = packets_of(decoded, table, plan)
    if known is None or len(set(known.tolist())) < len(known):
        return None
    pts = table.pts.copy()
    pts[plan.first + known] = np.sort(pts[plan.first + known])
    return replace(table, pts=pts)


def packets_of(decoded: Decoded, table: PacketTable, plan: CopyPlan) -> np.ndarray | None:
    """Number in the plan of the packet of each picture, by its time, int (N,); None if one has none."""
    planned_us = rescale(table.pts[plan.first : plan.stop] - plan.base, table.time_base, US)
    order = np.argsort(planned_us)
    place = np.searchsorted(planned_us[order], decoded.pts_us)
    known: np.ndarray = order[np.minimum(place, len(order) - 1)]
    return known if (planned_us[known] == decoded.pts_us).all() else None


def table_of_copy(decoded: Decoded, table: PacketTable, plan: CopyPlan) -> FrameTable | str:
    """The frame table of a copy, or why the copy is none: its pictures do not stand where its packets do."""
    if not len(decoded.pts_us):
        return "the copy does not decode"
    known = packets_of(decoded, table, plan)
    if known is None or (np.diff(decoded.pts_us) <= 0).any():
        return "the copy decodes to other times"
    if plan.until is not None and (table.pts[plan.first + known] >= plan.until).any():
        return "what its end lies between is shown whatever an edit list says"
    pts = table.pts[plan.first : plan.stop]
    damaged = table.corrupt[plan.first : plan.stop].copy()
    damaged[known[decoded.corrupt]] = True
    if decoded.undecoded:
        # The decoder refused packets: those that gave no picture.
        lost = ~table.discard[plan.first : plan.stop] & (pts >= plan.base)
        if plan.until is not None:
            lost &= pts < plan.until
        lost[known] = False
        damaged |= lost
    tainted = find_tainted(table, plan, damaged)
    skipped = np.count_nonzero(table.shown & (table.pts < plan.base))
    return FrameTable.make(
        decoded.pts_us,
        rescale(pts[known], table.time_base, NS),
        source_frame=skipped + np.arange(len(known)),
        keyframe=decoded.keyframe,
        tainted=tainted[known],
    )


def begin_later(frames: FrameTable, table: PacketTable, cut: Cut) -> CopyPlan | None:
    """The plan of a copy that begins with the first picture that decodes; None if it does so already."""
    if frames.pts_us[0] == 0:
        return None
    place = np.flatnonzero(rescale(table.pts, table.time_base, NS) == frames.time_ns[0])
    return plan_copy(table, Cut(stop_ns=cut.stop_ns), first_pts=int(table.pts[place[0]]))


@dataclass(frozen=True)
class Encoded:
    """Pictures that were encoded: their table and size, and how many without an own time are left out."""

    frames: FrameTable
    size: tuple[int, int]
    left_out: int


def encode_pictures(source: Path, stream: int, out_video: Path, table: PacketTable, cut: Cut) -> Encoded:
    """Encode the pictures of a stretch once, upright, at their own times.

    Raises InputError if none decodes, or none has a time.
    """
    try:
        with VideoReader(source, stream) as reader:
            # A broken header may say any rate; here it only decides how far keyframes stand apart.
            rate = min(Fraction(reader.stream.average_rate or 25), Fraction(MAX_FPS))
            with VideoWriter(out_video, rate=rate, time_base=Fraction(1, US), crf=CRF, preset=PRESET) as writer:
                ticks, corrupt, left_out = _encode_stretch(reader, writer, table, cut)
    except av.error.FFmpegError as error:
        if not is_broken(error):
            raise
        why = f"its pictures cannot be encoded at their times ({error.strerror})"
        raise InputError("no_picture", f"{source.name}, stream {stream}: {why}; repair the file") from error
    if not len(ticks):
        why = "its pictures carry no times; put them into a container with a frame rate" if left_out else "none decodes"
        raise InputError("no_picture", f"{source.name}, stream {stream}: {why}")
    assert writer.size is not None
    pts_us = rescale(ticks - ticks[0], table.time_base, US)
    # Only a cut leaves pictures out; without one the first that decodes is the first.
    skipped = np.count_nonzero(table.pts[table.shown] < ticks[0]) if cut.start_ns is not None else 0
    frames = FrameTable.make(
        pts_us,
        rescale(ticks, table.time_base, NS),
        source_frame=skipped + np.arange(len(ticks)),
        keyframe=np.isin(pts_us, list(writer.keyframe_pts)),
        # Nothing is known of what leans on what: a picture alone.
        tainted=corrupt,
    )
    return Encoded(frames, writer.size, left_out)


def _encode_stretch(
    reader: VideoReader, writer: VideoWriter, table: PacketTable, cut: Cut
) -> tuple[np.ndarray, np.ndarray, int]:
    """Write the pictures of a stretch. (Their ticks, int64 (N,); damaged, bool (N,); how many had no own time.)"""
    start, stop = cut.ticks(table.time_base)
    shown = table.pts[table.shown]
    if start is not None and (shown <= start).any():
        start = int(shown[shown <= start].max())
    rows = array("q")
    left_out = 0
    last_us = -1
    for picture in reader:
        tick = picture.pts
        if tick is not None and start is not None and tick < start:
            continue
        if tick is not None and stop is not None and tick >= stop:
            break
        pts_us = -1 if tick is None else int(rescale(tick - (rows[0] if rows else tick), table.time_base, US))
        if tick is None or pts_us <= last_us:
            left_out += 1
            continue
        last_us = pts_us
        rows.extend((tick, picture.is_corrupt))
        turned = upright(picture)
        writer.take_form(turned, pixel_shape(reader, picture))
        writer.write(turned, pts_us)
    found = np.array(rows, np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1].astype(bool), left_out


def end_of_pictures(frames: FrameTable, table: PacketTable, track_end_ns: int | None) -> int:
    """When the last picture goes off the screen: after its own duration, where the container says one.

    track_end_ns: where the container ends the track; the last picture then stays a median period, or longer
    only if the track does.
    """
    last_ns = int(frames.time_ns[-1])
    period = frame_period_ns(frames.time_ns)
    place = np.flatnonzero(rescale(table.pts, table.time_base, NS) == last_ns)
    duration = int(rescale(table.duration[place[-1:]], table.time_base, NS)[0]) if len(place) else 0
    end_ns = last_ns + (duration or period)
    if track_end_ns is not None:
        end_ns = min(end_ns, max(track_end_ns, last_ns + period))
    return end_ns


def picture_facts(stream: av.VideoStream, size: tuple[int, int]) -> dict[str, Any]:
    """What the manifest says of a video stream, beside its times. size: of the upright picture."""
    return {
        "width": size[0],
        "height": size[1],
        "coded_width": stream.codec_context.width,
        "coded_height": stream.codec_context.height,
        "header_frames": stream.frames,
    }
