"""One table of labelled intervals, whatever tool wrote them."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from scripts.common import table_file

SCHEMA = pa.schema(
    [
        ("recording", pa.string()),
        ("subject", pa.string()),
        ("camera", pa.string()),
        ("tier", pa.string()),
        ("label", pa.string()),
        ("start_ns", pa.int64()),
        ("stop_ns", pa.int64()),
        ("source_line", pa.int32()),
    ]
)


@dataclass(frozen=True)
class LabelInterval:
    """A labelled interval [start_ns, stop_ns) on the recording's clock; a point has stop_ns == start_ns.

    camera: of which it speaks, "" for all.  source_line: of the file, from 1; where a format has no lines, the number
    of the entry.
    """

    recording: str
    subject: str
    camera: str
    tier: str
    label: str
    start_ns: int
    stop_ns: int
    source_line: int


def write(path: Path, intervals: Iterable[LabelInterval]) -> None:
    """Write the table, in the order of time."""
    ordered = sorted(intervals, key=lambda one: (one.start_ns, one.stop_ns, one.tier, one.subject, one.source_line))
    table_file.write(path, pa.Table.from_pylist([asdict(interval) for interval in ordered], schema=SCHEMA))


def read(path: Path) -> list[LabelInterval]:
    """Read what `write` wrote."""
    return [LabelInterval(**row) for row in table_file.read(path, schema=SCHEMA).to_pylist()]
