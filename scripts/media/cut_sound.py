"""A stretch of a microphone's sound: its samples as they are."""

from pathlib import Path

import av

from scripts.common.clock import Clock
from scripts.common.sound_writer import SAMPLE_FORMATS, SoundWriter


def cut_sound(sound: Path, clock: Clock, ranges: list[tuple[int, int]], target: Path) -> None:
    """Write the samples of `ranges`, rising, of a WAV into a new one."""
    writer = SoundWriter(target)
    try:
        with av.open(f"file:{sound}") as container:
            stream = container.streams.audio[0]
            name = stream.codec_context.name.removeprefix("pcm_")
            width = SAMPLE_FORMATS[name][0] * clock.channels
            rate_hz = stream.rate or clock.nominal_rate_hz
            container.seek(ranges[0][0], stream=stream, backward=True)
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                payload = memoryview(bytes(packet))
                stop = packet.pts + len(payload) // width
                for first, end in ranges:
                    low, high = max(first, packet.pts), min(end, stop)
                    if low < high:
                        writer.write(payload[(low - packet.pts) * width : (high - packet.pts) * width])
                if stop >= ranges[-1][1]:
                    break
        writer.close(rate_hz=rate_hz, channels=clock.channels, sample_format=name)
    finally:
        writer.discard()
