"""Which files are tables of URLs, by their names, and how long they look."""

import os

from scripts.common.braces import expand_braces
from scripts.common.errors import ConfigError

ENDINGS = (
    ".txt",
    ".txt.gz",
    ".csv",
    ".csv.gz",
    ".tsv",
    ".tsv.gz",
    ".json",
    ".jsonl",
    ".json.gz",
    ".jsonl.gz",
    ".parquet",
    ".tar",
)
SAMPLE_BYTES = 2**16


def kind_of(file: str) -> str:
    """The ending that tells how a table is read; "" for what is none."""
    return next((ending for ending in ENDINGS if file.lower().endswith(ending)), "")


def local_tables(table: str, place: str) -> list[str]:
    """The files of a table, those of a folder one by one: a row that is added to one of them is seen.

    place: of the key. Raises ConfigError.
    """
    files = []
    for name in expand_braces(table):
        if not os.path.exists(name):
            raise ConfigError(f"{place}.table: {name!r} does not exist")
        found = _tables_in(name) if os.path.isdir(name) else [name]
        if not found:
            raise ConfigError(f"{place}.table: the folder {name!r} holds no table: {', '.join(ENDINGS)}")
        files += found
    for file in files:
        if "{" in file or "}" in file:
            raise ConfigError(f"{place}.table: Snakemake reads {{ and }} as wildcards; rename {file!r}")
    return files


def rows_about(file: str) -> float | None:
    """How many rows a file has, from a look at its beginning; None where that does not tell."""
    if not file.lower().endswith((".txt", ".csv", ".tsv", ".jsonl")):
        return None
    with open(file, "rb") as opened:
        start = opened.read(SAMPLE_BYTES)
    lines = max(1, start.count(b"\n"))
    return os.path.getsize(file) / (len(start) / lines) if start else 0.0


def _tables_in(folder: str) -> list[str]:
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if kind_of(name)]
