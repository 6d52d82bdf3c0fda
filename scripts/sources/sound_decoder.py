"""Compressed sound of messages into samples: opus, AAC and mp3.

What a message gives is counted when its samples come out, so that the clock is fitted to samples as for PCM. The delay
that a codec has by nature (mp3 about 1,105 samples, AAC 1,024, opus 312 at 48 kHz) is constant; `latency_ms` of the
microphone takes it off, where it matters.
"""

from typing import Any

import av
import numpy as np

OPUS, AAC, MP3 = "opus", "aac", "mp3"
_NAMES = {"opus": OPUS, "mp3": MP3, "mp4a.40.34": MP3, "mpeg": MP3, "aac": AAC}
OPUS_RATE_HZ = 48_000


def codec_named(form: str) -> str | None:
    """opus, aac or mp3, from the format of a message, e.g. "mp4a.40.2"; None for another one."""
    name = form.strip().lower().partition(";")[0]
    return _NAMES.get(name) or (AAC if name.startswith("mp4a.40.") else None)


class SoundDecoder:
    """Decodes messages, one after the other, to interleaved s16le of one rate and number of channels."""

    def __init__(self, codec: str) -> None:
        self.codec = codec
        self.rate_hz = 0
        self.channels = 0
        self.broken = 0
        self._context: Any = None
        self._resampler: Any = None

    def decode(self, data: memoryview) -> bytes:
        """The samples that come out after a message; may be none."""
        whole = bytes(data)
        if self._context is None:
            self._context = self._open(whole)
        try:
            # opus comes packet by packet; the others may be cut anywhere.
            packets = [av.Packet(whole)] if self.codec == OPUS else self._context.parse(whole)
        except av.FFmpegError:
            packets = []
        return b"".join([self._samples(packet) for packet in packets])

    def _open(self, first: bytes) -> Any:
        context: Any = av.CodecContext.create(self.codec, "r")
        if self.codec == OPUS:
            # RFC 6716, 3.1: one bit of the first byte says whether a packet is stereo.
            context.layout = "stereo" if first[0] & 4 else "mono"
            context.sample_rate = OPUS_RATE_HZ
        return context

    def _samples(self, packet: Any) -> bytes:
        try:
            frames = self._context.decode(packet)
        except av.FFmpegError:
            # The first frames of an mp3 lean on some that were not recorded; a broken one is a hole.
            self.broken += 1
            return b""
        return b"".join(self._interleaved(frame) for frame in frames)

    def _interleaved(self, frame: Any) -> bytes:
        if not self.rate_hz:
            self.rate_hz, self.channels = frame.sample_rate, frame.layout.nb_channels
            self._resampler = av.AudioResampler(format="s16", layout=frame.layout, rate=frame.sample_rate)
        if (frame.sample_rate, frame.layout.nb_channels) != (self.rate_hz, self.channels):
            self.broken += 1
            return b""
        frame.pts = None
        return b"".join(
            np.ascontiguousarray(part.to_ndarray()).astype("<i2").tobytes() for part in self._resampler.resample(frame)
        )
