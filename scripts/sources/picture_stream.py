"""One camera of a bag: whatever carries its pictures, they become a video with a frame table."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from scripts.common.errors import InputError
from scripts.sources import frame_codecs
from scripts.sources.carriers import COMPRESSED, IMAGE, PACKET, Carrier
from scripts.sources.image_stream import PNG, ImageCoding, ImageStream
from scripts.sources.message_layout import text
from scripts.sources.packet_stream import PacketStream
from scripts.sources.picture_table import PictureTable, Video
from scripts.sources.stamp_belief import UNKNOWN, StampTimes
from scripts.sources.still_streams import JPEG, JpegStream
from scripts.sources.wanted_part import NEAR_NS, WHOLE

# The encoder's pts travels as uint64; the highest bit means nothing to it.
COUNTER_BITS = 2**63 - 1
# Formats of stills that are known here.
STILL = re.compile("jpe?g|png", re.IGNORECASE)
# So many clock steps are said one by one.
MAX_SAID = 20
# How image_transport calls depth images in a png.
DEPTH = "compresseddepth"


class PictureStream:
    """Takes the messages of a camera and writes its video to `path`.

    time, stamps: see PictureTimes; coding: of pictures that are encoded. `part`: what of it is wanted.
    """

    def __init__(self, path: Path, *, time: str, coding: ImageCoding, stamps: StampTimes = UNKNOWN) -> None:
        self.part = WHOLE
        self._path = path
        self._coding = coding
        self._time, self._stamps = time, stamps
        self._table = PictureTable(time, stamps)
        self._writer: PacketStream | JpegStream | ImageStream | None = None
        self._codec = ""
        self._dropped: Counter[str] = Counter()

    def take(self, carrier: Carrier, log_ns: int, values: tuple[Any, ...]) -> None:
        """Take a message: the values of its carrier's fields, in their order. Raises InputError for an unknown form."""
        value = dict(zip(carrier.fields, values, strict=True))
        stamp_ns = value["sec"] * 10**9 + value["nanosec"] if "sec" in value else 0
        data = value["data"]
        # Of a video, pictures lean on those before them.
        stills = self._writer if self.part is not WHOLE and not isinstance(self._writer, PacketStream) else None
        if stills is not None and self._is_far(stamp_ns, log_ns):
            stills.pass_over(stamp_ns, log_ns)
            return
        self._table.messages += 1
        if len(data) == 0:
            self._dropped["empty"] += 1
        elif carrier.kind == PACKET:
            codec = self._codec or _known_codec(text(value["encoding"]))
            flag = bool(value["flags"] & 1)
            self._take_packet(codec, stamp_ns, log_ns, data, value["pts"] & COUNTER_BITS, flag)
        elif carrier.kind == IMAGE:
            if isinstance(writer := self._write_as("raw"), ImageStream):
                size = (value["height"], value["width"])
                encoding, big = text(value["encoding"]), bool(value.get("big_endian", 0))
                writer.take_raw(stamp_ns, log_ns, data, *size, encoding, value["step"], big_endian=big)
        else:
            self._take_compressed(stamp_ns, log_ns, data, text(value["format"]))

    def skip(self, why: str) -> None:
        """Count a message that could not be read."""
        self._table.messages += 1
        self._dropped[why] += 1

    def finish(self) -> Video:
        """Close the video. Raises InputError where no picture could be written."""
        if self._table.messages == 0:
            raise InputError("no_frames", "its topic has no message in this part of the bag")
        if self._writer is None:
            raise InputError("undecodable", f"its {self._table.messages} messages: {counted(self._dropped)}")
        video = self._writer.finish()
        start_ns = self.part.start_ns
        outside = video is not None and start_ns is not None and video.frames.stop_ns <= start_ns
        if self.part != WHOLE and (outside or not len(self._table)):
            raise InputError("no_frames", "its topic has no picture in this part of the bag")
        if video is None:
            raise InputError("undecodable", f"none of its {self._table.messages} messages holds a whole picture")
        video.dropped += self._dropped
        video.stamps = dict(self._table.times.counts)
        steps = self._table.times.steps()
        if steps:
            video.stamps["clock_steps"] = len(steps)
            said = [f"by {step.step_ns / 1e9:+.3f} s at its picture {step.message}" for step in steps[:MAX_SAID]]
            video.notes.append(f"the clock of its stamps was set {', '.join(said)}")
        return video

    def discard(self) -> None:
        """Let go of the file."""
        self._writer = None

    def _is_far(self, stamp_ns: int, log_ns: int) -> bool:
        """Whether stamp and log time agree that a picture lies outside of the part: it need not be looked at."""
        times = [log_ns - self._stamps.lag_ns]
        if stamp_ns and self._time != "log":
            times.append(stamp_ns + self._stamps.offset_ns)
        return self.part.is_over(min(times) - NEAR_NS) or not self.part.has_begun(max(times) + NEAR_NS)

    def _take_packet(
        self, codec: str, stamp_ns: int, log_ns: int, data: memoryview, counter: int, keyframe: bool | None
    ) -> None:
        if isinstance(writer := self._write_as(codec), PacketStream):
            writer.take(stamp_ns, log_ns, data, counter, keyframe)

    def _take_compressed(self, stamp_ns: int, log_ns: int, data: memoryview, form: str) -> None:
        """Stills are known by their first bytes, whatever the format says; video by its format."""
        if data[:2] == JPEG:
            if isinstance(writer := self._write_as("jpeg"), JpegStream):
                writer.take(stamp_ns, log_ns, data)
        elif data[:8] == PNG:
            if isinstance(images := self._write_as("png"), ImageStream):
                images.take_png(stamp_ns, log_ns, data)
        elif DEPTH in form.lower():
            if isinstance(images := self._write_as("depth"), ImageStream):
                images.take_depth(stamp_ns, log_ns, data, form)
        elif frame_codecs.codec_of(form):
            self._take_packet(_known_codec(form), stamp_ns, log_ns, data, -1, None)
        elif self._writer is not None or STILL.search(form):
            self._dropped["not what its format says"] += 1
        else:
            raise InputError(
                "unsupported", f"its format `{form}` cannot be exported; known: {frame_codecs.KNOWN}, jpeg, png"
            )

    def _write_as(self, codec: str) -> PacketStream | JpegStream | ImageStream | None:
        """The writer for this codec; None if the camera has begun with another one."""
        if self._writer is None:
            self._codec = codec
            if codec == "jpeg":
                self._writer = JpegStream(self._path, self._table, self.part)
            elif codec in ("png", "raw", "depth"):
                self._writer = ImageStream(self._path, self._table, self._coding, self.part)
            else:
                self._writer = PacketStream(self._path, self._table, codec, self.part)
        if codec == self._codec:
            return self._writer
        self._dropped["of another codec"] += 1
        return None


