"""Rows of the sheet that are cut from one source: the same seconds, or one person, must not stand in two splits."""

import math
import os
from collections.abc import Iterable, Mapping
from itertools import pairwise

from scripts.common.errors import ConfigError
from scripts.planning.recordings import Recording, is_remote

Pair = tuple[Recording, Recording]


def overlapping(recordings: Iterable[Recording]) -> list[Pair]:
    """Pairs that hold the same seconds of one source: not each with each, but enough to join all that do."""
    pairs = []
    for rows in _by_source(recordings):
        reach, *rest = sorted(rows, key=_start)
        for row in rest:
            if _start(row) < _stop(reach):
                pairs.append((reach, row))
            reach = max(reach, row, key=_stop)
    return pairs


def joined_groups(recordings: Iterable[Recording], groups: Mapping[str, str], by: str) -> dict[str, str]:
    """The group of each recording; those that hold the same seconds of a source are one, called as the sheet's first.

    groups: recording -> group, by `by`: subject, session or recording.  Rows of one source that say no subject (or
    session) are taken to show the same one, whatever their seconds.
    """
    own = list(recordings)
    rank = {group: number for number, group in enumerate(dict.fromkeys(groups[row.name] for row in own))}
    joined: dict[str, str] = {}

    def first_of(group: str) -> str:
        while group in joined:
            group = joined[group]
        return group

    for pair in overlapping(own) + (_unsaid(own, groups) if by != "recording" else []):
        first, second = sorted((first_of(groups[row.name]) for row in pair), key=lambda group: rank[group])
        if first != second:
            joined[second] = first
    return {row.name: first_of(groups[row.name]) for row in own}


def refuse_apart(recordings: Iterable[Recording], splits: Mapping[str, str], place: str) -> None:
    """Raises ConfigError where two rows that hold the same seconds stand in two splits. splits: by recording."""
    for one, other in overlapping(recordings):
        here, there = splits.get(one.name), splits.get(other.name)
        if here and there and here != there:
            raise ConfigError(
                f"{place}: {one.name} and {other.name} hold the same seconds of {one.source}, but stand in {here} and "
                f"in {there}; give both the same split, or a `start` and `end` that do not overlap"
            )


def _unsaid(recordings: Iterable[Recording], groups: Mapping[str, str]) -> list[Pair]:
    return [pair for rows in _by_source(r for r in recordings if groups[r.name] == r.name) for pair in pairwise(rows)]


def _by_source(recordings: Iterable[Recording]) -> list[list[Recording]]:
    """The rows of each source that several are cut from."""
    found: dict[object, list[Recording]] = {}
    for recording in recordings:
        found.setdefault(_source_of(recording), []).append(recording)
    return [rows for rows in found.values() if len(rows) > 1]


def _source_of(recording: Recording) -> object:
    """What is the same where the source is, by whatever name: and of folders of pictures, which of them."""
    # Of one folder of pictures, each subject may have its own.
    patterns = tuple(sorted(str(setting.get("pattern", "")) for setting in recording.cameras.values()))
    if is_remote(recording.source):
        return recording.source, patterns
    state = os.stat(recording.source)
    return state.st_dev, state.st_ino, patterns


def _start(recording: Recording) -> float:
    return recording.start_s or 0.0


def _stop(recording: Recording) -> float:
    return math.inf if recording.stop_s is None else recording.stop_s
