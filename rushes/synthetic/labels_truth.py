"""The truth about labels: every extracted picture is looked at, for its number and the class that it stands in."""

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rushes.synthetic.bars import read_number
from rushes.synthetic.measured import Results, Row, columns

RIG, CAMERA, DATASET = "theatre", "c1", "acts"
# How the class folders are called.
FOLDERS = {"train": "Training", "val": "Validation", "test": "Test"}


def of_room(truth: dict[str, Any]) -> dict[str, Any]:
    """The labelled recordings."""
    return {name: known for name, known in truth.items() if known.get("room") == "labels"}


def wanted_labels(known: dict[str, Any]) -> dict[int, str]:
    """Number -> label of every labelled frame: start <= stamp < stop."""
    return {
        number: label
        for number, stamp in zip(known["numbers"], known["stamps_ns"], strict=True)
        for label, start, stop in known["intervals"]
        if start <= stamp < stop
    }


def check_labels(found: Results, truth: dict[str, Any]) -> list[Row]:
    """Times of joined chunks, and number and label of every picture in the class folders."""
    rows: list[Row] = []
    folder = found.root / "datasets" / DATASET
    shown = look(folder / "folders")
    splits = {row["item"]: row["split"] for row in _table(folder / "splits.tsv")}
    for recording, known in of_room(truth).items():
        table = columns(found.root / "media" / RIG / recording / f"{CAMERA}.frames.parquet")
        stamps = np.array(known["stamps_ns"])
        missing = abs(len(table["time_ns"]) - len(stamps))
        error = np.nan if missing else float(np.abs(table["time_ns"] - stamps).max() / 1e3)
        rows.append(Row(f"sources.{recording}.{CAMERA}.frames_missing", missing, "frames", 0))
        rows.append(Row(f"sources.{recording}.{CAMERA}.time_error", error, "us", 1.0))
        wanted = {(FOLDERS[splits[recording]], label, number) for number, label in wanted_labels(known).items()}
        own = [found for name, found in shown if name.startswith(f"{recording}_")]
        twice = sum(count - 1 for count in Counter(own).values())
        wrong = len(set(own) ^ wanted) + twice
        rows.append(Row(f"datasets.{DATASET}.{recording}.pictures_wrong", wrong, "frames", 0))
    subjects = Counter(splits[recording] for recording in of_room(truth))
    rows.append(Row(f"datasets.{DATASET}.subjects_in_several_splits", max(subjects.values()) - 1, "subjects", 0))
    return rows


def look(folder: Path) -> list[tuple[str, tuple[str, str, int | None]]]:
    """Name of every picture, its split's folder, its label's folder, and the number that it shows."""
    return [
        (path.stem, (path.parent.parent.name, path.parent.name, read_number(np.asarray(cv2.imread(str(path))))))
        for path in sorted(folder.rglob("*.jpg"))
    ]


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))
