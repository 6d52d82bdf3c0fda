"""An item of a lot as its reader sees it: pictures and sound of an untrusted file, opened where it stands."""

import heapq
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import av
import numpy as np

from scripts.common.clock import Clock, Segment
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.packets import NUMBERED, instant_of, is_broken, packets, packets_from
from scripts.common.timeline import NS
from scripts.common.video import OPEN_OPTIONS, matrix_turn

# A file of its own, and nothing that it names.
PROTOCOLS = {"protocol_whitelist": "file,subfile"}
# More threads would be taken from the items that are decoded beside this one.
THREADS = 1
MAX_HOLE_S = 600
# No camera's pixels are longer.
MAX_STRETCH = Fraction(4)


def open_item(url: str) -> Any:
    """Open an item. Raises InputError if it is no medium."""
    try:
        return av.open(url, options=PROTOCOLS, **OPEN_OPTIONS)
    except av.error.FFmpegError as error:
        if not is_broken(error):
            raise
        raise InputError("unreadable", f"it cannot be read ({error.strerror or type(error).__name__})") from None


class ItemReader:
    """Pictures and facts of an item; time 0 is the earlier of its first picture and its first sound."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.undecoded = 0
        # Whether its packets have the numbers in which they are decoded in place of times.
        self.numbered = False
        self._open()

    def _open(self) -> None:
        self._container = open_item(self._url)
        # A cover is no film.
        videos = [
            s for s in self._container.streams.video if not int(s.disposition) & int(av.stream.Disposition.attached_pic)
        ]
        self.video: Any = videos[0] if videos else None
        sounds = [stream for stream in self._container.streams.audio if stream.codec_context is not None]
        self.audio: Any = sounds[0] if sounds else None
        if self.video is not None:
            if self.video.codec_context is None:
                self._container.close()
                raise InputError("unreadable", "nothing here decodes the codec of its pictures")
            self.numbered = self._container.format.name in NUMBERED and _reorders(self.video.codec_context)
            # Not later: a decoder that has begun takes no other number.
            self.video.codec_context.thread_count, self.video.codec_context.thread_type = THREADS, "NONE"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._container.close()

    def facts(self) -> dict[str, Any]:
        """Codec data of the first video and audio stream."""
        duration = self._container.duration
        facts: dict[str, Any] = {
            "container": self._container.format.name.split(",")[0],
            "duration_s": duration / av.time_base if duration and duration > 0 else 0.0,
            "width": 0,
            "height": 0,
            "fps": "",
            "video_codec": "",
            "pixel_format": "",
            "audio_codec": "",
            "rate_hz": 0,
            "channels": 0,
        }
        if self.video is not None:
            context = self.video.codec_context
            rate = self.video.average_rate or self.video.guessed_rate
            facts |= {"width": context.width, "height": context.height, "fps": str(rate or "")}
            facts |= {"video_codec": context.codec.canonical_name, "pixel_format": context.pix_fmt or ""}
        if self.audio is not None:
            context = self.audio.codec_context
            facts |= {"audio_codec": context.codec.canonical_name}
            facts |= {"rate_hz": context.sample_rate, "channels": context.channels}
        return facts

    def pictures(
        self, wanted: Callable[[Fraction], bool] | None = None, *, start: Fraction | None = None
    ) -> Iterator[tuple[av.VideoFrame, Fraction]]:
        """Pictures in display order with their times; what the decoder refuses is counted.

        start: begin with a keyframe that is shown at this time of the file, or before it; without it, go on.
        A picture that is not later than the one before it is left out and counted, too; those are left out that are
        not `wanted` and that no other is predicted from.
        """
        last = None
        order = _DisplayOrder(self)
        for packet in self.packets(start=start):
            order.decode(packet)
            if wanted is not None and not self.numbered:
                here = instant_of(packet)
                self.video.codec_context.skip_frame = "DEFAULT" if here is None or wanted(here) else "NONREF"
            try:
                decoded = self.video.decode(packet)
            except av.error.FFmpegError:
                self.undecoded += 1
                order.lose(packet)
                continue
            for picture in decoded:
                instant = order.show(picture)
                if instant is None or (last is not None and instant <= last):
                    self.undecoded += 1
                else:
                    last = instant
                    # Side data and their picture hold each other until the next garbage collection, so they are
                    # asked for when the angle changes alone.
                    if picture.rotation:
                        picture.opaque = list(matrix_turn(picture))
                    yield picture, instant
            self.undecoded += order.passed()

    def packets(self, *, start: Fraction | None = None, sound: bool = False) -> Iterator["av.Packet[Any]"]:
        """Packets of the pictures (of the sound, where there are none) in the order of the file, and of the sound, too.

        start: those of the pictures begin with a keyframe that is shown at this time of the file, or before it; where
        the file has none, or only numbers, with the first of all.
        """
        if start is None:
            yield from packets(self._container, self._streams(sound))
            return
        found = None if self.numbered else packets_from(self._container, self._streams(sound), start)
        if found is None:
            self._container.close()
            self._open()
        yield from found or packets(self._container, self._streams(sound))

    def _streams(self, sound: bool) -> list[Any]:
        streams = [self.video, self.audio if sound or self.video is None else None]
        return [stream for stream in streams if stream is not None]

    @property
    def pixel_shape(self) -> Fraction:
        """Width of a pixel over its height in pictures as they are coded; 1 where the file says none, or nonsense."""
        ratio: Fraction | None = self.video.sample_aspect_ratio
        return ratio if ratio and 1 / MAX_STRETCH <= ratio <= MAX_STRETCH else Fraction(1)

    def packet_times(self) -> Iterator[tuple[Fraction, bool]]:
        """When each packet of the video is shown, and whether it is a keyframe, in the order of the file."""
        for packet in self.packets():
            shown = _number_of(packet) if self.numbered else instant_of(packet)
            if shown is not None:
                yield shown, packet.is_keyframe

    def start(self, first_picture: Fraction | None) -> Fraction:
        """Time 0 in the file's own times."""
        starts = [first_picture] if first_picture is not None else []
        if self.audio is not None and self.audio.start_time is not None:
            # An encoder's lead-in is no sound.
            starts.append(max(self.audio.start_time * self.audio.time_base, Fraction(0)))
        return min(starts, default=Fraction(0))

    def clock(self) -> Clock | None:
        """The clock of the sound by its container, without decoding it; None if there is none."""
        if self.audio is None or not self.audio.codec_context.sample_rate:
            return None
        rate = self.audio.codec_context.sample_rate
        length = (self.audio.duration or 0) * self.audio.time_base
        if not length and self._container.duration:
            length = Fraction(self._container.duration, av.time_base)
        start = (self.audio.start_time or 0) * self.audio.time_base
        samples = round(length * rate)
        start_ns = round(max(start, Fraction(0)) * NS)
        channels = self.audio.codec_context.channels
        return Clock(start_ns, float(rate), rate, samples, channels, segments=[Segment(0, start_ns, samples)])


