"""Chunks of a camera as one video, and of a microphone as one sound, appended one by one."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream

from scripts.common.clock import Clock, Gap, Segment
from scripts.common.errors import InputError
from scripts.common.frame_table import GAP_PERIODS, FrameTable
from scripts.common.packet_writer import PacketWriter
from scripts.common.packets import packets
from scripts.common.sound_writer import CHUNK_BYTES, HEADER_BYTES, SAMPLE_FORMATS, SoundWriter
from scripts.common.video import OPEN_OPTIONS


def form_of(stream: VideoStream) -> dict[str, Any]:
    """What must agree in all chunks, for their packets to stand in one video."""
    context = stream.codec_context
    return {
        "codec": context.codec.canonical_name,
        "size": f"{context.width}x{context.height}",
        "pixels": context.pix_fmt,
        "parameters of the codec": bytes(context.extradata or b"").hex(),
    }


def differing(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The first thing in which two forms differ, for a message; "" if they agree."""
    for name, value in one.items():
        if other[name] != value:
            return name if name.startswith("param") else f"{name} {value} and {other[name]}"
    return ""


@dataclass
class JoinedVideo:
    """A camera's video: packets as they are, each at the chunk's start and its own time."""

    path: Path
    parts: list[FrameTable] = field(default_factory=list)
    _writer: PacketWriter | None = None
    _form: dict[str, Any] = field(default_factory=dict)
    _first: str = ""
    _first_ns: int = 0
    _frames: int = 0

    def append(self, video: Path, table: FrameTable, offset_ns: int, name: str) -> None:
        """Append an imported chunk whose frames stand at their `time_ns` + `offset_ns`.

        name: of the chunk's file.  Raises InputError if its packets cannot follow those of the first chunk.
        """
        with av.open(f"file:{video}", **OPEN_OPTIONS) as container:
            stream = container.streams.video[0]
            form = form_of(stream)
            if self._writer is None:
                self._first, self._form, self._first_ns = name, form, table.start_ns + offset_ns
                # No h264 or h265 stream reorders more than 16; each chunk says for itself.
                self._writer = PacketWriter(self.path, stream, reorder=_reorder(stream))
            if what := differing(self._form, form):
                raise InputError(
                    "chunk_codec", f"{self._first} and {name} differ ({what}): their packets cannot stand in one video"
                )
            shift_us = (table.start_ns + offset_ns - self._first_ns + 500) // 1000
            for packet in packets(container, [stream]):
                if packet.pts is None or packet.time_base is None:
                    continue
                pts_us = round(packet.pts * packet.time_base * 1_000_000)
                if pts_us < 0:
                    raise InputError("chunk_start", f"{name} begins with pictures that only its edit list hides")
                if not self._writer.fits(shift_us + pts_us):
                    raise InputError("chunk_overlap", f"{name} begins before the chunk before it ends")
                self._writer.write(packet, shift_us + pts_us, keyframe=packet.is_keyframe)
        self.parts.append(
            replace(
                table,
                pts_us=table.pts_us + shift_us,
                time_ns=table.time_ns + offset_ns,
                source_frame=np.where(table.source_frame < 0, -1, table.source_frame + self._frames).astype(np.int32),
            )
        )
        self._frames += int(table.source_frame.max(initial=-1)) + 1

    def close(self) -> FrameTable:
        """Finish the file. Returns its table, in which what is missing between two chunks is a gap."""
        if self._writer is None:
            return FrameTable.empty()
        self._writer.close()
        names = ("pts_us", "time_ns", "source_frame", "keyframe", "tainted", "gap_before_ns")
        columns = {name: np.concatenate([getattr(part, name) for part in self.parts]) for name in names}
        begins = np.cumsum([len(part) for part in self.parts])[:-1]
        for row, part in zip(begins.tolist(), self.parts, strict=False):
            step = int(columns["time_ns"][row] - columns["time_ns"][row - 1])
            columns["gap_before_ns"][row] = step - part.period_ns if step > GAP_PERIODS * part.period_ns else 0
        return FrameTable.make(**columns)

    def discard(self) -> None:
        """Close the file unfinished."""
        if self._writer is not None:
            self._writer.close()


def _reorder(stream: VideoStream) -> int:
    return max(int(stream.codec_context.reorder_depth), 0)


@dataclass
class JoinedSound:
    """A microphone's sound: a chunk a segment, and zeros for what is missing between two."""

    path: Path
    clock: Clock | None = None
    _writer: SoundWriter | None = None
    _form: tuple[int, int, str] = (0, 0, "")
    _first: str = ""

    def append(self, sound: Path, clock: Clock, offset_ns: int, name: str, sample_format: str) -> None:
        """Append an imported chunk whose samples stand at their instants + `offset_ns`.

        What a chunk holds of the time before the end of the one before is left out.
        Raises InputError for another rate, or other channels.
        """
        form = (clock.nominal_rate_hz, clock.channels, sample_format)
        if self.clock is None:
            self._first, self._form = name, form
            self._writer = SoundWriter(self.path)
            self.clock = replace(clock, start_ns=clock.start_ns + offset_ns, samples=0, segments=[], gaps=[])
        assert self._writer is not None
        if form != self._form:
            message = f"{self._first} and {name} differ ({_said(self._form)} and {_said(form)})"
            raise InputError("chunk_sound", f"{message}: they cannot be one sound")
        whole, rate = self.clock, clock.nominal_rate_hz
        at = round((clock.start_ns + offset_ns - whole.start_ns) * rate / 1e9)
        width = SAMPLE_FORMATS[sample_format][0] * clock.channels
        gaps = list(whole.gaps)
        skipped = min(max(0, whole.samples - at), clock.samples)
        begin = max(at, whole.samples)
        if begin > whole.samples:
            self._zeros((begin - whole.samples) * width)
            gaps.append(Gap(whole.samples, begin, "hole"))
        gaps += [
            Gap(max(gap.start_sample - skipped, 0) + begin, gap.stop_sample - skipped + begin, gap.reason)
            for gap in clock.gaps
            if gap.stop_sample > skipped
        ]
        kept = clock.samples - skipped
        start_ns = clock.start_ns + offset_ns + round(skipped * 1e9 / rate)
        with sound.open("rb") as file:
            file.seek(HEADER_BYTES + skipped * width)
            left = kept * width
            while left and (piece := file.read(min(CHUNK_BYTES, left))):
                self._writer.write(piece)
                left -= len(piece)
        segments = [*whole.segments, *([Segment(begin, start_ns, kept)] if kept else [])]
        self.clock = replace(whole, samples=begin + kept, segments=segments, gaps=gaps)

    def close(self) -> Clock:
        """Finish the file. Returns its clock."""
        if self._writer is None or self.clock is None:
            return Clock.empty()
        rate, channels, sample_format = self._form
        self._writer.close(rate_hz=rate, channels=channels, sample_format=sample_format)
        return self.clock

    def discard(self) -> None:
        """Close the file unfinished."""
        if self._writer is not None:
            self._writer.discard()

    def _zeros(self, count: int) -> None:
        assert self._writer is not None
        for first in range(0, count, CHUNK_BYTES):
            self._writer.write(bytes(min(CHUNK_BYTES, count - first)))


def _said(form: tuple[int, int, str]) -> str:
    return f"{form[0]} Hz, {form[1]} channels, {form[2]}"
