"""What a table's rows become: batches with the same columns, whatever the table's own are called."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa

BATCH_ROWS = 100_000
# Says in `extra` what of a row is not UTF-8, for the row to fail: its letters could only be guessed.
NOT_UTF8 = "_not_utf8"
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
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


def normal_rows(table: pa.Table, columns: Mapping[str, str], odd: Mapping[int, str] | None = None) -> pa.RecordBatch:
    """`table` with the columns of SCHEMA. odd: what is not UTF-8, by the number of its row."""
    rows = table.num_rows
    if columns["url"] not in table.column_names:
        has = ", ".join(table.column_names)
        raise ValueError(f"it has no column `{columns['url']}` (`columns.url` would name another); it has {has}")
    twice = [name for name, count in Counter(table.column_names).items() if count > 1]
    if twice:
        raise ValueError(f"more than one of its columns is called `{twice[0]}`; rename the others")

    def column(name: str, convert: Callable[[pa.Array], pa.Array], kind: pa.DataType) -> pa.Array:
        if not columns[name] or columns[name] not in table.column_names:
            return pa.nulls(rows, kind)
        return convert(table[columns[name]].combine_chunks())

    if columns["clips"] in table.column_names:
        clips = pa.array([clips_text(value) for value in table[columns["clips"]].to_pylist()], pa.string())
    else:
        clips = pa.array([""]).take(pa.array([0]).take(pa.nulls(rows, pa.int32()).fill_null(0)))
    others = [name for name in table.column_names if name not in columns.values() or not name]
    if others or odd:
        records = table.select(others).to_pylist() if others else [{} for _ in range(rows)]
        for row, what in (odd or {}).items():
            records[row][NOT_UTF8] = what
        extra = pa.array(map(json_of, records), pa.string())
    else:
        extra = pa.nulls(rows, pa.string()).fill_null("{}")
    zeros = pa.nulls(rows, pa.int64()).fill_null(0)
    empty = pa.nulls(rows, pa.string()).fill_null("")
    arrays = [
        column("url", _texts, pa.string()).fill_null(""),
        column("caption", _texts, pa.string()).fill_null(""),
        clips,
        column("seconds", _numbers, pa.float64()),
        column("bytes", _numbers, pa.float64()),
        empty,
        zeros,
        zeros,
        extra,
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _texts(found: pa.Array) -> pa.Array:
    """A column as text, whatever it holds: one odd cell is one odd row, and NaN is none, as everywhere in a table."""
    import pyarrow.compute as pc

    if pa.types.is_floating(found.type):
        found = pc.if_else(pc.is_nan(found), None, found)
    try:
        return found.cast(pa.string())
    except pa.ArrowException:
        return pa.array([None if value is None else text_of(value) for value in found.to_pylist()], pa.string())


def _numbers(found: pa.Array) -> pa.Array:
    """A column as numbers of at least 0; what is none is empty, for a guess of a length must not end a run."""
    import pyarrow.compute as pc

    if pa.types.is_duration(found.type):
        found = pc.divide(found.cast(pa.duration("us")).cast(pa.int64()).cast(pa.float64()), 1e6)
    elif not (pa.types.is_integer(found.type) or pa.types.is_floating(found.type) or pa.types.is_decimal(found.type)):
        texts = pc.utf8_trim_whitespace(_texts(found))
        found = pc.if_else(pc.match_substring_regex(texts, NUMBER), texts, None)
    numbers = found.cast(pa.float64())
    return pc.if_else(pc.and_(pc.is_finite(numbers), pc.greater_equal(numbers, 0)), numbers, None)


def text_of(value: Any) -> str:
    """Text that UTF-8 can hold; none of NaN, as which pandas writes what is missing."""
    if is_nan(value):
        return ""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def is_nan(value: Any) -> bool:
    """Whether a cell holds NaN."""
    return isinstance(value, float) and math.isnan(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, default=str, allow_nan=False)


def json_of(record: dict[str, Any]) -> str:
    """Other columns as JSON; what is no number (NaN, and infinity) is null, for JSON has no word for it."""
    try:
        return text_of(_ENCODER.encode(record))
    except ValueError:
        return text_of(_ENCODER.encode(_finite(record)))


def object_of(text: str | bytes, what: str) -> dict[str, Any]:
    """An object of JSON. Raises ValueError that begins with `what` for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{what} is no object")
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def clips_text(value: Any) -> str:
    """[[start, stop], …] in seconds as JSON, "" for none; what cannot be read stays as it is, for its row to fail."""
    try:
        pairs = clips_of(value)
    except ValueError:
        return str(value)
    return json.dumps(pairs) if pairs else ""


def clips_of(value: Any) -> list[list[float]]:
    """[[start_s, stop_s], …] of a list or of text; none for an empty cell. Raises ValueError for anything else."""
    return [[seconds_of(start), seconds_of(stop)] for start, stop in _entries(value, 2)]


def subtitles_of(value: Any) -> list[list[Any]]:
    """[[start_s, stop_s, text], …] of a list or of text; none for an empty cell. Raises ValueError for else."""
    return [
        [seconds_of(start), seconds_of(stop), "" if text is None else str(text)]
        for start, stop, text in _entries(value, 3)
    ]


def _entries(value: Any, length: int) -> list[Any]:
    """The entries of a cell, lists of `length` each: a list, its JSON, or its text as Python writes it."""
    if value is None or value == "" or is_nan(value):
        return []
    listed = _list_of_text(value) if isinstance(value, str) else value
    if listed is None:
        return []
    if not isinstance(listed, list | tuple):
        raise ValueError("it is no list")
    for entry in listed:
        # A text of two digits would else be a start and a stop.
        if not isinstance(entry, list | tuple) or len(entry) != length:
            raise ValueError(f"{str(entry)[:80]!r} has not {length} values")
    return list(listed)


def _list_of_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return json.loads(text.replace("'", '"').replace("(", "[").replace(")", "]"))
    except RecursionError:
        raise ValueError("its brackets are too deep") from None


def seconds_of(value: Any) -> float:
    """Seconds, or the text %H:%M:%S.%f. Raises ValueError."""
    if isinstance(value, str) and ":" in value:
        parts = [float(part) for part in value.split(":")]
        seconds = sum(part * 60**place for place, part in enumerate(reversed(parts)))
    else:
        try:
            seconds = float(value)
        except TypeError:
            raise ValueError(f"{value!r} is no time") from None
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"{value!r} is no time")
    return seconds


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def rows_of_records(records: Iterator[dict[str, Any]], columns: Mapping[str, str]) -> Batches:
    """`records` of a table of objects, with the columns of SCHEMA."""
    rows: list[dict[str, Any]] = []
    for record in records:
        if not isinstance(record, dict):
            raise ValueError("an entry is no object")
        extra = {name: value for name, value in record.items() if name not in columns.values() or not name}
        known = {name: record.get(column) if column else None for name, column in columns.items()}
        rows.append(
            {
                "url": text_of(known["url"] or ""),
                "caption": text_of(known["caption"] or ""),
                "clips": text_of(clips_text(known["clips"])),
                "seconds": _number(known["seconds"]),
                "bytes": _number(known["bytes"]),
                "extra": json_of(extra),
            }
        )
        if len(rows) == BATCH_ROWS:
            yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
            rows = []
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