class _DisplayOrder:
    """When the pictures of an item are shown; those of numbered packets in the order in which they are decoded."""

    def __init__(self, reader: ItemReader) -> None:
        self._reader = reader
        self._waiting: list[Fraction] = []

    def decode(self, packet: "av.Packet[Any]") -> None:
        """The next packet."""
        number = _number_of(packet) if self._reader.numbered and packet.size else None
        if number is not None:
            heapq.heappush(self._waiting, number)

    def lose(self, packet: "av.Packet[Any]") -> None:
        """It has no picture."""
        with suppress(ValueError):
            self._waiting.remove(_number_of(packet) or Fraction(0))
            heapq.heapify(self._waiting)

    def show(self, picture: av.VideoFrame) -> Fraction | None:
        """The time of the next picture."""
        return heapq.heappop(self._waiting) if self._waiting else instant_of(picture)

    def passed(self) -> int:
        """How many more packets than the decoder holds back are without a picture; their time is over."""
        over = max(0, len(self._waiting) - self._reader.video.codec_context.reorder_depth)
        for _ in range(over):
            heapq.heappop(self._waiting)
        return over


def _number_of(packet: "av.Packet[Any]") -> Fraction | None:
    return None if packet.dts is None or packet.time_base is None else packet.dts * packet.time_base


def _reorders(context: Any) -> bool:
    """Whether pictures come in another order than their packets, which ffmpeg does not foresee of these codecs."""
    return context.codec.canonical_name in ("h264", "hevc") and context.reorder_depth > 0


def origin_of(frames: FrameTable) -> Fraction:
    """Where an item's time 0 stands in its file, in seconds; 0 for an item without pictures."""
    if not len(frames):
        return Fraction(0)
    return Fraction(int(frames.pts_us[0]) * 1000 - int(frames.time_ns[0]), 10**9)


def read_sound(url: str, origin: Fraction) -> tuple[np.ndarray, int] | None:
    """The first sound of an item as float32 (channels, N) with its rate; sample 0 stands at `origin` in the file.

    What is missing at the start or in a hole is silence. None if there is no sound, or none that decodes.
    """
    with open_item(url) as container:
        streams = [found for found in container.streams.audio if found.codec_context is not None]
        if not streams:
            return None
        stream = streams[0]
        stream.codec_context.thread_count = THREADS
        rate = stream.codec_context.sample_rate
        # Not planar: PyAV reads beyond the planes of a frame of eight channels or more.
        resampler = av.AudioResampler(format="flt")
        blocks: list[tuple[int, np.ndarray]] = []
        place = None
        for packet in packets(container, [stream]):
            try:
                decoded = stream.decode(packet)
            except av.error.FFmpegError:
                continue
            for block in decoded:
                instant = instant_of(block)
                # Within a few samples of where the last block ended, it follows it: containers round.
                here = place if instant is None else round((instant - origin) * rate)
                if place is not None and here is not None and abs(here - place) <= rate // 200:
                    here = place
                for part in resampler.resample(block):
                    samples = part.to_ndarray().reshape(-1, part.layout.nb_channels).T
                    blocks.append((here or 0, samples))
                    here = (here or 0) + samples.shape[1]
                place = here
    if not blocks:
        return None
    decoded_samples = sum(samples.shape[1] for _, samples in blocks)
    # A stamp beyond any length that the sound can have is no time.
    blocks = [(start, samples) for start, samples in blocks if abs(start) <= 2 * decoded_samples + MAX_HOLE_S * rate]
    length = max((start + samples.shape[1] for start, samples in blocks), default=0)
    channels = max((samples.shape[0] for _, samples in blocks), default=1)
    sound = np.zeros((channels, max(0, length)), np.float32)
    for start, samples in blocks:
        if samples.shape[0] != channels:
            continue
        skipped = max(0, -start)
        sound[:, start + skipped : start + samples.shape[1]] = samples[:, skipped:]
    return sound, rate
