"""Which files of a folder a bag is: what a recorder that was killed leaves beside the others is never passed over."""

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backports import zstd
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from scripts.common.errors import InputError
from tests.unit.bag_formats.containers import as_mcap
from tests.unit.bag_maker import DRIVERS, FORK, MS, MULTI, START_NS, Ros, camera_of, export, payload_of, small_ros2
from tests.unit.test_bag_trouble import unindexed
from tests.unit.test_recordings import read

FRAMES = 30


def halves(ros: Ros) -> list[Ros]:
    """The recording as two that follow each other."""
    found = []
    for sent in (ros.sent[: FRAMES // 2], ros.sent[FRAMES // 2 :]):
        half = Ros(ros.version)
        half.store, half.sent = ros.store, sent
        found.append(half)
    return found


def packed(bag: Path) -> Path:
    """The file as ROS2's recorder compresses it when it is full."""
    path = bag.with_name(f"{bag.name}.zstd")
    path.write_bytes(zstd.compress(bag.read_bytes()))
    bag.unlink()
    return path


def files_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that the sheet's row of a folder stands for."""
    monkeypatch.chdir(folder.parent)
    return [folder.parent / name for name in read([["r", "aviary", folder.name]])["r"].files]


@pytest.mark.parametrize("plugin", list(StoragePlugin), ids=lambda plugin: plugin.name)
def test_a_folder_whose_files_are_compressed_as_a_whole_is_a_bag(
    tmp_path: Path, plugin: StoragePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = small_ros2(FRAMES).write_folder(tmp_path / "bag", plugin, CompressionMode.FILE)
    files = files_of(tmp_path / "bag", monkeypatch)
    assert files == written
    assert len(export(files, tmp_path / "out", {"cam": "/cam"}).frames("cam")) == FRAMES


@pytest.mark.parametrize("ending", ["mcap", "db3"])
def test_a_killed_recorders_full_files_are_compressed_and_the_last_one_is_not(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bag").mkdir()
    first, last = halves(small_ros2(FRAMES))
    packed(first.write(tmp_path / "bag" / f"b_0.{ending}"))
    last.write(tmp_path / "bag" / f"b_1.{ending}")
    made = export(files_of(tmp_path / "bag", monkeypatch), tmp_path / "out", {"cam": "/cam"})
    assert len(made.frames("cam")) == FRAMES
    assert made.manifest["source"] == [f"b_0.{ending}.zstd", f"b_1.{ending}"]


def test_a_compressed_file_that_is_cut_off_is_named_by_its_own_name(tmp_path: Path) -> None:
    bag = packed(small_ros2(FRAMES).write(tmp_path / "b_0.mcap"))
    bag.write_bytes(bag.read_bytes()[:200])
    with pytest.raises(InputError, match=r"b_0\.mcap\.zstd cannot be read: it is damaged") as error:
        export(bag, tmp_path / "out", {"cam": "/cam"})
    assert "/tmp" not in error.value.message


def test_a_recorder_killed_while_it_compressed_leaves_both_of_which_the_file_itself_is_read(tmp_path: Path) -> None:
    bag = small_ros2(FRAMES).write(tmp_path / "b_0.mcap")
    half = tmp_path / "b_0.mcap.zstd"
    half.write_bytes(zstd.compress(bag.read_bytes())[:200])
    made = export([bag, half], tmp_path / "out", {"cam": "/cam"})
    assert len(made.frames("cam")) == FRAMES
    assert "b_0.mcap.zstd is passed over: b_0.mcap beside it is the file itself" in made.rows["cam"].message


def test_what_can_be_unpacked_of_a_file_that_is_cut_off_is_salvaged(tmp_path: Path) -> None:
    plain = as_mcap(small_ros2(FRAMES), tmp_path / "b_0.mcap", "NONE").read_bytes()
    # As the recorder writes it: piece by piece.
    compressor, pieces = zstd.ZstdCompressor(), []
    for first in range(0, len(plain), 1000):
        pieces.append(compressor.compress(plain[first : first + 1000], zstd.ZstdCompressor.FLUSH_BLOCK))
    bag = tmp_path / "b_0.mcap.zstd"
    bag.write_bytes(b"".join(pieces[: len(pieces) // 2]))
    (tmp_path / "b_0.mcap").unlink()
    with pytest.raises(InputError, match=r"b_0\.mcap\.zstd cannot be read"):
        export(bag, tmp_path / "no", {"cam": "/cam"})
    made = export(bag, tmp_path / "out", {"cam": "/cam"}, salvage=True)
    assert 5 < len(made.frames("cam")) < FRAMES
    assert "salvaged: b_0.mcap.zstd is unpacked up to the damage" in made.rows["cam"].message


def test_a_bag_of_ros1_that_was_not_closed_is_salvaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bag").mkdir()
    first, last = halves(camera_of("h264", FRAMES))
    first.write(tmp_path / "bag" / "r_0.bag")
    whole = last.write(tmp_path / "whole.bag").read_bytes()
    (tmp_path / "bag" / "r_1.bag.active").write_bytes(unindexed(whole))
    files = files_of(tmp_path / "bag", monkeypatch)
    with pytest.raises(InputError, match=r"not indexed.*`salvage: true` in the rig reads it"):
        export(files, tmp_path / "no", {"cam": "/cam"})
    made = export(files, tmp_path / "out", {"cam": "/cam"}, salvage=True)
    assert len(made.frames("cam")) == FRAMES
    assert "salvaged: " in made.rows["cam"].message


def test_a_file_that_the_description_of_its_folder_does_not_name_is_not_passed_over(tmp_path: Path) -> None:
    first, last = halves(small_ros2(FRAMES))
    files = first.write_folder(tmp_path / "bag", StoragePlugin.MCAP)
    added = last.write(tmp_path / "bag" / "b_1.mcap")
    for bag in ([*files, added], [tmp_path / "bag"]):
        with pytest.raises(InputError, match=r"metadata\.yaml does not name b_1\.mcap beside it"):
            export(bag, tmp_path / "out", {"cam": "/cam"})
    (tmp_path / "bag" / "metadata.yaml").unlink()
    made = export([added, *files[:-1]], tmp_path / "out", {"cam": "/cam"})
    assert len(made.frames("cam")) == FRAMES


def test_what_was_unpacked_beside_a_described_file_is_no_other_one(tmp_path: Path) -> None:
    files = small_ros2(FRAMES).write_folder(tmp_path / "bag", StoragePlugin.MCAP, CompressionMode.FILE)
    bag = next(path for path in files if path.suffix == ".zstd")
    bag.with_suffix("").write_bytes(zstd.decompress(bag.read_bytes()))
    assert len(export([*files, bag.with_suffix("")], tmp_path / "out", {"cam": "/cam"}).frames("cam")) == FRAMES


SAMPLES = np.random.default_rng(0).integers(-9_000, 9_000, (100, 80)).astype("<i2")
INFO = "audio_common_msgs/msg/AudioInfo"
DATA = "audio_common_msgs/msg/AudioData"
STAMPED = "audio_common_msgs/msg/AudioDataStamped"


def blocks() -> list[tuple[int, np.ndarray[Any, Any]]]:
    """End and samples of each block of 10 ms."""
    return [(START_NS + (number + 1) * 10 * MS, samples) for number, samples in enumerate(SAMPLES)]


def of_drivers(ros: Ros) -> None:
    ros.send(START_NS, "/info", INFO, channels=1, sample_rate=8_000, sample_format="S16LE", bitrate=0, coding_format="")
    for end_ns, samples in blocks():
        ros.send(end_ns, "/mic", DATA, data=samples.view(np.uint8))


def of_drivers_stamped(ros: Ros) -> None:
    ros.send(START_NS, "/info", INFO, channels=1, sample_rate=8_000, sample_format="S16LE", bitrate=0, coding_format="")
    for end_ns, samples in blocks():
        audio = ros.make(DATA, data=samples.view(np.uint8))
        ros.send(end_ns, "/mic", STAMPED, header=ros.header(end_ns), audio=audio)


def of_the_aviary(ros: Ros) -> None:
    form = ros.make("audio_common_msgs/msg/AudioFormat", id="", rate=8_000, channels=1, depth=16)
    for end_ns, samples in blocks():
        ros.send(end_ns, "/mic", STAMPED, header=ros.header(end_ns), format=form, data=samples.view(np.uint8))


def of_mgonzs13(ros: Ros) -> None:
    info = ros.make(INFO, format=8, channels=1, rate=8_000, chunk=80)
    none = {f"{name}_data": np.array([], np.dtype(name)) for name in ("float32", "int32", "int8", "uint8")}
    for end_ns, samples in blocks():
        audio = ros.make(
            "audio_common_msgs/msg/Audio", audio_data=ros.make(DATA, **none, int16_data=samples), info=info
        )
        ros.send(end_ns, "/mic", "audio_common_msgs/msg/AudioStamped", header=ros.header(end_ns), audio=audio)


@pytest.mark.parametrize(
    ("definitions", "send"),
    [(DRIVERS, of_drivers), (DRIVERS, of_drivers_stamped), (FORK, of_the_aviary), (MULTI, of_mgonzs13)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_without_definitions_packages_of_one_name_are_told_apart_by_where_their_messages_end(
    tmp_path: Path, definitions: dict[str, str], send: Any
) -> None:
    ros = Ros(2, definitions)
    send(ros)
    bag = ros.write(tmp_path / "a.db3")
    with sqlite3.connect(bag) as database:
        database.execute("UPDATE schema SET schema_version = 3")
        database.execute("DROP TABLE message_definitions")
    made = export(bag, tmp_path / "out", {}, {"mic": "/mic"})
    assert payload_of(made.folder / "mic.wav", "s16le", 1).tobytes() == SAMPLES.tobytes()
    assert made.clock("mic").nominal_rate_hz == 8_000
