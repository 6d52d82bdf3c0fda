"""A ROS2 mcap of a small bench: one camera whose h264 has B-frames, one microphone in foxglove's RawAudio.

The packets stand in decode order, their stamps belong to the pictures. The sound starts after the picture;
its blocks are stamped at their START, without drift or jitter.
"""

import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from rushes.synthetic import messages as m
from rushes.synthetic.encode import encode_packets
from rushes.synthetic.flashes import choose_flashes, flash_shown
from rushes.synthetic.scene import Scene
from rushes.synthetic.sounds import add_beeps, make_noise, to_s16
from rushes.synthetic.trigger import Blocks

START_NS = 1_700_000_100_500_000_000
SOUND_LATE_NS = 215_000_000
CAMERA_TOPIC = "/camera/image_raw/ffmpeg"
MICROPHONE_TOPIC = "/microphone/raw_audio"
SIZE = (320, 240)
FPS = 30
GOP = 30
B_FRAMES = 2
RATE_HZ = 16_000
BLOCK_SAMPLES = 320
# Every third picture stands on a whole tenth of a second.
FLASH_GRID_S = 0.1


def write_mcap(path: Path, seconds: float = 8.0, seed: int = 2) -> dict[str, Any]:
    """Write the mcap, `seconds` of pictures, to a new file `path`; returns the truth about it."""
    if path.exists():
        raise FileExistsError(f"{path} exists already, not overwriting")
    steps = choose_flashes(SOUND_LATE_NS / 1e9, seconds, FLASH_GRID_S, seed)
    flashes_ns = [START_NS + round(step * FLASH_GRID_S * 1e9) for step in steps]
    stamps_ns = [START_NS + round(number * 10**9 / FPS) for number in range(round(seconds * FPS))]
    count = int((seconds - SOUND_LATE_NS / 1e9) * RATE_HZ / BLOCK_SAMPLES)
    blocks = Blocks(START_NS + SOUND_LATE_NS, RATE_HZ, BLOCK_SAMPLES, count)

    ros = m.Messages(ros=2)
    pictures, keyframes = _pictures(ros, stamps_ns, flashes_ns, seed)
    sounds = _sounds(ros, blocks, flashes_ns, seed)
    _write(path, {CAMERA_TOPIC: (m.FFMPEG_PACKET, pictures), MICROPHONE_TOPIC: (m.RAW_AUDIO, sounds)}, ros)
    camera = {
        "topic": CAMERA_TOPIC,
        "codec": "h264",
        "width": SIZE[0],
        "height": SIZE[1],
        "fps": str(FPS),
        "sent": len(stamps_ns),
        "numbers": list(range(len(stamps_ns))),
        "stamps_ns": stamps_ns,
        "keyframes": keyframes,
        "dropped": [],
        "lost": [],
        "tainted": [],
        "flash_times_ns": flashes_ns,
    }
    microphone = {
        "topic": MICROPHONE_TOPIC,
        "stamp": "block_start",
        "sample_format": "pcm-s16",
        "channels": 1,
        "gains": [1.0],
        "true_start_ns": blocks.start_ns,
        "true_rate_hz": float(RATE_HZ),
        "nominal_rate_hz": RATE_HZ,
        "block_samples": BLOCK_SAMPLES,
        "blocks_sent": count,
        "samples_sent": count * BLOCK_SAMPLES,
        "samples_span": count * BLOCK_SAMPLES,
        "first_stamp_ns": blocks.start_ns,
        "holes": [],
        "beep_times_ns": flashes_ns,
    }
    return {
        "kind": "bag",
        "format": "mcap",
        "start_ns": START_NS,
        "flash_times_ns": flashes_ns,
        "cameras": {"front": camera},
        "microphones": {"voice": microphone},
        "other_topics": [],
    }


def _pictures(
    ros: m.Messages, stamps_ns: list[int], flashes_ns: list[int], seed: int
) -> tuple[list[tuple[int, bytes]], list[int]]:
    """Log time and bytes of each packet in decode order, and the numbers of the keyframes."""
    scene = Scene(*SIZE, seed)
    flash = flash_shown(stamps_ns, flashes_ns)
    images = (scene.draw(number, number / FPS, flash[number]) for number in range(len(stamps_ns)))
    packets = encode_packets(images, SIZE, Fraction(FPS), gop=GOP, b_frames=B_FRAMES)
    sent = []
    for index, packet in enumerate(packets):
        content = ros.serialize(
            m.FFMPEG_PACKET,
            header=ros.header(stamps_ns[packet.frame], "front"),
            width=SIZE[0],
            height=SIZE[1],
            encoding="h264;yuv420p;bgr8;bgr8",
            pts=packet.frame,
            flags=int(packet.keyframe),
            is_bigendian=False,
            data=m.as_uint8(packet.data),
        )
        # The encoder holds a picture until the B-frames before it are known.
        sent.append((START_NS + round((index + B_FRAMES) * 10**9 / FPS), content))
    return sent, sorted(packet.frame for packet in packets if packet.keyframe)


def _sounds(ros: m.Messages, blocks: Blocks, flashes_ns: list[int], seed: int) -> list[tuple[int, bytes]]:
    sound = make_noise(blocks.count * blocks.samples, seed)
    add_beeps(sound, blocks.true_rate_hz, [(flash - blocks.start_ns) / 1e9 for flash in flashes_ns])
    pcm = to_s16(sound).astype("<i2").view(np.uint8).reshape(blocks.count, -1)
    sent = []
    for block in blocks.sent:
        start_ns = blocks.sample_time_ns(block * blocks.samples)
        content = ros.serialize(
            m.RAW_AUDIO,
            timestamp=ros.time(start_ns),
            data=pcm[block],
            format="pcm-s16",
            sample_rate=RATE_HZ,
            number_of_channels=1,
        )
        sent.append((blocks.sample_time_ns((block + 1) * blocks.samples) + 300_000, content))
    return sent


def _write(path: Path, topics: dict[str, tuple[str, list[tuple[int, bytes]]]], ros: m.Messages) -> None:
    """Write each topic's messages by log time. rosbags writes a folder; the mcap in it is whole by itself."""
    folder = path.with_name(f"{path.name}.folder")
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {
            topic: writer.add_connection(topic, kind, typestore=ros.typestore) for topic, (kind, _) in topics.items()
        }
        messages = [(log_ns, topic, content) for topic, (_, sent) in topics.items() for log_ns, content in sent]
        for log_ns, topic, content in sorted(messages, key=lambda message: message[0]):
            writer.write(connections[topic], log_ns, content)
    next(folder.glob("*.mcap")).rename(path)
    shutil.rmtree(folder)
