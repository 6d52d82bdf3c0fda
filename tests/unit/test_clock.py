"""The clock of a sound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.clock import Clock, Gap, Segment


def clock(rate_hz: float = 1000.0, samples: int = 100, **others: object) -> Clock:
    fields = {"start_ns": 0, "nominal_rate_hz": 1000, "channels": 1, **others}
    return Clock(rate_hz=rate_hz, samples=samples, **fields)  # type: ignore[arg-type]


def test_a_sample_stands_at_the_start_plus_its_number_over_the_rate():
    assert clock(start_ns=5_000_000).time_ns(np.array([0, 1, 100])).tolist() == [5_000_000, 6_000_000, 105_000_000]


def test_the_fitted_rate_counts_not_the_nominal_one():
    fast = clock(rate_hz=48_000 * (1 + 20e-6), samples=48_000 * 20, nominal_rate_hz=48_000)
    assert abs(fast.stop_ns - (20 * 10**9 - 400_000)) < 20


def test_each_segment_has_its_own_line_of_time():
    restarted = clock(segments=[Segment(0, 0, 60), Segment(60, 500_000_000, 40)])
    assert restarted.time_ns(np.array([59, 60, 61])).tolist() == [59_000_000, 500_000_000, 501_000_000]
    assert restarted.stop_ns == 540_000_000


def test_a_clock_without_segments_is_one_segment():
    one = clock(segments=[Segment(0, 7, 100)], start_ns=7)
    assert one.stop_ns == clock(start_ns=7).stop_ns == 100_000_007


def test_an_empty_clock_has_no_length():
    assert Clock.empty().stop_ns == 0


@given(st.floats(7_000, 400_000), st.lists(st.integers(1, 10**9), min_size=1, max_size=5), st.integers(0, 2 * 10**18))
def test_time_does_not_run_backwards_in_a_segment(rate_hz, steps, start_ns):
    samples = np.cumsum(steps)
    times = clock(rate_hz=rate_hz, samples=int(samples[-1]), start_ns=start_ns).time_ns(samples)
    assert times.dtype == np.int64
    assert (np.diff(times) >= 0).all()


@given(st.integers(1, 48_000 * 3600 * 12))
def test_half_a_day_is_exact_to_a_nanosecond(sample):
    time = clock(rate_hz=48_000.0, samples=sample).stop_ns
    assert abs(time - sample * 10**9 / 48_000) <= 1


def test_a_clock_comes_back(tmp_path):
    gaps = [Gap(10, 20, "hole"), Gap(90, 100, "after_stop")]
    whole = clock(drift_ppm=19.7, latency_ms=2.5, segments=[Segment(0, 3, 100)], gaps=gaps)
    whole.write(tmp_path / "a.json")
    assert Clock.read(tmp_path / "a.json") == whole


def test_the_same_clock_is_the_same_bytes(tmp_path):
    for name in "ab":
        clock(rate_hz=1 / 3).write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("shape", [(0,), (3,)])
def test_times_have_the_shape_of_the_samples(shape):
    assert clock().time_ns(np.zeros(shape, np.int64)).shape == shape
