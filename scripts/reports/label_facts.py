"""What a person should know of a dataset of labels: counts, doubtful intervals, quality along time."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scripts.common.label_intervals import LabelInterval
from scripts.common.splits import SPLITS
from scripts.common.timeline import NS

BINS = 60
# Pictures of a class in a split, and cameras whose pictures are plotted along time.
SHEET, PLOTTED = 4, 12
# Pictures of a camera whose quality is read.
SPREAD = 60


@dataclass
class Spread:
    """Rows of a camera, spread evenly over all that came: at most twice SPREAD, at least SPREAD if so many came."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    came: int = 0
    step: int = 1

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep every `step`-th; where these are too many, every second of them."""
        if self.came % self.step == 0:
            self.rows.append(dict(row))
        self.came += 1
        if len(self.rows) >= 2 * SPREAD:
            self.rows, self.step = self.rows[::2], 2 * self.step


@dataclass
class Pictures:
    """What is counted while the index is read once.

    counts: (split, group, label) -> pictures.  sizes: camera of a recording -> (instant in s, bytes), of some.
    spread: camera of a recording -> some of its rows along time.
    samples: (label, split) -> rows for the contact sheet.  seen: (label, split) -> pictures.
    """

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    sizes: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    spread: dict[str, Spread] = field(default_factory=dict)
    samples: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row of the index; of each class and split SHEET rows are kept, spread over all that came."""
        self.counts[row["split"], row["group"], row["label"]] += 1
        part = f"{row['recording']}, {row['camera']}"
        if part in self.sizes or len(self.sizes) < PLOTTED:
            self.sizes.setdefault(part, []).append((row["time_ns"] / NS, row["size"]))
            self.spread.setdefault(part, Spread()).add(row)
        place = (row["label"], row["split"])
        self.seen[place] += 1
        kept = self.samples.setdefault(place, [])
        # Every 1st, 2nd, 4th, … takes the place of an older one, so that early and late ones are shown.
        if len(kept) >= SHEET and self.seen[place] & (self.seen[place] - 1) == 0:
            kept.pop(1)
        if len(kept) < SHEET:
            kept.append(dict(row))


def table(
    counts: Mapping[tuple[str, str, str], int], classes: Sequence[str]
) -> tuple[list[tuple[str, str]], list[list[int]]]:
    """Columns (split, group), by split and name, and pictures of each class in each."""
    columns = sorted({(split, group) for split, group, _ in counts}, key=lambda pair: (SPLITS.index(pair[0]), pair[1]))
    return columns, [[counts.get((split, group, label), 0) for split, group in columns] for label in classes]


def imbalance(counts: Mapping[tuple[str, str, str], int]) -> float:
    """Pictures of the largest class in training over those of the smallest; 0 without training."""
    totals: Counter[str] = Counter()
    for (split, _, label), count in counts.items():
        if split == "train":
            totals[label] += count
    return max(totals.values()) / min(totals.values()) if totals else 0.0


def overlaps(intervals: Iterable[LabelInterval]) -> list[tuple[LabelInterval, LabelInterval, float]]:
    """Pairs with different labels that overlap within a recording, and for how many seconds; the longest first."""
    found = []
    running: list[LabelInterval] = []
    for one in sorted(intervals, key=lambda one: (one.recording, one.start_ns)):
        running = [r for r in running if r.recording == one.recording and r.stop_ns > one.start_ns]
        for before in running:
            shared = min(before.stop_ns, one.stop_ns) - one.start_ns
            if before.label != one.label and shared > 0:
                found.append((before, one, shared / NS))
        running.append(one)
    return sorted(found, key=lambda pair: -pair[2])


def without_length(intervals: Iterable[LabelInterval]) -> list[LabelInterval]:
    """Intervals that stop where they start."""
    return [one for one in intervals if one.start_ns == one.stop_ns]


def along_time(sizes: Sequence[tuple[float, int]], bins: int = BINS) -> tuple[np.ndarray, np.ndarray]:
    """Seconds, and the mean bytes of a picture, in at most `bins` equal stretches; empty ones are left out."""
    seconds, amounts = (np.array(values, float) for values in zip(*sizes, strict=True))
    edges = np.linspace(seconds.min(), seconds.max() + 1e-9, bins + 1)
    place = np.clip(np.searchsorted(edges, seconds, side="right") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    mean = np.bincount(place, amounts, minlength=bins)[count > 0] / count[count > 0]
    return ((edges[:-1] + edges[1:]) / 2)[count > 0], mean
