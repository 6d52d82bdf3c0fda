"""A bag whose parts were appended in another order than they were recorded in: its clock was not set back."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin

from scripts.sources.set_back import find_seams
from tests.unit.bag_maker import MS, RAW_AUDIO, START_NS, Export, Ros, export, payload_of
from tests.unit.test_bag_set_back import (
    JPEGS,
    PICTURE_NS,
    RAW,
    SAMPLES,
    SECONDS,
    S,
    every,
    pictures,
    recorded,
    rows,
    set_back,
)


def parts(ros: Ros, order: list[int]) -> list[Ros]:
    """The recording in as many parts of the same length, in another order."""
    ros.sent.sort(key=lambda message: message[0])
    found = []
    for part in order:
        some = Ros(ros.version, {RAW: RAW_AUDIO})
        first_ns, stop_ns = (START_NS + SECONDS * S * number // len(order) for number in (part, part + 1))
        last = part == len(order) - 1
        some.sent = [one for one in ros.sent if first_ns <= one[0] and (last or one[0] < stop_ns)]
        found.append(some)
    return found


def check_rearranged(made: Export) -> None:
    assert np.abs(np.array(pictures(made)) - np.arange(100)).max() <= 1
    assert np.abs(made.frames("cam").time_ns - START_NS - np.arange(len(JPEGS)) * PICTURE_NS).max() < 2 * MS
    assert payload_of(made.folder / "mic.wav", "s16le", 1).tobytes() == SAMPLES.tobytes()
    (said,) = made.manifest["warnings"]
    assert said.startswith("parts of the recording are stored in another order than that of their log times")


@pytest.mark.parametrize("order", [[0, 2, 1, 3], [0, 1, 9, *range(2, 9)], [1, 0]], ids=["swapped", "by name", "turned"])
@pytest.mark.parametrize("ending", [".mcap", ".db3", ".bag"])
def test_parts_that_were_appended_in_another_order_come_in_that_of_their_log_times(
    tmp_path: Path, ending: str, order: list[int]
) -> None:
    ros = recorded(set_back(0), 1 if ending == ".bag" else 2)
    ros.sent = [message for part in parts(ros, order) for message in part.sent]
    bag = ros.write(tmp_path / f"a{ending}", in_order=True)
    check_rearranged(export(bag, tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"}))


def test_a_part_of_them_is_that_of_the_whole(tmp_path: Path) -> None:
    ros = recorded(set_back(0))
    ros.sent = [message for part in parts(ros, [0, 2, 1, 3]) for message in part.sent]
    bag = ros.write(tmp_path / "a.mcap", in_order=True)
    made = export(bag, tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"}, start_s=2.05, stop_s=6.05)
    assert np.abs(np.array(pictures(made)) - np.arange(21, 61)).max() <= 1
    assert abs(made.clock("mic").start_ns - START_NS - 2_050 * MS) < 2 * MS


@pytest.mark.parametrize("ending", [".mcap", ".bag"])
def test_appended_parts_come_in_the_order_of_their_log_times_where_they_are_salvaged(
    tmp_path: Path, ending: str
) -> None:
    ros = recorded(set_back(0), 1 if ending == ".bag" else 2)
    ros.sent = [message for part in parts(ros, [0, 2, 1, 3]) for message in part.sent]
    bag = ros.write(tmp_path / f"a{ending}", in_order=True)
    bag.write_bytes(bag.read_bytes()[:-5])
    made = export(bag, tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"}, salvage=True)
    made.manifest["warnings"] = [line for line in made.manifest["warnings"] if not line.startswith("salvaged: ")]
    check_rearranged(made)


@pytest.mark.parametrize("ending", [".mcap", ".db3"])
def test_a_description_that_names_files_in_another_order_shuffles_nothing(tmp_path: Path, ending: str) -> None:
    ros = recorded(set_back(0))
    plugin = StoragePlugin.MCAP if ending == ".mcap" else StoragePlugin.SQLITE3
    order = [0, 2, 1, 3]
    some = parts(ros, order)
    folder = tmp_path / "bag"
    (whole,) = [path for path in ros.write_folder(folder, plugin) if path.suffix == ending]
    whole.unlink()
    names = [part.write(folder / f"part_{k}{ending}", in_order=True).name for k, part in zip(order, some, strict=True)]
    described = folder / "metadata.yaml"
    described.write_text(described.read_text().replace(f"- {whole.name}", "\n  - ".join(["", *names]).strip()))
    check_rearranged(export(folder, tmp_path / "out", {"cam": "/cam"}, {"mic": "/mic"}))


def appended(order: list[int], *channels: np.ndarray, part_ms: int) -> tuple[np.ndarray, np.ndarray]:
    """Messages of channels by their log times, cut into parts that are stored in another order."""
    log_ns, channel = rows(*channels)
    part = (log_ns - START_NS - 1) // (part_ms * MS)
    places = np.concatenate([np.flatnonzero(part == number) for number in order])
    return log_ns[places], channel[places]


@pytest.mark.parametrize("order", [[1, 0], [0, 2, 1, 3], [0, 1, 9, *range(2, 9)], [3, 2, 1, 0]])
def test_parts_that_fit_into_each_other_by_log_time_are_rearranged(order: list[int]) -> None:
    part_ms = 6_000 // len(order)
    sparse = every(1_700, 3)
    seams = find_seams(*appended(order, every(10, 600), every(33, 180), sparse, part_ms=part_ms))
    wanted = {part for before, part in pairwise(sorted(order)) if order.index(part) != order.index(before) + 1}
    assert np.abs(np.array(seams) - START_NS - np.array(sorted(wanted)) * part_ms * MS).max() <= 10 * MS


def test_parts_that_leave_a_hole_or_lie_over_each_other_in_any_topic_are_not() -> None:
    dense = every(10, 600)
    assert not find_seams(*rows(every(10, back_ms=300), every(20, 50, back_ms=300)))
    # Set back by an hour: nothing lies over anything, but nothing fits, either.
    assert not find_seams(*rows(every(10, back_ms=3_600_000), every(20, 50, back_ms=3_600_000)))
    hole = dense[(dense[:, 1] < START_NS + 1_900 * MS) | (dense[:, 1] > START_NS + 2_100 * MS)]
    assert not find_seams(*appended([0, 2, 1], hole, part_ms=2_000))
    log_ns, channel = appended([0, 2, 1], dense, part_ms=2_000)
    over = every(50, 60, back_ms=500, from_ms=2_000)
    assert not find_seams(np.concatenate([log_ns, over[:, 1]]), np.concatenate([channel, np.ones(60, np.int64)]))


def test_topics_without_regular_messages_do_not_say_that_parts_fit() -> None:
    assert not find_seams(*appended([0, 2, 1], every(1_000, 6), part_ms=2_000))
