"""The clock of a sound whose blocks carry late stamps. Truth is simulated."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.clock import Gap
from scripts.sources.audio_clock import Fit, fit_clock
from scripts.sources.audio_hull import fit_slope, lower_hull
from scripts.sources.audio_steps import find_steps

RATE_HZ = 48_000
BLOCK = 480
START_NS = 1_700_000_000_123_456_789
TRUE_HZ = RATE_HZ * (1 + 20e-6)

Jitter = Callable[[np.random.Generator, int], np.ndarray]
JITTERS: dict[str, Jitter] = {
    "uniform": lambda rng, count: rng.uniform(0, 2e6, count),
    "exponential": lambda rng, count: rng.exponential(1e6, count),
}


def stamps(blocks: np.ndarray, late_ns: np.ndarray | float, true_hz: float = TRUE_HZ) -> np.ndarray:
    """Stamps of blocks by their number: when each ended, and how late that was noted."""
    return START_NS + np.rint((blocks + 1) * BLOCK / true_hz * 1e9 + late_ns).astype(np.int64)


def fit(stamp_ns: np.ndarray, **settings_: object) -> Fit:
    chosen = {"nominal_rate_hz": RATE_HZ, "channels": 1, "stamp": "block_end", **settings_}
    return fit_clock(np.full(len(stamp_ns), BLOCK), stamp_ns, **chosen)  # type: ignore[arg-type]


@pytest.mark.parametrize("jitter", JITTERS.values(), ids=JITTERS.keys())
def test_in_200_trials_of_60_s_the_start_is_within_0_2_ms_and_the_rate_within_1_ppm(jitter: Jitter) -> None:
    rng = np.random.default_rng(7)
    numbers = np.arange(60 * RATE_HZ // BLOCK)
    clocks = [fit(stamps(numbers, jitter(rng, len(numbers)))).clock for _ in range(200)]
    assert max(abs(clock.start_ns - START_NS) for clock in clocks) <= 200_000
    assert max(abs(clock.rate_hz / TRUE_HZ - 1) for clock in clocks) <= 1e-6
    assert all(not clock.gaps and len(clock.segments) == 1 for clock in clocks)


@pytest.mark.parametrize("jitter", JITTERS.values(), ids=JITTERS.keys())
@pytest.mark.parametrize("lost", [1, 3, 30, 500])
def test_a_hole_is_found_where_it_is_and_its_length_to_a_part_of_a_block(jitter: Jitter, lost: int) -> None:
    rng = np.random.default_rng(lost)
    errors_ms = []
    for _ in range(25):
        first = int(rng.integers(200, 1_800 - lost))
        numbers = np.delete(np.arange(2_000), slice(first, first + lost))
        found = fit(stamps(numbers, jitter(rng, len(numbers))))
        ((before, missing),) = found.holes
        assert before == first * BLOCK
        assert found.clock.gaps == [Gap(before, before + missing, "hole")]
        assert found.clock.samples == len(numbers) * BLOCK + missing
        errors_ms.append(abs(missing - lost * BLOCK) / RATE_HZ * 1e3)
    assert np.median(errors_ms) <= 0.05
    assert max(errors_ms) <= 0.3


def test_several_holes_each_keep_their_own_length_and_one_slope_holds_for_all() -> None:
    numbers = np.delete(np.arange(6_000), np.r_[1000:1030, 1040:1041, 4000:4100])
    found = fit(stamps(numbers, np.random.default_rng(1).uniform(0, 2e6, len(numbers))))
    assert [before // BLOCK for before, _ in found.holes] == [1000, 1010, 3969]
    assert [round(missing / BLOCK, 1) for _, missing in found.holes] == [30, 1, 100]
    assert abs(found.clock.drift_ppm - 20) < 1


@pytest.mark.parametrize("stamp", ["block_start", "block_end"])
def test_a_stamp_may_stand_for_the_start_or_the_end_of_its_block(stamp: str) -> None:
    ends = stamps(np.arange(3_000), 0.0)
    given_ns = ends if stamp == "block_end" else ends - round(BLOCK / TRUE_HZ * 1e9)
    assert abs(fit(given_ns, stamp=stamp).clock.start_ns - START_NS) <= 2


def test_a_constant_latency_is_taken_off_every_instant() -> None:
    late = stamps(np.arange(1_000), 7.5e6)
    clock = fit(late, latency_ms=7.5).clock
    assert abs(clock.start_ns - START_NS) <= 2
    assert clock.latency_ms == 7.5


@pytest.mark.parametrize("stall_s", [0.05, 0.5, 5.0, 20.0])
def test_blocks_that_come_late_and_all_at_once_are_no_hole(stall_s: float) -> None:
    numbers = np.arange(6_000)
    stamp_ns = stamps(numbers, np.random.default_rng(3).uniform(0, 2e6, len(numbers)))
    stop = 2_000 + round(stall_s * 100)
    stamp_ns[2_000:stop] = stamp_ns[stop]
    clock = fit(stamp_ns).clock
    assert not clock.gaps
    assert len(clock.segments) == 1
    assert abs(clock.start_ns - START_NS) < 20_000


@pytest.mark.parametrize("stall_s", [0.2, 1.0, 7.0])
def test_blocks_still_late_at_the_end_are_no_hole(stall_s: float) -> None:
    numbers = np.arange(6_000)
    stamp_ns = stamps(numbers, np.random.default_rng(4).uniform(0, 2e6, len(numbers)))
    stamp_ns[-round(stall_s * 100) :] = stamp_ns[-1] + 5_000_000
    assert not fit(stamp_ns).clock.gaps


def test_a_step_back_begins_a_new_segment_that_has_its_own_offset() -> None:
    stamp_ns = stamps(np.arange(4_000), np.random.default_rng(5).uniform(0, 2e6, 4_000))
    stamp_ns[2_500:] -= 200_000_000
    clock = fit(stamp_ns).clock
    assert [segment.start_sample for segment in clock.segments] == [0, 2_500 * BLOCK]
    true_ns = START_NS + round(2_500 * BLOCK / TRUE_HZ * 1e9) - 200_000_000
    assert abs(clock.segments[1].start_ns - true_ns) < 50_000
    assert sum(segment.samples for segment in clock.segments) == clock.samples


def test_a_device_started_anew_after_an_hour_is_a_new_segment_and_not_an_hour_of_zeros() -> None:
    stamp_ns = stamps(np.arange(4_000), 0.0)
    stamp_ns[3_000:] += 3_600 * 10**9
    found = fit(stamp_ns)
    assert not found.holes
    assert [segment.start_sample for segment in found.clock.segments] == [0, 3_000 * BLOCK]
    assert found.notes == ["its clock began anew 1 times; see the segments of its clock"]


def test_a_rate_that_the_stamps_contradict_is_kept_and_said() -> None:
    found = fit(stamps(np.arange(1_000), 0.0), nominal_rate_hz=44_100)
    assert found.clock.rate_hz == 44_100
    assert "they say about 48001 Hz" in found.notes[0]
    assert not found.holes


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_blocks_are_enough_for_a_clock(count: int) -> None:
    clock = fit(stamps(np.arange(count), 100_000.0)).clock
    assert clock.samples == count * BLOCK
    assert abs(clock.start_ns - START_NS) < 200_000


def test_stamps_without_any_jitter_are_fitted_to_the_nanosecond() -> None:
    clock = fit(stamps(np.arange(5_000), 0.0)).clock
    assert abs(clock.start_ns - START_NS) <= 1
    assert abs(clock.rate_hz / TRUE_HZ - 1) < 1e-10


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(10**7), 10**7), min_size=2, max_size=60), st.integers(0, 2**32 - 1))
def test_no_point_lies_under_the_hull_and_its_line_touches_two(heights: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.integers(1, 1_000, len(heights))).astype(np.float64)
    y = np.array(heights, np.float64)
    hull = lower_hull(x, y)
    assert np.all(y >= np.interp(x, x[hull], y[hull]) - 1.001)
    slope = fit_slope(x, y, [slice(None)])
    above = y - slope * x
    assert np.count_nonzero(above - above.min() < 2.1) >= 2


def test_the_line_is_that_of_the_hulls_edge_over_the_mean() -> None:
    x = np.array([0.0, 10, 20, 30, 40])
    y = np.array([5e3, 0, 9e3, 2e3, 40e3])
    assert lower_hull(x, y).tolist() == [0, 1, 3, 4]
    assert fit_slope(x, y, [slice(None)]) == 100.0  # from (10, 0) to (30, 2000): the mean is 20


def test_noise_makes_no_step() -> None:
    x = np.arange(1, 2_001) * float(BLOCK)
    y = np.random.default_rng(0).exponential(2e6, 2_000)
    assert find_steps(x, y, block=BLOCK, per_sample_ns=1e9 / RATE_HZ) == []
