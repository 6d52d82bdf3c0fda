"""The split of every recording or interval, the number of every class, and what leaks from one split into another."""

import logging
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import frame_index, json_file
from scripts.common.errors import RunError
from scripts.common.job import run
from scripts.common.names import nearest
from scripts.common.splits import SPLITS, shares_of
from scripts.datasets.frame_classes import Decisions, Membership, write_splits
from scripts.datasets.frame_splits import (
    class_weights,
    crossing,
    draw_of,
    interval_key,
    interval_split,
    missing_classes,
    roles,
    stratify,
    without_frames,
)
from scripts.datasets.label_cleaning import variants

log = logging.getLogger("rushes")
COLUMNS = ["name", "recording", "label", "start_ns", "phash"]


@dataclass
class Seen:
    """What is counted while the parts are read once.

    frames: (recording, start of the interval, label) -> how many.
    """

    frames: Counter[tuple[str, int, str]] = field(default_factory=Counter)

    def by_group(self, groups: Mapping[str, str]) -> dict[str, Counter[str]]:
        """Group -> label -> frames."""
        found: dict[str, Counter[str]] = {}
        for (recording, _, label), count in self.frames.items():
            found.setdefault(groups[recording], Counter())[label] += count
        return found


def decide(
    seen: Seen,
    groups: Mapping[str, str],
    known: Mapping[str, str],
    fixed: Mapping[str, str],
    settings: Mapping[str, Any],
) -> dict[str, Membership]:
    """The membership of every recording, or interval.

    known: recording -> split, where names alone decide it.  fixed: recording -> split, where the sheet names one.
    """
    if settings["by"] == "interval":
        shares = shares_of(settings)
        starts = sorted({(recording, start) for recording, start, _ in seen.frames})
        return {
            interval_key(recording, start): Membership(
                groups[recording], fixed.get(recording) or interval_split(recording, start, shares, settings["seed"])
            )
            for recording, start in starts
        }
    if known:
        return {recording: Membership(groups[recording], split) for recording, split in known.items()}
    counts = seen.by_group(groups)
    counts |= {group: Counter() for group in groups.values() if group not in counts}
    if settings["method"] == "stratified":
        shares = shares_of(settings)
        parts = {groups[recording]: SPLITS.index(split) for recording, split in fixed.items()}
        found = {g: SPLITS[k] for g, k in stratify(counts, [shares[name] for name in SPLITS], parts).items()}
        return {recording: Membership(group, found[group]) for recording, group in groups.items()}
    whole = sorted(counts)
    number = len(whole) if settings["method"] == "leave_one_out" else settings["folds"]
    if settings["method"] == "leave_one_out":
        folds = {group: place for place, group in enumerate(whole)}
    else:
        folds = stratify(counts, [1 / number] * number)
    split_of = roles(folds, settings["fold"], number)
    return {r: Membership(group, split_of[group], folds[group]) for r, group in groups.items()}


def limits_of(pictures: Sequence[Path], decisions: Decisions, cap: int) -> dict[str, int]:
    """Class -> the highest draw that is kept, of classes with more than `cap` frames in training."""
    if not cap:
        return {}
    draws: dict[str, array[int]] = {}
    for path in pictures:
        for row in frame_index.rows(path, COLUMNS):
            if decisions.membership(row).split == "train":
                draws.setdefault(row["label"], array("q")).append(draw_of(row["name"], decisions.seed))
    kept = {
        label: np.partition(np.array(values, np.int64), cap - 1)[cap - 1]
        for label, values in draws.items()
        if len(values) > cap
    }
    return {label: int(limit) for label, limit in sorted(kept.items())}


