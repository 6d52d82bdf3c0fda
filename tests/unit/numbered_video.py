"""Videos whose pictures say their own number, in any container and codec: what a clip shows can be read off it."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.unit.shard_maker import RATE_HZ, tone

FPS = 25
BITS = 10
BLOCK_PX = 16


def numbered_video(
    path: Path,
    frames: int,
    *,
    codec: str = "libx264",
    gop: int = 50,
    options: dict[str, str] | None = None,
    sound: str = "",
) -> Path:
    """Pictures 0 … frames - 1 at 25 fps, each its number in bars of black and white; sound: codec of `tone`, "": none.

    options: of the encoder; B-frames as it likes.
    """
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream(codec, rate=FPS, options=options or {})
        video.width, video.height, video.pix_fmt = BITS * BLOCK_PX, 64, "yuv420p"
        video.codec_context.gop_size = gop
        video.codec_context.thread_count = 1
        audio = container.add_stream(sound, rate=RATE_HZ, layout="mono") if sound else None
        blocks = _blocks(audio, frames) if audio is not None else iter(())
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(_drawn(number), format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(picture))
            container.mux([packet for _ in range(2) for block in [next(blocks, None)] if block for packet in block])
        container.mux(video.encode(None))
        for packets in blocks:
            container.mux(packets)
        if audio is not None:
            container.mux(audio.encode(None))
    return path


def numbers_in(path: Path) -> list[int]:
    """The numbers of the pictures that a player shows, in order."""
    with av.open(str(path)) as container:
        return [number_of(picture.to_ndarray(format="gray")) for picture in container.decode(video=0)]


def times_in(path: Path) -> list[float]:
    """When they are shown, in seconds."""
    with av.open(str(path)) as container:
        return [float(picture.pts * picture.time_base) for picture in container.decode(video=0)]


def number_of(grey: np.ndarray) -> int:
    """The number that a picture shows."""
    middles = [grey[16:48, BLOCK_PX * bit + 5 : BLOCK_PX * bit + 11].mean() for bit in range(BITS)]
    return sum(1 << bit for bit, level in enumerate(middles) if level > 128)


def _drawn(number: int) -> np.ndarray:
    levels: Sequence[int] = [220 if number >> bit & 1 else 30 for bit in range(BITS)]
    row = np.repeat(np.array(levels, np.uint8), BLOCK_PX)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (64, BITS * BLOCK_PX, 3)))


def _blocks(audio: Any, frames: int) -> Iterator[Any]:
    samples = tone(frames * RATE_HZ // FPS)
    size = audio.codec_context.frame_size or 1024
    for start in range(0, len(samples), size):
        part = samples[None, start : start + size]
        block = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = RATE_HZ, start, Fraction(1, RATE_HZ)
        yield audio.encode(block)
