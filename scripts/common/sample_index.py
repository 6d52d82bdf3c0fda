"""The sample index: which stretch of which recording each sample of a dataset is."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from scripts.common import table_file

# start_ns, stop_ns: on the recording's clock.  interpolated: frames whose landmarks stand in a gap and follow from
# their neighbours.  file: path of the sample below the dataset's folder.
SCHEMA = pa.schema(
    [
        ("sample", pa.string()),
        ("recording", pa.string()),
        ("start_ns", pa.int64()),
        ("stop_ns", pa.int64()),
        ("first_frame", pa.int32()),
        ("track", pa.int32()),
        ("interpolated", pa.int32()),
        ("file", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Window:
    """One sample: a window of a recording."""

    sample: str
    recording: str
    start_ns: int
    stop_ns: int
    first_frame: int = 0
    track: int = 0
    interpolated: int = 0

    @property
    def file(self) -> str:
        """Its path below the dataset's folder."""
        return f"npz/{self.recording}/{self.sample}.npz"


def write(path: Path, windows: Iterable[Window]) -> None:
    """Write the windows of a recording, in their order."""
    rows = [{**asdict(window), "file": window.file} for window in windows]
    table_file.write(path, pa.Table.from_pylist(rows, schema=SCHEMA))


def read(path: Path) -> pa.Table:
    """Read what `write` wrote."""
    return table_file.read(path, schema=SCHEMA)
