"""A recording machine whose clock is set back: log times and stamps step together, the order of storage goes on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.writer import IndexType, Writer
from rosbags.rosbag2 import StoragePlugin

from scripts.sources.set_back import SetBack, find_set_back
from tests.unit.bag_maker import (
    COMPRESSED,
    MS,
    PACKET,
    PACKET1,
    PACKET2,
    RAW_AUDIO,
    START_NS,
    Export,
    Ros,
    as_uint8,
    encode,
    export,
    payload_of,
    send_packet,
)

S = 1_000_000_000
RAW = "foxglove_msgs/msg/RawAudio"
RATE_HZ, BLOCK = 8_000, 160
BLOCK_NS, PICTURE_NS = 20 * MS, 100 * MS
SECONDS = 10
SET_NS = 5_003 * MS
JPEGS = [cv2.imencode(".jpg", np.full((48, 64, 3), k, np.uint8))[1].tobytes() for k in range(SECONDS * 10)]
SAMPLES = np.random.default_rng(0).integers(0, 255, (SECONDS * 50, BLOCK * 2), dtype=np.uint8)
Clock = Callable[[int], int]


def set_back(by_ns: int, at_ns: int = SET_NS) -> Clock:
    """The machine's clock at an instant of the recording, ns."""
    return lambda instant_ns: START_NS + instant_ns - (by_ns if instant_ns >= at_ns else 0)


