"""Clips whose whole GOPs are copied and whose edges alone are encoded: nearly as fast as a copy, exact to the frame.

An edge carries parameter sets of its own inside the stream, under ids that the source's do not have, so that one track
holds both. Sound is trimmed by time and encoded, as in an exact clip.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from scripts.common import mp4
from scripts.common.encoder import Coding
from scripts.common.video_item import ItemReader
from scripts.datasets.clip_writer import ENCODER_THREADS, add_sound, sound_blocks
from scripts.datasets.decode_times import decode_times

START = b"\0\0\1"
# Types of NAL units: a slice of an IDR picture, an access unit delimiter.
IDR, DELIMITER = 5, 9
# The edges' parameter sets; x264 and the encoders of cameras number theirs from 0.
SET_ID = 31
FORMAT = "yuv420p"


@dataclass(frozen=True)
class Packet:
    """What is known of a packet before it is read: ticks of the file, and whether decoding may start at it."""

    pts: int
    idr: bool


@dataclass(frozen=True)
class Pieces:
    """A clip in ticks of the file: [start, copy_from) is encoded, [copy_from, copy_until) copied, the rest encoded.

    copied: the times of the copied packets in the order of the file.
    """

    start: int
    copy_from: int
    copy_until: int
    stop: int
    copied: tuple[int, ...]


def pieces_of(packets: Sequence[Packet], start: int, stop: int) -> Pieces | None:
    """How a clip is put together; None if no whole GOP lies in it.

    packets: in the order of the file, from the keyframe before `start` to beyond `stop`.
    """
    keys = [packet.pts for packet in packets if packet.idr and start <= packet.pts]
    last = max((packet.pts for packet in packets), default=start)
    bounds = [key for key in keys if key <= stop]
    if last < stop and bounds:
        # The file ends inside the clip: its last GOP is whole, too.
        bounds.append(stop)
    if len(bounds) < 2 or bounds[0] == bounds[-1]:
        return None
    inner = tuple(packet.pts for packet in packets if bounds[0] <= packet.pts < bounds[-1])
    return Pieces(start, bounds[0], bounds[-1], stop, inner)


class SmartCutter:
    """Cuts clips of one item. `fits` says whether its video can be put together at all."""

    def __init__(self, url: str, video: dict[str, Any], audio: dict[str, Any]) -> None:
        """video, audio: `crf` and `preset`, and `bitrate`, of what is encoded."""
        self._url, self._video, self._audio = url, video, audio
        with ItemReader(url) as source:
            self.fits = source.video is not None and _fits(source.video)
            self.time_base = source.video.time_base if self.fits else Fraction(1)

    def cut(self, path: Path, start_s: Fraction, stop_s: Fraction, sound: tuple[np.ndarray, int] | None) -> bool:
        """Write the clip [start_s, stop_s) of the file's own times.

        False if no whole GOP lies in it, or an edge does not decode as a whole.
        """
        start, stop = (math.ceil(instant / self.time_base) for instant in (start_s, stop_s))
        packets = self._packets(start, stop)
        pieces = pieces_of(packets, start, stop)
        if pieces is None:
            return False
        head = self._encoded(pieces.start, pieces.copy_from)
        tail = self._encoded(pieces.copy_until, pieces.stop)
        if head is None or tail is None:
            return False
        edges = [(pieces.start, pieces.copy_from), (pieces.copy_until, pieces.stop)]
        if len(head) + len(tail) < sum(low <= packet.pts < high for packet in packets for low, high in edges):
            return False
        origin = round(start_s / self.time_base)
        shown = [pts for pts, _ in head] + list(pieces.copied) + [pts for pts, _ in tail]
        with (
            ItemReader(self._url) as source,
            mp4.create(path) as target,
        ):
            video = target.add_stream_from_template(source.video)
            audio = add_sound(target, sound, self._audio["bitrate"])
            times = iter(decode_times([pts - origin for pts in shown]))
            for pts, data, key in self._every(source, head, pieces, tail):
                packet = av.Packet(data)
                packet.stream, packet.time_base = video, self.time_base
                packet.pts, packet.dts, packet.is_keyframe = pts - origin, next(times), key
                target.mux(packet)
            if audio is not None and sound is not None:
                for block in sound_blocks(*sound):
                    target.mux(audio.encode(block))
                target.mux(audio.encode(None))
        return True

    def _packets(self, start: int, stop: int) -> list[Packet]:
        found = []
        with ItemReader(self._url) as source:
            for packet in source.packets(start=start * self.time_base):
                if packet.pts is None:
                    continue
                found.append(Packet(packet.pts, packet.is_keyframe and _has_idr(bytes(packet))))
                if packet.is_keyframe and packet.pts >= stop:
                    break
        return found

    def _encoded(self, start: int, stop: int) -> list[tuple[int, bytes]] | None:
        """The pictures shown in [start, stop), each an access unit in the order of showing; None if interlaced."""
        encoder: Any = None
        made: list[Any] = []
        if start >= stop:
            return []
        with ItemReader(self._url) as reader:
            for picture, instant in reader.pictures(start=start * self.time_base):
                pts = round(instant / self.time_base)
                if pts >= stop:
                    break
                if pts < start:
                    continue
                if picture.interlaced_frame:
                    return None
                encoder = encoder or self._encoder(picture)
                picture.pts, picture.time_base = pts, self.time_base
                picture.pict_type = av.video.frame.PictureType.NONE
                made += encoder.encode(picture)
        made += encoder.encode(None) if encoder else []
        return [(int(packet.pts), _length_prefixed(bytes(packet))) for packet in made]

    def _encoder(self, picture: av.VideoFrame) -> Any:
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, FORMAT
        encoder.time_base, encoder.thread_count = self.time_base, ENCODER_THREADS
        encoder.color_range, encoder.colorspace = picture.color_range, picture.colorspace
        encoder.color_primaries, encoder.color_trc = picture.color_primaries, picture.color_trc
        mp4.make_bitexact(encoder)
        more = f":sps-id={SET_ID}:bframes=0:repeat-headers=1"
        options = Coding("h264", self._video["crf"], self._video["preset"]).options
        encoder.options = {**options, "x264-params": options["x264-params"] + more}
        return encoder

    def _every(
        self, source: ItemReader, head: list[tuple[int, bytes]], pieces: Pieces, tail: list[tuple[int, bytes]]
    ) -> Iterator[tuple[int, bytes, bool]]:
        for number, (pts, data) in enumerate(head):
            yield pts, data, number == 0
        left = len(pieces.copied)
        for packet in source.packets(start=pieces.copy_from * self.time_base):
            if not left:
                break
            if packet.pts is not None and pieces.copy_from <= packet.pts < pieces.copy_until:
                left -= 1
                yield packet.pts, bytes(packet), packet.is_keyframe
        for number, (pts, data) in enumerate(tail):
            yield pts, data, number == 0


def _fits(stream: Any) -> bool:
    """8-bit h264 whose packets have 4-byte lengths: what the edges can be like."""
    context = stream.codec_context
    extra = context.extradata or b""
    return context.name == "h264" and context.pix_fmt == FORMAT and extra[:1] == b"\1" and extra[4] & 3 == 3


def _has_idr(data: bytes) -> bool:
    place = 0
    while place + 4 < len(data):
        if data[place + 4] & 31 == IDR:
            return True
        place += 4 + int.from_bytes(data[place : place + 4], "big")
    return False


def _length_prefixed(data: bytes) -> bytes:
    """NAL units behind start codes as units behind their lengths, as MP4 has them."""
    units = [unit.rstrip(b"\0") for unit in data.split(START)]
    return b"".join(len(u).to_bytes(4, "big") + u for u in units if u and u[0] & 31 != DELIMITER)
