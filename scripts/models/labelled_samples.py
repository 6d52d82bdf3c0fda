"""Labelled frames, and sequences of them, as classifiers are trained on them.

A dataset's `index.parquet` has a row a frame: file (below the dataset's folder), label, split, subject, recording,
frame (its number; consecutive ones follow each other in time). Where classes have numbers, it has class; where pictures
stand in tars, offset and size; where frames were left out on purpose, camera, interval and place, which then tells what
is consecutive; and where subjects are not all that must stay together, group.
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.utils.data import Dataset

from scripts.common import table_file
from scripts.common.errors import InputError
from scripts.common.tar_file import read_part

COLUMNS = ["file", "label", "split", "subject", "recording", "frame"]
OPTIONAL = ["offset", "size", "camera", "interval", "place", "group"]
CLASS = "class"
# A larger number of a class is something else.
MOST_CLASSES = 10_000
# The runs of a model: the dataset's own split, a random split of samples, and folds of whole subjects.
WHOLE, RANDOM, FOLD = "whole", "random", "fold"


class Picture(NamedTuple):
    """Where a picture stands: in a file of its own, or `size` bytes of a tar."""

    path: Path
    offset: int = 0
    size: int = -1

    def read(self) -> bytes:
        """Its bytes; none if there is no such file."""
        if not self.path.is_file():
            return b""
        return self.path.read_bytes() if self.size < 0 else read_part(self.path, self.offset, self.size)


@dataclass(frozen=True)
class Sample:
    """A frame, or a sequence of them. files: in time; group: what must not be taken apart, "" where subjects say it."""

    files: tuple[Picture, ...]
    label: str
    split: str
    subject: str
    group: str = ""


class Rest(NamedTuple):
    """Frames of a bout that are in no sequence. whole: all that it has, for a sequence is longer."""

    label: str
    frames: int
    whole: bool


def span_of(frames: int, step: int) -> int:
    """Frames of the dataset from the first of a sequence to its last."""
    return (frames - 1) * step + 1


def read_sequences(index: Path, frames: int, step: int) -> tuple[list[Sample], list[Rest]]:
    """Sequences of frames that do not overlap, each within one bout, and what is in none of them; of single frames all.

    A bout is of frames that follow each other without a gap; it holds as many sequences as fit, from its start on.
    """
    known = pq.read_schema(index).names
    columns = [*COLUMNS, *(name for name in OPTIONAL if name in known)]
    rows = table_file.read(index, columns=columns).to_pylist()

    def picture(row: dict[str, Any]) -> Picture:
        return Picture(index.parent / row["file"], row.get("offset", 0), row.get("size", -1))

    def sample(files: Iterable[Picture], row: dict[str, Any]) -> Sample:
        group = "" if row.get("group") is None else str(row["group"])
        return Sample(tuple(files), row["label"], row["split"], row["subject"], group)

    if frames == 1:
        return [sample([picture(row)], row) for row in rows], []
    rows.sort(key=lambda row: (row["recording"], row.get("camera", ""), row["frame"]))
    numbered = [
        (
            row["recording"],
            row.get("camera"),
            row.get("interval"),
            row["label"],
            row.get("place", row["frame"]) - number,
        )
        for number, row in enumerate(rows)
    ]
    found, rests, span = [], [], span_of(frames, step)
    for _, bout in groupby(zip(numbered, rows, strict=True), key=lambda pair: pair[0]):
        own = [row for _, row in bout]
        for first in range(0, len(own) - span + 1, span):
            part = own[first : first + span : step]
            found.append(sample(map(picture, part), part[0]))
        if len(own) % span:
            rests.append(Rest(own[0]["label"], len(own) % span, len(own) < span))
    return found, rests


def classes_of(index: Path) -> list[str]:
    """The labels of a dataset in the order of its own numbers; in that of their names where it has none.

    A number that no frame has is kept, so that all others are the dataset's. Raises InputError where a label and its
    number do not tell each other.
    """
    known = pq.read_schema(index)
    if CLASS not in known.names or not pa.types.is_integer(known.field(CLASS).type):
        return sorted(set(table_file.read(index, columns=["label"])["label"].to_pylist()))
    pairs = table_file.read(index, columns=["label", CLASS]).group_by(["label", CLASS]).aggregate([])
    labels, numbers = pairs["label"].to_pylist(), pairs[CLASS].to_pylist()
    twice = next((one for column in (labels, numbers) for one, count in Counter(column).items() if count > 1), None)
    if twice is not None:
        raise InputError(
            "classes", f"{index.name}: a label has one class, and a class one label; `{twice}` has several"
        )
    of_number = dict(zip(numbers, labels, strict=True))
    odd = next((number for number in numbers if number is None or not 0 <= number < MOST_CLASSES), 0)
    if odd != 0:
        raise InputError("classes", f"{index.name}: the class {odd} is no number from 0 to {MOST_CLASSES - 1}")
    return [of_number.get(number, f"(class {number})") for number in range(max(of_number, default=-1) + 1)]


def split_for(samples: Sequence[Sample], run: str, folds: int, seed: int) -> list[str]:
    """The split of each sample in a run.

    whole: the dataset's own.  random: shares of the dataset's own splits, drawn sample by sample: what leaks.
    fold0, fold1, …: subjects in turn, those that share a group as one; those of the fold are tested, those of the next
    one validate.
    """
    if run == WHOLE:
        return [sample.split for sample in samples]
    if run == RANDOM:
        drawn = [sample.split for sample in samples]
        random.Random(seed).shuffle(drawn)
        return drawn
    first_of = joined_subjects(samples)
    wholes = sorted(set(first_of.values()))
    number = int(run.removeprefix(FOLD))
    if len(wholes) < max(3, folds):
        joined = "" if len(wholes) == len(first_of) else f", {len(wholes)} where those that share a group are one"
        raise InputError(
            "few_subjects",
            f"{folds} folds of {len(first_of)} subjects{joined}",
            value=len(wholes),
            limit=max(3, folds),
        )
    turn = {first: place % folds for place, first in enumerate(wholes)}
    role = {number: "test", (number + 1) % folds: "val"}
    return [role.get(turn[first_of[sample.subject]], "train") for sample in samples]


def joined_subjects(samples: Iterable[Sample]) -> dict[str, str]:
    """Subject -> the first of all that it shares a group with, by way of others, too."""
    first_of: dict[str, str] = {}
    of_group: dict[str, str] = {}

    def first(subject: str) -> str:
        while first_of[subject] != subject:
            subject = first_of[subject]
        return subject

    for subject, group in sorted({(sample.subject, sample.group) for sample in samples}):
        own = first(first_of.setdefault(subject, subject))
        if group:
            low, high = sorted((own, first(of_group.setdefault(group, own))))
            first_of[high] = low
    return {subject: first(subject) for subject in first_of}


def read_picture(file: Picture, size: int) -> np.ndarray:
    """uint8 (3, size, size), red first. Raises InputError for what is no picture."""
    payload = np.frombuffer(file.read(), np.uint8)
    picture = cv2.imdecode(payload, cv2.IMREAD_COLOR) if len(payload) else None
    if picture is None:
        raise InputError("no_picture", f"{file.path.name} is no picture")
    small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small[..., ::-1].transpose(2, 0, 1))


class Labelled(Dataset):
    """`pictures` float32 (frames, 3, size, size), 0 … 1, and `label`, the number of its class."""

    KEPT_BYTES = 2**30

    def __init__(self, samples: Sequence[Sample], classes: Sequence[str], size: int) -> None:
        self.samples, self._size = list(samples), size
        self.labels = [classes.index(sample.label) for sample in self.samples]
        frames = sum(len(sample.files) for sample in self.samples)
        self._room = frames * 3 * size * size <= self.KEPT_BYTES
        self._kept: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> dict[str, Any]:
        pictures = self._kept.get(number)
        if pictures is None:
            files = self.samples[number].files
            pictures = torch.from_numpy(np.stack([read_picture(file, self._size) for file in files]))
            if self._room:
                self._kept[number] = pictures
        return {"pictures": pictures.float() / 255.0, "label": self.labels[number]}
