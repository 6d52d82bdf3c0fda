"""The card of a dataset of shards: counts, hours, bytes, reasons, histograms, licences and sources."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# Edges of the card's histogram of lengths, in seconds.
EDGES_S = (0, 1, 2, 5, 10, 20, 60, 300, 3600)
# As many values of a column as a card lists.
LISTED = 50


def describe(
    dataset: str,
    settings: dict[str, Any],
    counts: Counter[tuple[str, str, str]],
    metadata: Path,
    index: Path,
    licence: str,
) -> dict[str, Any]:
    """The card.

    counts: ledger rows by (step, outcome, reason). licence: the column that says it, "" for none.
    """
    names = set(pq.read_schema(metadata).names)
    lengths = Lengths()
    for part in _column(metadata, "duration_s") if "duration_s" in names else ():
        lengths.add(part.to_numpy(zero_copy_only=False))
    size, shards = 0, set()
    for part in _column(index, "size"):
        size += int(part.to_numpy().sum())
    for part in _column(index, "shard"):
        shards |= set(part.unique().to_pylist())
    text = json.dumps(settings, sort_keys=True)
    return {
        "dataset": dataset,
        "settings": settings,
        "settings_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "samples": lengths.count,
        "shards": len(shards),
        "hours": round(lengths.seconds / 3600, 6),
        "bytes": size,
        "rows": {
            " ".join(filter(None, key[1:])): count for key, count in sorted(counts.items()) if key[0] == "write_shard"
        },
        "steps": {
            step: {" ".join(filter(None, key[1:])): count for key, count in sorted(counts.items()) if key[0] == step}
            for step in sorted({key[0] for key in counts} - {"write_shard"})
        },
        "seconds_histogram": {f"from {edge} s": int(n) for edge, n in zip(EDGES_S, lengths.histogram, strict=True)},
        "licences": _most(metadata, licence) if licence in names else {},
        "sources": _most(metadata, "url", _site) if "url" in names else {},
    }


class Lengths:
    """Lengths of samples, summed as they come: how many, how long in all, and how many from each of EDGES_S on."""

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0
        self.histogram = np.zeros(len(EDGES_S), np.int64)

    def add(self, seconds: np.ndarray) -> None:
        """float (N,)."""
        self.count += len(seconds)
        self.seconds += float(seconds.sum())
        self.histogram += np.histogram(seconds, [*EDGES_S, np.inf])[0]


def _column(path: Path, name: str) -> Iterator[pa.Array]:
    """A column of a table in parts, so that millions of rows need no more memory than thousands."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=[name]):
            yield batch.column(0)


def _site(url: str) -> str:
    return url.split("/")[2] if "://" in url and len(url.split("/")) > 2 else "local"


def _most(metadata: Path, column: str, of: Any = str) -> dict[str, int]:
    counts = Counter(of(str(value)) for part in _column(metadata, column) for value in part.to_pylist())
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = sum(count for _, count in ranked[LISTED:])
    return dict(ranked[:LISTED]) | ({"others": rest} if rest else {})
