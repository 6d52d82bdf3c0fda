"""Rows of whole numbers that come one by one, in memory that does not grow with their count."""

from array import array
from tempfile import TemporaryFile, gettempdir
from typing import IO

import numpy as np

# So many numbers are held before they go into a file without a name; most recordings have fewer rows than that.
HELD = 16_384


class RowSpool:
    """Holds rows of `width` int64 each. Raises OSError where the folder for temporary files is full."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._held = array("q")
        self._spilled = 0
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return (self._spilled + len(self._held)) // self._width

    def append(self, *row: int) -> None:
        """Add a row."""
        self._held.extend(row)
        if len(self._held) >= HELD:
            self._spill()

    def rows(self) -> np.ndarray:
        """All rows so far, int64 (N, width); each call makes them anew."""
        numbers = np.array(self._held, np.int64)
        if self._file is not None:
            self._file.seek(0)
            numbers = np.concatenate([np.fromfile(self._file, np.int64, self._spilled), numbers])
        return numbers.reshape(-1, self._width)

    def _spill(self) -> None:
        try:
            if self._file is None:
                self._file = TemporaryFile(prefix="rushes_")  # noqa: SIM115
            self._file.seek(0, 2)
            self._file.write(self._held)
        except OSError as error:
            # Its own says no place, since the file has no name.
            raise OSError(error.errno, error.strerror, gettempdir()) from error
        self._spilled += len(self._held)
        del self._held[:]
