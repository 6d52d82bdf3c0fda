"""A label file that is read into intervals."""

import json
from pathlib import Path

from scripts.common import label_intervals, ledger
from scripts.labels.import_labels import import_labels

START_NS = 1_700_000_000_000_000_000
SETTINGS = {"format": "auto", "fps": "10", "unit": "auto", "sync": "", "fit": [], "columns": {}}


def read(root: Path, name: str, content, streams=None, **settings):
    """The intervals and the ledger of a file."""
    path = root / name
    if callable(content):
        content(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    manifest = root / "manifest.json"
    manifest.write_text(
        json.dumps({"timeline": {"start_ns": START_NS, "stop_ns": START_NS + 10**10}, "streams": streams or {}})
    )
    out = (root / "out.labels.parquet", root / "out.ledger.parquet")
    import_labels(path, manifest, *out, recording="take", subject="s1", settings={**SETTINGS, **settings})
    return label_intervals.read(out[0]), ledger.rows(ledger.read([out[1]]))
