"""Bags in trouble: cut off, without index, with a camera that dies, corrupt stamps, a million tiny messages."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from scripts.common.errors import InputError
from tests.unit.bag_formats.containers import as_mcap
from tests.unit.bag_maker import (
    MS,
    PERIOD_NS,
    RAW_AUDIO,
    START_NS,
    Ros,
    as_uint8,
    camera_of,
    export,
    picture,
    send_compressed,
    send_image,
    send_packet,
    small_ros2,
)
from tests.unit.examples import REPO

RAW = "foxglove_msgs/msg/RawAudio"


def long_camera() -> Ros:
    """Packets enough for many chunks."""
    return camera_of("h264", 200)


def unindexed(bag: bytes) -> bytes:
    position = bag.index(b"index_pos=") + 10
    return bag[:position] + bytes(8) + bag[position + 8 :]


@pytest.mark.parametrize("compression", ["", "LZ4", "BZ2"])
def test_the_good_part_of_a_ros1_bag_is_salvaged(tmp_path: Path, compression: str) -> None:
    ros = long_camera()
    for index in range(300):
        send_image(ros, index, np.random.default_rng(index).integers(0, 255, (48, 64, 3), np.uint8), "bgr8")
    ros.sent = [(t, "/cam" if k.endswith("Packet") else "/raw", k, c) for t, _, k, c in ros.sent]
    whole = ros.write(tmp_path / "whole.bag", compression).read_bytes()
    bag = tmp_path / "a.bag"
    bag.write_bytes(unindexed(whole)[: len(whole) * 3 // 4])
    with pytest.raises(InputError, match="salvage: true"):
        export(bag, tmp_path / "no", {"cam": "/cam"})
    made = export(bag, tmp_path / "out", {"cam": "/cam"}, salvage=True)
    frames = made.frames("cam")
    assert 20 < len(frames) <= 200
    assert (frames.time_ns - START_NS).tolist() == [number * PERIOD_NS for number in range(len(frames))]
    assert len(made.decode("cam")) == len(frames)
    assert "salvaged: " in made.rows["cam"].message
    assert any("salvaged: " in warning for warning in made.manifest["warnings"])


def test_an_unindexed_bag_is_salvaged_whole(tmp_path: Path) -> None:
    whole = long_camera().write(tmp_path / "whole.bag").read_bytes()
    (tmp_path / "a.bag").write_bytes(unindexed(whole))
    made = export(tmp_path / "a.bag", tmp_path / "out", {"cam": "/cam"}, salvage=True)
    assert len(made.frames("cam")) == 200


@pytest.mark.parametrize("chunks", ["NONE", "LZ4", "ZSTD"])
def test_the_good_part_of_an_mcap_is_salvaged(tmp_path: Path, chunks: str) -> None:
    bag = as_mcap(small_ros2(200), tmp_path / "a.mcap", chunks, cut=0.6)
    with pytest.raises(InputError, match="salvage: true"):
        export(bag, tmp_path / "no", {"cam": "/cam"})
    made = export(bag, tmp_path / "out", {"cam": "/cam"}, salvage=True)
    assert 60 < len(made.frames("cam")) < 180
    assert len(made.decode("cam")) == len(made.frames("cam"))
    assert "salvaged: " in made.rows["cam"].message


def test_a_healthy_bag_is_the_same_with_salvage(tmp_path: Path) -> None:
    bag = small_ros2().write(tmp_path / "a.mcap")
    plain = export(bag, tmp_path / "plain", {"cam": "/cam"})
    ready = export(bag, tmp_path / "ready", {"cam": "/cam"}, salvage=True)
    for name in ("cam.mp4", "cam.frames.parquet", "export.ledger.parquet"):
        assert (plain.folder / name).read_bytes() == (ready.folder / name).read_bytes()


@pytest.mark.parametrize("name", ["a.bag", "a.mcap"])
@pytest.mark.parametrize("content", [b"", b"x" * 40, bytes(range(256)) * 40])
def test_garbage_cannot_be_salvaged_and_says_so(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        export(tmp_path / name, tmp_path / "out", {"cam": "/cam"}, salvage=True)
    assert error.value.reason == "unreadable"
    assert name in error.value.message
    assert "\n" not in error.value.message


@pytest.mark.parametrize("cut", [20, 200, 1000, 3000])
def test_a_bag_cut_anywhere_is_salvaged_or_refused_in_one_line(tmp_path: Path, cut: int) -> None:
    for ros, name in ((long_camera(), "a.bag"), (small_ros2(), "a.mcap")):
        whole = ros.write(tmp_path / f"whole{cut}{name}").read_bytes()
        (tmp_path / name).write_bytes(whole[:cut])
        said = ""
        try:
            export(tmp_path / name, tmp_path / f"out {name}", {"cam": "/cam"}, salvage=True)
        except InputError as error:
            said = error.message
        assert not said or name in said
        assert (tmp_path / f"out {name}" / "manifest.json").exists() == (not said)


@pytest.mark.parametrize("name", ["a.BAG", "a.Mcap"])
def test_endings_may_be_written_in_capitals(tmp_path: Path, name: str) -> None:
    ros, lower = (camera_of("h264", 30), "b.bag") if name.endswith("BAG") else (small_ros2(), "b.mcap")
    ros.write(tmp_path / lower).rename(tmp_path / name)
    assert len(export(tmp_path / name, tmp_path / "out", {"cam": "/cam"}).frames("cam")) == 30


def test_a_truncated_bag_says_nothing_of_the_insides_of_a_library(tmp_path: Path) -> None:
    whole = long_camera().write(tmp_path / "whole.bag").read_bytes()
    for share in (0.2, 0.5, 0.9, 0.99):
        (tmp_path / "a.bag").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError) as error:
            export(tmp_path / "a.bag", tmp_path / "out", {"cam": "/cam"})
        assert "('" not in error.value.message
        assert "Error:" not in error.value.message


def test_a_camera_that_dies_half_way_leaves_the_others_whole(tmp_path: Path) -> None:
    ros = camera_of("h264", 40)
    for index in range(20):
        send_image(ros, index, picture(), "bgr8")
    ros.sent = [(t, "/cam" if k.endswith("Packet") else "/dying", k, c) for t, _, k, c in ros.sent]
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/cam", "dying": "/dying"})
    assert len(made.frames("cam")) == 40
    assert len(made.frames("dying")) == 20
    assert made.manifest["timeline"]["stop_ns"] == START_NS + 40 * PERIOD_NS
    assert made.manifest["streams"]["dying"]["stop_ns"] == START_NS + 20 * PERIOD_NS


@pytest.mark.parametrize(("pause_s", "outcome"), [(2000, "written"), (2400, "failed")])
@pytest.mark.parametrize("kind", ["h264", "bgr8", "jpeg"])
def test_a_pause_is_kept_to_the_microsecond_or_refused(tmp_path: Path, kind: str, pause_s: int, outcome: str) -> None:
    pause_ns = pause_s * 10**9
    if kind == "h264":
        ros = camera_of("h264", 20)
    else:
        ros = Ros(1)
        for index in range(20):
            if kind == "bgr8":
                send_image(ros, index, picture(), "bgr8")
            else:
                send_compressed(ros, index, cv2.imencode(".jpg", picture())[1].tobytes(), "jpeg")
    late = []
    for index, (log_ns, topic, form, content) in enumerate(ros.sent):
        message = ros.store.deserialize_ros1(content, form)
        shift_ns = pause_ns if index >= 10 else 0
        message.header.stamp = ros.time(START_NS + index * PERIOD_NS + shift_ns)
        late.append((log_ns + shift_ns, topic, form, bytes(ros.store.serialize_ros1(message, form))))
    ros.sent = late
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/cam"})
    assert made.rows["cam"].outcome == outcome, made.rows["cam"].message
    if outcome == "failed":
        assert made.rows["cam"].reason == "long_pause"
        assert "2400 s without a picture" in made.rows["cam"].message
        assert made.is_empty("cam")
    else:
        pts = [pts for pts, _ in made.decode("cam")]
        assert pts == [index * 40_000 + (pause_s * 1_000_000 if index >= 10 else 0) for index in range(20)]


def two_cameras() -> Ros:
    ros = Ros(1)
    for index in range(3):
        send_image(ros, index, picture(), "bgr8")
    ros.sent = [(t, topic, k, c) for t, _, k, c in ros.sent for topic in ("/rig/left/image", "/rig/right/image")]
    return ros


@pytest.mark.parametrize(
    ("wanted", "outcome", "said"),
    [
        ({"topic": "/rig/left/*"}, "written", ""),
        ({"topic": "/rig/le?t/image", "type": "sensor_msgs/Image"}, "written", ""),
        ({"topic": "/rig/left/image", "type": "sensor_msgs/msg/Image"}, "written", ""),
        ({"topic": "/rig/*"}, "failed", "2 topics fit `/rig/*`: /rig/left/image, /rig/right/image; narrow it"),
        ({"topic": "*", "type": "sensor_msgs/Image"}, "failed", "2 topics fit `*` of type sensor_msgs/Image"),
        ({"topic": "/rig/left/image", "type": "x/Y"}, "failed", "has the type sensor_msgs/Image, not x/Y"),
        ({"topic": "/none/*"}, "failed", "the bag has no topic `/none/*`"),
    ],
)
def test_a_pattern_stands_for_the_one_topic_that_it_fits(
    tmp_path: Path, wanted: dict[str, str], outcome: str, said: str
) -> None:
    made = export(two_cameras().write(tmp_path / "a.bag"), tmp_path / "out", {"cam": wanted})
    assert made.rows["cam"].outcome == outcome
    assert said in made.rows["cam"].message


@pytest.mark.parametrize("at", [0, 1, 50, 99])
def test_a_corrupt_stamp_of_a_sound_hours_ahead_makes_no_hours_of_silence(tmp_path: Path, at: int) -> None:
    ros = Ros(2, {RAW: RAW_AUDIO})
    for block in range(100):
        start_ns = START_NS + block * 10 * MS
        stamp_ns = start_ns + (5 * 3600 * 10**9 if block == at else 0)
        fields = {"format": "pcm-s16", "sample_rate": 8000, "number_of_channels": 1}
        data = as_uint8(np.full(80, block, np.int16))
        ros.send(start_ns + 11 * MS, "/mic", RAW, timestamp=ros.time(stamp_ns), data=data, **fields)
    made = export(ros.write(tmp_path / "a.mcap"), tmp_path / "out", {}, {"mic": "/mic"})
    clock = made.clock("mic")
    assert clock.samples == 8000
    assert not clock.gaps
    assert abs(clock.start_ns - START_NS) < MS
    assert made.manifest["streams"]["mic"]["stamps"] == {"unbelievable_stamps": 1}


TINY = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.unit.bag_maker import export
made = export(Path(sys.argv[1]), Path(sys.argv[2]), {}, {"mic": {"topic": "/mic", "rate_hz": 8000, "channels": 1}})
print(made.clock("mic").samples, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_a_million_tiny_messages_take_no_more_memory_than_a_few(tmp_path: Path) -> None:
    peaks = []
    for count in (1000, 1_000_000):
        bag = write_tiny(tmp_path / f"{count}.mcap", count)
        done = subprocess.run(
            [sys.executable, "-c", TINY, str(bag), str(tmp_path / f"out{count}"), str(REPO)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        samples, peak_kb = map(int, done.stdout.split())
        assert samples == count * 4
        peaks.append(peak_kb / 1024)
    assert peaks[1] - peaks[0] < 300


BIG = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from tests.unit.bag_maker import export
made = export(Path(sys.argv[1]), Path(sys.argv[2]), {"cam": "/cam"}, max_message_mb=50)
assert made.manifest["streams"]["cam"]["dropped"] == {"larger than 50 MB (max_message_mb)": 1}, made.manifest
# Not ru_maxrss, which begins with the parent's.
status = Path("/proc/self/status").read_text().splitlines()
print(len(made.frames("cam")), *[line.split()[1] for line in status if line.startswith("VmHWM")])
"""


