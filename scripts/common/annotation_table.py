"""What an annotation found out about the clips of a lot: `values` and `parts` of each, as JSON."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from scripts.common import table_file

SCHEMA = pa.schema([("key", pa.string()), ("values", pa.string()), ("parts", pa.string())])


def read(path: Path) -> dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Values and parts of every annotated clip, by key."""
    rows = table_file.read(path, schema=SCHEMA).to_pylist()
    return {row["key"]: (json.loads(row["values"]), json.loads(row["parts"])) for row in rows}
