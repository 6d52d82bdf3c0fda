"""The table of labelled pictures of a camera: what each shows, and where it stands in its tar."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

# name: without ending.  frame: row of the frame table; time_ns: on the recording's clock.  interval: row of the cleaned
# labels, and its bounds.  place: consecutive where no frame between is lacking.  phash: perceptual hash.
SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("recording", pa.string()),
        ("subject", pa.string()),
        ("camera", pa.string()),
        ("label", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("frame", pa.int32()),
        ("place", pa.int32()),
        ("time_ns", pa.int64()),
        ("interval", pa.int32()),
        ("start_ns", pa.int64()),
        ("stop_ns", pa.int64()),
        ("ending", pa.string()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("sha256", pa.string()),
        ("phash", pa.uint64()),
    ]
)
BATCH_ROWS = 8192

Row = dict[str, Any]


class IndexWriter:
    """Writes rows as they come, in batches, so that a million of them need no more memory than thousands."""

    def __init__(self, path: Path, schema: pa.Schema = SCHEMA) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._waiting: list[Row] = []
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, row: Row) -> None:
        """Add a row."""
        self._waiting.append(row)
        self.rows += 1
        if len(self._waiting) >= BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_pylist(self._waiting, schema=self._schema))
            self._waiting = []


def write_empty(path: Path) -> None:
    """A table without rows."""
    with IndexWriter(path):
        pass


def batches(path: Path, columns: list[str] | None = None) -> Iterator[list[Row]]:
    """The rows of a table, some thousands at a time."""
    with pq.ParquetFile(path) as file:
        # One group after the other: a reader of all of them holds what it has read of lists.
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False):
                yield batch.to_pylist()


def rows(path: Path, columns: list[str] | None = None) -> Iterator[Row]:
    """The rows of a table, one by one."""
    for batch in batches(path, columns):
        yield from batch
