"""A bag becomes videos with frame tables and sounds with clocks. Truth is by construction."""

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from rushes.synthetic import read_number, write_aviary_bag, write_mcap
from scripts.common import manifest
from tests.unit.bag_maker import (
    PERIOD_NS,
    START_NS,
    Export,
    camera_of,
    export,
    small_ros2,
)


@pytest.fixture(scope="module")
def aviary(tmp_path_factory: pytest.TempPathFactory) -> tuple[Export, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("aviary")
    truth = write_aviary_bag(folder / "aviary.bag", seconds=5)
    cameras = {name: camera["topic"] for name, camera in truth["cameras"].items()}
    return export(
        folder / "aviary.bag", folder / "out", cameras, {"array": truth["microphones"]["array"]["topic"]}
    ), truth


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> tuple[Export, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("bench")
    truth = write_mcap(folder / "bench.mcap", seconds=4)
    return (
        export(
            folder / "bench.mcap",
            folder / "out",
            {"front": truth["cameras"]["front"]["topic"]},
            {"voice": truth["microphones"]["voice"]["topic"]},
        ),
        truth,
    )


@pytest.mark.parametrize("camera", ["cam0", "cam1", "cam2"])
def test_every_picture_that_was_sent_is_exported_with_its_stamp(
    aviary: tuple[Export, dict[str, Any]], camera: str
) -> None:
    made, truth = aviary
    frames = made.frames(camera)
    assert frames.time_ns.tolist() == truth["cameras"][camera]["stamps_ns"]
    assert made.rows[camera].outcome == "written"
    assert made.rows[camera].value == truth["cameras"][camera]["sent"]


@pytest.mark.parametrize("camera", ["cam0", "cam1", "cam2"])
def test_ffmpeg_shows_each_picture_at_its_own_time_to_half_a_microsecond(
    aviary: tuple[Export, dict[str, Any]], camera: str
) -> None:
    made, truth = aviary
    frames, decoded = made.frames(camera), made.decode(camera)
    assert [pts_us for pts_us, _ in decoded] == frames.pts_us.tolist()
    assert frames.pts_us[0] == 0
    assert np.max(np.abs(frames.pts_us * 1000 - (frames.time_ns - frames.time_ns[0]))) <= 500
    shown = np.array([read_number(picture) for _, picture in decoded])
    assert np.all((shown == truth["cameras"][camera]["numbers"]) | frames.tainted)


def test_drops_of_the_camera_are_gaps_and_a_lost_packet_taints_up_to_the_next_keyframe(
    aviary: tuple[Export, dict[str, Any]],
) -> None:
    made, truth = aviary
    frames, camera = made.frames("cam0"), truth["cameras"]["cam0"]
    numbers = np.array(camera["numbers"])
    missing = set(camera["dropped"]) | set(camera["lost"])
    behind_gap = [n for n in numbers if n > 0 and n - 1 in missing]
    assert numbers[frames.gap_before_ns > 0].tolist() == behind_gap
    assert numbers[frames.tainted].tolist() == camera["tainted"]
    assert numbers[frames.keyframe].tolist() == camera["keyframes"]
    assert made.manifest["streams"]["cam0"]["lost_packets"] == len(camera["lost"])
    assert made.manifest["streams"]["cam0"]["gaps"] == len(behind_gap)


def test_the_sound_starts_within_0_2_ms_and_its_hole_is_filled_to_a_block(
    aviary: tuple[Export, dict[str, Any]],
) -> None:
    made, truth = aviary
    clock, sound = made.clock("array"), truth["microphones"]["array"]
    assert abs(clock.start_ns - sound["true_start_ns"]) <= 200_000
    (gap,), (hole,) = clock.gaps, sound["holes"]
    assert abs(gap.start_sample - hole["start_sample"]) < sound["block_samples"]
    assert abs(gap.stop_sample - gap.start_sample - hole["samples"]) < sound["block_samples"]
    samples, rate_hz = soundfile.read(made.folder / "array.wav", dtype="int32")
    assert rate_hz == 48_000
    assert samples.shape == (clock.samples, 4)
    assert not samples[gap.start_sample : gap.stop_sample].any()
    assert samples[gap.start_sample - 480 : gap.start_sample].any()
    assert samples[gap.stop_sample : gap.stop_sample + 480].any()


def test_the_timeline_goes_from_the_first_stream_to_the_end_of_the_last_picture(
    aviary: tuple[Export, dict[str, Any]],
) -> None:
    made, _ = aviary
    streams = made.manifest["streams"]
    assert made.manifest["timeline"] == {
        "start_ns": made.clock("array").start_ns,
        "stop_ns": max(streams[camera]["stop_ns"] for camera in ("cam0", "cam1", "cam2")),
    }


def test_the_manifest_says_of_each_topic_whether_it_was_taken(aviary: tuple[Export, dict[str, Any]]) -> None:
    made, _ = aviary
    topics = {topic["name"]: topic for topic in made.manifest["topics"]}
    assert topics["/audio/audio_stamped"]["taken"]
    assert topics["/notes"] == {
        "name": "/notes",
        "type": "std_msgs/String",
        "messages": 5,
        "taken": False,
        "why": "no camera or microphone of the rig names it",
    }
    assert made.manifest["source"] == ["aviary.bag"]
    assert 0 < len(made.manifest["streams"]["array"]["residuals"]) <= 500


def test_b_frames_are_shown_in_their_order_though_they_come_in_another(bench: tuple[Export, dict[str, Any]]) -> None:
    made, truth = bench
    camera, frames = truth["cameras"]["front"], made.frames("front")
    assert frames.time_ns.tolist() == camera["stamps_ns"]
    assert np.flatnonzero(frames.keyframe).tolist() == camera["keyframes"]
    assert frames.source_frame.tolist() != sorted(frames.source_frame.tolist())
    assert not frames.tainted.any()
    decoded = made.decode("front")
    assert [pts for pts, _ in decoded] == frames.pts_us.tolist()
    assert [read_number(picture) for _, picture in decoded] == camera["numbers"]


def test_blocks_stamped_at_their_start_give_an_exact_clock(bench: tuple[Export, dict[str, Any]]) -> None:
    made, truth = bench
    clock, sound = made.clock("voice"), truth["microphones"]["voice"]
    assert clock.start_ns == sound["true_start_ns"]
    assert clock.rate_hz == pytest.approx(sound["true_rate_hz"], rel=1e-9)
    assert made.manifest["streams"]["voice"]["stamp"] == "block_start"


def test_the_same_bag_gives_the_same_bytes(aviary: tuple[Export, dict[str, Any]], tmp_path: Path) -> None:
    made, truth = aviary
    cameras = {name: camera["topic"] for name, camera in truth["cameras"].items()}
    again = export(made.folder.parent / "aviary.bag", tmp_path, cameras, {"array": "/audio/audio_stamped"})
    names = sorted(path.name for path in made.folder.iterdir())
    assert len(names) == 3 * 2 + 2 + 2
    for name in names:
        assert (made.folder / name).read_bytes() == (again.folder / name).read_bytes(), name


@pytest.mark.parametrize("name", ["a.mcap", "a.db3"])
def test_a_bare_file_of_ros2_is_read(tmp_path: Path, name: str) -> None:
    made = export(small_ros2().write(tmp_path / name), tmp_path / "out", {"cam": "/cam"})
    assert len(made.decode("cam")) == len(made.frames("cam")) == 30


@pytest.mark.parametrize("plugin", list(StoragePlugin), ids=lambda plugin: plugin.name)
@pytest.mark.parametrize("compression", [CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE])
def test_a_folder_of_ros2_is_read_by_its_files(
    tmp_path: Path, plugin: StoragePlugin, compression: CompressionMode
) -> None:
    files = small_ros2().write_folder(tmp_path / "a", plugin, compression)
    made = export(files, tmp_path / "out", {"cam": "/cam"})
    assert len(made.decode("cam")) == 30


@pytest.mark.parametrize("plugin", list(StoragePlugin), ids=lambda plugin: plugin.name)
def test_messages_of_a_bare_file_may_be_compressed_one_by_one(tmp_path: Path, plugin: StoragePlugin) -> None:
    files = small_ros2().write_folder(tmp_path / "a", plugin, CompressionMode.MESSAGE)
    (bare,) = (path for path in files if path.suffix in (".mcap", ".db3"))
    assert len(export(bare, tmp_path / "out", {"cam": "/cam"}).frames("cam")) == 30


def test_chunks_of_an_mcap_may_be_compressed(tmp_path: Path) -> None:
    files = small_ros2().write_folder(tmp_path / "a", StoragePlugin.MCAP, CompressionMode.STORAGE)
    (bare,) = (path for path in files if path.suffix == ".mcap")
    assert len(export(bare, tmp_path / "out", {"cam": "/cam"}).frames("cam")) == 30


def test_a_db3_without_definitions_is_read_by_the_known_ones(tmp_path: Path) -> None:
    bag = small_ros2().write(tmp_path / "a.db3")
    with sqlite3.connect(bag) as database:
        database.execute("UPDATE schema SET schema_version = 3")
        database.execute("DROP TABLE message_definitions")
    made = export(bag, tmp_path / "out", {"cam": "/cam"})
    assert len(made.decode("cam")) == 30


@pytest.mark.parametrize("compression", ["", "LZ4", "BZ2"])
def test_chunks_of_ros1_may_be_compressed(tmp_path: Path, compression: str) -> None:
    made = export(camera_of("h264", 40).write(tmp_path / "a.bag", compression), tmp_path / "out", {"cam": "/cam"})
    assert len(made.decode("cam")) == 40


def test_several_bags_of_one_recording_are_read_as_one(tmp_path: Path) -> None:
    ros = camera_of("h264", 40)
    whole = ros.sent
    ros.sent = whole[:20]
    first = ros.write(tmp_path / "a_0.bag")
    ros.sent = whole[20:]
    second = ros.write(tmp_path / "a_1.bag")
    made = export([first, second], tmp_path / "out", {"cam": "/cam"})
    assert len(made.decode("cam")) == 40
    assert made.manifest["source"] == ["a_0.bag", "a_1.bag"]


def test_slices_that_are_folders_are_read_as_one_also_where_the_last_was_not_closed(tmp_path: Path) -> None:
    ros = small_ros2()
    whole = ros.sent
    files = []
    for name, sent, plugin in (
        ("s1", whole[:14], StoragePlugin.MCAP),
        ("s2", whole[10:20], StoragePlugin.SQLITE3),
        ("s3", whole[20:], StoragePlugin.MCAP),
    ):
        ros.sent = sent
        files += ros.write_folder(tmp_path / name, plugin)
    made = export(
        [path for path in files if path != tmp_path / "s3" / "metadata.yaml"], tmp_path / "out", {"cam": "/cam"}
    )
    assert len(made.decode("cam")) == len(made.frames("cam")) == len(whole) == 30
    assert (np.diff(made.frames("cam").time_ns) == PERIOD_NS).all()


def test_only_the_wanted_part_is_exported_and_video_begins_with_a_keyframe(tmp_path: Path) -> None:
    bag = camera_of("h264", 100).write(tmp_path / "a.bag")
    made = export(bag, tmp_path / "out", {"cam": "/cam"}, start_s=1.0, stop_s=2.0)
    frames = made.frames("cam")
    assert frames.source_frame[0] == 20  # frame 25 is the first that is wanted
    assert frames.keyframe[0]
    assert frames.time_ns[-1] == START_NS + 49 * PERIOD_NS
    entry = made.manifest["streams"]["cam"]
    assert entry["start_ns"] == START_NS + 10**9
    assert entry["dropped"] == {}


def test_a_part_that_begins_late_does_not_count_what_was_read_on_the_way(tmp_path: Path) -> None:
    bag = camera_of("h264", 400).write(tmp_path / "a.bag")
    made = export(bag, tmp_path / "out", {"cam": "/cam"}, start_s=15.1)
    assert made.frames("cam").time_ns[0] == START_NS + 370 * PERIOD_NS
    assert len(made.decode("cam")) == 30
    assert made.manifest["streams"]["cam"]["dropped"] == {}


def test_the_public_image_bag_is_exported_though_its_messages_are_compressed(data: Path, tmp_path: Path) -> None:
    made = export(data / "bags" / "amber_soccer_goal_12.mcap", tmp_path, {"cam": "/camera/image_raw"})
    assert [picture.shape for _, picture in made.decode("cam")] == [(480, 640, 3)] * 2
    assert made.frames("cam").time_ns.tolist() == [8_297_777_777, 8_331_088_888]


@pytest.mark.parametrize(
    "name",
    [
        "example.bag",
        "example-lz4.bag",
        "example-bz2.bag",
        "embag_test.bag",
        "rosbag2_wbag_0.mcap",
        "rosbag2_cdr_test_0.db3",
    ],
)
def test_a_public_bag_with_nothing_to_export_says_so(data: Path, tmp_path: Path, name: str) -> None:
    made = export(data / "bags" / name, tmp_path, {"cam": "/cam"}, {"voice": "/audio"})
    assert {row.reason for row in made.rows.values()} == {"no_topic"}
    assert "topics carries pictures" in made.rows["cam"].message
    assert not any(topic["taken"] for topic in made.manifest["topics"])
    assert manifest.timeline(made.manifest["streams"]) == {"start_ns": 0, "stop_ns": 0}
