"""Items that show what another one shows: the same bytes, or pictures whose perceptual hashes nearly agree."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from scripts.common import lots, table_file
from scripts.common.job import run
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


def find_duplicates(contents: list[Path], scans: list[Path], out_duplicates: Path, *, kind: str, bits: int) -> None:
    """Write every item that is the same as an earlier one. kind: exact, or near, which includes exact."""
    keys, digests = _items(contents)
    found = same_bytes(keys, digests)
    if kind == "near":
        hashes = {key: values for path in scans for key, values in _hashes(path)}
        rest = [key for key in keys if key not in found]
        found |= near(rest, [hashes.get(key, []) for key in rest], bits)
    rows = [{"key": key, "same_as": found[key]} for key in keys if key in found]
    table_file.write(out_duplicates, pa.Table.from_pylist(rows, schema=SCHEMA))


def _items(paths: Iterable[Path]) -> tuple[list[str], list[str]]:
    tables = [table_file.read(path, columns=["key", "sha256", "outcome"]) for path in paths]
    whole = pa.concat_tables(tables).to_pydict() if tables else {"key": [], "sha256": [], "outcome": []}
    kept = [n for n, outcome in enumerate(whole["outcome"]) if outcome == "written"]
    return [whole["key"][n] for n in kept], [whole["sha256"][n] for n in kept]


def _hashes(path: Path) -> Iterator[tuple[str, list[int]]]:
    table = table_file.read(path, columns=["key", "hashes"], schema=lots.SCANS)
    yield from zip(table["key"].to_pylist(), table["hashes"].to_pylist(), strict=True)


if __name__ == "__main__":
    run(find_duplicates)
