"""Recordings of several cameras and microphones as an import leaves them, made of numbers that are known.

Every picture carries its number as a bar code and a flash; a beep begins at each flash.
"""

import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import soundfile

from rushes.synthetic.bars import draw_flash, draw_number
from rushes.synthetic.encode import encode_packets
from rushes.synthetic.flashes import flash_shown
from rushes.synthetic.sounds import add_beeps
from scripts.common.clock import Clock, Gap, Segment
from scripts.common.frame_table import FrameTable
from scripts.common.packet_writer import PacketWriter
from tests.unit.made_media import NS

START_NS = 1_700_000_000_000_000_000
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def stamps(fps: float, seconds: float, *, start_s: float = 0.0, without: Sequence[int] = ()) -> np.ndarray:
    """Stamps of a camera, int64, less those of the numbers `without`."""
    numbers = np.setdiff1d(np.arange(round(seconds * fps)), without)
    return START_NS + np.rint((start_s + numbers / fps) * NS).astype(np.int64)


def write_camera(
    folder: Path,
    name: str,
    time_ns: np.ndarray,
    *,
    flashes_ns: Sequence[int] = (),
    size: tuple[int, int] = (320, 240),
    gop: int = 10,
    b_frames: int = 0,
    lost: Sequence[int] = (),
) -> FrameTable:
    """Write {name}.mp4 and its frame table into `folder`: the packets as they are, each at its time.

    Packets of frames that are `lost` have no meaning, so no decoder shows them; with a `gop` of 1 they cost no other.
    """
    shown = flash_shown(time_ns.tolist(), list(flashes_ns))

    def images():
        for number, flash in enumerate(shown):
            image = np.full((size[1], size[0], 3), 90, np.uint8)
            cv2.circle(image, (40 + number * 7 % 200, 160), 20, (20, 220, 120), -1)
            draw_flash(image, flash)
            draw_number(image, number)
            yield image

    packets = encode_packets(images(), size, Fraction(25), gop=gop, b_frames=b_frames)
    pts_us = (time_ns - time_ns[0] + 500) // 1000
    import av

    raw = folder / f"{name}.h264"
    raw.write_bytes(packets[0].data)
    with av.open(str(raw)) as container:
        writer = PacketWriter(folder / f"{name}.mp4", container.streams.video[0], reorder=2 if b_frames else 0)
        for packet in packets:
            data = b"\xaa" * len(packet.data) if packet.frame in lost else packet.data
            writer.write(data, int(pts_us[packet.frame]), keyframe=packet.keyframe)
        writer.close()
    raw.unlink()
    keyframe = np.zeros(len(time_ns), bool)
    keyframe[[packet.frame for packet in packets if packet.keyframe]] = True
    table = FrameTable.make(pts_us, time_ns, keyframe=keyframe)
    table.write(folder / f"{name}.frames.parquet")
    return table


def write_microphone(
    folder: Path,
    name: str,
    seconds: float,
    *,
    start_ns: int = START_NS,
    ppm: float = 0.0,
    channels: int = 2,
    beeps_ns: Sequence[int] = (),
    gains: Sequence[float] = (),
    hole: tuple[int, int] | None = None,
    rate_hz: int = 48_000,
    subtype: str = "PCM_24",
) -> Clock:
    """Write {name}.wav and its clock into `folder`; a hole is filled with zeros."""
    true_hz = rate_hz * (1 + ppm * 1e-6)
    samples = round(seconds * true_hz)
    sound = np.zeros(samples)
    add_beeps(sound, true_hz, [(beep - start_ns) / NS for beep in beeps_ns])
    noise = np.random.default_rng(1).normal(0, 1e-4, (samples, channels))
    gains = gains or [1.0] * channels
    whole = np.stack([gain * sound for gain in gains], axis=1) + noise
    if hole:
        whole[hole[0] : hole[1]] = 0
    soundfile.write(folder / f"{name}.wav", whole, rate_hz, subtype=subtype)
    clock = Clock(
        start_ns=start_ns,
        rate_hz=true_hz,
        nominal_rate_hz=rate_hz,
        samples=samples,
        channels=channels,
        drift_ppm=ppm,
        segments=[Segment(0, start_ns, samples)],
        gaps=[Gap(*hole, "hole")] if hole else [],
    )
    clock.write(folder / f"{name}.clock.json")
    return clock


def decoded(video: Path, width: int, height: int) -> np.ndarray:
    """What the ffmpeg program shows of a video: grey, uint8 (N, height, width), no picture twice."""
    command = [FFMPEG, "-v", "error", "-i", f"file:{video}", "-map", "0:v:0", "-fps_mode", "passthrough"]
    command += ["-pix_fmt", "gray", "-f", "rawvideo", "-"]
    pixels = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout
    return np.frombuffer(pixels, np.uint8).reshape(-1, height, width)


def samples_of(path: Path, channels: int) -> np.ndarray:
    """What the ffmpeg program plays of a file, float32 (N, channels), from the presentation time 0 on."""
    command = [FFMPEG, "-v", "error", "-i", f"file:{path}", "-map", "0:a:0", "-f", "f32le", "-"]
    played = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout
    return np.frombuffer(played, "<f4").reshape(-1, channels)
