"""Tables of URLs and paths, read in a stream: txt, csv, tsv, json, jsonl, parquet, folders and braces of those, tars.

Every batch that comes out has the same columns: url, caption, clips (JSON text, seconds), seconds, bytes, path, offset,
size (of a member of a tar), extra (JSON text of all other columns).
"""

import contextlib
import csv
import gzip
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.braces import expand_braces
from scripts.common.errors import RunError
from scripts.common.table_kinds import kind_of
from scripts.sources.table_text import LINE_BYTES, TextLines, decoded, lines_of, utf8_columns
from scripts.sources.tar_table import read_tar
from scripts.sources.url_rows import BATCH_ROWS, NOT_UTF8, Batches, normal_rows, object_of, rows_of_records

CSV_BLOCK_BYTES = 2**24
# JSON that is no line an object is read as a whole.
JSON_BYTES = 2**30


def read_rows(tables: Iterable[str], columns: Mapping[str, str]) -> Batches:
    """The rows of every file of `tables`, in the order of names within a folder.

    columns: what the columns url, caption, clips, seconds and bytes are called. Raises RunError with the file, and what
    is wrong with it.
    """
    for file in _all_files(tables):
        with _named(file):
            yield from _reader(file)(file, columns)


@contextlib.contextmanager
def _named(file: str) -> Iterator[None]:
    """A table that cannot be read is one line that names it."""
    try:
        yield
    except (pa.ArrowException, csv.Error, ValueError, KeyError, OSError, EOFError, tarfile.TarError) as error:
        raise RunError(f"the table {file} cannot be read: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise RunError(f"the table {file} cannot be read: its brackets are too deep") from None


def count_rows(tables: Iterable[str], columns: Mapping[str, str]) -> int:
    """How many rows there are, or a few more: lines are counted without a look at quotes."""
    count = 0
    for file in _all_files(tables):
        with _named(file):
            count += _rows_in(file, columns)
    return count


def _rows_in(file: str, columns: Mapping[str, str]) -> int:
    kind = kind_of(file)
    if kind == ".parquet":
        with _open(file) as raw:
            return int(pq.read_metadata(raw).num_rows)
    if kind.startswith((".txt", ".csv", ".tsv")):
        with _open(file) as raw:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: raw.read(CSV_BLOCK_BYTES), b"")) + 1
    return sum(batch.num_rows for batch in read_rows([file], columns))


def _all_files(tables: Iterable[str]) -> Iterator[str]:
    for table in tables:
        for name in expand_braces(table):
            yield from _files(name)


def _files(name: str) -> list[str]:
    if _is_local(name):
        return [name]
    import fsspec

    system, path = fsspec.core.url_to_fs(name)
    if not system.exists(path):
        raise RunError(f"the table {name!r} does not exist")
    if not system.isdir(path):
        return [name]
    inside = sorted(entry for entry in system.ls(path, detail=False) if kind_of(entry))
    if not inside:
        raise RunError(f"the folder {name!r} holds no table: {', '.join(READERS)}")
    return [system.unstrip_protocol(entry) if "://" in name else entry for entry in inside]


def _is_local(name: str) -> bool:
    """Whether a name is a file of this machine. The import of fsspec takes longer than a small table."""
    return "://" not in name and "::" not in name and Path(name).is_file()


def _reader(file: str) -> "Callable[[str, Mapping[str, str]], Batches]":
    kind = kind_of(file)
    if not kind:
        raise RunError(f"the table {file!r} is none of {', '.join(READERS)}")
    return READERS[kind]


@contextlib.contextmanager
def _open(file: str) -> Iterator[BinaryIO]:
    with Path(file).open("rb") if _is_local(file) else _open_of_store(file) as raw:
        if file.lower().endswith(".gz"):
            with gzip.open(raw) as unpacked:
                yield unpacked  # type: ignore[misc]
        else:
            yield raw


def _name(file: str) -> str:
    return file.rsplit("/", 1)[-1]


def _open_of_store(file: str) -> Any:
    import fsspec

    return fsspec.open(file, "rb")


def _text(file: str, columns: Mapping[str, str]) -> Batches:
    with _open(file) as raw:
        urls: list[str] = []
        odd: dict[int, str] = {}
        lines = TextLines(raw, _name(file))
        for line in lines:
            where, text = lines.taken_odd(), line.strip()
            if text:
                odd.update({len(urls): where} if where else {})
                urls.append(text)
            if len(urls) == BATCH_ROWS:
                yield normal_rows(pa.table({columns["url"]: pa.array(urls, pa.string())}), columns, odd)
                urls, odd = [], {}
        if urls:
            yield normal_rows(pa.table({columns["url"]: pa.array(urls, pa.string())}), columns, odd)


