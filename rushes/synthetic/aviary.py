"""A ROS1 bag of a rig like the aviary: cameras, an array of microphones, and every loss that happens there.

cam0: h264 40 fps, six pictures dropped by the trigger, one packet lost.  cam1: jpeg 20 fps.
cam2: raw with padded rows, 10 fps.
array: 4 channels S24LE, stamped late and at the END of each block, 20 ppm fast, 300 ms lost.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag1 import Writer

from rushes.synthetic import messages as m
from rushes.synthetic.encode import encode_packets
from rushes.synthetic.flashes import choose_flashes, flash_shown
from rushes.synthetic.scene import Scene
from rushes.synthetic.sounds import add_beeps, make_noise, to_s24le
from rushes.synthetic.trigger import Blocks, Trigger, make_stamps

# First picture of cam0; the sound starts earlier, cam1 and cam2 later.
START_NS = 1_700_000_000_250_000_000
SOUND_LEAD_NS = 137_000_000
SOUND_TAIL_NS = 50_000_000

NOMINAL_RATE_HZ = 48_000
TRUE_RATE_HZ = NOMINAL_RATE_HZ * (1 + 20e-6)
BLOCK_SAMPLES = 480
HOLE = 0.81
HOLE_BLOCKS = 30
# Loudness of each channel.
GAINS = (1.0, 0.8, 0.6, 0.4)
# A block is stamped up to this late; one in twenty at most a tenth of it.
JITTER_NS = 2_000_000
PROMPT_SHARE = 0.05

FLASH_GRID_S = 0.1
PADDING_BYTES = 32

# Name, topic, width, height, fps, start after START_NS, delay of the message (all ns).
CAMERAS = {
    "cam0": ("/cam_sync/cam0/image_raw/ffmpeg", 640, 360, 40, 0, 8_000_000),
    "cam1": ("/cam1/image_raw/compressed", 320, 240, 20, 50_000_000, 5_000_000),
    "cam2": ("/cam2/image_raw", 160, 120, 10, 100_000_000, 3_000_000),
}
GOP = 20
MICROPHONE_TOPIC = "/audio/audio_stamped"
NOTES_TOPIC = "/notes"

# Log time, topic, message type, bytes.
Message = tuple[int, str, str, bytes]


def write_aviary_bag(path: Path, seconds: float = 20.0, seed: int = 1) -> dict[str, Any]:
    """Write the bag, `seconds` (at least 4) of pictures, to a new file `path`; returns the truth about it."""
    if seconds < 4:
        raise ValueError(f"an aviary bag of {seconds} s has no room for its losses; make it 4 s or more")
    triggers = {
        name: Trigger.lossy(round(seconds * fps), GOP) if name == "cam0" else Trigger.perfect(round(seconds * fps))
        for name, (_, _, _, fps, _, _) in CAMERAS.items()
    }
    blocks = _plan_blocks(seconds)
    lost_s = triggers["cam0"].damaged_s(1 / CAMERAS["cam0"][3])
    lost_s += [((h["start_ns"] - START_NS) / 1e9, (h["stop_ns"] - START_NS) / 1e9) for h in blocks.holes]
    steps = choose_flashes(0.2, seconds, FLASH_GRID_S, seed, forbidden_s=lost_s)
    flashes_ns = [START_NS + round(step * FLASH_GRID_S * 1e9) for step in steps]

    ros = m.Messages(ros=1)
    sent: list[Message] = []
    cameras: dict[str, Any] = {}
    for index, (name, trigger) in enumerate(triggers.items()):
        camera = _Camera(name, trigger, flashes_ns, seed * 100 + index)
        sent += camera.messages(ros)
        cameras[name] = camera.truth()
    stamps_ns = _stamp_blocks(blocks, seed * 100 + 10)
    sent += _sound_messages(ros, blocks, stamps_ns, flashes_ns, seed * 100 + 20)
    sent += _notes(ros, seconds)
    _write(path, sent, ros)
    return {
        "kind": "bag",
        "format": "ros1",
        "start_ns": min(blocks.start_ns, START_NS),
        "flash_times_ns": flashes_ns,
        "cameras": cameras,
        "microphones": {"array": _sound_truth(blocks, stamps_ns, flashes_ns)},
        "other_topics": [NOTES_TOPIC],
    }


class _Camera:
    """One camera's pictures, messages and truth."""

    def __init__(self, name: str, trigger: Trigger, flashes_ns: list[int], seed: int) -> None:
        self.name, self.trigger, self.flashes_ns = name, trigger, flashes_ns
        self.topic, self.width, self.height, self.fps, start_ns, self.delay_ns = CAMERAS[name]
        period_ns = 10**9 // self.fps
        self.start_ns = START_NS + start_ns
        on_flash = {(flash - self.start_ns) // period_ns for flash in flashes_ns}
        self.stamps_ns = make_stamps(self.start_ns, period_ns, trigger.grid, on_flash, seed)
        self.scene = Scene(self.width, self.height, seed)
        self.flash = flash_shown(self.stamps_ns, flashes_ns)

    def images(self) -> Iterator[np.ndarray]:
        """What the encoder sees, in order."""
        for number in self.trigger.encoded:
            time_s = (self.stamps_ns[number] - self.start_ns) / 1e9
            yield self.scene.draw(number, time_s, self.flash[number])

    def messages(self, ros: m.Messages) -> list[Message]:
        """The messages of the pictures that were sent."""
        make = {"cam0": self._ffmpeg, "cam1": self._jpeg, "cam2": self._raw}[self.name]
        return list(make(ros))

    def _message(self, ros: m.Messages, number: int, kind: str, **fields: Any) -> Message:
        stamp_ns = self.stamps_ns[number]
        content = ros.serialize(kind, header=ros.header(stamp_ns, self.name), **fields)
        return stamp_ns + self.delay_ns, self.topic, kind, content

    def _ffmpeg(self, ros: m.Messages) -> Iterator[Message]:
        size, fps = (self.width, self.height), Fraction(self.fps)
        for packet in encode_packets(self.images(), size, fps, gop=self.trigger.gop, b_frames=0):
            number = self.trigger.encoded[packet.frame]
            if number not in self.trigger.lost:
                yield self._message(
                    ros,
                    number,
                    m.FFMPEG_PACKET,
                    data=m.as_uint8(packet.data),
                    img_width=self.width,
                    img_height=self.height,
                    encoding="libx264",
                    pts=packet.frame,
                    flags=int(packet.keyframe),
                )

    def _jpeg(self, ros: m.Messages) -> Iterator[Message]:
        for number, image in zip(self.trigger.encoded, self.images(), strict=True):
            _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])
            yield self._message(
                ros, number, m.COMPRESSED_IMAGE, format="bgr8; jpeg compressed bgr8", data=m.as_uint8(jpeg)
            )

    def _raw(self, ros: m.Messages) -> Iterator[Message]:
        step = self.width * 3 + PADDING_BYTES
        rows = np.random.default_rng(0).integers(0, 256, (self.height, step), dtype=np.uint8)
        for number, image in zip(self.trigger.encoded, self.images(), strict=True):
            rows[:, : self.width * 3] = image.reshape(self.height, -1)
            yield self._message(
                ros,
                number,
                m.IMAGE,
                height=self.height,
                width=self.width,
                encoding="bgr8",
                is_bigendian=0,
                step=step,
                data=m.as_uint8(rows),
            )

    def truth(self) -> dict[str, Any]:
        """What is known about the camera's pictures."""
        sent = self.trigger.sent
        return {
            "topic": self.topic,
            "codec": {"cam0": "h264", "cam1": "mjpeg", "cam2": "raw"}[self.name],
            "width": self.width,
            "height": self.height,
            "fps": str(self.fps),
            "sent": len(sent),
            "numbers": sent,
            "stamps_ns": [self.stamps_ns[number] for number in sent],
            "keyframes": self.trigger.keyframes,
            "dropped": self.trigger.dropped,
            "lost": self.trigger.lost,
            "tainted": self.trigger.tainted,
            "flash_times_ns": self.flashes_ns,
        }