def test_a_huge_message_of_a_ros1_bag_is_not_even_read(tmp_path: Path) -> None:
    peaks = []
    for megabytes in (60, 200):
        ros = camera_of("h264", 30)
        send_packet(ros, START_NS + 15 * PERIOD_NS, START_NS + 15 * PERIOD_NS, bytes(megabytes * 2**20), 22, False)
        bag = ros.write(tmp_path / f"{megabytes}.bag")
        del ros
        done = subprocess.run(
            [sys.executable, "-c", BIG, str(bag), str(tmp_path / f"out{megabytes}"), str(REPO)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        frames, peak_kb = map(int, done.stdout.split())
        assert frames == 30
        peaks.append(peak_kb / 1024)
        bag.unlink()
    assert peaks[1] - peaks[0] < 40


def write_tiny(path: Path, count: int) -> Path:
    """Blocks of four samples, half a millisecond each."""
    from mcap.writer import CompressionType, Writer

    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType.NONE, chunk_size=2**20, use_statistics=True)
        writer.start("ros2", "test")
        schema = writer.register_schema("audio_common_msgs/msg/AudioData", "ros2msg", b"uint8[] data\n")
        channel = writer.register_channel("/mic", "cdr", schema)
        content = b"\0\1\0\0" + (8).to_bytes(4, "little") + bytes(8)
        for number in range(count):
            log_ns = START_NS + number * 500_000
            writer.add_message(channel, log_ns, content, log_ns)
        writer.finish()
    return path
