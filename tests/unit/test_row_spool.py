"""Rows of numbers in memory that does not grow: what went into a file comes back as it was."""

import errno
import tempfile
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.sources import row_spool
from scripts.sources.row_spool import RowSpool

INT64 = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.tuples(INT64, INT64, st.booleans())), st.integers(1, 40))
def test_rows_come_back_in_their_order_whatever_was_held(rows, held):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_spool, "HELD", held)
        spool = RowSpool(3)
        for number, row in enumerate(rows):
            assert len(spool) == number
            spool.append(*row)
            if number % 7 == 0:
                # Reading in between changes nothing.
                assert len(spool.rows()) == number + 1
        assert spool.rows().tolist() == [[int(value) for value in row] for row in rows]
        assert spool.rows().shape == (len(rows), 3)


def test_a_million_rows_take_the_memory_of_a_few():
    spool = RowSpool(4)
    tracemalloc.start()
    try:
        for number in range(1_000_000):
            spool.append(number, number * 2, number * 3, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
    assert np.array_equal(spool.rows()[:, 2], np.arange(1_000_000) * 3)


def test_nothing_is_left_in_the_folder_for_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = RowSpool(1)
    for number in range(row_spool.HELD + 5):
        spool.append(number)
    assert list(tmp_path.iterdir()) == []
    assert len(spool) == row_spool.HELD + 5


def test_a_full_folder_for_temporary_files_is_named():
    class Full:
        def seek(self, *place):
            return 0

        def write(self, numbers):
            raise OSError(errno.ENOSPC, "No space left on device")

    spool = RowSpool(1)
    spool._file = Full()
    with pytest.raises(OSError, match="No space left on device") as caught:
        spool.append(*range(row_spool.HELD))
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, tempfile.gettempdir())
