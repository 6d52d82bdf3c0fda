"""The declared cameras and microphones of a bag, on their way from topic to file."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import av

from scripts.common import manifest
from scripts.common.errors import InputError
from scripts.sources.bag_reader import Topic
from scripts.sources.carriers import SOUND_INFO, Carrier
from scripts.sources.image_stream import ImageCoding
from scripts.sources.imported import Imported
from scripts.sources.message_layout import CorruptMessageError, Read
from scripts.sources.picture_stream import PictureStream
from scripts.sources.pixel_formats import FloatRange
from scripts.sources.sound_stream import SoundStream
from scripts.sources.stamp_belief import UNKNOWN, StampTimes
from scripts.sources.stretches import Move, moved_stamp
from scripts.sources.wanted_part import WHOLE, Part

SOUND_SETTINGS = ("stamp", "latency_ms", "rate_hz", "channels", "sample_format")

# What may be wrong with stamps, for a person.
STAMPS = {
    "zero_stamps": "stamps of zero, replaced by the log time less the usual delay",
    "log_times": "messages of a type without stamp, taken at their log time",
    "unbelievable_stamps": "stamps far from their log time, replaced by it less the usual delay",
    "clock_set": "times that the clock of the stamps was set",
    "clock_steps": "steps of the clock of the stamps",
    "repeated_stamps": "stamps that repeat the one before, moved between their neighbours",
    "stamps_out_of_order": "stamps out of order, moved between their neighbours",
    "early_stamps": "stamps that are early, alone among their neighbours, moved onto the line of those",
    "late_messages": "messages that came behind later ones, put where their stamps say",
    "jumps_back": "jumps back of the stamps by half a second or more, what follows is moved behind what was before",
}


@dataclass
class Declared(Imported):
    """A camera or microphone that messages become.

    type: of the messages. writer: takes them. stamps: what is known of its clock. part: what is wanted, by its own
    clock.
    """

    type: str = ""
    writer: PictureStream | SoundStream | None = None
    stamps: StampTimes = UNKNOWN
    part: Part = WHOLE
    _ahead_ns: int = 0

    @property
    def topic(self) -> str:
        """Name of its topic."""
        return str(self.setting["topic"])

    @property
    def time(self) -> str:
        """By what its messages are placed: auto, stamp or log."""
        return str(self.setting.get("time", "auto"))

    def open(self, topic: Topic, crf: int, delay_ns: int | None, offset_ns: int) -> None:
        """Make ready to take messages; see PictureStream and SoundStream."""
        self.type = topic.type
        believed = self.time == "stamp"
        if offset_ns:
            done = "believed, as `time: stamp` asks" if believed else "moved onto it"
            self.notes.append(f"its stamps are those of a clock {-offset_ns / 1e9:+.3f} s from the recording's, {done}")
        self.stamps = StampTimes(delay_ns, 0 if believed else offset_ns)
        # Of stamps that are believed though they are another clock's.
        self._ahead_ns = self.stamps.offset_ns - offset_ns
        if self.kind == "video":
            self.writer = PictureStream(self.media, time=self.time, coding=self._coding(crf), stamps=self.stamps)
        else:
            settings = {key: self.setting[key] for key in SOUND_SETTINGS if key in self.setting}
            self.writer = SoundStream(self.media, stamps=self.stamps, **settings)

    def want(self, part: Part) -> None:
        """Take only a part of the recording."""
        if self.writer is not None:
            self.part = self.writer.part = part.moved(self._ahead_ns)

    def on_recording_ns(self, time_ns: int) -> int:
        """An instant of its own on the recording's clock."""
        return time_ns - self._ahead_ns

    def _coding(self, crf: int) -> ImageCoding:
        low, high = self.setting.get("float_range") or (FloatRange.low, FloatRange.high)
        span = FloatRange(float(low), float(high), str(self.setting.get("float_unit", FloatRange.unit)))
        return ImageCoding(crf, str(self.setting.get("raw", "h264")), span)

    def finish(self) -> None:
        """Finish its files, or give it up."""
        try:
            if isinstance(self.writer, PictureStream):
                self._finish_video(self.writer)
            elif self.writer is not None:
                self._finish_sound(self.writer)
        except InputError as error:
            self.fail(error)
        except av.FFmpegError as error:
            self.fail(InputError("undecodable", f"its pictures cannot be written: {error.strerror}"))

    def fail(self, error: InputError) -> None:
        """Give it up: its outputs become whole and empty."""
        self.discard()
        self.error, self.notes = error, []
        self.write_empty()

    def entry(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return super().entry() | ({} if self.error is None else {"topic": self.topic})

    def discard(self) -> None:
        """Let go of its files."""
        if self.writer is not None:
            self.writer.discard()
        self.writer = None

    def _finish_video(self, writer: PictureStream) -> None:
        video = writer.finish()
        video.frames.write(self.table)
        self.count = len(video.frames)
        if video.lost:
            self.notes.append(
                f"packets lost in the bag: {video.lost}; frames tainted: {int(video.frames.tainted.sum())}"
            )
        self._note(video.dropped, video.stamps, video.notes, "frame")
        start_ns, stop_ns = self.part.start_ns, self.part.stop_ns
        first_ns, last_ns = video.frames.start_ns, video.frames.stop_ns
        self.facts = manifest.picture_entry(
            video.frames,
            topic=self.topic,
            type=self.type,
            codec=video.codec,
            width=video.width,
            height=video.height,
            copied=video.copied,
            lost_packets=video.lost,
            dropped=dict(video.dropped),
            stamps=video.stamps,
            **({"pixels": video.pixels} if video.pixels else {}),
            start_ns=first_ns if start_ns is None else max(first_ns, start_ns),
            stop_ns=last_ns if stop_ns is None else min(last_ns, stop_ns),
        )

    def _finish_sound(self, writer: SoundStream) -> None:
        sound = writer.finish()
        sound.clock.write(self.table)
        self.count = sound.clock.samples
        if sound.clock.gaps:
            missing_s = sum(gap.stop_sample - gap.start_sample for gap in sound.clock.gaps) / sound.clock.rate_hz
            self.notes.append(f"holes filled with zeros: {len(sound.clock.gaps)}, {missing_s:.3f} s in all")
        self._note(sound.dropped, sound.stamps, sound.notes, "sample")
        self.facts = manifest.sound_entry(
            sound.clock,
            topic=self.topic,
            type=self.type,
            sample_format=sound.sample_format,
            stamp=sound.stamp,
            latency_ms=sound.clock.latency_ms,
            residuals=sound.residuals,
            dropped=dict(sound.dropped),
            stamps=sound.stamps,
        )

    def _note(self, dropped: Counter[str], stamps: dict[str, int], notes: list[str], what: str) -> None:
        self.notes += [f"messages without a {what}, {reason}: {count}" for reason, count in sorted(dropped.items())]
        self.notes += [f"{STAMPS[fault]}: {count}" for fault, count in sorted(stamps.items())]
        self.notes += notes


@dataclass(frozen=True)
class Taker:
    """Gives the messages of one connection to one stream. max_bytes: larger ones are left out; moves: see Bag."""

    stream: Declared
    carrier: Carrier
    read: Read
    max_bytes: int
    moves: list[Move]

    def take(self, log_ns: int, raw: bytes | memoryview | None) -> None:
        """Take a message, None: one that is too large; what cannot be read is counted by the stream."""
        writer = self.stream.writer
        if writer is None:
            return
        try:
            if raw is None or len(raw) > self.max_bytes:
                self._skip(writer, log_ns, f"larger than {round(self.max_bytes / 2**20, 3):g} MB (max_message_mb)")
            elif self.carrier.kind != SOUND_INFO:
                writer.take(self.carrier, log_ns, self.values(log_ns, raw))
            elif isinstance(writer, SoundStream):
                writer.take_info(self.carrier, self.read(raw))
        except CorruptMessageError:
            self._skip(writer, log_ns, "corrupt")
        except InputError as error:
            self.stream.fail(error)
        except av.FFmpegError as error:
            self.stream.fail(InputError("undecodable", f"its pictures cannot be written: {error.strerror}"))

    def values(self, log_ns: int, raw: bytes | memoryview) -> tuple[Any, ...]:
        """Values of the carrier's fields, the stamp on the clock that the recording began with."""
        values = self.read(raw)
        if not self.moves or log_ns < self.moves[0].log_ns or "sec" not in self.carrier.fields:
            return values
        value = dict(zip(self.carrier.fields, values, strict=True))
        stamp_ns = value["sec"] * 10**9 + value["nanosec"]
        if stamp_ns:
            stamp_ns = moved_stamp(stamp_ns, log_ns, self.stream.stamps.delay_ns or 0, self.moves)
        value["sec"], value["nanosec"] = divmod(stamp_ns, 10**9)
        return tuple(value.values())

    def _skip(self, writer: PictureStream | SoundStream, log_ns: int, why: str) -> None:
        """What was only read on the way to the part is not counted."""
        if self.stream.part.holds(log_ns - self.stream.stamps.lag_ns):
            writer.skip(why)