def _plan_blocks(seconds: float) -> Blocks:
    length_ns = SOUND_LEAD_NS + round(seconds * 1e9) + SOUND_TAIL_NS
    count = length_ns * NOMINAL_RATE_HZ // BLOCK_SAMPLES // 10**9
    hole = int(HOLE * count)
    return Blocks(START_NS - SOUND_LEAD_NS, TRUE_RATE_HZ, BLOCK_SAMPLES, count, hole, hole + HOLE_BLOCKS)


def _stamp_blocks(blocks: Blocks, seed: int) -> list[int]:
    """Stamps of the blocks that were sent: when each block ended, and one-sided jitter."""
    rng = np.random.default_rng(seed)
    jitter = rng.uniform(0, JITTER_NS, blocks.count)
    jitter[rng.random(blocks.count) < PROMPT_SHARE] *= 0.1
    return [blocks.sample_time_ns((block + 1) * blocks.samples) + round(jitter[block]) for block in blocks.sent]


def _sound_messages(
    ros: m.Messages, blocks: Blocks, stamps_ns: list[int], flashes_ns: list[int], seed: int
) -> Iterator[Message]:
    samples = blocks.count * blocks.samples
    beeps = np.zeros(samples)
    add_beeps(beeps, blocks.true_rate_hz, [(flash - blocks.start_ns) / 1e9 for flash in flashes_ns])
    channels = [gain * beeps + make_noise(samples, seed + channel) for channel, gain in enumerate(GAINS)]
    pcm = to_s24le(np.stack(channels, axis=1)).reshape(blocks.count, -1)
    format_ = ros.make(m.AUDIO_FORMAT, id="S24LE", rate=NOMINAL_RATE_HZ, channels=len(GAINS), depth=24)
    for block, stamp_ns in zip(blocks.sent, stamps_ns, strict=True):
        header = ros.header(stamp_ns, "array")
        content = ros.serialize(m.AUDIO_STAMPED, header=header, format=format_, data=pcm[block])
        yield stamp_ns + 200_000, MICROPHONE_TOPIC, m.AUDIO_STAMPED, content


