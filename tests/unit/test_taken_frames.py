"""Which of an interval's frames are taken: a stride and a rate give even steps, whatever rounds times or overlaps."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.frame_table import FrameTable
from scripts.datasets.labelled_frames import Pace, grids, rows_by_time, segments, slack_of
from tests.unit.examples import every_ms
from tests.unit.frame_dataset import interval, of_import, recorded


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Six seconds of ten pictures a second."""
    return recorded(tmp_path_factory.mktemp("recording"))


def test_a_stride_counts_from_the_first_frame_of_each_interval_and_a_rate_from_its_instant():
    times = every_ms(100, 40)
    found = segments([(3, 13), (20, 30)], [interval("a", 0.3, 1.3), interval("b", 2, 3)], "first")
    paces = [Pace(4), Pace(1, Fraction(5, 2), 10**8), Pace(1, Fraction(25), 10**8)]
    every_fourth, slow, fast = (grids(found, pace, times) for pace in paces)
    assert every_fourth[0].tolist() == [3, 7, 11]
    assert slow[1].tolist() == [20, 24, 28]
    assert fast[1].tolist() == list(range(20, 30))


@pytest.mark.parametrize("unit_ns", [1, 10**6], ids=["nanoseconds", "milliseconds"])
@pytest.mark.parametrize("rate", ["24000/1001", "25", "30000/1001", "30", "60000/1001", "60", "29.97002997"])
@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_whole_part_of_the_rate_of_a_camera_takes_every_first_second_or_third_frame(rate, every, unit_ns):
    own = Fraction(rate)
    times = np.array([round(k / own * 10**9 / unit_ns) * unit_ns for k in range(5000)])
    table = FrameTable.make(times // 1000, times)
    pace = Pace.of({"stride": 1, "fps": str(own / every)}, table)
    for first in range(7):
        assert pace.rows(first, 5000, table.time_ns).tolist() == list(range(first, 5000, every))


@given(st.integers(1, 60), st.lists(st.integers(1, 200), min_size=1, max_size=60))
def test_of_uneven_times_no_more_are_taken_than_the_rate_allows(fps, steps_ms):
    times = np.cumsum(steps_ms) * 10**6
    rows = Pace.of({"stride": 1, "fps": str(fps)}, FrameTable.make(times // 1000, times)).rows(0, len(times), times)
    for first, row in enumerate(rows):
        # The first and the last may stand at the outer edges of their turns.
        assert len(rows) - first <= (times[rows[-1]] - times[row]) * fps / 10**9 + 2


def test_an_overlap_moves_no_frame_that_is_taken(recording, tmp_path):
    labels = [interval("a", 0, 5, 1), interval("b", 1.2, 2.8, 2), interval("c", 4.5, 6, 3)]
    for pace in ({"stride": 5}, {"fps": 2}):
        first = of_import(tmp_path / str(pace) / "first", recording, labels, **pace)
        assert [row["frame"] for row in first.rows] == [*range(0, 50, 5), 50, 55]
        # A sequence goes on where only what another interval says has changed.
        assert [row["place"] for row in first.rows] == [*range(10), 0, 1]
        rule = {"overlaps": "priority", "priority": ["b", "a"]}
        inner = of_import(tmp_path / str(pace) / "inner", recording, labels, **rule, **pace)
        rows = [(row["label"], row["frame"], row["place"]) for row in inner.rows]
        of_b = [("b", 12, 0), ("b", 17, 1), ("b", 22, 2), ("b", 27, 3)]
        of_a = [("a", frame, frame // 5) for frame in (0, 5, 10, 30, 35, 40, 45)]
        assert rows == [*of_a[:3], *of_b, *of_a[3:], ("c", 50, 0), ("c", 55, 1)]


RATES = ["24000/1001", "25", "30000/1001", "30", "50", "60000/1001", "60", "240", "1000"]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("of_video_ns", [1, 1000, 10**6])
@pytest.mark.parametrize("of_labels_ns", [1, 1000, 10**6])
def test_an_edge_on_a_frame_finds_it_however_container_and_tool_round(rate, of_video_ns, of_labels_ns):
    exact = [k / Fraction(rate) * 10**9 for k in range(400)]
    times = np.array([round(time / of_video_ns) * of_video_ns for time in exact])
    table = FrameTable.make(times // 1000, times)
    edges = [round(time / of_labels_ns) * of_labels_ns for time in exact]
    for first in range(0, 393, 7):
        one = replace(interval("a", 0, 0), start_ns=edges[first], stop_ns=edges[first + 7])
        assert rows_by_time(table, one, slack_of(table.period_ns)) == (first, first + 7)


@given(st.lists(st.integers(1, 50_000_000), min_size=2, max_size=40), st.lists(st.integers(0, 10**9), max_size=8))
def test_every_frame_is_in_exactly_one_of_intervals_that_follow_each_other(steps, inner):
    times = np.cumsum(steps)
    table = FrameTable.make(times // 1000, times)
    edges = sorted({-(10**9), *inner, 10**11})
    ones = [replace(interval("a", 0, 0), start_ns=start, stop_ns=stop) for start, stop in pairwise(edges)]
    ranges = [rows_by_time(table, one, slack_of(table.period_ns)) for one in ones]
    assert [row for first, stop in ranges for row in range(first, stop)] == list(range(len(times)))
