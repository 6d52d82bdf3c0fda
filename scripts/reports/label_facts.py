"""What a person should know of a dataset of labels: counts, doubtful intervals, quality along time."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scripts.common.label_intervals import LabelInterval
from scripts.common.timeline import NS

SPLITS = ("train", "val", "test")
# The luminance table of the JPEG standard's annex K in zigzag order, which libjpeg scales by its quality.
STANDARD = np.frombuffer(
    bytes.fromhex(
        "100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c3933"
        "383740485c4e404457453738506d51575f626768673e4d71797064785c656763"
    ),
    np.uint8,
).astype(int)
DQT = b"\xff\xdb"
BINS = 60
# Pictures of a class in a split, and cameras whose pictures are plotted along time.
SHEET, PLOTTED = 4, 12


@dataclass
class Pictures:
    """What is counted while the index is read once.

    counts: (split, group, label) -> pictures.  sizes: camera of a recording -> (instant in s, bytes), of some.
    samples: (label, split) -> rows for the contact sheet.  seen: (label, split) -> pictures.
    """

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    sizes: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    samples: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row of the index; of each class and split SHEET rows are kept, spread over all that came."""
        self.counts[row["split"], row["group"], row["label"]] += 1
        part = f"{row['recording']}, {row['camera']}"
        if part in self.sizes or len(self.sizes) < PLOTTED:
            self.sizes.setdefault(part, []).append((row["time_ns"] / NS, row["size"]))
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


def jpeg_quality(payload: bytes) -> int | None:
    """The quality, 1 … 100, by which libjpeg scales the standard's luminance table to that of the picture.

    None if it is no JPEG, or of another table.
    """
    at = payload.find(DQT)
    if at < 0 or len(payload) < at + 69 or payload[at + 4] >> 4:
        return None
    own = np.frombuffer(payload, np.uint8, 64, at + 5).astype(int)
    for quality in range(100, 0, -1):
        scale = 5000 // quality if quality < 50 else 200 - 2 * quality
        if (np.clip((STANDARD * scale + 50) // 100, 1, 255) == own).all():
            return quality
    return None
