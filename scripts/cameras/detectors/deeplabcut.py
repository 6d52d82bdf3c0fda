"""DeepLabCut's tables of keypoints, csv and pandas' h5, of one animal or several."""

import pickletools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.cameras.detectors.interface import BAD_FILE, Row
from scripts.common.errors import InputError
from scripts.common.keypoints import Skeleton
from scripts.common.text_file import rows_of

HEAD = ("scorer", "individuals", "bodyparts", "coords")
COORDINATES = ("x", "y", "likelihood")
# What pickle writes for text, by any of its protocols.
TEXTS = ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING")
# Of each number of a row: individual, body part, coordinate.
Columns = Sequence[tuple[str, str, str]]


def read_csv(path: Path, _: list[str]) -> tuple[Skeleton, Iterator[Row]]:
    """Rows of the header: scorer, (individuals,) bodyparts, coords; then a frame a row."""
    rows = rows_of(path, BAD_FILE)
    head = {row[0]: row[1:] for row in rows[:4] if row[0] in HEAD}
    if "bodyparts" not in head or "coords" not in head:
        raise InputError(BAD_FILE, f"{path.name}: it has no rows `bodyparts` and `coords`, as DeepLabCut's has")
    lengths = {name: len(row) for name, row in head.items() if name != "scorer"}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{length} of `{name}`" for name, length in lengths.items())
        raise InputError(BAD_FILE, f"{path.name}: the rows of its header are not equally long: {said}")
    people = head.get("individuals", [""] * len(head["bodyparts"]))
    columns = list(zip(people, head["bodyparts"], head["coords"], strict=True))
    return _skeleton(columns), _rows(_numbers(path, rows[len(head) :], len(columns)), columns)


def read_h5(file: Any, path: Path, names: list[str]) -> tuple[Skeleton, Iterator[Row]]:
    """pandas' table of DeepLabCut: x, y, likelihood of every body part in one block of numbers.

    file: the open group.  names: of the body parts of one animal, for a table whose columns have none that can be read.
    """
    if hasattr(file, "keys") and "table" not in file:
        raise InputError(
            BAD_FILE, f"{path.name}: pandas wrote it in its fixed format; write it with format='table', or give the csv"
        )
    table = file["table"]
    stored = table[()]
    block = np.asarray(stored["values_block_0"], np.float64)
    if extra := sorted(set(stored.dtype.names) - {"index", "values_block_0"}):
        raise InputError(
            BAD_FILE, f"{path.name}: its numbers are not in one block, but in {extra[0]}, too; give the csv"
        )
    columns = _pickled_columns(bytes(table.attrs.get("values_block_0_kind", b"")))
    columns = columns or [("", name, coordinate) for name in names for coordinate in COORDINATES]
    if len(columns) != block.shape[1]:
        raise InputError(
            BAD_FILE,
            f"{path.name}: its columns say no body parts, {block.shape[1]} numbers a row; give the rig's detect.names, "
            f"which are {len(names)} now, with x, y, likelihood each",
        )
    return _skeleton(columns), _rows(zip(stored["index"].tolist(), block, strict=True), columns)


def _skeleton(columns: Columns) -> Skeleton:
    return Skeleton(tuple(dict.fromkeys(part for _, part, _ in columns)))


def _rows(numbers: Iterable[tuple[int, np.ndarray]], columns: Columns) -> Iterator[Row]:
    """Every individual of a frame that has a point. numbers: frame, and float64 (columns,)."""
    where = {key: place for place, key in enumerate(columns)}
    parts, people = _skeleton(columns).names, dict.fromkeys(person for person, _, _ in columns)
    # Beyond the last column stands what is NaN: an individual may lack a body part, and a table the likelihood.
    places = [[[where.get((who, part, c), -1) for c in COORDINATES] for part in parts] for who in people]
    for frame, values in numbers:
        row = np.append(values, np.nan)
        for person, mine in enumerate(places):
            found = row[mine]
            if np.isfinite(found[:, :2]).any():
                yield int(frame), person, found[:, :2], found[:, 2]


def _numbers(path: Path, body: list[list[str]], count: int) -> Iterator[tuple[int, np.ndarray]]:
    for line, row in enumerate(body):
        try:
            if len(row) <= count:
                raise ValueError(len(row))
            yield _frame(row[0]), np.array([float(cell) if cell else np.nan for cell in row[1 : count + 1]])
        except ValueError:
            raise InputError(BAD_FILE, f"{path.name}: row {line + 1} below the header is not whole") from None


def _frame(text: str) -> int:
    """The number of a frame, which some write as 12.0. Raises ValueError for what is none."""
    number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def _pickled_columns(content: bytes) -> Columns:
    """Columns from pickled names, which are read and never run; none if they are anything but tuples of text.

    Each is scorer, (individual,) body part, coordinate.
    """
    try:
        found = _pickled_texts(content)
    except (ValueError, LookupError, TypeError, AttributeError):
        return []
    if not all(isinstance(key, tuple) and len(key) in (3, 4) for key in found):
        return []
    return [("" if len(key) == 3 else key[1], key[-2], key[-1]) for key in found]


def _pickled_texts(content: bytes) -> list[Any]:
    """A pickled list of tuples of text. Raises ValueError for a pickle with anything else in it."""
    mark = object()
    stack: list[Any] = []
    memo: dict[int, Any] = {}

    def popped() -> list[Any]:
        start = max(place for place, value in enumerate(stack) if value is mark)
        values = stack[start + 1 :]
        del stack[start:]
        return values

    argument: Any
    for operation, argument, _ in pickletools.genops(content):
        name = operation.name
        if name in TEXTS:
            stack.append(argument)
        elif name == "MARK":
            stack.append(mark)
        elif name in ("TUPLE", "LIST"):
            values = popped()
            stack.append(tuple(values) if name == "TUPLE" else values)
        elif name in ("EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
            size = 0 if name == "EMPTY_TUPLE" else int(name[-1])
            stack[len(stack) - size :] = [tuple(stack[len(stack) - size :])]
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name in ("APPEND", "APPENDS"):
            values = [stack.pop()] if name == "APPEND" else popped()
            stack[-1].extend(values)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise ValueError(name)
    return list(stack[-1])