def _separated(separator: str) -> "Callable[[str, Mapping[str, str]], Batches]":
    def read(file: str, columns: Mapping[str, str]) -> Batches:
        # By the standard library: the parser of pyarrow reads ahead in a thread, also from a file that an error closed.
        csv.field_size_limit(LINE_BYTES)
        with _open(file) as raw:
            lines = TextLines(raw, _name(file))
            reader = csv.reader(lines, delimiter=separator)
            names = next(reader, [])
            _check_header(lines.taken_odd())
            rows: list[list[str]] = []
            odd: dict[int, str] = {}
            for row in reader:
                where = lines.taken_odd()
                if len(row) != len(names):
                    if not row:
                        continue
                    raise ValueError(f"line {reader.line_num} has {len(row)} cells, where the header has {len(names)}")
                odd.update({len(rows): where} if where else {})
                rows.append(row)
                if len(rows) == BATCH_ROWS:
                    yield normal_rows(_of_text(names, rows), columns, odd)
                    rows, odd = [], {}
            yield normal_rows(_of_text(names, rows), columns, odd)

    return read


def _check_header(odd: str) -> None:
    """Columns that nobody can name are no row's matter."""
    if odd:
        raise ValueError(f"{odd} is not UTF-8; save it as UTF-8")


def _of_text(names: list[str], rows: list[list[str]]) -> pa.Table:
    arrays = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)] if rows else []
    return pa.table(arrays or [pa.array([], pa.string()) for _ in names], names=names)


def _parquet(file: str, columns: Mapping[str, str]) -> Batches:
    with _open(file) as raw, pq.ParquetFile(raw) as reader:
        texts, first = {columns["url"], columns["caption"]}, 1
        for batch in reader.iter_batches(batch_size=BATCH_ROWS):
            table, odd = utf8_columns(pa.Table.from_batches([batch]), texts, first, _name(file))
            yield normal_rows(table, columns, odd)
            first += batch.num_rows


def _json(file: str, columns: Mapping[str, str]) -> Batches:
    """A list of objects, one object of columns, or an object a line."""
    with _open(file) as raw:
        if kind_of(file).startswith(".jsonl") or _is_lines(raw, columns["url"]):
            yield from rows_of_records(_objects(raw, _name(file)), columns)
            return
        text = raw.read(JSON_BYTES + 1)
    if len(text) > JSON_BYTES:
        raise ValueError(f"it has more than {JSON_BYTES:,} bytes; write an object a line (jsonl)")
    content = _json_of(text)
    if isinstance(content, dict):
        content = _turned(content) if _is_of_columns(content, columns["url"]) else [content]
    if not isinstance(content, list):
        raise ValueError("it is neither a list, nor an object")
    yield from rows_of_records(iter(content), columns)


def _is_lines(raw: BinaryIO, url: str) -> bool:
    """Whether every line is an object of its own, by the first one; `raw` is at its beginning afterwards."""
    lines = (line for line in lines_of(raw) if line.strip())
    try:
        first = json.loads(decoded(next(lines, b""))[0])
        return isinstance(first, dict) and not (_is_of_columns(first, url) and next(lines, None) is None)
    except ValueError:
        return False
    finally:
        raw.seek(0)


def _is_of_columns(content: dict[str, Any], url: str) -> bool:
    """Whether an object holds all rows of a table, column by column."""
    return isinstance(content.get(url), list | dict)


def _objects(raw: BinaryIO, file: str) -> Iterator[dict[str, Any]]:
    lines = TextLines(raw, file)
    for line in lines:
        where = lines.taken_odd()
        if line.strip():
            found = object_of(line, f"line {lines.number}")
            yield {**found, NOT_UTF8: where} if where else found


def _json_of(text: bytes) -> Any:
    """JSON in any encoding that it may have. Raises ValueError."""
    try:
        return json.loads(text)
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise ValueError(f"its line {line} is not UTF-8 ({decoded(text)[1]}); save it as UTF-8") from None


def _turned(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Column-wise JSON, as pandas writes it: {column: {row: value}} or {column: [values]}."""
    lists = {name: list(value.values()) if isinstance(value, dict) else value for name, value in content.items()}
    lengths = {name: len(value) if isinstance(value, list) else None for name, value in lists.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"its columns are not of one length: {lengths}")
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


READERS: "dict[str, Callable[[str, Mapping[str, str]], Batches]]" = {
    ".txt": _text,
    ".txt.gz": _text,
    ".csv": _separated(","),
    ".csv.gz": _separated(","),
    ".tsv": _separated("\t"),
    ".tsv.gz": _separated("\t"),
    ".json": _json,
    ".jsonl": _json,
    ".json.gz": _json,
    ".jsonl.gz": _json,
    ".parquet": _parquet,
    ".tar": read_tar,
}
