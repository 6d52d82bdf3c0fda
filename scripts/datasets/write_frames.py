"""The shards of a camera's pictures: those of a split together, at most so many in each, in the order of time."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from scripts.common import frame_index, shard_list
from scripts.common.job import progress, run
from scripts.datasets.frame_classes import Decisions
from scripts.datasets.shard_formats import FORMATS, Part, Sample, text_part, write_parquet

RECORD = ["recording", "subject", "camera", "label", "labels", "frame", "time_ns", "start_ns", "stop_ns"]


def sample_of(row: dict[str, Any], split: str, number: int, tar: Path, *, with_class: bool) -> Sample:
    """A picture as a sample: itself, its class as `cls`, and a json."""
    record = {**{name: row[name] for name in RECORD}, "split": split, "class": number}
    parts = [
        Part(row["ending"], tar, row["offset"], row["size"], row["sha256"]),
        text_part("json", json.dumps(record, ensure_ascii=False, sort_keys=True)),
    ]
    parts += [text_part("cls", str(number))] if with_class else []
    return Sample(row["name"], sorted(parts, key=lambda part: part.ending), record)


def chunks(samples: Iterator[tuple[str, Sample]], rows: int) -> Iterator[tuple[str, list[Sample]]]:
    """(split, at most `rows` samples of it), as they fill."""
    waiting: dict[str, list[Sample]] = {}
    for split, sample in samples:
        own = waiting.setdefault(split, [])
        own.append(sample)
        if len(own) >= rows:
            yield split, waiting.pop(split)
    yield from waiting.items()


def write_frames(
    index: Path,
    tar: Path,
    splits: Path,
    classes: Path,
    out_folder: Path,
    out_manifest: Path,
    *,
    recording: str,
    camera: str,
    shape: str,
    rows: int,
) -> None:
    """Write `{split}-{recording}.{camera}-00000.tar`, …, parquet or tfrecord, and the list of them.

    shape: which of the three.
    """
    out_folder.mkdir()
    decisions = Decisions.read(splits, classes)
    # Columns, not members, hold what a parquet says of a picture.
    plain = shape == "parquet"
    write = (
        partial(write_parquet, classes=decisions.classes, names={"jpg": "image", "png": "image"})
        if plain
        else FORMATS[shape]
    )

    def samples() -> Iterator[tuple[str, Sample]]:
        for row in frame_index.rows(index):
            split = decisions.membership(row).split
            if decisions.is_drawn(row, split):
                yield split, sample_of(row, split, decisions.classes.index(row["label"]), tar, with_class=not plain)

    numbers: dict[str, int] = {}
    for split, members in chunks(samples(), rows):
        number = numbers.setdefault(split, 0)
        numbers[split] += 1
        for _ in write(out_folder, f"{split}-{recording}.{camera}-{number:05d}", members):
            pass
        progress(sum(numbers.values()), None, "shards")
    shard_list.write(out_manifest, out_folder)


if __name__ == "__main__":
    run(write_frames)
