"""What a table's rows become: batches with the same columns, whatever the table's own are called."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

BATCH_ROWS = 100_000
SCHEMA = pa.schema(
    [
        ("url", pa.string()),
        ("caption", pa.string()),
        ("clips", pa.string()),
        ("seconds", pa.float64()),
        ("bytes", pa.float64()),
        ("path", pa.string()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("extra", pa.string()),
    ]
)

Batches = Iterator[pa.RecordBatch]


def normal_rows(table: pa.Table, columns: Mapping[str, str]) -> pa.RecordBatch:
    """`table` with the columns of SCHEMA."""
    rows = table.num_rows
    if columns["url"] not in table.column_names:
        raise ValueError(f"it has no column `{columns['url']}`; it has {', '.join(table.column_names)}")

    def column(name: str, kind: pa.DataType) -> pa.Array:
        if columns[name] not in table.column_names:
            return pa.nulls(rows, kind)
        found = table[columns[name]].combine_chunks()
        if pa.types.is_string(found.type) and kind == pa.float64():
            import pyarrow.compute as pc

            found = pc.if_else(pc.match_substring_regex(found, r"^\s*-?[0-9.]+(e-?[0-9]+)?\s*$"), found, None)
        return found.cast(kind)

    if columns["clips"] in table.column_names:
        clips = pa.array([clips_text(value) for value in table[columns["clips"]].to_pylist()], pa.string())
    else:
        clips = pa.array([""]).take(pa.array([0]).take(pa.nulls(rows, pa.int32()).fill_null(0)))
    others = [name for name in table.column_names if name not in columns.values()]
    if others:
        dumps = json.JSONEncoder(ensure_ascii=False, sort_keys=True, default=str).encode
        extra = pa.array(map(dumps, table.select(others).to_pylist()), pa.string())
    else:
        extra = pa.nulls(rows, pa.string()).fill_null("{}")
    zeros = pa.nulls(rows, pa.int64()).fill_null(0)
    empty = pa.nulls(rows, pa.string()).fill_null("")
    arrays = [
        column("url", pa.string()).fill_null(""),
        column("caption", pa.string()).fill_null(""),
        clips,
        column("seconds", pa.float64()),
        column("bytes", pa.float64()),
        empty,
        zeros,
        zeros,
        extra,
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def clips_text(value: Any) -> str:
    """[[start, stop], …] in seconds as JSON, "" for none; what cannot be read stays as it is, for its row to fail."""
    if value is None or value == "":
        return ""
    try:
        listed = (
            json.loads(value.replace("'", '"').replace("(", "[").replace(")", "]")) if isinstance(value, str) else value
        )
        pairs = [[seconds_of(start), seconds_of(stop)] for start, stop in listed]
    except (ValueError, TypeError):
        return str(value)
    return json.dumps(pairs) if pairs else ""


def seconds_of(value: Any) -> float:
    """Seconds, or the text %H:%M:%S.%f. Raises ValueError."""
    if isinstance(value, str) and ":" in value:
        parts = [float(part) for part in value.split(":")]
        seconds = sum(part * 60**place for place, part in enumerate(reversed(parts)))
    else:
        seconds = float(value)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{value!r} is no time")
    return seconds


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def rows_of_records(records: Iterator[dict[str, Any]], columns: Mapping[str, str]) -> Batches:
    """`records` of a table of objects, with the columns of SCHEMA."""
    rows: list[dict[str, Any]] = []
    for record in records:
        if not isinstance(record, dict):
            raise ValueError("an entry is no object")
        extra = {name: value for name, value in record.items() if name not in columns.values()}
        known = {name: record.get(column) for name, column in columns.items()}
        rows.append(
            {
                "url": str(known["url"] or ""),
                "caption": str(known["caption"] or ""),
                "clips": clips_text(known["clips"]),
                "seconds": _number(known["seconds"]),
                "bytes": _number(known["bytes"]),
                "extra": json.dumps(extra, ensure_ascii=False, sort_keys=True, default=str),
            }
        )
        if len(rows) == BATCH_ROWS:
            yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
            rows = []
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
