"""What a player sees and hears of an exported bag: flashes and beeps are found by the ffmpeg program."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from rushes.synthetic.bars import draw_flash, draw_number
from rushes.synthetic.player import hear_sides, heard_from_ns, nearest_offset_ns, watch
from rushes.synthetic.sounds import add_beeps, find_beeps, make_noise, to_s24le
from scripts.media.merge_video_audio import merge_video_audio
from tests.unit.bag_maker import (
    ENCODERS,
    FORK,
    MS,
    PACKET,
    PACKET1,
    PACKET2,
    PERIOD_NS,
    START_NS,
    VIDEO,
    Export,
    Ros,
    as_uint8,
    encode,
    export,
    send_compressed,
    send_packet,
)

COMPRESSED_VIDEO = "foxglove_msgs/msg/CompressedVideo"
FORMAT = "audio_common_msgs/msg/AudioFormat"
STAMPED = "audio_common_msgs/msg/AudioDataStamped"
SIZE = (160, 120)
FRAMES = 150
RATE_HZ = 48_000
TRUE_HZ = RATE_HZ * (1 + 60e-6)
BLOCK = 480
BLOCKS = 640
# Blocks that the driver lost.
HOLE = (250, 273)
# Encoded pictures in which a flash begins, none of them near the hole or the dropped pictures.
FLASHES = (13, 44, 90, 122, 140)
FLASH_FRAMES = 3
# How far the exported files may be off: what the issue promises of copies.
LIMIT_NS = 1 * MS

Send = Callable[[Ros, np.ndarray], None]


def stamps_of_pictures(start_ns: int) -> np.ndarray:
    """Stamps of a camera that is no metronome, and drops six pictures before they are encoded."""
    rng = np.random.default_rng(5)
    grid = np.delete(np.arange(FRAMES + 6), slice(70, 76))
    return start_ns + grid * PERIOD_NS + rng.integers(-3 * MS, 3 * MS, FRAMES)


def draw(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A picture with its number, and the flash where it is on; BGR."""
    image = np.full((size[1], size[0], 3), 90, np.uint8)
    draw_flash(image, any(0 <= number - first < FLASH_FRAMES for first in FLASHES))
    draw_number(image, number)
    return image


def as_packets(codec: str, b_frames: int) -> Send:
    """FFMPEGPackets in the order of decoding, each with the stamp of its picture."""

    def send(ros: Ros, stamps_ns: np.ndarray) -> None:
        encoder = ENCODERS[codec] if ros.version == 1 else f"{codec};yuv420p;bgr8;bgr8"
        packets = encode(codec, FRAMES, gop=12, b_frames=b_frames, size=SIZE, draw=draw)
        for index, (data, number, key) in enumerate(packets):
            log_ns = int(stamps_ns[index]) + 150 * MS
            send_packet(ros, log_ns, int(stamps_ns[number]), data, number, key, encoder)

    return send


def as_jpegs(ros: Ros, stamps_ns: np.ndarray) -> None:
    """CompressedImages."""
    for number, stamp_ns in enumerate(stamps_ns.tolist()):
        jpeg = cv2.imencode(".jpg", draw(number))[1].tobytes()
        send_compressed(ros, number, jpeg, "bgr8; jpeg compressed bgr8", stamp_ns=stamp_ns)


def as_foxglove_video(ros: Ros, stamps_ns: np.ndarray) -> None:
    """CompressedVideo, which has neither flags nor a counter."""
    for data, number, _ in encode("h264", FRAMES, gop=12, size=SIZE, draw=draw):
        stamp_ns = int(stamps_ns[number])
        fields = {"timestamp": ros.time(stamp_ns), "frame_id": "", "data": as_uint8(data), "format": "h264"}
        ros.send(stamp_ns + 30 * MS, "/cam", COMPRESSED_VIDEO, **fields)


def send_sound(ros: Ros, start_ns: int, beeps_ns: np.ndarray) -> None:
    """24 bit sound of two channels whose device runs fast; blocks are stamped at their end and up to 2 ms late."""
    rng = np.random.default_rng(6)
    sound = make_noise(BLOCKS * BLOCK, seed=7)
    add_beeps(sound, TRUE_HZ, ((beeps_ns - start_ns) / 1e9).tolist())
    form = ros.make(FORMAT, id="S24LE", rate=RATE_HZ, channels=2, depth=24)
    for block in range(BLOCKS):
        if HOLE[0] <= block < HOLE[1]:
            continue
        samples = sound[block * BLOCK : (block + 1) * BLOCK]
        stamp_ns = start_ns + round((block + 1) * BLOCK / TRUE_HZ * 1e9 + rng.uniform(0, 2 * MS))
        data = as_uint8(to_s24le(np.stack([samples, samples], axis=1)))
        ros.send(stamp_ns + MS, "/mic", STAMPED, header=ros.header(stamp_ns), format=form, data=data)


