"""The sample index: which stretch of which recording each sample of a dataset is."""

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


def write(path: Path, samples: list[dict[str, object]]) -> None:
    """Write the samples of a recording, in their order."""
    table_file.write(path, pa.Table.from_pylist(samples, schema=SCHEMA))


def read(path: Path) -> pa.Table:
    """Read what `write` wrote."""
    return table_file.read(path, schema=SCHEMA)
