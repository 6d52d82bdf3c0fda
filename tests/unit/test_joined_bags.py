"""Several files of one recording that hold the same messages: each message comes once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripts.sources.joined_messages import JoinedMessages, Message
from tests.unit.bag_maker import (
    MS,
    PACKET,
    PACKET2,
    PERIOD_NS,
    RAW_AUDIO,
    START_NS,
    Ros,
    as_uint8,
    encode,
    export,
    payload_of,
    send_packet,
)

RAW = "foxglove_msgs/msg/RawAudio"
BLOCK_NS = 20 * MS
RATE_HZ = 8_000


def recorded(b_frames: int = 2) -> tuple[Ros, bytes]:
    """Four seconds of a camera and a microphone, and the samples of the latter."""
    ros = Ros(2, {PACKET: PACKET2, RAW: RAW_AUDIO})
    for index, (data, number, key) in enumerate(encode("h264", 100, b_frames=b_frames)):
        send_packet(ros, START_NS + (index + 3) * PERIOD_NS, START_NS + number * PERIOD_NS, data, number, key)
    samples = np.random.default_rng(0).integers(0, 99, (200, 320), dtype=np.uint8)
    for block, data in enumerate(samples):
        start_ns = START_NS + block * BLOCK_NS
        fields: dict[str, Any] = {"format": "pcm-s16", "sample_rate": RATE_HZ, "number_of_channels": 1}
        ros.send(start_ns + BLOCK_NS, "/mic", RAW, timestamp=ros.time(start_ns), data=as_uint8(data), **fields)
    return ros, samples.tobytes()


def part(ros: Ros, path: Path, first_s: float, stop_s: float, late_ns: int = 0) -> Path:
    """A recorder that runs from `first_s` to `stop_s` and logs each message `late_ns` later than the other one."""
    some = Ros(2, {PACKET: PACKET2, RAW: RAW_AUDIO})
    for log_ns, *message in ros.sent:
        if first_s * 1e9 <= log_ns - START_NS < stop_s * 1e9:
            some.sent.append((log_ns + late_ns, *message))
    return some.write(path)


@pytest.mark.parametrize("late_ns", [0, 1_300_000, -1_300_000, 70 * MS])
@pytest.mark.parametrize("suffix", [".mcap", ".db3"])
def test_two_recorders_that_hand_over_double_no_picture_and_no_sample(
    tmp_path: Path, late_ns: int, suffix: str
) -> None:
    ros, samples = recorded()
    bags = [part(ros, tmp_path / "a_0.mcap", 0, 2.5), part(ros, tmp_path / f"a_1{suffix}", 1.5, 9, late_ns)]
    made = export(bags, tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"})
    assert made.frames("cam").time_ns.tolist() == [START_NS + k * PERIOD_NS for k in range(100)]
    assert payload_of(made.folder / "mic.wav", "s16le", 1).tobytes() == samples
    assert made.manifest["streams"]["cam"]["stamps"] == {}
    (said,) = made.manifest["warnings"]
    assert said == "messages that two of the bag's files hold, taken once: 75"


def joined(*files: list[tuple[float, bytes | None]]) -> tuple[list[tuple[float, bytes | None]], int]:
    """Files of (log time in ms, content), joined."""
    joiner = JoinedMessages([(round(file[0][0] * MS), round(file[-1][0] * MS)) for file in files])
    parts: list[list[Message]] = [
        [(number, round(at * MS), raw) for at, raw in file] for number, file in enumerate(files)
    ]
    found = list(joiner.join([iter(some) for some in parts], dict.fromkeys(range(len(files)), "/topic")))
    return [(log_ns / MS, bytes(raw) if raw is not None else None) for _, log_ns, raw in found], joiner.twice


def test_blocks_of_silence_on_both_sides_of_a_seam_stay() -> None:
    first = [(10.0 * k, b"\0") for k in range(50)]
    second = [(10.0 * k, b"\0") for k in range(50, 100)]
    assert joined(first, second) == (first + second, 0)
    # A recorder that logs a message late into its first file.
    assert joined([*first, (500.2, b"x")], second)[1] == 0


def test_blocks_of_silence_that_two_recorders_hold_come_once_each() -> None:
    first = [(10.0 * k, b"\0") for k in range(100)]
    second = [(10.0 * k + 1.3, b"\0") for k in range(50, 150)]
    found, twice = joined(first, second)
    assert (len(found), twice) == (150, 50)
    assert [round(at / 10) for at, _ in found] == list(range(150))


def test_a_message_that_three_files_hold_comes_once() -> None:
    files = [[(10.0 * k + n, bytes([k])) for k in range(20 * n, 100)] for n in range(3)]
    found, twice = joined(*files)
    assert [raw for _, raw in found] == [bytes([k]) for k in range(100)]
    assert twice == 80 + 60


def test_messages_too_large_to_be_read_are_counted_once() -> None:
    files: list[list[tuple[float, bytes | None]]] = [
        [(0, b"a"), (10, None), (50, b"b")],
        [(0.5, b"a"), (10.5, None), (50.5, b"b")],
    ]
    assert joined(*files) == (files[0], 3)
