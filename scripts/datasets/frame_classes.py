"""What is decided of a whole dataset of labelled frames: splits, numbers of classes, which frames are drawn."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from scripts.common import json_file
from scripts.common.frame_index import Row
from scripts.datasets.frame_splits import draw_of, interval_key

COLUMNS = ["item", "group", "split", "fold"]


@dataclass(frozen=True)
class Membership:
    """The split of a recording, or of an interval. fold: which fold its group is of, or -1."""

    group: str
    split: str
    fold: int = -1


@dataclass(frozen=True)
class Decisions:
    """members: recording, or `recording@start_ns` of an interval -> split.  classes: in the order of their numbers.
    limits: class -> the highest draw that is kept in training, where the class is capped."""

    members: dict[str, Membership]
    classes: list[str]
    limits: dict[str, int]
    seed: int

    @classmethod
    def read(cls, splits: Path, classes: Path) -> Self:
        """From the tables of `split_frames`."""
        with splits.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        members = {row["item"]: Membership(row["group"], row["split"], int(row["fold"])) for row in rows}
        found: dict[str, Any] = json_file.read(classes)
        return cls(members, found["classes"], found["limits"], found["seed"])

    def membership(self, row: Row) -> Membership:
        """Where a frame belongs."""
        own = self.members.get(row["recording"])
        return own or self.members[interval_key(row["recording"], row["start_ns"])]

    def is_drawn(self, row: Row, split: str) -> bool:
        """Whether a frame of a capped class is among those that are kept."""
        limit = self.limits.get(row["label"])
        return split != "train" or limit is None or draw_of(row["name"], self.seed) <= limit


def write_splits(path: Path, members: Mapping[str, Membership]) -> None:
    """Write one row a recording, or an interval."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([item, member.group, member.split, member.fold] for item, member in members.items())
