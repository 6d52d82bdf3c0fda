"""Splits of labelled frames that cannot be are one line before any work; those that can leave no wanted split empty."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.errors import ConfigError
from scripts.common.splits import SPLITS, shares_of
from scripts.datasets.frame_splits import stratify
from scripts.planning.config import schema, with_defaults
from scripts.planning.frame_groups import known_splits

GROUPS = {"r0": "ann", "r1": "ann", "r2": "bob", "r3": "cat"}
LISTS = {"train": ["ann"], "val": ["bob"], "test": ["cat"]}


def known(split, fixed=None, groups=GROUPS):
    settings = with_defaults(split, schema("datasets.frames")["properties"]["split"])
    return known_splits(settings, groups, fixed or {}, "s")


@pytest.mark.parametrize("method", ["hash", "stratified"])
def test_a_group_that_the_sheet_tears_apart_is_a_mistake_whatever_the_method(method):
    with pytest.raises(ConfigError, match=r"`ann` stands in train and in test \(recording r1\)"):
        known({"method": method}, {"r0": "train", "r1": "test"})


def test_lists_and_the_sheet_must_say_the_same():
    wanted = {"r0": "train", "r1": "train", "r2": "val", "r3": "test"}
    assert known({"lists": LISTS}, {"r1": "train", "r3": "test"}) == wanted
    message = "s.lists: `bob` stands in val, but its recording r2 in test by the column `split`"
    with pytest.raises(ConfigError, match=message):
        known({"lists": LISTS}, {"r2": "test"})


@pytest.mark.parametrize("split", [{}, {"method": "stratified"}, {"by": "interval"}], ids=["hash", "strata", "bouts"])
@pytest.mark.parametrize("shares", [(0.9, 0.5, 0.5), (0, 0, 0), (0.5, 0, 0.4)])
def test_shares_that_make_no_whole_are_a_mistake_whatever_the_method(split, shares):
    with pytest.raises(ConfigError, match="the shares add up to"):
        known({**split, **dict(zip(SPLITS, shares, strict=True))})


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"method": "folds"}, "s: folds wants at least 5 groups (by: subject), but there are 3; set s.folds: 3, or"),
        ({"method": "folds", "folds": 3}, ""),
        ({"method": "leave_one_out", "fold": 2}, ""),
        ({"method": "leave_one_out", "fold": 3}, "s.fold: 3; of 3 groups the last is number 2"),
    ],
)
def test_folds_want_as_many_groups(split, message):
    if not message:
        assert known(split) == {}
        return
    with pytest.raises(ConfigError, match=re.escape(message)):
        known(split)


def test_two_groups_have_no_folds():
    for method in ("folds", "leave_one_out"):
        with pytest.raises(ConfigError, match=f"{method} wants at least .* there are 2; label more of them"):
            known({"method": method}, groups={"r0": "ann", "r1": "bob"})


def test_who_follows_the_message_to_the_letter_has_a_split():
    two = {"r0": "ann", "r1": "bob"}
    with pytest.raises(ConfigError) as raised:
        known({"method": "stratified"}, groups=two)
    assert "no group is left for `test`; 2 are too few" in str(raised.value)
    said = {name: float(share) for name, share in re.findall(r"s\.(train|val|test): ([0-9.]+)", str(raised.value))}
    assert known({"method": "stratified", "val": 0.15, **said}, groups=two) == {}


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["", *SPLITS]), min_size=1),
    st.sampled_from([(0.7, 0.15, 0.15), (0.5, 0.5, 0), (1, 0, 0)]),
)
def test_stratified_splits_are_refused_exactly_where_one_would_stay_empty(chosen, values):
    fixed = {group: split for group, split in chosen.items() if split}
    split = {"method": "stratified", **dict(zip(SPLITS, values, strict=True))}
    shares = shares_of(split)
    parts = {group: SPLITS.index(name) for group, name in fixed.items()}
    made = stratify({group: {"x": len(group)} for group in chosen}, [shares[name] for name in SPLITS], parts)
    lacking = [name for name in SPLITS if shares[name] > 0 and SPLITS.index(name) not in made.values()]
    groups = {group: group for group in chosen}
    if not lacking:
        assert known(split, fixed, groups) == {}
        return
    with pytest.raises(ConfigError, match="no group is left for"):
        known(split, fixed, groups)
