"""A dataset's pictures as files, in the folders that a tool expects."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from scripts.common import frame_index
from scripts.common.job import progress, run
from scripts.common.splits import SPLITS
from scripts.datasets.frame_classes import Decisions
from scripts.datasets.frame_layouts import bout_folder, check_folders, class_folder_path

# What metadata.csv says of a picture, after its file's name.
METADATA = ["label", "class", "subject", "recording", "camera", "frame", "time_ns"]


def pictures(index: Path, folder: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Row and bytes of every picture of a dataset, in the order of its index. folder: that of the dataset."""
    opened: tuple[str, BinaryIO] | None = None
    try:
        for number, row in enumerate(frame_index.rows(index), start=1):
            if opened is None or opened[0] != row["file"]:
                if opened:
                    opened[1].close()
                opened = (row["file"], (folder / row["file"]).open("rb"))
            opened[1].seek(row["offset"])
            yield row, opened[1].read(row["size"])
            progress(number, None, "pictures")
    finally:
        if opened:
            opened[1].close()


def class_folders(index: Path, source: Path, out: Path) -> None:
    """Training/<label>/*, Validation/…, Test/…"""
    for row, payload in pictures(index, source):
        path = out / class_folder_path(row, row["split"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload)


def image_folder(index: Path, source: Path, out: Path) -> None:
    """train/*, val/…, test/…, each with a metadata.csv: Hugging Face's ImageFolder."""
    tables: dict[str, Any] = {}
    files = []
    try:
        for row, payload in pictures(index, source):
            split, name = row["split"], f"{row['name']}.{row['ending']}"
            if split not in tables:
                (out / split).mkdir()
                files.append((out / split / "metadata.csv").open("w", encoding="utf-8", newline=""))
                tables[split] = csv.writer(files[-1], lineterminator="\n")
                tables[split].writerow(["file_name", *METADATA])
            (out / split / name).write_bytes(payload)
            tables[split].writerow([name, *(row[column] for column in METADATA)])
    finally:
        for file in files:
            file.close()


def raw_frames(index: Path, source: Path, out: Path) -> None:
    """rawframes/<bout>/img_00001.jpg, …, and train.txt, …: folder, frames, class. A bout in two splits, or with two
    labels, is two."""
    counts: Counter[tuple[str, str, int]] = Counter()
    for row, payload in pictures(index, source):
        folder = f"{bout_folder(row)}.{row['class']}"
        key = (row["split"], folder, row["class"])
        counts[key] += 1
        path = out / "rawframes" / folder / f"img_{counts[key]:05d}.{row['ending']}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload)
    for split in SPLITS:
        lines = [f"{folder} {count} {number}\n" for (own, folder, number), count in counts.items() if own == split]
        (out / f"{split}.txt").write_text("".join(lines), encoding="utf-8")


def arrange_frames(
    index: Path, tars: list[Path], splits: Path, classes: Path, out_folder: Path, *, layout: str
) -> None:
    """Write the pictures. layout: folders, imagefolder or mmaction2.

    Raises RunError if two labels would have one folder.
    """
    out_folder.mkdir()
    names = Decisions.read(splits, classes).classes
    source = index.parent
    if layout == "folders":
        check_folders(names)
        class_folders(index, source, out_folder)
    elif layout == "imagefolder":
        image_folder(index, source, out_folder)
    else:
        raw_frames(index, source, out_folder)
    (out_folder / "classes.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


if __name__ == "__main__":
    run(arrange_frames)