CARRIERS: dict[str, tuple[int, Send]] = {
    "ros1-h264": (1, as_packets("h264", 0)),
    "ros1-hevc": (1, as_packets("hevc", 0)),
    "ros1-h264-b-frames": (1, as_packets("h264", 2)),
    "ros1-hevc-b-frames": (1, as_packets("hevc", 2)),
    "ros1-mjpeg": (1, as_jpegs),
    "ros2-h264-b-frames": (2, as_packets("h264", 3)),
    "ros2-hevc": (2, as_packets("hevc", 0)),
    "ros2-av1": (2, as_packets("av1", 0)),
    "ros2-foxglove-h264": (2, as_foxglove_video),
}


@pytest.fixture(scope="module", params=[-337, 411], ids=["the sound first", "the picture first"])
def lead_ns(request: pytest.FixtureRequest) -> int:
    """When the sound begins after the first picture."""
    return int(request.param) * MS


def export_bag_of(carrier: str, folder: Path, lead_ns: int, **microphone: float | str) -> Export:
    """A bag with flashes and beeps, exported."""
    version, send = CARRIERS[carrier]
    ros = Ros(version, {**FORK, PACKET: PACKET1 if version == 1 else PACKET2, COMPRESSED_VIDEO: VIDEO})
    stamps_ns = stamps_of_pictures(START_NS)
    send(ros, stamps_ns)
    send_sound(ros, START_NS + lead_ns, stamps_ns[list(FLASHES)])
    bag = ros.write(folder / ("a.bag" if version == 1 else "a.mcap"))
    return export(bag, folder / "out", {"cam": "/cam"}, {"mic": {"topic": "/mic", "stamp": "block_end", **microphone}})


@pytest.fixture(scope="module", params=CARRIERS, ids=CARRIERS)
def exported(request: pytest.FixtureRequest, lead_ns: int, tmp_path_factory: pytest.TempPathFactory) -> Export:
    return export_bag_of(request.param, tmp_path_factory.mktemp(request.param), lead_ns)


def facts(path: Path) -> dict[str, float]:
    """A JSON file as it stands there."""
    read: dict[str, float] = json.loads(path.read_text())
    return read


def flash_to_beep_ns(made: Export) -> np.ndarray:
    """From each beep of the sound file to its flash in the video file, both on the recording's clock."""
    seen = watch(made.folder / "cam.mp4", *SIZE)
    flashes_ns = made.manifest["streams"]["cam"]["start_ns"] + seen.pts_ns[seen.flash_onsets()]
    sides, _ = hear_sides(made.folder / "mic.wav")
    clock = facts(made.folder / "mic.clock.json")
    beeps_ns = clock["start_ns"] + np.rint(find_beeps(sides[0], RATE_HZ) * 1e9 / clock["rate_hz"]).astype(np.int64)
    assert len(beeps_ns) == len(flashes_ns) == len(FLASHES)
    return nearest_offset_ns(flashes_ns, beeps_ns)


def test_ffmpeg_shows_every_picture_at_its_stamp(exported: Export) -> None:
    seen = watch(exported.folder / "cam.mp4", *SIZE)
    first_ns = exported.manifest["streams"]["cam"]["start_ns"]
    assert seen.numbers.tolist() == list(range(FRAMES))
    assert np.abs(first_ns + seen.pts_ns - stamps_of_pictures(START_NS)).max() <= 1_000
    assert seen.flash_onsets().tolist() == list(FLASHES)


def test_ffmpeg_plays_each_beep_with_its_flash(exported: Export) -> None:
    assert np.abs(flash_to_beep_ns(exported)).max() <= LIMIT_NS


def test_an_error_of_two_milliseconds_would_be_seen(lead_ns: int, tmp_path: Path) -> None:
    late = flash_to_beep_ns(export_bag_of("ros1-h264", tmp_path, lead_ns, latency_ms=2))
    assert np.abs(late - 2 * MS).max() <= LIMIT_NS // 2
    assert np.abs(late).min() > LIMIT_NS


@pytest.mark.parametrize("codec", ["pcm", "aac"])
def test_one_file_of_both_plays_each_beep_with_its_flash(exported: Export, codec: str) -> None:
    merged = exported.folder / f"merged.{codec}.mp4"
    merge_video_audio(
        exported.folder / "cam.mp4",
        exported.folder / "cam.frames.parquet",
        [exported.folder / "mic.wav"],
        [exported.folder / "mic.clock.json"],
        merged,
        exported.folder / "merged.ledger.parquet",
        recording="it",
        product="merge",
        microphones=["mic"],
        sound={"codec": codec, "kbps": 128, "rate_hz": RATE_HZ, "sides": [["mic:0"], ["mic:1"]]},
    )
    seen = watch(merged, *SIZE)
    assert seen.numbers.tolist() == list(range(FRAMES))
    sides, rate_hz = hear_sides(merged)
    flashes_ns = seen.pts_ns[seen.flash_onsets()]
    for side in sides:
        beeps_ns = heard_from_ns(merged) + np.rint(find_beeps(side, rate_hz) * 1e9 / rate_hz).astype(np.int64)
        # A sound that begins after the first picture has not lost its beeps.
        assert len(beeps_ns) == len(FLASHES)
        assert np.abs(nearest_offset_ns(flashes_ns, beeps_ns)).max() <= LIMIT_NS