def split_frames(
    pictures: list[Path],
    out_splits: Path,
    out_classes: Path,
    *,
    dataset: str,
    groups: dict[str, str],
    known: dict[str, str],
    fixed: dict[str, str],
    classes: list[str],
    cap: int,
    split: dict[str, Any],
) -> None:
    """Decide and check. groups, known, fixed: by recording; classes: in the order of their numbers, others follow;
    split: settings of the dataset's `split`, and `priority` where overlaps are settled by it.

    Raises RunError for what a setting calls an error: a class that a split lacks, near-duplicates across splits.
    """
    seen = Seen()
    for path in pictures:
        seen.frames.update((row["recording"], row["start_ns"], row["label"]) for row in frame_index.rows(path, COLUMNS))
    labels = sorted({label for _, _, label in seen.frames})
    if not labels:
        raise RunError(f"{dataset}: no frame of any recording is labelled; see the ledgers of its labels")
    # What was to be dropped or refused is gone: a background, and classes of several labels, are asked for by name.
    others = [label for label in labels if label not in classes]
    if classes and others:
        log.warning("%s: numbered behind the classes of the config: %s", dataset, ", ".join(others))
    every = [*classes, *others]
    members = decide(seen, groups, known, fixed, split)
    decisions = Decisions(members, every, {}, split["seed"])
    limits = limits_of(pictures, decisions, cap)
    decisions = Decisions(members, every, limits, split["seed"])
    counts, hashes = _counted(pictures, decisions)
    wanted = sorted({member.split for member in members.values()}, key=SPLITS.index)
    missing = missing_classes(counts, wanted)
    near = crossing(hashes, split["duplicate_bits"]) if split["near_duplicates"] != "ignore" else {}
    leaks = {f"{left}, {right}": len(values) for (left, right), values in near.items()}
    _complain(dataset, split, missing, leaks)
    alike = variants(labels)
    for label, other in alike:
        log.warning("%s: `%s` and `%s` look like one label; name them in labels.map", dataset, label, other)
    unknown = without_frames(split.get("priority", []), labels)
    for name in unknown:
        log.warning("%s: no frame has `%s`, which `priority` names%s", dataset, name, nearest(name, labels))
    write_splits(out_splits, members)
    found = {
        "classes": decisions.classes,
        "limits": limits,
        "seed": split["seed"],
        "frames": {name: dict(sorted(counts[name].items())) for name in wanted if name in counts},
        "weights": class_weights(counts.get("train", {})),
        "missing": missing,
        "alike": [list(pair) for pair in alike],
        "groups_in_several_splits": _leaking(members),
        "near_duplicates": leaks,
        "leaky": bool(_leaking(members)),
        **({"without_frames": unknown} if unknown else {}),
    }
    json_file.write(out_classes, found)


def _counted(pictures: Sequence[Path], decisions: Decisions) -> tuple[dict[str, Counter[str]], dict[str, np.ndarray]]:
    """Frames by split and class, and the distinct hashes of each split."""
    counts: dict[str, Counter[str]] = {}
    # Eight bytes a picture, where Python's own numbers would take a hundred.
    hashes: dict[str, array[int]] = {}
    for path in pictures:
        for row in frame_index.rows(path, COLUMNS):
            name = decisions.membership(row).split
            if decisions.is_drawn(row, name):
                counts.setdefault(name, Counter())[row["label"]] += 1
                hashes.setdefault(name, array("Q")).append(row["phash"])
    return counts, {name: _distinct(values) for name, values in hashes.items()}


def _distinct(hashes: "array[int]") -> np.ndarray:
    """Rising, uint64. Sorted in place: numpy's `unique` holds ten times as much while it works."""
    ordered = np.frombuffer(hashes, np.uint64)
    ordered.sort()
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]


def _leaking(members: Mapping[str, Membership]) -> list[str]:
    splits: dict[str, set[str]] = {}
    for member in members.values():
        splits.setdefault(member.group, set()).add(member.split)
    return sorted(group for group, found in splits.items() if len(found) > 1)


def _complain(
    dataset: str, split: Mapping[str, Any], missing: Mapping[str, list[str]], leaks: Mapping[str, int]
) -> None:
    found = [
        (split["missing_classes"], f"{dataset}: {name} lacks {', '.join(classes)}") for name, classes in missing.items()
    ]
    found += [
        (split["near_duplicates"], f"{dataset}: {count} pictures look the same in {pair} (split.duplicate_bits)")
        for pair, count in leaks.items()
    ]
    errors = [message for level, message in found if level == "error"]
    if errors:
        raise RunError("; ".join(errors))
    for _, message in found:
        log.warning("%s", message)


if __name__ == "__main__":
    run(split_frames)
