"""The text of tables, in UTF-8. What is not is told by row, so that a row fails alone and no letter is guessed."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

# A line of a table is shorter; without this limit a small archive could fill the memory with one.
LINE_BYTES = 2**22
# So many bytes before and behind one that is not UTF-8 show which word it stands in.
SHOWN_BYTES = 12


def lines_of(raw: BinaryIO) -> Iterator[bytes]:
    """Its lines, without the mark that some programs put before the first one. Raises ValueError for UTF-16."""
    first = True
    while line := raw.readline(LINE_BYTES + 1):
        if len(line) > LINE_BYTES:
            raise ValueError(f"a line has more than {LINE_BYTES:,} bytes; it is no table of URLs")
        if first and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ValueError("it is UTF-16; save it as UTF-8")
        yield line.removeprefix(codecs.BOM_UTF8) if first else line
        first = False


class TextLines:
    """The lines of `file`, opened as `raw`, as text. `number` is that of the last one."""

    def __init__(self, raw: BinaryIO, file: str) -> None:
        self._lines = lines_of(raw)
        self._file = file
        self._odd = ""
        self.number = 0

    def __iter__(self) -> "TextLines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        text, odd = decoded(line)
        if odd and not self._odd:
            self._odd = f"line {self.number} of {self._file} ({odd})"
        return text

    def taken_odd(self) -> str:
        """Where the lines since the last call are not UTF-8; "" if they are."""
        odd, self._odd = self._odd, ""
        return odd


def decoded(content: bytes) -> tuple[str, str]:
    """`content` as text, and the bytes about the first one that is not UTF-8; "" if there is none."""
    try:
        return content.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        shown = content[max(0, error.start - SHOWN_BYTES) : error.start + SHOWN_BYTES]
        return content.decode("utf-8", "replace"), repr(shown)


def utf8_columns(table: pa.Table, texts: set[str], first: int, file: str) -> tuple[pa.Table, dict[int, str]]:
    """`table` with columns of text that is UTF-8, and where it was not, by row.

    texts: names of columns that are text, though their type may be bytes; first: number of the first row in `file`.
    """
    odd: dict[int, str] = {}
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        if not _is_text(column.type, name in texts) or _is_utf8(column):
            continue
        values = [None if value is None else decoded(value) for value in column.cast(pa.large_binary()).to_pylist()]
        for row, value in enumerate(values):
            if value and value[1]:
                odd.setdefault(row, f"row {first + row} of {file} ({value[1]})")
        readable = pa.array([value and value[0] for value in values], pa.large_string())
        table = table.set_column(place, name, readable)
    return table, odd


def _is_text(kind: pa.DataType, or_bytes: bool) -> bool:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return True
    return or_bytes and (pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_utf8(column: pa.ChunkedArray) -> bool:
    """Parquet promises UTF-8 of its texts, but not all that write it keep the promise."""
    try:
        column.cast(pa.large_binary()).cast(pa.large_string())
    except pa.ArrowInvalid:
        return False
    return True
