"""Small tables: what is read is in the columns that were asked for, and a failed table has no rows."""

from pathlib import Path

import pyarrow as pa
import pytest

from scripts.common import table_file

SCHEMA = pa.schema([("frame", pa.int32()), ("time_ns", pa.int64())])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A table whose columns stand in another order, and of another type, than SCHEMA says."""
    table_file.write(tmp_path / "a.parquet", pa.table({"time_ns": [10, 20], "name": ["a", "b"], "frame": [0, 1]}))
    return tmp_path / "a.parquet"


def test_columns_come_in_the_order_and_type_of_the_schema(path: Path) -> None:
    table = table_file.read(path, SCHEMA)
    assert table.schema.equals(SCHEMA)
    assert table.to_pylist() == [{"frame": 0, "time_ns": 10}, {"frame": 1, "time_ns": 20}]


def test_columns_can_be_named_with_and_without_a_schema(path: Path) -> None:
    assert table_file.read(path, columns=["name"]).to_pydict() == {"name": ["a", "b"]}
    named = table_file.read(path, SCHEMA, ["frame"])
    assert named.schema == pa.schema([SCHEMA.field("frame")])


def test_a_failed_table_has_no_rows_in_all_columns_of_the_schema(tmp_path: Path) -> None:
    table_file.write(tmp_path / "failed.parquet", pa.table({}))
    assert table_file.read(tmp_path / "failed.parquet", SCHEMA).schema.equals(SCHEMA)
    assert table_file.read(tmp_path / "failed.parquet").num_columns == 0


def test_a_missing_column_is_an_error(path: Path) -> None:
    with pytest.raises(KeyError, match="level"):
        table_file.read(path, columns=["level"])


def test_a_table_in_a_folder_called_like_a_partition_has_no_column_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "frame=7"
    folder.mkdir()
    table_file.write(folder / "a.parquet", pa.table({"level": [1.0]}))
    assert table_file.read(folder / "a.parquet").column_names == ["level"]
