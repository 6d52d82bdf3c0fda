"""Files that people and other programs wrote, read so that a bad one is a row of the ledger and never a traceback."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.common.csv_rows import csv_rows
from scripts.common.errors import InputError

# Larger files are no tables of a person.
MOST_BYTES = 256 * 2**20
# What readers raise where a file lacks something, or has something of another kind.
MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, csv.Error)


def text_of(path: Path, reason: str) -> str:
    """The text of a file in UTF-8, UTF-16 by its mark of byte order, or else Latin-1.

    Raises InputError with `reason` for what is no text.
    """
    if path.stat().st_size > MOST_BYTES:
        raise InputError(reason, f"{path.name} has more than {MOST_BYTES:,} bytes; it is no table")
    raw = path.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace")
    if b"\0" in raw:
        raise InputError(reason, f"{path.name} is no text")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def rows_of(path: Path, reason: str) -> list[list[str]]:
    """The rows of a csv, see `csv_rows`; empty lines are left out, rows of empty cells are not.

    Raises InputError with `reason` for what is no csv.
    """
    with refused(path, reason, "a csv"):
        return [row for _, row in csv_rows(text_of(path, reason), empty=True)]


@contextmanager
def refused(path: Path, reason: str, form: str, *errors: type[Exception]) -> Iterator[None]:
    """What a reader within raises for a file that is not as `form` has it, as an InputError with `reason`.

    errors: what a library raises besides.
    """
    kinds: tuple[type[Exception], ...] = (*MALFORMED, *errors)
    try:
        yield
    except kinds as error:
        said = " ".join(str(error).split())[:120]
        message = f"{path.name} is not as {form} has it ({type(error).__name__}: {said})"
        raise InputError(reason, message) from None
