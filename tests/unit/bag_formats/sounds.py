"""Sound: PCM as it is, the rest decoded."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from rushes.synthetic.sounds import add_beeps, find_beeps
from tests.unit.bag_formats.register import AUDIO1, COMPRESSED_AUDIO, FOXGLOVE, INFO1, RATE_HZ, form
from tests.unit.bag_maker import (
    MS,
    RAW_AUDIO,
    START_NS,
    Export,
    Ros,
    as_uint8,
    export,
)

BEEPS_S = [0.5, 1.25, 2.1]


def beeping(seconds: float = 3.0) -> np.ndarray:
    """int16 (N,), a beep at each of BEEPS_S."""
    sound = np.zeros(round(seconds * RATE_HZ))
    add_beeps(sound, RATE_HZ, BEEPS_S)
    return np.rint(sound * 20_000).astype(np.int16)


def coded(codec: str, form: str = "s16") -> list[tuple[bytes, int]]:
    """Packets of the beeping sound and the samples that each stands for."""
    context: Any = av.CodecContext.create(codec, "w")
    context.sample_rate, context.format, context.layout = RATE_HZ, form, "mono"
    context.time_base = Fraction(1, RATE_HZ)
    context.bit_rate = 128_000
    context.open()
    size = context.frame_size
    sound = beeping()
    packets = []
    for first in range(0, len(sound) - size, size):
        block = sound[None, first : first + size]
        planes = block if form.startswith("s16") else (block / 32768).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(planes, format=form, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, first, Fraction(1, RATE_HZ)
        packets += context.encode(frame)
    return [(bytes(packet), size) for packet in packets]


def adts(packet: bytes) -> bytes:
    """An AAC frame with the header that streams have: AAC-LC, 48 kHz, mono."""
    length = len(packet) + 7
    return bytes([0xFF, 0xF1, 0x4C, 0x40 | length >> 11, length >> 3 & 255, (length & 7) << 5 | 0x1F, 0xFC]) + packet


def hears(made: Export, delay_samples: float) -> None:
    """The beeps are where they were, but for the codec's own constant delay."""
    assert made.rows["mic"].outcome == "written", made.rows["mic"].message
    clock = made.clock("mic")
    assert (clock.nominal_rate_hz, clock.channels) == (RATE_HZ, 1)
    payload = np.frombuffer((made.folder / "mic.wav").read_bytes()[104:], "<i2")
    found = clock.time_ns(find_beeps(payload / 32768, RATE_HZ))
    late_ms = (found - START_NS) / 1e6 - np.array(BEEPS_S) * 1e3
    assert len(found) == len(BEEPS_S)
    assert np.abs(late_ms - delay_samples / RATE_HZ * 1e3).max() < 3
    assert np.ptp(late_ms) < 1


for name, codec, sample_form, delay in (("opus", "libopus", "s16", 312), ("mp4a.40.2", "aac", "fltp", 1024)):

    @form(f"CompressedAudio-{name}")
    def _coded_sound(
        folder: Path, name: str = name, codec: str = codec, sample_form: str = sample_form, delay: int = delay
    ) -> None:
        ros = Ros(2, {f"{FOXGLOVE}CompressedAudio": COMPRESSED_AUDIO})
        for index, (packet, size) in enumerate(coded(codec, sample_form)):
            start_ns = START_NS + index * size * 10**9 // RATE_HZ
            data = adts(packet) if name.startswith("mp4a") else packet
            fields = {"timestamp": ros.time(start_ns), "data": as_uint8(data), "format": name}
            ros.send(start_ns + MS, "/mic", f"{FOXGLOVE}CompressedAudio", **fields)
        setting = {"topic": "/mic"}
        made = export(ros.write(folder / "a.mcap"), folder / "out", {}, {"mic": setting})
        hears(made, delay)
        assert f"its sound is {'opus' if name == 'opus' else 'aac'}, decoded" in made.rows["mic"].message


@form("AudioData-mp3")
def _mp3(folder: Path) -> None:
    ros = Ros(1, AUDIO1)
    for index, (packet, size) in enumerate(coded("libmp3lame", "s16p")):
        log_ns = START_NS + (index + 1) * size * 10**9 // RATE_HZ
        ros.send(log_ns, "/mic", "audio_common_msgs/msg/AudioData", data=as_uint8(packet))
    made = export(ros.write(folder / "a.bag"), folder / "out", {}, {"mic": {"topic": "/mic", "stamp": "block_end"}})
    # A decoder's first frames are lost, since they lean on some that were not recorded.
    hears(made, 1105)


def pcm_messages(ros: Ros) -> None:
    sound = beeping()
    for first in range(0, len(sound), 480):
        log_ns = START_NS + (first + 480) * 10**9 // RATE_HZ
        ros.send(log_ns, "/audio/mic", "audio_common_msgs/msg/AudioData", data=as_uint8(sound[first : first + 480]))


@form("AudioData-PCM-AudioInfo")
def _info(folder: Path) -> None:
    ros = Ros(1, {**AUDIO1, **INFO1})
    ros.send(
        START_NS, "/audio/audio_info", "audio_common_msgs/msg/AudioInfo", channels=1, sample_rate=RATE_HZ,
        sample_format="S16LE", bitrate=0, coding_format="wave",
    )  # fmt: skip
    pcm_messages(ros)
    hears(export(ros.write(folder / "a.bag"), folder / "out", {}, {"mic": "/audio/mic"}), 0)


@form("AudioData-PCM-config")
def _config(folder: Path) -> None:
    ros = Ros(1, AUDIO1)
    pcm_messages(ros)
    setting = {"topic": "/audio/mic", "rate_hz": RATE_HZ, "channels": 1, "sample_format": "s16le"}
    hears(export(ros.write(folder / "a.bag"), folder / "out", {}, {"mic": setting}), 0)


@form("foxglove-RawAudio")
def _raw_audio(folder: Path) -> None:
    ros = Ros(2, {f"{FOXGLOVE}RawAudio": RAW_AUDIO})
    sound = beeping()
    for first in range(0, len(sound), 480):
        start_ns = START_NS + first * 10**9 // RATE_HZ
        fields = {"format": "pcm-s16", "sample_rate": RATE_HZ, "number_of_channels": 1}
        ros.send(start_ns + MS, "/mic", f"{FOXGLOVE}RawAudio", timestamp=ros.time(start_ns),
                 data=as_uint8(sound[first : first + 480]), **fields)  # fmt: skip
    hears(export(ros.write(folder / "a.mcap"), folder / "out", {}, {"mic": "/mic"}), 0)
