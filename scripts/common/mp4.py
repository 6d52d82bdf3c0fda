"""MP4 files, the same bytes on every run: how they and their streams of pictures and sound are opened."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container.output import OutputContainer
from av.video.reformatter import ColorRange

from scripts.common.encoder import Coding

# No date, no version of the library.
SAME_BYTES = {"fflags": "+bitexact"}
# HEVC under this tag plays everywhere; `hev1` does not.
TAGS = {"hevc": "hvc1"}
# Layouts of so many channels.
LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
# PyAV writes beyond the planes of a frame of so many channels; packed, it has one.
TOO_MANY_PLANES = 8
SOUND_BLOCK = 1024


def create(path: Path, **options: str) -> OutputContainer:
    """A new MP4. options: of ffmpeg's muxer."""
    return av.open(f"file:{path}", "w", format="mp4", options={**SAME_BYTES, **options})


def add_pictures(container: OutputContainer, coding: Coding, rate: Fraction, *, threads: int, **options: str) -> Any:
    """A stream of pictures to be encoded. rate: pictures a second. options: besides those of the coding."""
    stream: Any = container.add_stream(coding.name, rate=rate, options={**coding.options, **options})
    context = stream.codec_context
    context.thread_count = threads
    tag(stream, coding.codec)
    make_bitexact(context)
    return stream


def tag(stream: Any, codec: str) -> None:
    """Give a stream, encoded or copied, the tag by which players know its codec."""
    if codec in TAGS:
        stream.codec_context.codec_tag = TAGS[codec]


def add_sound(container: OutputContainer, codec: str, rate_hz: int, channels: int) -> Any:
    """A stream of sound to be encoded by ffmpeg's encoder `codec`."""
    stream: Any = container.add_stream(codec, rate=rate_hz, layout=LAYOUTS[channels])
    stream.codec_context.thread_count = 1
    make_bitexact(stream.codec_context)
    return stream


def make_bitexact(context: Any) -> None:
    """Let an encoder, or a decoder, give the same everywhere."""
    context.flags |= av.codec.context.Flags.bitexact.value


def take_form(context: Any, picture: av.VideoFrame) -> None:
    """Let an encoder take yuv420p of limited range with the size and colours of a picture."""
    context.width, context.height = picture.width, picture.height
    context.pix_fmt = "yuv420p"
    context.color_range = ColorRange.MPEG
    context.colorspace = picture.colorspace
    context.color_primaries, context.color_trc = picture.color_primaries, picture.color_trc


def sound_frame(block: np.ndarray, first: int, rate_hz: int, form: str = "fltp") -> av.AudioFrame:
    """Samples, (channels, N), for an encoder. first: the number of the first of them. form: of the samples, planar."""
    layout = LAYOUTS[len(block)]
    if len(block) >= TOO_MANY_PLANES:
        block, form = block.T.reshape(1, -1), form.removesuffix("p")
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format=form, layout=layout)
    frame.sample_rate, frame.time_base, frame.pts = rate_hz, Fraction(1, rate_hz), first
    return frame
