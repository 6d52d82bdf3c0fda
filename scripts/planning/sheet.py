"""Tab-separated sheets: one header row, `#` lines are comments, every error names its line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.common.errors import ConfigError
from scripts.common.names import nearest


@dataclass(frozen=True)
class SheetRow:
    """One row: `line` is its number in the file (the header is 1), `cells` by column, empty ones left out."""

    sheet: Path
    line: int
    cells: dict[str, str]

    def where(self) -> str:
        """Place of the row for a message."""
        return f"{self.sheet.name}, line {self.line}"


def read_sheet(path: Path, columns: list[str], required: list[str]) -> list[SheetRow]:
    """Rows of the sheet at `path`. Raises ConfigError for an unknown column or a missing required cell."""
    return list(_rows(path, columns, required))


def _rows(path: Path, columns: list[str], required: list[str]) -> Iterator[SheetRow]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not UTF-8 text ({error}): save it as UTF-8") from None
    header: list[str] | None = None
    # No csv: a quote is part of a name, and no other character than the tab has a meaning.
    for number, line in enumerate(text.split("\n"), start=1):
        # A spreadsheet pads every row to the width of its widest one.
        cells = [cell.strip() for cell in line.rstrip().split("\t")]
        if not any(cells) or line.startswith("#"):
            continue
        if header is None:
            header = cells
            _check_header(path, number, header, columns, required)
            continue
        if len(cells) > len(header):
            raise ConfigError(f"{path.name}, line {number}: {len(cells)} cells under {len(header)} columns")
        row = SheetRow(path, number, {k: c for k, c in zip(header, cells, strict=False) if c})
        for name in required:
            if name not in row.cells:
                raise ConfigError(f"{row.where()}: the column `{name}` is empty")
        yield row
    if header is None and required:
        raise ConfigError(f"{path} has no header row; it starts with the columns {', '.join(required)}")


def _check_header(path: Path, line: int, header: list[str], columns: list[str], required: list[str]) -> None:
    for name in header:
        if name not in columns:
            hint = nearest(name, columns)
            if re.search(r"[\s,;|\"']", name):
                hint = "; columns are separated by tabs, and no cell stands in quotes"
            raise ConfigError(f"{path.name}, line {line}: unknown column `{name}`{hint}")
        if header.count(name) > 1:
            raise ConfigError(f"{path.name}, line {line}: the column `{name}` stands twice")
    for name in required:
        if name not in header:
            raise ConfigError(f"{path.name}, line {line}: the column `{name}` is missing")
