"""Clips that show what another one shows: the same time of items of the same bytes, or whose pictures nearly agree.

What another filter drops is nobody's original: the copy that passes stays.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scripts.common import lots, table_file
from scripts.common.job import log, progress, run
from scripts.datasets.clip_verdicts import verdicts
from scripts.datasets.hash_bands import bands, is_plain

SCHEMA = pa.schema([("key", pa.string()), ("same_as", pa.string())])


def same_bytes(keys: list[str], digests: list[str]) -> dict[str, str]:
    """Key -> the first key with the same digest, for all but the first."""
    first: dict[str, str] = {}
    return {
        key: first[digest]
        for key, digest in zip(keys, digests, strict=True)
        if digest and first.setdefault(digest, key) != key
    }


def near(keys: list[str], hashes: list[list[int]], bits: int) -> dict[str, str]:
    """Key -> the first key all of whose hashes differ from its own in at most `bits` bits each.

    Only those that agree in a band are compared.
    """
    parts = list(bands(bits))
    seen: dict[tuple[int, int], list[int]] = {}
    found: dict[str, str] = {}
    arrays = [np.array(values, np.uint64) for values in hashes]
    for number, (key, values) in enumerate(zip(keys, arrays, strict=True)):
        if not len(values) or is_plain(values).all():
            continue
        first = int(values[0])
        places = [(shift, first >> shift & mask) for shift, mask in parts]
        candidates = sorted({other for place in places for other in seen.get(place, ())})
        match = next((other for other in candidates if _agree(values, arrays[other], bits)), None)
        if match is not None:
            found[key] = keys[match]
            continue
        for place in places:
            seen.setdefault(place, []).append(number)
    return found


def _agree(left: np.ndarray, right: np.ndarray, bits: int) -> bool:
    return len(left) == len(right) and bool((np.bitwise_count(left ^ right) <= bits).all())


@dataclass(frozen=True, slots=True)
class Shown:
    """What an item gives to the dataset. clips: name and span, see `Verdict`, of those that nothing else filters."""

    key: str
    sha256: str
    hashes: list[int]
    clips: list[tuple[str, tuple[float, ...]]]


def same_clips(items: Sequence[Shown], same: Mapping[str, str]) -> dict[str, str]:
    """Clip -> the first one that shows the same. same: items by key -> the first one that shows what they show.

    Clips without a span are duplicates of the other item as a whole, never of each other.
    """
    groups: dict[str, list[Shown]] = {}
    for item in items:
        groups.setdefault(same.get(item.key, item.key), []).append(item)
    found: dict[str, str] = {}
    for group in groups.values():
        first: dict[tuple[float, ...], str] = {}
        for item in group:
            for name, span in item.clips:
                own = name if span else item.key
                if first.setdefault(span, own) != own:
                    found[name] = first[span]
    return found


def find_duplicates(
    contents: list[Path],
    scans: list[Path],
    frames: list[Path],
    speech: list[Path],
    out_duplicates: Path,
    *,
    settings: dict[str, Any],
) -> None:
    """Write every clip that is the same as an earlier one that stays. speech: of every lot, or of none."""
    filters = settings["filters"]
    heard: Sequence[Path | None] = speech or [None] * len(contents)
    items: list[Shown] = []
    for number, paths in enumerate(zip(contents, scans, frames, heard, strict=True), 1):
        items += shown(*paths, settings)
        progress(number, len(contents), "lots")
    keys = [item.key for item in items]
    same = same_bytes(keys, [item.sha256 for item in items])
    if filters["duplicates"] == "near":
        rest = [item for item in items if item.key not in same]
        alike = near([item.key for item in rest], [item.hashes for item in rest], filters["duplicate_bits"])
        same = alike | {key: alike.get(first, first) for key, first in same.items()}
    rows = [{"key": name, "same_as": first} for name, first in same_clips(items, same).items()]
    table_file.write(out_duplicates, pa.Table.from_pylist(rows, schema=SCHEMA))


def shown(contents: Path, scans: Path, frames: Path, speech: Path | None, settings: dict[str, Any]) -> Iterator[Shown]:
    """The items of a lot that have a clip which stays."""
    found, tables = lots.read_scans(scans), lots.read_frames(frames)
    said = lots.read_speech(speech) if speech else {}
    for item in lots.read_items(contents):
        if not item.is_there or item.key not in found:
            continue
        facts, heard = found[item.key]["facts"], said.get(item.key, lots.Speech())
        try:
            every = verdicts(item, facts, tables.get(item.key, lots.no_frames()), settings, heard)
        except Exception as error:  # whoever cuts fails by it, too, and says so
            log.info("%s: %s: %s", item.key, type(error).__name__, error)
            continue
        clips = [(verdict.name, verdict.span) for verdict in every if not verdict.reason]
        if clips:
            yield Shown(item.key, item.sha256, found[item.key]["hashes"], clips)


if __name__ == "__main__":
    run(find_duplicates)
