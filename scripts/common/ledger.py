"""The ledger: every item that entered a step ends in exactly one of written, filtered, failed."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from scripts.common import table_file
from scripts.common.errors import UPSTREAM as UPSTREAM

OUTCOMES = ("written", "filtered", "failed")

SCHEMA = pa.schema(
    [
        ("step", pa.string()),
        ("recording", pa.string()),
        ("item", pa.string()),
        ("start_ns", pa.int64()),
        ("stop_ns", pa.int64()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("value", pa.float64()),
        ("limit", pa.float64()),
        ("message", pa.string()),
    ]
)


@dataclass(frozen=True)
class Row:
    """One item of one step. `start_ns`, `stop_ns` are on the recording's clock, None for the whole item."""

    step: str
    recording: str
    item: str
    outcome: str
    reason: str = ""
    value: float | None = None
    limit: float | None = None
    message: str = ""
    start_ns: int | None = None
    stop_ns: int | None = None

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ValueError(f"outcome {self.outcome!r} is none of {OUTCOMES}")
        if (self.outcome == "written") != (self.reason == ""):
            raise ValueError(f"{self.step}/{self.item}: written has no reason, filtered and failed have one")


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write `rows` in their order."""
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=SCHEMA)
    table_file.write(path, table)


def read(paths: Iterable[Path]) -> pa.Table:
    """Concatenate the ledgers of `paths`, in their order."""
    tables = [table_file.read(path, SCHEMA) for path in paths]
    return pa.concat_tables(tables) if tables else SCHEMA.empty_table()


def rows(table: pa.Table) -> list[Row]:
    """The rows of a ledger table."""
    records: list[dict[str, Any]] = table.to_pylist()
    return [Row(**record) for record in records]
