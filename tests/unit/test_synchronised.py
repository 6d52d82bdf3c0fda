"""Which frame of each camera is shown at every common instant."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.frame_table import FrameTable
from scripts.common.synchronised import NOTHING, Synchronised, nearest, own_instants, synchronise
from tests.unit.made_media import NS

MS = 1_000_000


def table(milliseconds):
    time_ns = np.array(milliseconds, np.int64) * MS
    return FrameTable.make((time_ns - time_ns[:1].sum()) // 1000, time_ns)


def test_cameras_of_one_trigger_lose_nothing_where_one_drops():
    left, right = table([0, 25, 50, 100, 125]), table([0, 25, 50, 75, 125])
    both = synchronise({"left": left, "right": right})
    assert (both.time_ns // MS).tolist() == [0, 25, 50, 75, 100, 125]
    assert both.of("left").tolist() == [0, 1, 2, NOTHING, 3, 4]
    assert both.of("right").tolist() == [0, 1, 2, 3, NOTHING, 4]


def test_a_frame_that_no_camera_has_is_no_instant_and_takes_no_time_away():
    both = synchronise({"left": table([0, 25, 100]), "right": table([0, 25, 100])})
    assert (both.time_ns // MS).tolist() == [0, 25, 100]
    assert both.pts_us.tolist() == [0, 25_000, 100_000]


def test_a_camera_that_dies_half_way_shows_nothing_from_there_on():
    both = synchronise({"left": table(range(0, 200, 25)), "right": table(range(0, 100, 25))})
    assert both.of("right").tolist() == [0, 1, 2, 3, -1, -1, -1, -1]


def test_the_fastest_camera_may_die_and_the_others_go_on():
    both = synchronise({"slow": table(range(0, 400, 50)), "fast": table(range(0, 200, 25))})
    assert (both.time_ns // MS).tolist() == [0, 25, 50, 75, 100, 125, 150, 175, 200, 250, 300, 350]
    assert both.of("slow")[-1] == 7
    assert both.of("fast")[-1] == NOTHING


def test_a_slow_camera_stands_still_between_its_frames():
    both = synchronise({"fast": table(range(0, 200, 25)), "slow": table([0, 100])})
    assert both.of("slow").tolist() == [0, 0, 0, 1, 1, 1, 1, NOTHING]


def test_where_pictures_must_be_of_one_instant_a_slow_camera_shows_nothing_between_its_frames():
    fast, slow = table(range(0, 200, 25)), table([1, 51, 101, 151])
    both = synchronise({"fast": fast, "slow": slow}, stand_still=False)
    assert both.of("fast").tolist() == list(range(8))
    assert both.of("slow").tolist() == [0, NOTHING, 1, NOTHING, 2, NOTHING, 3, NOTHING]
    # Also where the fast one died early, so that most instants are the slow one's.
    died = synchronise({"fast": table([0, 25, 50, 75]), "slow": table(range(1, 800, 50))}, stand_still=False)
    assert died.of("slow")[:4].tolist() == [0, NOTHING, 1, NOTHING]
    assert died.of("slow")[4:].tolist() == list(range(2, 16))
    one = synchronise({"a": table([7]), "b": table([7, 32])}, stand_still=False)
    assert one.shown.tolist() == [[0, 0], [NOTHING, 1]]


def test_cameras_without_a_common_trigger_show_the_nearest_frame():
    both = synchronise({"left": table(range(0, 400, 40)), "right": table(range(13, 400, 40))})
    assert both.of("left").tolist() == list(range(10))
    assert both.of("right").tolist() == list(range(10))
    assert (both.offset_ns[:, 1] == 13 * MS).all()


def test_a_scatter_of_stamps_around_half_a_period_makes_no_new_instant():
    rng = np.random.default_rng(3)
    grid = np.arange(200) * 25 * MS
    left, right = grid + rng.integers(-50_000, 50_000, 200), grid + 12_500_000 + rng.integers(-50_000, 50_000, 200)
    tables = {"left": FrameTable.make(left // 1000, left), "right": FrameTable.make(right // 1000, right)}
    both = synchronise(tables)
    assert len(both) == 200
    assert (both.of("right") >= 0).all()


def test_a_constant_rate_begins_with_the_earliest_frame_and_ends_with_the_latest():
    both = synchronise({"left": table([40, 80, 120]), "right": table([0, 40, 80])}, Fraction(25))
    assert (both.time_ns // MS).tolist() == [0, 40, 80, 120]
    assert both.of("left").tolist() == [-1, 0, 1, 2]
    assert both.of("right").tolist() == [0, 1, 2, -1]


def test_a_camera_without_frames_shows_nothing_and_one_frame_is_shown():
    both = synchronise({"gone": FrameTable.empty(), "one": table([7])})
    assert both.of("gone").tolist() == [NOTHING]
    assert both.of("one").tolist() == [0]


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=40, unique=True),
    st.lists(st.integers(0, 10**9), min_size=1, max_size=40, unique=True),
    st.integers(1, 10**8),
)
def test_nothing_nearer_is_passed_over_and_nothing_further_than_half_a_period_is_shown(times, instants, period):
    times, instants = np.sort(np.array(times, np.int64)), np.sort(np.array(instants, np.int64))
    for shown, instant in zip(nearest(times, instants, period).tolist(), instants.tolist(), strict=True):
        distance = np.abs(times - instant)
        if shown == NOTHING:
            assert distance.min() > period / 2
        else:
            assert distance[shown] == distance.min() <= period * 0.52


@given(st.lists(st.lists(st.integers(0, 10**9), max_size=30, unique=True).map(sorted), min_size=1, max_size=4))
def test_instants_increase_and_every_stamp_of_the_fastest_camera_is_one(cameras):
    times = [np.array(camera, np.int64) for camera in cameras]
    if not any(map(len, times)):
        return
    instants = own_instants(times)
    assert (np.diff(instants) > 0).all()
    several = [time for time in times if len(time) > 1]
    if several:
        periods = np.array([int(np.median(np.diff(time))) for time in several])
        assert np.isin(several[int(np.argmax(periods <= 1.02 * periods.min()))], instants).all()


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=50))
def test_no_two_pictures_stand_at_one_microsecond(steps_ns):
    time_ns = np.cumsum(np.array(steps_ns, np.int64)) + NS
    shown = np.zeros((len(time_ns), 1), np.int32)
    made = Synchronised(("a",), time_ns, shown, shown.astype(np.int64))
    assert made.pts_us[0] == 0
    assert (np.diff(made.pts_us) > 0).all()


def test_a_table_comes_back_as_it_was(tmp_path):
    both = synchronise({"left": table([0, 25, 50, 100]), "right": table([0, 25, 75])})
    both.write(tmp_path / "a.instants.parquet")
    both.write(tmp_path / "b.instants.parquet")
    read = Synchronised.read(tmp_path / "a.instants.parquet")
    assert read.cameras == both.cameras
    for name in ("time_ns", "shown", "offset_ns", "pts_us"):
        assert (getattr(read, name) == getattr(both, name)).all()
    assert (tmp_path / "a.instants.parquet").read_bytes() == (tmp_path / "b.instants.parquet").read_bytes()


def test_an_empty_table_can_be_read(tmp_path):
    Synchronised.empty().write(tmp_path / "x.instants.parquet")
    assert len(Synchronised.read(tmp_path / "x.instants.parquet")) == 0


@pytest.mark.parametrize("count", [1, 2, 7])
def test_any_number_of_cameras_is_synchronised(count):
    tables = {f"cam{index}": table(range(index, 100 + index, 25)) for index in range(count)}
    assert synchronise(tables).shown.shape == (4, count)
