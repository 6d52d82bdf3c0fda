"""The frame table."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.frame_table import GAP_PERIODS, FrameTable, find_gaps, frame_period_ns
from tests.unit.examples import every_ms

STEPS = st.lists(st.integers(1, 10**9), min_size=1, max_size=30)


def times_ms(*times: float) -> np.ndarray:
    return np.array(times, np.int64) * 10**6


def test_a_gap_is_the_time_that_is_missing_before_a_frame():
    assert find_gaps(times_ms(0, 40, 80, 200, 240)).tolist() == [0, 0, 0, 80_000_000, 0]


def test_a_step_of_up_to_half_a_period_more_is_no_gap():
    limit = GAP_PERIODS * 40
    assert find_gaps(times_ms(0, 40, 80, 80 + limit, 120 + limit)).tolist() == [0] * 5
    assert find_gaps(times_ms(0, 40, 80, 81 + limit, 121 + limit))[3] == 21_000_000


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_frames_have_neither_period_nor_gap(count):
    times = every_ms(40, count)
    assert frame_period_ns(times) == 0
    assert find_gaps(times).tolist() == [0] * count


@given(STEPS)
def test_gaps_and_periods_fill_the_time_up_to_half_a_period_each(steps):
    times = np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)
    gaps, period = find_gaps(times), frame_period_ns(times)
    assert (gaps >= 0).all()
    present = np.diff(times) - gaps[1:]
    assert (present <= GAP_PERIODS * period).all()
    assert (present[gaps[1:] > 0] == period).all()


@given(st.integers(0, 20))
def test_a_table_comes_back_with_its_types(tmp_path_factory, count):
    path = tmp_path_factory.mktemp("table") / "a.frames.parquet"
    table = FrameTable.make(
        every_ms(40, count) // 1000,
        every_ms(40, count, start_ms=1.7e12),
        source_frame=np.arange(count) - 1,
        keyframe=np.arange(count) % 3 == 0,
        tainted=np.arange(count) % 4 == 0,
    )
    table.write(path)
    back = FrameTable.read(path)
    assert len(back) == count
    for name, column in vars(table).items():
        assert getattr(back, name).dtype == column.dtype
        assert getattr(back, name).tolist() == column.tolist()


def test_what_is_not_given_is_own_numbers_without_keyframes_and_taint():
    table = FrameTable.make([0, 40_000], times_ms(0, 40))
    assert table.frame.tolist() == table.source_frame.tolist() == [0, 1]
    assert not table.keyframe.any()
    assert not table.tainted.any()


def test_a_table_ends_one_period_after_its_last_frame():
    table = FrameTable.make([0, 40_000, 80_000], times_ms(1000, 1040, 1080))
    assert (table.start_ns, table.period_ns, table.stop_ns) == (10**9, 40 * 10**6, 1120 * 10**6)


def test_the_same_table_is_the_same_bytes(tmp_path):
    for name in "ab":
        FrameTable.make([0, 40_000], times_ms(0, 40)).write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_table_without_rows_is_read_as_one(tmp_path: Path):
    FrameTable.empty().write(tmp_path / "a")
    assert len(FrameTable.read(tmp_path / "a")) == 0
