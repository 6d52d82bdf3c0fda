"""Splits of labelled frames: groups shared out so that none stands in two, and what leaks all the same."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from scripts.common.splits import SPLITS, hashed_split
from scripts.datasets.hash_bands import bands, is_plain
from scripts.datasets.label_cleaning import spelled_alike

# Pairs of hashes that are compared at once.
CHUNK = 2**22


def stratify(
    counts: Mapping[str, Mapping[str, int]], shares: Sequence[float], fixed: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Part of each group, so that every class is shared out by `shares` as well as whole groups allow.

    counts: group -> class -> frames; each class weighs the same, however rare.  fixed: group -> part, where a person
    has chosen.  Groups go in turn, the largest first, to the part where the shares then fit best; a wanted part that
    is empty comes first while groups are as few as empty parts.
    """
    totals: Counter[str] = Counter()
    for of_group in counts.values():
        totals.update(of_group)
    classes = sorted(totals)
    weight = np.array([1 / totals[name] for name in classes])
    vectors = {group: np.array([counts[group].get(name, 0) for name in classes]) * weight for group in counts}
    goal = np.array(shares)[:, None] * np.ones(len(classes))
    held = np.zeros((len(shares), len(classes)))
    found = {group: part for group, part in (fixed or {}).items() if group in counts}
    for group, part in found.items():
        held[part] += vectors[group]
    filled = set(found.values())
    rest = sorted((g for g in counts if g not in found), key=lambda g: (-float(vectors[g].sum()), g))
    for turn, group in enumerate(rest):
        empty = [part for part, share in enumerate(shares) if share > 0 and part not in filled]
        choices = empty if empty and len(rest) - turn <= len(empty) else [k for k, s in enumerate(shares) if s > 0]
        costs = []
        for part in choices:
            then = held.copy()
            then[part] += vectors[group]
            costs.append(float(((then - goal) ** 2).sum()))
        part = choices[int(np.argmin(costs))]
        held[part] += vectors[group]
        found[group] = part
        filled.add(part)
    return {group: found[group] for group in counts}


def roles(folds: Mapping[str, int], fold: int, count: int) -> dict[str, str]:
    """Split of each group: those of `fold` test, those of the next one validate, the others train."""
    named = {fold: "test", (fold + 1) % count: "val"}
    return {group: named.get(number, "train") for group, number in folds.items()}


def interval_key(recording: str, start_ns: int) -> str:
    """The name by which an interval is drawn, where intervals of one subject are split."""
    return f"{recording}@{start_ns}"


def interval_split(recording: str, start_ns: int, shares: Mapping[str, float], seed: int) -> str:
    """The split of an interval by its own name: what leaks, for the same subject stands in several."""
    return hashed_split(interval_key(recording, start_ns), shares, seed)


def draw_of(name: str, seed: int) -> int:
    """A frame's lot in the draw for a capped class: 63 bits of a hash of its name."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big") >> 1


def missing_classes(counts: Mapping[str, Mapping[str, int]], wanted: Iterable[str]) -> dict[str, list[str]]:
    """Classes that a wanted split lacks, though another one has them. counts: split -> class -> frames."""
    everything = {name for of_split in counts.values() for name, count in of_split.items() if count}
    lacking = {split: sorted(everything - {c for c, n in counts.get(split, {}).items() if n}) for split in wanted}
    return {split: names for split, names in lacking.items() if names}


def without_frames(names: Iterable[str], labels: Iterable[str]) -> list[str]:
    """Those of `names` that no label is spelled like."""
    known = {spelled_alike(label) for label in labels}
    return [name for name in names if spelled_alike(name) not in known]


def class_weights(counts: Mapping[str, int]) -> dict[str, float]:
    """Weights by which each class counts the same: frames / (classes x frames of the class)."""
    present = {name: count for name, count in counts.items() if count}
    whole = sum(present.values())
    return {name: round(whole / (len(present) * count), 9) for name, count in present.items()}


def crossing(hashes: Mapping[str, np.ndarray], bits: int) -> dict[tuple[str, str], np.ndarray]:
    """(split, later split) -> those hashes of the later one, uint64, that differ in at most `bits` bits from one of
    the other; only where there are any.

    hashes: split -> uint64 (N,), the distinct ones. Only those that agree in a band are compared.
    """
    told = {split: values[~is_plain(values)] for split, values in hashes.items()}
    found = {}
    for place, left in enumerate(SPLITS):
        for right in SPLITS[place + 1 :]:
            if left not in told or right not in told:
                continue
            near = np.zeros(len(told[right]), bool)
            for shift, mask in bands(bits):
                _mark(near, told[left], told[right], shift, mask, bits)
            if near.any():
                found[left, right] = np.sort(told[right][near])
    return found


def _mark(near: np.ndarray, left: np.ndarray, right: np.ndarray, shift: int, mask: int, bits: int) -> None:
    """Mark those of `right` that agree with one of `left` in a band and differ from it in at most `bits` bits."""
    keys, others = ((values >> np.uint64(shift)) & np.uint64(mask) for values in (left, right))
    order, other_order = np.argsort(keys, kind="stable"), np.argsort(others, kind="stable")
    keys, others = keys[order], others[other_order]
    for key in np.intersect1d(keys, others):
        mine = left[order[np.searchsorted(keys, key, "left") : np.searchsorted(keys, key, "right")]]
        theirs = other_order[np.searchsorted(others, key, "left") : np.searchsorted(others, key, "right")]
        theirs = theirs[~near[theirs]]
        step = max(1, CHUNK // max(1, len(theirs)))
        for first in range(0, len(mine), step):
            part = mine[first : first + step]
            near[theirs] |= (np.bitwise_count(part[:, None] ^ right[theirs][None, :]) <= bits).any(axis=0)
