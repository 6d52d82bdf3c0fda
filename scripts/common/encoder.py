"""How a picture product is encoded: by a CPU encoder, or by a hardware encoder that falls back to it."""

import logging
from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext

CODECS = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1"}
NVENC = {"h264": "h264_nvenc", "hevc": "hevc_nvenc"}
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
# Constants, never the job's threads: what is made must not depend on the machine.
THREADS = 2
# A size that every hardware encoder takes.
PROBE = (320, 240)

log = logging.getLogger("rushes")


@dataclass(frozen=True)
class Coding:
    """codec: h264, hevc or av1 (by CPU alone); crf: lower is better; preset: x264's name; encoder: cpu or nvenc."""

    codec: str
    crf: int
    preset: str
    encoder: str = "cpu"

    @property
    def name(self) -> str:
        """ffmpeg's name of the encoder."""
        return (NVENC if self.encoder == "nvenc" else CODECS)[self.codec]

    @property
    def options(self) -> dict[str, str]:
        """ffmpeg's options of the encoder."""
        if self.encoder == "nvenc":
            # Constant quality: no bit rate, `cq` on the same scale as crf; p1 is the fastest of seven presets.
            step = 1 + PRESETS.index(self.preset) * 6 // (len(PRESETS) - 1)
            return {"preset": f"p{step}", "tune": "hq", "rc": "vbr", "cq": str(self.crf), "b": "0"}
        if self.codec == "av1":
            # Its presets go from 13, the fastest, to 0; a pass of one thread gives the same bytes everywhere.
            step = 12 - PRESETS.index(self.preset) * 10 // (len(PRESETS) - 1)
            return {"preset": str(step), "crf": str(self.crf), "svtav1-params": "lp=1"}
        same = {"crf": str(self.crf), "preset": self.preset}
        if self.codec == "hevc":
            return {**same, "x265-params": f"pools={THREADS}:frame-threads={THREADS}:log-level=error:info=0"}
        return {**same, "x264-params": "cpu-independent=1", "a53cc": "0"}

    @property
    def on_cpu(self) -> "Coding":
        """The same by the CPU."""
        return Coding(self.codec, self.crf, self.preset)


def usable(coding: Coding) -> Coding:
    """`coding`, or the same on the CPU where its encoder cannot be opened: no GPU, no driver, or one without it."""
    if coding.encoder == "cpu":
        return coding
    try:
        context = av.CodecContext.create(coding.name, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = PROBE
        context.pix_fmt = "yuv420p"
        context.framerate = Fraction(25)
        context.options = coding.options
        context.open()
    except (av.FFmpegError, ValueError) as error:
        log.warning("%s cannot be used (%s); %s encodes instead", coding.name, error, coding.on_cpu.name)
        return coding.on_cpu
    return coding
