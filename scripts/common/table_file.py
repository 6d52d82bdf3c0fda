"""Small tables in parquet files, the same bytes on every run."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write(path: Path, table: pa.Table) -> None:
    """Write a table."""
    pq.write_table(table, path, compression="zstd")


def read(path: Path, schema: pa.Schema | None = None, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a table, in the columns of `schema`, or those named; what stands for a table that failed has no rows.

    pyarrow's own `read_table` imports all that reads folders of tables first, which takes longer.
    Raises: KeyError, a column is missing.
    """
    if schema is not None and columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    names = columns if schema is None else schema.names
    with pq.ParquetFile(path) as file:
        table = file.read(columns=names)
        failed = not file.schema_arrow.names
    if failed:
        return table if schema is None else schema.empty_table()
    if names is not None:
        table = table.select(names)
    return table if schema is None or table.schema.equals(schema) else table.cast(schema)
