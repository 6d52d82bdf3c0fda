"""Tables of many lots or shards that are read as one: the same columns, of the same kinds, in all of them."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.datasets.shard_formats import feature_of

HUGGING_FACE = b"huggingface"
# Kinds of columns that a type does not tell.
MEDIA = ("Video", "Audio", "Image", "ClassLabel")


def common_schema(paths: Sequence[Path]) -> pa.Schema:
    """The columns of all tables; what holds nothing in one takes its kind from the others.

    Numbers of two kinds become float64, lists those of their values, and all else text.
    """
    kinds: dict[str, pa.DataType] = {}
    for path in paths:
        for name, kind in _kinds(path).items():
            kinds[name] = _both(kinds[name], kind) if name in kinds else kind
    return pa.schema([(name, pa.string() if _holds_null(kind) else kind) for name, kind in kinds.items()])


def with_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns of `schema`, which `common_schema` has made of it and others."""
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table[field.name]
        if pa.types.is_nested(column.type) and pa.types.is_string(field.type):
            texts = [
                None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
                for value in column.to_pylist()
            ]
            columns.append(pa.array(texts, pa.string()))
        elif column.null_count == len(column):
            columns.append(pa.nulls(table.num_rows, field.type))
        else:
            columns.append(column.cast(field.type))
    return pa.table(columns, schema=schema)


def bring_together(paths: Sequence[Path], out: Path) -> Iterator[Path]:
    """Write those tables of samples into `out` whose columns are not those of all; gives the others.

    `datasets` of Hugging Face takes the columns of the first table, and reads no other ones.
    """
    schema = common_schema(paths)
    described = _features(paths, schema)
    schema = schema.with_metadata({HUGGING_FACE: json.dumps({"info": {"features": described}}, sort_keys=True)})
    for path in paths:
        if pq.read_schema(path).equals(schema, check_metadata=True):
            yield path
            continue
        with (
            pq.ParquetFile(path) as file,
            pq.ParquetWriter(out / path.name, schema, compression="zstd") as writer,
        ):
            for group in range(file.num_row_groups):
                part = with_columns(file.read_row_group(group), schema)
                writer.write_table(part, row_group_size=max(1, part.num_rows))


def _features(paths: Sequence[Path], schema: pa.Schema) -> dict[str, Any]:
    """What `datasets` is told of each column: media and classes as some table says, all else by its type."""
    found: dict[str, Any] = {field.name: feature_of(field.type) for field in schema}
    for path in paths:
        told = json.loads((pq.read_schema(path).metadata or {}).get(HUGGING_FACE, b"{}"))
        for name, feature in told.get("info", {}).get("features", {}).items():
            if feature.get("_type") in MEDIA:
                found[name] = feature
    return found


def _kinds(path: Path) -> dict[str, pa.DataType]:
    """Column -> type; null for one that holds nothing, which was written as text."""
    with pq.ParquetFile(path) as file:
        meta, schema = file.metadata, file.schema_arrow
        parts = [
            meta.row_group(group).column(n) for group in range(meta.num_row_groups) for n in range(meta.num_columns)
        ]
    filled = {
        part.path_in_schema for part in parts if not part.statistics or part.statistics.null_count < part.num_values
    }
    return {
        field.name: pa.null() if pa.types.is_string(field.type) and field.name not in filled else field.type
        for field in schema
    }


def _both(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """A type that holds the values of both."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_list(one) and pa.types.is_list(other):
        inner = _both(one.value_type, other.value_type)
        # A list of texts, where there were numbers, would say something else than its json does.
        mixed = pa.types.is_string(inner) and not {one.value_type, other.value_type} <= {inner, pa.null()}
        return inner if mixed else pa.list_(inner)
    numbers = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (one, other))
    return pa.float64() if numbers else pa.string()


def _holds_null(kind: pa.DataType) -> bool:
    return pa.types.is_null(kind) or (pa.types.is_list(kind) and _holds_null(kind.value_type))