def is_video(carrier: Carrier, value: dict[str, Any]) -> bool:
    """Whether pictures lean on those before them. value: the fields of a message by their roles."""
    if carrier.kind == COMPRESSED:
        return frame_codecs.codec_of(text(value["format"])) is not None
    return carrier.kind == PACKET


def can_begin(carrier: Carrier, value: dict[str, Any]) -> bool:
    """Whether a camera's video can begin with this message."""
    if not is_video(carrier, value):
        return len(value["data"]) > 0
    codec = frame_codecs.codec_of(text(value["encoding" if carrier.kind == PACKET else "format"]))
    if codec is None or not frame_codecs.is_packet(value["data"], codec):
        return False
    key = bool(value.get("flags", 0) & 1) or frame_codecs.is_keyframe(value["data"], codec)
    return key and bool(frame_codecs.beginning(value["data"], codec))


def counted(dropped: Counter[str]) -> str:
    """Counts by reason as text, e.g. "3 before the first keyframe, 1 corrupt"."""
    return ", ".join(f"{count} {reason}" for reason, count in sorted(dropped.items()))


def _known_codec(encoding: str) -> str:
    codec = frame_codecs.codec_of(encoding)
    if codec is None:
        raise InputError("unsupported", f"its encoding `{encoding}` cannot be exported; known: {frame_codecs.KNOWN}")
    return codec
