"""h264 as a bag carries it, in single packets, and as a file does. One thread: the same bytes always."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext

AUDIO_BLOCK = 1024
BITEXACT = Flags.bitexact


@dataclass(frozen=True)
class Packet:
    """An encoded picture, Annex B, parameter sets at keyframes; `frame`: its place in display order."""

    data: bytes
    frame: int
    keyframe: bool


def encode_packets(
    images: Iterable[np.ndarray],
    size: tuple[int, int],
    fps: Fraction,
    *,
    gop: int,
    b_frames: int,
    crf: int = 23,
) -> list[Packet]:
    """h264 packets in decode order.

    images: uint8 (H, W, 3), BGR; `size`: W, H in pixels, even; `gop`: frames from keyframe to keyframe.
    """
    context = av.CodecContext.create("libx264", "w")
    assert isinstance(context, VideoCodecContext)
    context.framerate = fps
    _set_up(context, size, 1 / fps, _x264_options(gop, b_frames, crf))
    packets = [packet for index, image in enumerate(images) for packet in context.encode(_frame(image, index, 1 / fps))]
    return [_packet(packet) for packet in packets + context.encode(None)]


def write_file(
    path: Path,
    images: Iterable[np.ndarray],
    size: tuple[int, int],
    fps: Fraction,
    sound: np.ndarray,
    rate_hz: int,
    *,
    video_start_s: Fraction,
    tick: Fraction,
    b_frames: int,
) -> None:
    """A .mov (PCM) or .mp4 (AAC) whose sound, int16 (N,), starts at 0, the first picture at `video_start_s`.

    images: uint8 (H, W, 3), BGR; `size`: W, H in pixels, even; `tick`: s, every picture's time is a multiple.
    """
    is_mov = path.suffix.lower() == ".mov"
    with av.open(str(path), "w", format="mov" if is_mov else "mp4", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", rate=fps)
        _set_up(video.codec_context, size, tick, _x264_options(round(fps), b_frames, crf=23))
        audio = container.add_stream("pcm_s16le" if is_mov else "aac", rate=rate_hz, layout="mono")
        audio.codec_context.flags |= BITEXACT
        blocks = _audio_blocks(sound, rate_hz)
        sounded_s = Fraction(0)
        for index, image in enumerate(images):
            time_s = video_start_s + index / fps
            container.mux(video.encode(_frame(image, round(time_s / tick), tick)))
            while sounded_s <= time_s and (block := next(blocks, None)):
                container.mux(audio.encode(block))
                sounded_s += Fraction(block.samples, rate_hz)
        for block in blocks:
            container.mux(audio.encode(block))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _x264_options(gop: int, b_frames: int, crf: int) -> dict[str, str]:
    fixed = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:b-adapt=0:b-pyramid=none"
    return {"preset": "veryfast", "crf": str(crf), "x264-params": f"{fixed}:cpu-independent=1"}


def _set_up(context: VideoCodecContext, size: tuple[int, int], tick: Fraction, options: dict[str, str]) -> None:
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.time_base = tick
    context.options = options
    context.thread_count = 1
    context.flags |= BITEXACT


def _frame(image: np.ndarray, pts: int, tick: Fraction) -> av.VideoFrame:
    planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.pts = pts
    frame.time_base = tick
    return frame


def _packet(packet: "av.Packet[Any]") -> Packet:
    assert packet.pts is not None
    return Packet(bytes(packet), packet.pts, packet.is_keyframe)


def _audio_blocks(sound: np.ndarray, rate_hz: int) -> Iterator[av.AudioFrame]:
    for first in range(0, len(sound), AUDIO_BLOCK):
        block = av.AudioFrame.from_ndarray(sound[None, first : first + AUDIO_BLOCK], format="s16", layout="mono")
        block.sample_rate = rate_hz
        block.time_base = Fraction(1, rate_hz)
        block.pts = first
        yield block
