"""Mean and standard deviation that can be merged."""

import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scripts.common.statistics import Moments, merge_all

VALUES = arrays(np.float64, st.tuples(st.integers(0, 20), st.just(3)), elements=st.floats(-1e3, 1e3))


def close(one: np.ndarray, other: np.ndarray) -> bool:
    return np.allclose(one, other, rtol=1e-12, atol=1e-9)


@given(VALUES, st.lists(st.integers(0, 20), max_size=3))
def test_merging_parts_equals_the_whole(values, cuts):
    parts = np.split(values, sorted(min(cut, len(values)) for cut in cuts))
    merged, whole = merge_all(map(Moments.of, parts), 3), Moments.of(values)
    assert merged.count.tolist() == whole.count.tolist()
    assert close(merged.mean, whole.mean)
    assert close(merged.m2, whole.m2)


def test_merging_a_thousand_parts_equals_the_whole_to_1e_12():
    values = np.random.default_rng(7).normal(500, 20, (64_000, 2))
    merged, whole = merge_all((Moments.of(part) for part in np.split(values, 1000)), 2), Moments.of(values)
    assert np.allclose(merged.mean, whole.mean, rtol=1e-12, atol=0)
    assert np.allclose(merged.std, values.std(axis=0), rtol=1e-12, atol=0)


@given(VALUES, VALUES)
def test_the_order_of_two_does_not_matter(one, other):
    forth, back = Moments.of(one).merge(Moments.of(other)), Moments.of(other).merge(Moments.of(one))
    assert close(forth.mean, back.mean)
    assert close(forth.m2, back.m2)


@given(VALUES)
def test_nothing_changes_nothing(values):
    moments, nothing = Moments.of(values), Moments.empty(3)
    for merged in (moments.merge(nothing), nothing.merge(moments)):
        assert merged.count.tolist() == moments.count.tolist()
        assert merged.mean.tolist() == moments.mean.tolist()


def test_what_was_not_measured_does_not_count():
    moments = Moments.of(np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]]))
    assert moments.count.tolist() == [2, 0]
    assert moments.mean.tolist() == [2.0, 0.0]
    assert moments.std.tolist() == [1.0, 0.0]


def test_a_large_offset_costs_no_digits():
    values = np.array([[1e9 + 1], [1e9 + 2], [1e9 + 3]])
    assert Moments.of(values[:1]).merge(Moments.of(values[1:])).std[0] == pytest.approx(np.sqrt(2 / 3), rel=1e-12)


def test_moments_come_back_as_the_same_bytes_on_any_day(tmp_path):
    moments = Moments.of(np.arange(6.0).reshape(2, 3))
    for name in "ab":
        moments.write(tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    back = Moments.read(tmp_path / "a.npz")
    assert back.count.dtype == np.int64
    assert [vars(back)[name].tolist() for name in vars(back)] == [vars(moments)[name].tolist() for name in vars(back)]
