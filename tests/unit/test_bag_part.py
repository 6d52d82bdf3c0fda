"""A part of a bag: counted from its earliest picture or sample, and cut by the times of pictures and samples."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from scripts.sources.bag_reader import Bag
from tests.unit.bag_maker import (
    COMPRESSED,
    DRIVERS,
    FORK,
    IMAGE,
    MS,
    PACKET,
    PACKET1,
    PERIOD_NS,
    START_NS,
    Export,
    Ros,
    as_uint8,
    encode,
    export,
    payload_of,
    picture,
    send_packet,
)

S = 10**9
STAMPED = "audio_common_msgs/msg/AudioDataStamped"
DATA = "audio_common_msgs/msg/AudioData"
INFO = "audio_common_msgs/msg/AudioInfo"
RATE_HZ = 8_000
DAYS_NS = 100 * 86_400 * S


def numbered(samples: int) -> np.ndarray:
    """Every sample is another one, int16 (N,) that repeats after 65,536."""
    return np.arange(samples).astype("<u2").view("<i2")


def send_jpegs(ros: Ros, count: int, late_ns: int, topic: str = "/cam", clock_ns: int = 0) -> None:
    jpeg = as_uint8(cv2.imencode(".jpg", picture())[1].tobytes())
    for k in range(count):
        time_ns = START_NS + k * PERIOD_NS
        header = ros.header(time_ns + clock_ns)
        ros.send(time_ns + late_ns, topic, COMPRESSED, header=header, format="jpeg", data=jpeg)


def send_images(ros: Ros, count: int, late_ns: int) -> None:
    for k in range(count):
        time_ns = START_NS + k * PERIOD_NS
        size = {"height": 48, "width": 64, "step": 192, "is_bigendian": 0, "encoding": "bgr8"}
        ros.send(time_ns + late_ns, "/cam", IMAGE, header=ros.header(time_ns), data=as_uint8(picture()), **size)


def send_video(ros: Ros, count: int, late_ns: int, *, gop: int = 10, b_frames: int = 0) -> None:
    for index, (data, number, key) in enumerate(encode("h264", count, gop=gop, b_frames=b_frames)):
        log_ns = START_NS + (index + b_frames) * PERIOD_NS + late_ns
        send_packet(ros, log_ns, START_NS + number * PERIOD_NS, data, number, key)


def send_sound(ros: Ros, seconds: float, block: int, late_ns: int) -> None:
    """Blocks of so many samples, stamped at their end."""
    samples = numbered(round(seconds * RATE_HZ))
    for first in range(0, len(samples), block):
        data = samples[first : first + block]
        end_ns = START_NS + (first + len(data)) * S // RATE_HZ
        form = ros.make("audio_common_msgs/msg/AudioFormat", id="S16LE", rate=RATE_HZ, channels=1, depth=16)
        ros.send(end_ns + late_ns, "/mic", STAMPED, header=ros.header(end_ns), format=form, data=as_uint8(data))


def sound_of(made: Export) -> np.ndarray:
    return payload_of(made.folder / "mic.wav", "s16le", 1).reshape(-1).view("<i2")


def seconds(made: Export) -> tuple[float, float]:
    """Where the timeline begins and ends, from the start of the recording."""
    line = made.manifest["timeline"]
    return (line["start_ns"] - START_NS) / S, (line["stop_ns"] - START_NS) / S


def rows(made: Export) -> list[int]:
    """Numbers of the pictures in the frame table."""
    return ((made.frames("cam").time_ns - START_NS) // PERIOD_NS).tolist()


@pytest.mark.parametrize("late_ns", [MS, 300 * MS, 4 * S, DAYS_NS], ids=["prompt", "late", "slow", "played-again"])
@pytest.mark.parametrize("send", [send_video, send_jpegs, send_images], ids=["h264", "jpeg", "raw"])
@pytest.mark.parametrize("raw", ["h264", "lossless"])
def test_pictures_are_those_whose_own_times_lie_in_the_part(tmp_path: Path, late_ns: int, send: Any, raw: str) -> None:
    ros = Ros(1, {PACKET: PACKET1})
    send(ros, 200, late_ns)
    cameras = {"cam": {"topic": "/cam", "raw": raw}}
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", cameras, start_s=2.2, stop_s=4.0)
    assert len(made.decode("cam")) == len(made.frames("cam"))
    assert rows(made) == list(range(50 if send is send_video else 55, 100))
    assert seconds(made) == (2.2, 4.0)
    assert made.rows["cam"].message == ""


@pytest.mark.parametrize("late_ns", [MS, 300 * MS, DAYS_NS])
@pytest.mark.parametrize("block", [100, 8_000, 12_000])
@pytest.mark.parametrize("start_s", [0.0, 2.5, 6.0])
def test_a_sound_is_cut_to_the_sample_whatever_its_blocks(
    tmp_path: Path, late_ns: int, block: int, start_s: float
) -> None:
    ros = Ros(1, FORK)
    send_sound(ros, 10, block, late_ns)
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {}, {"mic": "/mic"}, start_s=start_s, stop_s=7.25)
    first, stop = round(start_s * RATE_HZ), round(7.25 * RATE_HZ)
    assert sound_of(made).tolist() == numbered(10 * RATE_HZ)[first:stop].tolist()
    assert abs(made.clock("mic").start_ns - START_NS - round(start_s * S)) <= 1
    assert made.rows["mic"].value == stop - first


def test_blocks_longer_than_what_is_read_around_a_part_are_read_all_the_same(tmp_path: Path) -> None:
    ros = Ros(1, FORK)
    send_sound(ros, 100, 15 * RATE_HZ, MS)
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {}, {"mic": "/mic"}, start_s=40, stop_s=46)
    assert sound_of(made).tolist() == numbered(100 * RATE_HZ)[40 * RATE_HZ : 46 * RATE_HZ].tolist()


def test_pictures_and_sounds_of_all_delays_are_cut_alike(tmp_path: Path) -> None:
    ros = Ros(1, {PACKET: PACKET1, **FORK})
    send_video(ros, 200, 120 * MS, gop=12, b_frames=2)
    send_jpegs(ros, 200, 2 * MS, "/still")
    send_sound(ros, 8, RATE_HZ, 40 * MS)
    cameras = {"cam": "/cam", "still": "/still"}
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", cameras, {"mic": "/mic"}, start_s=2.2, stop_s=5.1)
    # All that are shown in it, and those that their decoding needs.
    assert set(range(55, 128)) <= set(rows(made))
    assert set(rows(made)) <= set(range(48, 130))
    assert len(made.decode("cam")) == len(rows(made))
    still = made.frames("still").time_ns - START_NS
    assert still.tolist() == [k * PERIOD_NS for k in range(55, 128)]
    assert sound_of(made).tolist() == numbered(8 * RATE_HZ)[round(2.2 * RATE_HZ) : round(5.1 * RATE_HZ)].tolist()
    assert seconds(made) == (2.2, 5.1)


def test_a_part_is_counted_from_the_first_picture_though_packets_without_keyframe_come_before(tmp_path: Path) -> None:
    ros = Ros(1, {PACKET: PACKET1})
    send_video(ros, 200, MS)
    ros.sent = ros.sent[35:]
    bag = ros.write(tmp_path / "a.bag")
    whole = export(bag, tmp_path / "whole", {"cam": "/cam"})
    made = export(bag, tmp_path / "out", {"cam": "/cam"}, start_s=2.0)
    assert made.manifest["timeline"]["start_ns"] == whole.manifest["timeline"]["start_ns"] + 2 * S
    assert rows(made) == list(range(90, 200))


def test_a_part_of_stamps_of_another_clock_is_the_same_part(tmp_path: Path) -> None:
    ros = Ros(1)
    send_jpegs(ros, 200, MS)
    send_jpegs(ros, 200, MS, "/own", -1_800 * S)
    bag = ros.write(tmp_path / "a.bag")
    for time, behind_ns in (("auto", 0), ("stamp", 1_800 * S)):
        cameras = {"cam": "/cam", "own": {"topic": "/own", "time": time}}
        made = export(bag, tmp_path / time, cameras, start_s=2.0, stop_s=4.0)
        own = made.frames("own").time_ns + behind_ns
        assert np.abs(own - made.frames("cam").time_ns).max() <= MS
        assert len(own) == 50


def test_a_wrong_stamp_takes_no_picture_out_of_the_part(tmp_path: Path) -> None:
    ros = Ros(1)
    jpeg = as_uint8(cv2.imencode(".jpg", picture())[1].tobytes())
    for k in range(200):
        time_ns = START_NS + k * PERIOD_NS
        wrong = {20: 80, 80: 20, 90: 199}.get(k, k)
        header = ros.header(START_NS + wrong * PERIOD_NS)
        ros.send(time_ns + MS, "/cam", COMPRESSED, header=header, format="jpeg", data=jpeg)
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/cam"}, start_s=2.0, stop_s=4.0)
    assert rows(made) == list(range(50, 100))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages are read, as the only number."""
    count, messages = [0], Bag.messages

    def counted(self: Bag, *asked: Any) -> Iterator[Any]:
        for message in messages(self, *asked):
            count[0] += 1
            yield message

    monkeypatch.setattr(Bag, "messages", counted)
    return count


