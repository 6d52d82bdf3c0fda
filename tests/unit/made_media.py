"""Media files whose every picture carries its number and whose every time is known."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

from rushes.synthetic.bars import draw_number, read_number
from scripts.common import ledger, manifest
from scripts.common.clock import Clock
from scripts.common.frame_table import FrameTable
from scripts.common.packets import instant_of
from scripts.common.video import VideoReader, plane_arrays, upright
from scripts.sources.import_video import import_video

TICK = Fraction(1, 90_000)
NS = 1_000_000_000

# 29.97 a second with every seventh picture late: no constant rate.
UNEVEN = [k * 1001 / 30000 + 0.011 * (k % 7 == 3) for k in range(40)]
# A second at 48 kHz.
TONE = (8000 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)).astype(np.int16)


def numbered(number: int, width: int = 160, height: int = 120) -> np.ndarray:
    """A grey picture, uint8 (height, width), with its number as a bar code."""
    image = np.full((height, width), 60 + number * 7 % 120, np.uint8)
    draw_number(image, number)
    return image


def picture_of(image: np.ndarray) -> av.VideoFrame:
    """The grey picture as yuv420p, of any size."""
    picture = av.VideoFrame(image.shape[1], image.shape[0], "yuv420p")
    luma, *chroma = plane_arrays(picture)
    luma[:] = image
    for plane in chroma:
        plane[:] = 128
    return picture


@dataclass
class Pictures:
    """A video stream to write. times_s: of each picture, in display order; draw: its picture from its number."""

    times_s: Sequence[Fraction | float]
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=dict)
    draw: Callable[[int], np.ndarray] = numbered
    pix_fmt: str = "yuv420p"
    rotation: int = 0
    mirrored: bool = False

    def start(self, container: Any) -> Any:
        """Add the stream to an output."""
        fixed = {"crf": "10", "preset": "ultrafast", "x264-params": "bframes=2:b-adapt=0:keyint=10:scenecut=0"}
        stream = container.add_stream(self.codec, rate=25, options=self.options or fixed)
        image = self.draw(0)
        stream.width, stream.height = image.shape[1], image.shape[0]
        stream.pix_fmt = self.pix_fmt
        stream.time_base = stream.codec_context.time_base = TICK
        if self.rotation or self.mirrored:
            stream.set_display_rotation(self.rotation, vflip=self.mirrored)
        return stream

    def packets(self, stream: Any) -> Iterable[Any]:
        """The stream's packets."""
        for number, time_s in enumerate(self.times_s):
            picture = picture_of(self.draw(number)).reformat(format=self.pix_fmt)
            picture.pts, picture.time_base = round(Fraction(time_s) / TICK), TICK
            yield from stream.encode(picture)
        yield from stream.encode(None)


@dataclass
class Sound:
    """A sound stream to write. blocks: (time of the first sample in s, int16 or int32 or float32 (N,)), mono."""

    blocks: Sequence[tuple[Fraction | float, np.ndarray]]
    rate_hz: int = 48_000
    codec: str = "pcm_s16le"

    def start(self, container: Any) -> Any:
        """Add the stream to an output."""
        stream = container.add_stream(self.codec, rate=self.rate_hz, layout="mono")
        stream.time_base = Fraction(1, self.rate_hz)
        return stream

    def packets(self, stream: Any) -> Iterable[Any]:
        """The stream's packets."""
        form = {"int16": "s16", "int32": "s32", "float32": "flt"}
        for time_s, samples in self.blocks:
            first = round(Fraction(time_s) * self.rate_hz)
            for offset in range(0, len(samples), 1024):
                piece = np.ascontiguousarray(samples[None, offset : offset + 1024])
                block = av.AudioFrame.from_ndarray(piece, format=form[piece.dtype.name], layout="mono")
                block.sample_rate, block.time_base = self.rate_hz, Fraction(1, self.rate_hz)
                block.pts = first + offset
                yield from stream.encode(block)
        yield from stream.encode(None)


def write_media(path: Path, *streams: Pictures | Sound, **options: str) -> Path:
    """Write the streams, in their order, interleaved by time."""
    with av.open(str(path), "w", options={"fflags": "+bitexact", **options}) as container:
        made = [(part, part.start(container)) for part in streams]
        packets = [packet for part, stream in made for packet in part.packets(stream)]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def numbers_in(path: Path) -> list[int | None]:
    """The number that each picture of a video carries, upright; None for one without."""
    with VideoReader(path) as reader:
        return [read_number(np.array(plane_arrays(upright(picture))[0])) for picture in reader]


def digests(path: Path, stream: int | None = None) -> list[tuple[Fraction | None, str]]:
    """Time and pixels of every picture."""
    with VideoReader(path, stream) as reader:
        return [
            (instant_of(picture), hashlib.md5(plane_arrays(picture)[0].tobytes()).hexdigest()) for picture in reader
        ]


@dataclass
class Imported:
    """What an import made of its sources."""

    folder: Path
    rows: list[ledger.Row]
    manifest: dict[str, Any]

    def video(self, name: str = "front") -> Path:
        """The video of a camera."""
        return self.folder / f"{name}.mp4"

    def frames(self, name: str = "front") -> FrameTable:
        """The frame table of a camera."""
        return FrameTable.read(self.folder / f"{name}.frames.parquet")

    def clock(self, name: str = "voice") -> Clock:
        """The clock of a microphone."""
        return Clock.read(self.folder / f"{name}.clock.json")

    def sound(self, name: str = "voice") -> np.ndarray:
        """The samples of a microphone as 16 bit values, (samples, channels)."""
        samples: np.ndarray = soundfile.read(self.folder / f"{name}.wav", dtype="int32", always_2d=True)[0] >> 16
        return samples

    @property
    def outcomes(self) -> dict[str, tuple[str, str | float | None]]:
        """Outcome of each stream, and its reason or count."""
        return {row.item: (row.outcome, row.reason or row.value) for row in self.rows}


def run_import(
    folder: Path,
    *source: Path,
    cameras: dict[str, dict[str, Any]] | None = None,
    microphones: dict[str, dict[str, Any]] | None = None,
    **settings: Any,
) -> Imported:
    """Import `source` into `folder`; without names there are a camera `front` and a microphone `voice`."""
    folder.mkdir(parents=True, exist_ok=True)
    cameras = {"front": {"file": 0}} if cameras is None else cameras
    microphones = {"voice": {"file": 0}} if microphones is None else microphones
    import_video(
        list(source),
        [folder / f"{name}.mp4" for name in cameras],
        [folder / f"{name}.frames.parquet" for name in cameras],
        [folder / f"{name}.wav" for name in microphones],
        [folder / f"{name}.clock.json" for name in microphones],
        folder / "manifest.json",
        folder / "export.ledger.parquet",
        recording="take",
        cameras=cameras,
        microphones=microphones,
        **settings,
    )
    rows = ledger.rows(ledger.read([folder / "export.ledger.parquet"]))
    return Imported(folder, rows, manifest.read(folder / "manifest.json"))
