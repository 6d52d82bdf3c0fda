"""The order in which a bag's messages are stored, where it says more than their log times."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import apsw
import numpy as np
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag2 import Reader as Reader2

from scripts.sources import ros1_messages, ros2_messages
from scripts.sources.mcap_file import McapFile
from scripts.sources.ros1_salvage import Ros1Salvage
from scripts.sources.set_back import find_seams, find_set_back, reach_back
from scripts.sources.stretches import WHOLE, Move, Stretch

# A message may be stored so many behind one that was logged after it.
SLOPPY = 100
DAMAGE = (RuntimeError, ValueError, EOFError, struct.error, apsw.Error)

# Number of a file, its messages as `stored` of McapFile gives them, and the topics of its channels.
Part = tuple[int, np.ndarray, Callable[[int], str]]


@dataclass(frozen=True)
class Order:
    """How the messages of a bag are read.

    stretches: one behind the other; moves: one for each but the first; start_ns, end_ns: first and last log time on the
    recording's clock; last_ns: the last one as it was logged. doubted: topics whose log times run back alone;
    rearranged: all of them do, for parts of the recording are stored in another order.
    """

    stretches: list[Stretch]
    moves: list[Move]
    start_ns: int
    end_ns: int
    last_ns: int
    doubted: list[str]
    rearranged: bool = False

    def moved(self, by_ns: int) -> "Order":
        """The same, for a bag that was begun when the clock had been set back by `by_ns`."""
        stretches = [stretch._replace(shift_ns=stretch.shift_ns + by_ns) for stretch in self.stretches]
        moves = [Move(move.log_ns + by_ns, move.shift_ns + by_ns) for move in self.moves]
        return replace(
            self, stretches=stretches, moves=moves, start_ns=self.start_ns + by_ns, end_ns=self.end_ns + by_ns
        )


def find_order(reader: Reader1 | Reader2 | McapFile | Ros1Salvage, max_bytes: int) -> Order:
    """How to read a bag: by its log times, but for where all of them run back in the order of storage."""
    found = Order([WHOLE], [], reader.start_time, reader.end_time, reader.end_time, [])
    try:
        parts = list(_parts(reader, max_bytes))
    except DAMAGE:
        # Damage is said where the bag is read for good.
        return found
    return _order_of(parts) if parts else found


def _order_of(parts: list[Part]) -> Order:
    names: dict[str, int] = {}
    rows = np.concatenate([_numbered(part, names) for part in parts])
    rows = rows[np.lexsort(rows[:, 2::-1].T)]
    log_ns = rows[:, 3]
    steps, doubted = find_set_back(log_ns, rows[:, 4])
    if steps and (seams := find_seams(log_ns, rows[:, 4])):
        parts_ns = pairwise([None, *seams, None])
        stretches = [WHOLE._replace(first_ns=first_ns, stop_ns=stop_ns) for first_ns, stop_ns in parts_ns]
        first_ns, last_ns = int(log_ns.min()), int(log_ns.max())
        return Order(stretches, [], first_ns, last_ns, last_ns, _named(names, doubted), rearranged=True)
    begins = [step.message for step in steps]
    file, chunk, place = rows[begins, :3].T.tolist() if begins else ([], [], [])
    places = [WHOLE.first, *zip(file, chunk, place, strict=True), WHOLE.stop]
    shifts = [0, *(step.shift_ns for step in steps)]
    first, last = log_ns[: begins[0] if begins else None], log_ns[begins[-1] if begins else 0 :]
    return Order(
        stretches=[Stretch(places[k], places[k + 1], shift_ns) for k, shift_ns in enumerate(shifts)]
        if steps
        else [WHOLE],
        moves=[Move(int(log_ns[k : k + SLOPPY].min()) + shift_ns, shift_ns) for k, shift_ns in steps],
        start_ns=int(first.min()),
        end_ns=int(last.max()) + shifts[-1],
        last_ns=int(last.max()),
        doubted=_named(names, doubted),
    )


def _named(names: dict[str, int], numbers: set[int]) -> list[str]:
    return [name for name, number in names.items() if number in numbers]


def _numbered(part: Part, names: dict[str, int]) -> np.ndarray:
    """A part's rows with the number of the file in front, and numbers that stand for topics in all files."""
    file, rows, topic_of = part
    keys, which = np.unique(rows[:, 3], return_inverse=True)
    numbers = np.array([names.setdefault(topic_of(key), len(names)) for key in keys.tolist()], np.int64)
    return np.column_stack([np.full(len(rows), file), rows[:, :3], numbers[which]])


def _parts(reader: Reader1 | Reader2 | McapFile | Ros1Salvage, max_bytes: int) -> Iterator[Part]:
    """All messages in the order of storage; nothing where no log time can run back."""
    if isinstance(reader, Reader1):
        for rows in ros1_messages.stored_messages(reader):
            yield 0, rows, {connection.id: connection.topic for connection in reader.connections}.__getitem__
    elif isinstance(reader, McapFile | Ros1Salvage):
        for rows in reader.stored():
            yield 0, rows, reader.topic_of
    else:
        files = ros2_messages.storages_of(reader)
        spans = [(file.metadata.start_time, file.metadata.end_time) for file in files]
        if reach_back(spans) or any(ros2_messages.may_run_back(file, max_bytes) for file in files):
            for number, file in enumerate(files):
                topics = {connection.id: connection.topic for connection in file.connections}
                for rows in ros2_messages.stored_messages(file, max_bytes):
                    yield number, rows, topics.__getitem__
