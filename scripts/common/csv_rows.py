"""The rows of a csv as people save it: with commas, semicolons or tabs, and with the line where each row begins."""

import csv
import io
from collections.abc import Iterator

DELIMITERS = ",;\t"


def delimiter_of(text: str) -> str:
    """What stands between the cells: what the first line with content has most of; a comma where it has none."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(DELIMITERS, key=first.count)


def csv_rows(text: str, delimiter: str = "", *, empty: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Every row that has content, without spaces around its cells, with the line where it begins, from 1.

    delimiter: "" for what the text has; empty: with rows of cells without content.
    Raises csv.Error for what is no table.
    """
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter or delimiter_of(text), skipinitialspace=True)
    line = 1
    for row in reader:
        cells = [cell.strip() for cell in row]
        if any(cells) or (empty and cells):
            yield line, cells
        # A cell with a line break ends lines below the one where its row begins.
        line = reader.line_num + 1