def _sound_truth(blocks: Blocks, stamps_ns: list[int], flashes_ns: list[int]) -> dict[str, Any]:
    return {
        "topic": MICROPHONE_TOPIC,
        "stamp": "block_end",
        "sample_format": "S24LE",
        "channels": len(GAINS),
        "gains": list(GAINS),
        "true_start_ns": blocks.start_ns,
        "true_rate_hz": blocks.true_rate_hz,
        "nominal_rate_hz": NOMINAL_RATE_HZ,
        "block_samples": blocks.samples,
        "blocks_sent": len(blocks.sent),
        "samples_sent": len(blocks.sent) * blocks.samples,
        "samples_span": blocks.count * blocks.samples,
        "first_stamp_ns": stamps_ns[0],
        "holes": blocks.holes,
        "beep_times_ns": flashes_ns,
    }


def _notes(ros: m.Messages, seconds: float) -> Iterator[Message]:
    for second in range(int(seconds)):
        note = ros.serialize(m.STRING, data=f"second {second}")
        yield START_NS + second * 10**9, NOTES_TOPIC, m.STRING, note


def _write(path: Path, sent: list[Message], ros: m.Messages) -> None:
    with Writer(path) as writer:
        connections = {
            topic: writer.add_connection(topic, kind, typestore=ros.typestore)
            for topic, kind in sorted({(topic, kind) for _, topic, kind, _ in sent})
        }
        for log_ns, topic, _, content in sorted(sent, key=lambda message: message[0]):
            writer.write(connections[topic], log_ns, content)
