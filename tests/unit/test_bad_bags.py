"""What is wrong with a bag is a row of the ledger and a line for a person."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from scripts.common import ledger
from scripts.common.errors import InputError
from scripts.common.job import execute
from scripts.sources import chunk_content
from scripts.sources.export_bag import export_bag
from tests.unit.bag_formats.containers import as_mcap
from tests.unit.bag_maker import (
    START_NS,
    Ros,
    camera_of,
    export,
    picture,
    send_image,
    small_ros2,
)


def test_a_missing_topic_is_a_failed_row_that_names_the_nearest_one(tmp_path: Path) -> None:
    bag = camera_of("h264", 10).write(tmp_path / "a.bag")
    made = export(bag, tmp_path / "out", {"good": "/cam", "bad": "/cm"}, {"voice": "/audio"})
    assert made.rows["good"].outcome == "written"
    assert made.rows["bad"].reason == made.rows["voice"].reason == "no_topic"
    assert made.rows["bad"].message == "the bag has no topic `/cm`; did you mean `/cam`?"
    assert made.rows["voice"].message.endswith("none of the bag's 1 topics carries sound")
    assert made.is_empty("bad")
    assert made.is_empty("voice")
    assert made.manifest["streams"]["bad"]["failed"] == "no_topic"


def test_a_topic_of_another_kind_is_a_failed_row(tmp_path: Path) -> None:
    ros = camera_of("h264", 10)
    ros.send(START_NS, "/notes", "std_msgs/msg/String", data="x")
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/notes"}, {"voice": "/cam"})
    assert made.rows["cam"].message.startswith("its topic `/notes` carries std_msgs/String, no known pictures")
    assert made.rows["voice"].reason == "unsupported"


def test_messages_that_a_killed_recorder_left_beside_its_database_are_said(tmp_path: Path) -> None:
    ros = Ros(2)
    for index in range(3):
        send_image(ros, index, picture(), "bgr8")
    bag = ros.write(tmp_path / "a.db3")
    log = bag.with_name("a.db3-wal")
    log.touch()
    assert export(bag, tmp_path / "out", {"cam": "/cam"}).rows["cam"].outcome == "written"
    log.write_bytes(b"not merged yet")
    with pytest.raises(InputError, match=r"a\.db3-wal beside it holds messages that its recorder did not merge"):
        export(bag, tmp_path / "again", {"cam": "/cam"})


def test_corrupt_messages_are_counted_and_the_rest_is_exported(tmp_path: Path) -> None:
    ros = camera_of("h264", 30)
    for index in (13, 22):
        log_ns, topic, kind, content = ros.sent[index]
        ros.sent[index] = (log_ns, topic, kind, content[: 20 + index])
    made = export(ros.write(tmp_path / "a.bag"), tmp_path / "out", {"cam": "/cam"})
    assert len(made.frames("cam")) == 28
    assert made.manifest["streams"]["cam"]["dropped"] == {"corrupt": 2}
    assert made.frames("cam").tainted.sum() == 6 + 7


def test_a_huge_message_is_left_out_and_named(tmp_path: Path) -> None:
    ros = Ros(1)
    for index, size in enumerate((64, 400, 64)):
        send_image(ros, index, picture(size), "bgr8")
    bag = ros.write(tmp_path / "a.bag")
    made = export(bag, tmp_path / "out", {"cam": "/cam"}, max_message_mb=0.05)
    assert len(made.frames("cam")) == 2
    why = "larger than 0.05 MB (max_message_mb)"
    assert made.manifest["streams"]["cam"]["dropped"] == {why: 1}
    assert why in made.rows["cam"].message


def test_a_topic_that_never_speaks_is_a_failed_row(tmp_path: Path) -> None:
    bag = camera_of("h264", 10).write(tmp_path / "a.bag")
    made = export(bag, tmp_path / "out", {"cam": "/cam"}, start_s=300.0)
    assert made.rows["cam"].reason == "no_frames"
    assert made.is_empty("cam")


def bad_bags(folder: Path) -> dict[str, bytes]:
    whole = camera_of("h264", 30).write(folder / "whole.bag").read_bytes()
    mcap = small_ros2().write(folder / "whole.mcap").read_bytes()
    position = whole.index(b"index_pos=") + 10
    return {
        "garbage.bag": bytes(range(256)) * 20,
        "garbage.mcap": bytes(range(256)) * 20,
        "garbage.db3": bytes(range(256)) * 20,
        "empty.bag": b"",
        "empty.mcap": b"",
        "head.bag": whole[:13],
        "head.mcap": mcap[:8],
        "truncated.bag": whole[: len(whole) // 2],
        "truncated.mcap": mcap[: len(mcap) // 2],
        "unindexed.bag": whole[:position] + bytes(8) + whole[position + 8 :],
        "notes.txt": b"not a bag",
    }


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("garbage.bag", "is no such bag"),
        ("garbage.mcap", "is no such bag"),
        ("garbage.db3", "not a database"),
        ("empty.bag", "is empty (0 bytes)"),
        ("empty.mcap", "is empty (0 bytes)"),
        ("head.bag", "cannot be read"),
        ("head.mcap", "is damaged"),
        ("truncated.bag", "was the recording cut off?"),
        ("truncated.mcap", "was the recording cut off?"),
        ("unindexed.bag", "rosbag reindex"),
        ("notes.txt", "is no bag"),
    ],
)
def test_a_bag_that_cannot_be_read_says_why_in_one_line_without_its_folder(
    tmp_path: Path, name: str, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(bad_bags(tmp_path)[name])
    with pytest.raises(InputError) as caught:
        export(path, tmp_path / "out", {"cam": "/cam"})
    assert caught.value.reason == "unreadable"
    assert says in caught.value.message
    assert name in caught.value.message
    assert "\n" not in caught.value.message
    assert str(tmp_path) not in caught.value.message


def test_the_adaptor_makes_empty_outputs_and_failed_rows_of_an_unreadable_bag(tmp_path: Path) -> None:
    bag = tmp_path / "a.bag"
    bag.write_bytes(b"rubbish")
    outputs = {
        "videos": [tmp_path / "cam.mp4"],
        "frames": [tmp_path / "cam.frames.parquet"],
        "sounds": [tmp_path / "voice.wav"],
        "clocks": [tmp_path / "voice.clock.json"],
        "manifest": tmp_path / "manifest.json",
        "ledger": tmp_path / "export.ledger.parquet",
    }
    settings = {
        "recording": "it",
        "cameras": {"cam": {"topic": "/c"}},
        "microphones": {"voice": {"topic": "/v"}},
        "crf": 18,
    }
    execute(export_bag, inputs={"bag": [bag]}, outputs=outputs, settings=settings)
    rows = ledger.rows(ledger.read([outputs["ledger"]]))  # type: ignore[list-item]
    assert [(row.item, row.outcome, row.reason) for row in rows] == [
        ("cam", "failed", "unreadable"),
        ("voice", "failed", "unreadable"),
    ]
    assert (tmp_path / "cam.mp4").stat().st_size == 0
    assert json.loads((tmp_path / "manifest.json").read_text()) == {"failed": True}


@pytest.mark.parametrize("ending", [".bag", ".mcap"])
@pytest.mark.parametrize("salvage", [False, True])
def test_no_room_to_unpack_a_chunk_is_no_damage_of_the_bag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, salvage: bool
) -> None:
    if ending == ".bag":
        bag = camera_of("h264", 30).write(tmp_path / "a.bag", "LZ4")
    else:
        bag = as_mcap(small_ros2(30), tmp_path / "a.mcap", "LZ4")
    if salvage:
        bag.write_bytes(bag.read_bytes()[:-5])

    def full(*arguments: Any, **named: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(chunk_content, "LARGE_CHUNK", 100)
    assert len(export(bag, tmp_path / "room", {"cam": "/cam"}, salvage=salvage).frames("cam")) > 0
    monkeypatch.setattr(chunk_content, "TemporaryFile", full)
    with pytest.raises(OSError, match="No space left"):
        export(bag, tmp_path / "full", {"cam": "/cam"}, salvage=salvage)