@pytest.mark.parametrize("late_ns", [MS, DAYS_NS])
def test_only_what_lies_around_the_part_is_read(tmp_path: Path, read: list[int], late_ns: int) -> None:
    ros = Ros(1, FORK)
    send_jpegs(ros, 250 * 25, late_ns)
    send_sound(ros, 250, RATE_HZ // 10, late_ns)
    bag = ros.write(tmp_path / "a.bag")
    made = export(bag, tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"}, start_s=200, stop_s=202)
    assert (len(rows(made)), made.rows["mic"].value) == (50, 2 * RATE_HZ)
    # 25 + 10 a second.
    assert read[0] < 35 * (2 + 10 + 10) + 150


def test_what_says_the_form_of_a_sound_once_at_the_beginning_holds_for_a_part(tmp_path: Path) -> None:
    ros = Ros(1, DRIVERS)
    info = {"channels": 1, "sample_rate": RATE_HZ, "sample_format": "S16LE", "bitrate": 0, "coding_format": "wave"}
    ros.send(START_NS, "/audio/audio_info", INFO, **info)
    samples = numbered(60 * RATE_HZ).reshape(-1, 80)
    for block, data in enumerate(samples):
        end_ns = START_NS + (block + 1) * 10 * MS
        audio = ros.make(DATA, data=as_uint8(data))
        ros.send(end_ns + MS, "/audio/stamped", STAMPED, header=ros.header(end_ns), audio=audio)
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {}, {"mic": "/audio/stamped"}, start_s=40, stop_s=41)
    assert sound_of(made).tolist() == samples.reshape(-1)[40 * RATE_HZ : 41 * RATE_HZ].tolist()


def test_a_part_of_blocks_that_end_within_samples_has_the_right_ones(tmp_path: Path) -> None:
    ros = Ros(1, FORK)
    payload = np.arange(60 * RATE_HZ * 3, dtype="<u4").astype("<u2").tobytes()
    for first in range(0, len(payload), 1_000):
        data = payload[first : first + 1_000]
        end_ns = START_NS + (first + len(data)) * S // (6 * RATE_HZ)
        form = ros.make("audio_common_msgs/msg/AudioFormat", id="S16LE", rate=RATE_HZ, channels=3, depth=16)
        ros.send(end_ns + MS, "/mic", STAMPED, header=ros.header(end_ns), format=form, data=as_uint8(data))
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {}, {"mic": "/mic"}, start_s=40, stop_s=41)
    got = payload_of(made.folder / "mic.wav", "s16le", 3).tobytes()
    # To a sample: the stamps are whole ns.
    assert any(got == payload[(40 * RATE_HZ + k) * 6 :][: len(got)] for k in (-1, 0, 1))
    assert abs(len(got) // 6 - RATE_HZ) <= 1
    assert made.rows["mic"].message == ""


@pytest.mark.parametrize("span", [(20.0, 25.0), (9.0, 0.0)])
def test_a_part_without_pictures_or_samples_is_a_failed_row(tmp_path: Path, span: tuple[float, float]) -> None:
    ros = Ros(1, {PACKET: PACKET1, **FORK})
    send_video(ros, 200, MS)
    send_jpegs(ros, 200, MS, "/still")
    send_sound(ros, 8, 800, MS)
    bag = ros.write(tmp_path / "a.bag")
    cameras = {"cam": "/cam", "still": "/still"}
    made = export(bag, tmp_path / "out", cameras, {"mic": "/mic"}, start_s=span[0], stop_s=span[1])
    assert {name: row.reason for name, row in made.rows.items()} == {
        "cam": "no_frames",
        "still": "no_frames",
        "mic": "no_samples",
    }
    assert all("in this part of the bag" in row.message for row in made.rows.values())
    assert made.is_empty("cam")


def test_a_camera_that_begins_behind_the_part_has_no_picture_in_it(tmp_path: Path) -> None:
    late = Ros(1, {PACKET: PACKET1, **FORK})
    send_video(late, 200, MS)
    late.sent = late.sent[100:]
    send_sound(late, 8, 800, MS)
    bag = late.write(tmp_path / "a.bag")
    made = export(bag, tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"}, start_s=1, stop_s=2)
    assert made.rows["cam"].reason == "no_frames"
    assert made.rows["mic"].value == RATE_HZ