def recorded(clock: Clock, version: int = 2, stamps: Clock | None = None, video: bool = False) -> Ros:
    """A camera (10 fps) and a microphone, stored in the order of arrival; stamps: of another machine."""
    ros = Ros(version, {RAW: RAW_AUDIO, PACKET: PACKET1 if version == 1 else PACKET2})
    stamps = stamps or clock
    packets = encode("h264", SECONDS * 10) if video else []
    sent: list[tuple[int, int]] = [(k * PICTURE_NS + 4 * MS, k) for k in range(SECONDS * 10)]
    sent += [((k + 1) * BLOCK_NS + MS // 2, -k - 1) for k in range(SECONDS * 50)]
    for arrived_ns, k in sorted(sent):
        log_ns = clock(arrived_ns)
        if k < 0:
            fields = {"format": "pcm-s16", "sample_rate": RATE_HZ, "number_of_channels": 1}
            stamp = ros.time(clock((-k - 1) * BLOCK_NS))
            ros.send(log_ns, "/mic", RAW, timestamp=stamp, data=as_uint8(SAMPLES[-k - 1]), **fields)
        elif video:
            data, _, key = packets[k]
            send_packet(ros, log_ns, stamps(k * PICTURE_NS), data, k, key)
        else:
            header = ros.header(stamps(k * PICTURE_NS))
            ros.send(log_ns, "/cam", COMPRESSED, header=header, format="jpeg", data=as_uint8(JPEGS[k]))
    return ros


def check(made: Export, by_ns: int, lost: int = 0) -> None:
    """All pictures and samples are there, in the order in which they were sent, at the distances they had."""
    frames, clock = made.frames("cam"), made.clock("mic")
    assert made.rows["cam"].outcome == made.rows["mic"].outcome == "written"
    assert np.abs(frames.time_ns - START_NS - np.arange(len(JPEGS)) * PICTURE_NS).max() < 2 * MS
    assert payload_of(made.folder / "mic.wav", "s16le", 1).tobytes() == SAMPLES.tobytes()
    assert abs(clock.start_ns - START_NS) < 2 * MS
    assert abs(clock.drift_ppm) < 100
    assert not clock.gaps
    assert len(clock.segments) == 1
    said = "the recording machine's clock was set back by "
    (named,) = [line for line in made.manifest["warnings"] if line.startswith(said)]
    assert abs(float(named.removeprefix(said).split(" s ")[0]) - by_ns / S) < 0.003
    assert said in made.rows["cam"].message
    assert said in made.rows["mic"].message


def pictures(made: Export) -> list[int]:
    return [int(picture[..., 0].mean().round()) for _, picture in made.decode("cam")]


@pytest.mark.parametrize("by_ns", [300 * MS, 1_300 * MS, 3_600 * S])
@pytest.mark.parametrize("ending", [".mcap", ".db3", ".bag"])
def test_what_follows_stands_behind_what_was_before_in_its_own_distances(
    tmp_path: Path, ending: str, by_ns: int
) -> None:
    ros = recorded(set_back(by_ns), 1 if ending == ".bag" else 2)
    made = export(ros.write(tmp_path / f"a{ending}", in_order=True), tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"})
    check(made, by_ns)
    assert np.abs(np.array(pictures(made)) - np.arange(100)).max() <= 1


@pytest.mark.parametrize("ending", [".mcap", ".bag"])
def test_it_holds_for_what_is_salvaged(tmp_path: Path, ending: str) -> None:
    bag = recorded(set_back(1_300 * MS), 1 if ending == ".bag" else 2).write(tmp_path / f"a{ending}", in_order=True)
    bag.write_bytes(bag.read_bytes()[:-5])
    made = export(bag, tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"}, salvage=True)
    check(made, 1_300 * MS)


def split(ros: Ros, folder: Path, ending: str) -> list[Path]:
    """The messages in three files; the clock is set back in the second one."""
    bags = []
    for number, part in enumerate((ros.sent[:200], ros.sent[200:400], ros.sent[400:])):
        some = Ros(2, {RAW: RAW_AUDIO})
        some.sent = part
        bags.append(some.write(folder / f"part_{number}{ending}", in_order=True))
    return bags


@pytest.mark.parametrize("profile", ["ros2", ""])
@pytest.mark.parametrize(
    "form",
    [{"use_chunking": False}, {"chunk_size": 20_000}, {"index_types": IndexType.NONE}, {"use_summary_offsets": False}],
    ids=["without-chunks", "chunks", "without-index", "without-offsets"],
)
def test_it_holds_for_every_form_of_mcap(tmp_path: Path, profile: str, form: dict[str, Any]) -> None:
    bag = recorded(set_back(1_300 * MS)).write(tmp_path / "a.mcap", in_order=True)
    other = tmp_path / "b.mcap"
    with bag.open("rb") as source, other.open("wb") as copy:
        writer = Writer(copy, **form)
        writer.start(profile=profile)
        channels: dict[int, int] = {}
        for schema, channel, message in make_reader(source).iter_messages(log_time_order=False):
            assert schema is not None
            if channel.id not in channels:
                known = writer.register_schema(schema.name, schema.encoding, schema.data)
                channels[channel.id] = writer.register_channel(channel.topic, channel.message_encoding, known)
            writer.add_message(channels[channel.id], message.log_time, message.data, message.publish_time)
        writer.finish()
    check(export(other, tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"}), 1_300 * MS)


@pytest.mark.parametrize("ending", [".mcap", ".db3"])
def test_what_is_recorded_into_the_next_file_goes_on_behind_it(tmp_path: Path, ending: str) -> None:
    bags = split(recorded(set_back(1_300 * MS)), tmp_path, ending)
    check(export(bags, tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"}), 1_300 * MS)


@pytest.mark.parametrize("ending", [".mcap", ".db3"])
@pytest.mark.parametrize("at_ns", [SET_NS, 3_330 * MS], ids=["within-a-file", "between-files"])
def test_it_holds_in_a_folder_whose_description_names_several_files(tmp_path: Path, ending: str, at_ns: int) -> None:
    ros = recorded(set_back(1_300 * MS, at_ns))
    folder = tmp_path / "bag"
    plugin = StoragePlugin.MCAP if ending == ".mcap" else StoragePlugin.SQLITE3
    (whole,) = [path for path in ros.write_folder(folder, plugin) if path.suffix == ending]
    whole.unlink()
    names = [bag.name for bag in split(ros, folder, ending)]
    described = folder / "metadata.yaml"
    described.write_text(described.read_text().replace(f"- {whole.name}", "\n  - ".join(["", *names]).strip()))
    check(export(folder, tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"}), 1_300 * MS)


def test_video_keeps_the_order_of_its_packets(tmp_path: Path) -> None:
    ros = recorded(set_back(1_300 * MS), video=True)
    bag = ros.write(tmp_path / "a.mcap", in_order=True)
    made = export(bag, tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"})
    check(made, 1_300 * MS)
    assert len(made.decode("cam")) == 100
    assert not made.frames("cam").tainted.any()


def test_the_stamps_of_another_machine_stay(tmp_path: Path) -> None:
    ros = recorded(set_back(1_300 * MS), stamps=set_back(0))
    bag = ros.write(tmp_path / "a.mcap", in_order=True)
    check(export(bag, tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"}), 1_300 * MS)


def test_a_part_behind_the_step_is_that_of_the_whole(tmp_path: Path) -> None:
    bag = recorded(set_back(1_300 * MS)).write(tmp_path / "a.mcap", in_order=True)
    made = export(bag, tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"}, start_s=6.05, stop_s=8.05)
    assert np.abs(np.array(pictures(made)) - np.arange(61, 81)).max() <= 1
    assert abs(made.clock("mic").start_ns - START_NS - 6_050 * MS) < 2 * MS


def test_topics_that_are_stored_one_behind_the_other_are_no_step(tmp_path: Path) -> None:
    ros = recorded(set_back(0))
    plain = export(ros.write(tmp_path / "a.mcap"), tmp_path / "plain", {"cam": "/cam"}, {"mic": "/mic"})
    ros.sent.sort(key=lambda message: message[1])
    made = export(ros.write(tmp_path / "b.mcap", in_order=True), tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"})
    assert made.manifest["warnings"] == plain.manifest["warnings"] == []
    for name in ("cam.mp4", "cam.frames.parquet", "mic.wav", "mic.clock.json"):
        assert (made.folder / name).read_bytes() == (plain.folder / name).read_bytes()


def rows(*channels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log times and channels of messages, (arrival, log time) each, in the order of arrival."""
    number = np.concatenate([np.full(len(channel), k) for k, channel in enumerate(channels)])
    arrived, log_ns = np.concatenate(channels).T
    order = np.argsort(arrived, kind="stable")
    return log_ns[order], number[order]


def every(period_ms: int, count: int = 100, back_ms: int = 0, from_ms: int = 500) -> np.ndarray:
    arrived = np.arange(count) * period_ms * MS + period_ms
    return np.stack([arrived, START_NS + arrived - np.where(arrived >= from_ms * MS, back_ms * MS, 0)], axis=1)


def test_topics_in_which_nothing_runs_back_settle_no_step() -> None:
    assert find_set_back(*rows(every(10), every(33, 30))) == ([], set())


def test_a_step_begins_with_its_first_message_of_any_topic_and_is_measured_by_the_densest() -> None:
    log_ns, channel = rows(every(10, back_ms=300), every(170, 6, back_ms=300))
    (step,), doubted = find_set_back(log_ns, channel)
    assert step.message == np.argmin(np.diff(log_ns)) + 1
    assert abs(step.shift_ns - 300 * MS) < MS
    assert not doubted


def test_a_topic_that_runs_back_while_another_goes_on_is_doubted_and_no_step() -> None:
    assert find_set_back(*rows(every(10, back_ms=300), every(20, 50))) == ([], {0})


@pytest.mark.parametrize("off_ms", [-5_000, 5_000])
def test_a_single_wrong_log_time_is_no_step(off_ms: int) -> None:
    one = every(10)
    one[50, 1] += off_ms * MS
    assert find_set_back(*rows(one, every(20, 50))) == ([], set())


def test_b_frames_that_are_logged_by_their_own_times_are_no_step() -> None:
    shown = np.concatenate([group + np.array([8, 4, 2, 1, 3, 6, 5, 7]) for group in range(0, 80, 8)])
    arrived = np.arange(len(shown)) * 100 * MS
    assert find_set_back(*rows(np.stack([arrived, START_NS + shown * 100 * MS], axis=1))) == ([], set())


def test_a_clock_that_is_set_back_twice_is_moved_by_both() -> None:
    one = every(10, 300, back_ms=300)
    one[200:, 1] -= 700 * MS
    steps, _ = find_set_back(*rows(one))
    assert [step.message for step in steps] == [50, 200]
    assert np.abs(np.array([step.shift_ns for step in steps]) - np.array([300, 1_000]) * MS).max() < MS
    assert isinstance(steps[0], SetBack)
