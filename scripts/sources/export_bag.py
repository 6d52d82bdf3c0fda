"""Exports every stream of a bag in one pass: packets as they are, with true times; sounds with their clocks."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from scripts.common import atomic, ledger, manifest
from scripts.common.empty import write_empty
from scripts.common.errors import InputError
from scripts.common.job import progress, run
from scripts.common.names import nearest
from scripts.sources.bag_reader import Bag, Topic
from scripts.sources.carriers import PICTURES, SOUND_INFO, SOUNDS, Carrier, recognise
from scripts.sources.message_layout import CorruptMessage, Read, compile_reader
from scripts.sources.picture_stream import PictureStream, counted
from scripts.sources.sound_stream import SoundStream

# A larger message is left out: no picture and no block of sound is so large.
MAX_MESSAGE_BYTES = 256 * 2**20
# A recording that begins later than its bag is read from so much before: encoded video begins with a keyframe.
PRE_ROLL_S = 10.0
SOUND_SETTINGS = ("stamp", "latency_ms", "rate_hz", "channels", "sample_format")

log = logging.getLogger("rushes")


@dataclass
class Declared:
    """A camera (kind "video") or microphone ("sound") of the rig, on its way from topic to file.

    media, table: its two outputs. writer: takes its messages. error: why it cannot be had. entry: for the manifest.
    """

    name: str
    kind: str
    setting: dict[str, Any]
    media: Path
    table: Path
    writer: PictureStream | SoundStream | None = None
    error: InputError | None = None
    count: int = 0
    note: str = ""
    entry: dict[str, Any] = field(default_factory=dict)

    @property
    def topic(self) -> str:
        """Name of its topic."""
        return str(self.setting["topic"])

    def fail(self, error: InputError) -> None:
        """Give it up: its outputs become whole and empty."""
        if self.writer is not None:
            self.writer.discard()
        self.writer, self.error = None, error
        self.entry = manifest.failed_entry(self.kind, error.reason, error.message, topic=self.topic)
        for path in (self.media, self.table):
            atomic.remove(path)
            write_empty(path, path.name)

    def row(self, recording: str) -> ledger.Row:
        """Its row of the ledger."""
        if self.error is not None:
            reason, message = self.error.reason, self.error.message
            return ledger.Row("export_bag", recording, self.name, "failed", reason, message=message)
        return ledger.Row("export_bag", recording, self.name, "written", value=self.count, message=self.note)


@dataclass(frozen=True)
class Taker:
    """Gives the messages of one connection to one stream."""

    stream: Declared
    carrier: Carrier
    read: Read

    def take(self, log_ns: int, raw: bytes) -> None:
        """Take a message; what cannot be read is counted by the stream."""
        writer = self.stream.writer
        if writer is None:
            return
        try:
            if len(raw) > MAX_MESSAGE_BYTES:
                writer.skip(f"larger than {MAX_MESSAGE_BYTES // 2**20} MB")
            elif self.carrier.kind == SOUND_INFO:
                assert isinstance(writer, SoundStream)
                writer.take_info(self.carrier, self.read(raw))
            else:
                writer.take(self.carrier, log_ns, self.read(raw))
        except CorruptMessage:
            writer.skip("corrupt")
        except InputError as error:
            self.stream.fail(error)
        except av.FFmpegError as error:
            self.stream.fail(InputError("undecodable", f"its pictures cannot be written: {error.strerror}"))


def export_bag(
    bag: list[Path],
    out_videos: list[Path],
    out_frames: list[Path],
    out_sounds: list[Path],
    out_clocks: list[Path],
    out_manifest: Path,
    out_ledger: Path,
    *,
    recording: str,
    cameras: dict[str, dict[str, Any]],
    microphones: dict[str, dict[str, Any]],
    crf: int,
    start_s: float = 0.0,
    stop_s: float = 0.0,
) -> None:
    """Read `bag` (one file, or all of a folder) once and write every declared stream.

    crf: of h264, for pictures that must be encoded; start_s, stop_s: the part that is wanted, seconds after the bag's
    first message, 0: all. A stream that cannot be had is a `failed` row and has whole, empty outputs. Raises
    InputError if the bag itself cannot be read.
    """
    streams = [
        *_declare("video", cameras, out_videos, out_frames),
        *_declare("sound", microphones, out_sounds, out_clocks),
    ]
    try:
        with Bag(bag) as source:
            start_ns = source.start_ns + round(start_s * 1e9) if start_s else 0
            stop_ns = source.start_ns + round(stop_s * 1e9) if stop_s else None
            for stream in streams:
                _open(stream, source, crf, start_ns)
            takers = _find_takers(streams, source)
            _feed(source, takers, start_ns, stop_ns)
            topics = _list_topics(source, takers)
    finally:
        for stream in streams:
            if stream.writer is not None and not topics_read(stream):
                ...
