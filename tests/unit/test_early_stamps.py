"""Stamps of blocks of sound that are early: what is mended, and what is left as it is. Truth is simulated."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.sources.audio_clock import Fit, fit_clock
from scripts.sources.early_stamps import early_stamps, mend_early
from tests.unit.bag_maker import MS, RAW_AUDIO, START_NS, Ros, export

RATE_HZ = 48_000
BLOCK = 480
PPM = -60
BLOCK_NS = 10 * MS / (1 + PPM * 1e-6)


def stamps(numbers: np.ndarray, late_ms: float = 1.0) -> np.ndarray:
    """Stamps of blocks by their number: when each began, and how late that was noted."""
    late_ns = np.random.default_rng(3).uniform(0, late_ms * MS, len(numbers))
    return START_NS + np.rint(numbers * BLOCK_NS + late_ns).astype(np.int64)


def mend(stamp_ns: np.ndarray) -> dict[str, int]:
    """Mend stamps in place; returns what was wrong with them."""
    return dict(mend_early(stamp_ns, np.arange(len(stamp_ns)) * 10.0 * MS))


def fit(stamp_ns: np.ndarray) -> Fit:
    sizes = np.full(len(stamp_ns), BLOCK)
    return fit_clock(sizes, stamp_ns, nominal_rate_hz=RATE_HZ, channels=1, stamp="block_start")


def is_true(found: Fit, holes: list[tuple[int, int]]) -> bool:
    """Whether a clock has the true start, the true rate and these holes, (block, blocks), each to 0.2 ms."""
    seen = [(before // BLOCK, round(missing / BLOCK, 1)) for before, missing in found.holes]
    near = abs(found.clock.start_ns - START_NS) <= MS // 5 and abs(found.clock.drift_ppm - PPM) <= 2
    return near and seen == holes and len(found.clock.segments) == 1


@pytest.mark.parametrize("hole", [0, 3])
@pytest.mark.parametrize("tail", [[2, 0, 1], [1, 2, 0], [0, 2, 1]], ids=["overtaken", "by-two", "swapped"])
def test_a_last_block_out_of_order_moves_no_clock_and_hides_no_hole(hole: int, tail: list[int]) -> None:
    numbers = np.delete(np.arange(3_000), slice(300, 300 + hole))
    stamp_ns = stamps(numbers)
    stamp_ns[-3:] = stamp_ns[-3:][tail]
    assert mend(stamp_ns)["stamps_out_of_order"] == 1
    assert is_true(fit(stamp_ns), [(300, hole)] if hole else [])


@pytest.mark.parametrize("early_ms", [3, 4, 8, 9.5])
@pytest.mark.parametrize("at", [[20], [1_500], [2_999], [1_000, 1_001], [400, 2_998]])
def test_one_or_two_stamps_that_are_early_by_less_than_a_block_move_no_clock(at: list[int], early_ms: float) -> None:
    stamp_ns = stamps(np.arange(3_000))
    stamp_ns[at] -= round(early_ms * MS)
    assert sum(mend(stamp_ns).values()) == len(at)
    assert is_true(fit(stamp_ns), [])


def test_rare_prompt_stamps_of_a_sound_that_is_usually_late_are_believed() -> None:
    numbers = np.arange(3_000)
    stamp_ns = stamps(numbers) + 4 * MS
    prompt = numbers[50::250]
    stamp_ns[prompt] = START_NS + np.rint(prompt * BLOCK_NS).astype(np.int64)
    given_ns = stamp_ns.copy()
    assert mend(stamp_ns) == {}
    assert np.array_equal(stamp_ns, given_ns)
    assert is_true(fit(stamp_ns), [])


@pytest.mark.parametrize("blocks", [1, 2, 5, 2_990])
def test_the_blocks_in_front_of_a_hole_stay(blocks: int) -> None:
    numbers = np.delete(np.arange(3_000), slice(blocks, blocks + 4))
    stamp_ns = stamps(numbers)
    given_ns = stamp_ns.copy()
    assert mend(stamp_ns) == {}
    assert np.array_equal(stamp_ns, given_ns)


def test_the_few_blocks_of_a_device_that_began_anew_stay() -> None:
    stamp_ns = stamps(np.arange(3_000))
    stamp_ns[-6:] -= 200 * MS
    given_ns = stamp_ns.copy()
    assert mend(stamp_ns) == {}
    assert np.array_equal(stamp_ns, given_ns)


@given(delay_ms=st.floats(0, 200), at=st.integers(0, 39))
def test_a_late_block_makes_no_early_one(delay_ms: float, at: int) -> None:
    stamp_ns = START_NS + np.arange(40) * 10 * MS
    stamp_ns[at] += round(delay_ms * MS)
    assert not early_stamps(stamp_ns).any()
    given_ns = stamp_ns.copy()
    assert mend(stamp_ns) == {}
    assert np.array_equal(stamp_ns, given_ns)


def send(ros: Ros, stamp_ns: np.ndarray) -> None:
    """Blocks of samples with these stamps, logged at their ends."""
    samples = np.ones(2 * BLOCK, np.uint8)
    fields = {"data": samples, "format": "pcm-s16", "sample_rate": RATE_HZ, "number_of_channels": 1}
    for number, stamp in enumerate(stamp_ns):
        log_ns = START_NS + (number + 1) * 10 * MS
        ros.send(log_ns, "/mic", "foxglove_msgs/msg/RawAudio", timestamp=ros.time(int(stamp)), **fields)


def test_a_stamp_that_is_early_is_named(tmp_path: Path) -> None:
    ros = Ros(2, {"foxglove_msgs/msg/RawAudio": RAW_AUDIO})
    send(ros, START_NS + np.arange(100) * 10 * MS - 4 * MS * (np.arange(100) == 50))
    made = export(ros.write(tmp_path / "a.mcap"), tmp_path / "out", {}, {"mic": "/mic"})
    assert made.manifest["streams"]["mic"]["stamps"] == {"early_stamps": 1}
    assert (
        "mic: stamps that are early, alone among their neighbours, moved onto the line of those: 1"
        in (made.manifest["warnings"])
    )
    assert abs(made.clock("mic").start_ns - START_NS) <= 1


def test_a_part_begins_where_it_should_though_the_last_stamp_that_is_surveyed_is_out_of_order(tmp_path: Path) -> None:
    ros = Ros(2, {"foxglove_msgs/msg/RawAudio": RAW_AUDIO})
    order = np.arange(100)
    order[[23, 24]] = 24, 23
    send(ros, START_NS + order * 10 * MS)
    made = export(ros.write(tmp_path / "a.mcap"), tmp_path / "out", {}, {"mic": "/mic"}, start_s=0.5)
    assert abs(made.clock("mic").start_ns - (START_NS + 500 * MS)) <= 1
