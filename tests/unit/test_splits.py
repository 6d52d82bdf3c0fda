"""Which split a recording stands in."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.errors import ConfigError
from scripts.common.splits import SPLITS, hashed_split, shares_of, split_recordings
from scripts.planning.datasets import make_dataset

NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=5)
GROUPS = st.dictionaries(NAMES, st.sampled_from("ABCDEFGH"), max_size=20)
EVEN = {"train": 0.8, "val": 0.1, "test": 0.1}
ALL_TRAIN = {"train": 1.0, "val": 0.0, "test": 0.0}


@given(NAMES, st.integers(0, 5))
def test_a_group_stays_where_its_own_name_puts_it(group, seed):
    """So whatever else is added moves nobody: nothing but name, shares and seed is asked."""
    split = hashed_split(group, EVEN, seed)
    assert split in SPLITS
    assert hashed_split(group, EVEN, seed) == split


@given(GROUPS, GROUPS)
def test_adding_recordings_moves_nobody(old, new):
    both = {**new, **old}
    before = {name: hashed_split(group, EVEN, 0) for name, group in old.items()}
    try:
        after = split_recordings(both, {}, EVEN, 0, "split")
    except ConfigError:
        return
    assert {name: after[name] for name in old} == before


@given(GROUPS, st.data())
def test_no_group_stands_in_two_splits(groups, data):
    fixed_groups = data.draw(st.dictionaries(st.sampled_from("ABCDEFGH"), st.sampled_from(SPLITS)))
    fixed = {name: fixed_groups[group] for name, group in groups.items() if group in fixed_groups}
    try:
        splits = split_recordings(groups, fixed, EVEN, 0, "split")
    except ConfigError:
        return
    for group in set(groups.values()):
        assert len({splits[name] for name, own in groups.items() if own == group}) == 1


def test_the_shares_of_many_groups_are_those_that_are_asked_for():
    found = [hashed_split(f"subject {number}", EVEN, 0) for number in range(3000)]
    for name, share in EVEN.items():
        assert abs(found.count(name) / 3000 - share) < 0.02


def test_another_seed_gives_another_split():
    groups = [str(number) for number in range(50)]
    assert [hashed_split(g, EVEN, 0) for g in groups] != [hashed_split(g, EVEN, 1) for g in groups]


def test_one_fixed_recording_takes_its_whole_group_with_it():
    groups = {"a1": "A", "a2": "A", "b1": "B"}
    splits = split_recordings(groups, {"a2": "val", "b1": "train"}, {"train": 0.5, "val": 0.5, "test": 0}, 0, "s")
    assert splits == {"a1": "val", "a2": "val", "b1": "train"}


def test_a_fixed_split_may_be_one_that_has_no_share():
    assert split_recordings({"a": "A", "b": "B"}, {"a": "test"}, ALL_TRAIN, 0, "s") == {"a": "test", "b": "train"}


def test_a_group_that_is_fixed_apart_is_a_mistake():
    with pytest.raises(ConfigError, match=r"^s: `A` stands in train and in val \(recording a2\); give all"):
        split_recordings({"a1": "A", "a2": "A"}, {"a1": "train", "a2": "val"}, EVEN, 0, "s")


def test_a_wanted_split_that_stays_empty_is_a_mistake_that_proposes_fixed_lists():
    with pytest.raises(ConfigError) as error:
        split_recordings(
            {"a": "A", "b": "B"}, {"a": "train", "b": "train"}, {"train": 0.9, "val": 0.1, "test": 0}, 0, "s"
        )
    assert str(error.value) == (
        "s: no recording falls into `val` (share 0.1); 2 groups are too few for a split by hash: fill the column "
        "`split` of the recordings sheet, e.g. `val` for B and `train` for the rest, or set s.train: 1 "
        "and s.val: 0"
    )


@given(st.dictionaries(NAMES, NAMES, min_size=3, max_size=8))
def test_what_is_proposed_is_accepted(groups):
    wanted = sorted(set(groups.values()))
    if len(wanted) < 3:
        return
    fixed = {name: {wanted[-2]: "val", wanted[-1]: "test"}.get(group, "train") for name, group in groups.items()}
    assert set(split_recordings(groups, fixed, EVEN, 0, "s").values()) == set(SPLITS)


def test_fewer_groups_than_splits_have_no_lists_to_propose():
    with pytest.raises(ConfigError, match=r"sheet, or set s\.train: 1 and s\.val: 0$"):
        split_recordings({"a": "A"}, {"a": "train"}, {"train": 0.9, "val": 0.1, "test": 0}, 0, "s")


def test_a_split_that_nobody_falls_into_can_be_given_up_as_the_message_says():
    with pytest.raises(ConfigError, match=r"set s\.val: 1 and s\.train: 0$"):
        split_recordings({"a": "A"}, {"a": "val"}, {"train": 1, "val": 0, "test": 0}, 0, "s")
    assert split_recordings({"a": "A"}, {"a": "val"}, {"train": 0, "val": 1, "test": 0}, 0, "s") == {"a": "val"}


@given(st.lists(NAMES, min_size=1, max_size=4, unique=True), st.integers(0, 99), st.sampled_from([0, 0.05, 0.3]))
def test_who_follows_the_message_to_the_letter_has_a_split_in_which_nobody_has_moved(groups, seed, test):
    shares, own = {"train": 0.6, "val": round(0.4 - test, 9), "test": test}, {name: name for name in groups}
    try:
        split_recordings(own, {}, shares, seed, "s")
    except ConfigError as error:
        said = str(error).rpartition("or set ")[2]
        changes = {name: float(share) for name, share in re.findall(r"s\.(\w+): ([\d.]+)", said)}
        followed = split_recordings(own, {}, {**shares, **changes}, seed, "s")
        assert followed == {name: hashed_split(name, shares, seed) for name in groups}


def test_all_splits_that_stay_empty_are_named_at_once():
    shares = {"train": 0.8, "val": 0.1, "test": 0.1}
    with pytest.raises(ConfigError, match=r"into `val` \(share 0\.1\) and into `test` \(share 0\.1\)") as error:
        split_recordings({"a": "A"}, {"a": "train"}, shares, 0, "s")
    assert str(error.value).endswith("or set s.train: 1, s.val: 0 and s.test: 0")


def test_no_recordings_need_no_split():
    assert split_recordings({}, {}, EVEN, 0, "s") == {}


@pytest.mark.parametrize(
    ("setting", "shares"),
    [
        ({"train": 0.9, "test": 0}, {"train": 0.9, "val": 0.1, "test": 0}),
        ({"train": 0.7, "test": 0.1}, {"train": 0.7, "val": 0.2, "test": 0.1}),
        ({"train": 1, "test": 0}, {"train": 1, "val": 0, "test": 0}),
        ({"train": 0.5, "val": 0.25, "test": 0.25}, {"train": 0.5, "val": 0.25, "test": 0.25}),
    ],
)
def test_val_is_the_rest_where_it_is_not_given(setting, shares):
    assert shares_of(setting) == pytest.approx(shares)


@pytest.mark.parametrize("setting", [{"train": 0.9, "test": 0.5}, {"train": 0.5, "val": 0.1, "test": 0.1}])
def test_shares_that_are_no_whole_are_a_mistake(setting):
    with pytest.raises(ConfigError, match=r"^s: the shares add up to (1\.4|0\.7) instead of 1 \(train"):
        split_recordings({"a": "A"}, {}, shares_of(setting), 0, "s")


def test_thirds_are_a_whole():
    thirds = {"train": 0.33, "val": 0.33, "test": 0.33}
    assert split_recordings({n: n for n in "abcdefgh"}, {"a": "train", "b": "val", "c": "test"}, thirds, 0, "s")


def test_a_dataset_splits_by_what_it_says(tmp_path, monkeypatch):
    from scripts.planning import plan
    from tests.unit.examples import House

    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    house.files_of_sources("a.mov", "b.mov", "c.mov", "d.mov")
    house.sheet(
        ["recording", "rig", "source", "subject", "session", "split"],
        [
            ["a", "booth", "a.mov", "Ann", "monday", "train"],
            ["b", "booth", "b.mov", "Ann", "tuesday", ""],
            ["c", "booth", "c.mov", "Bob", "tuesday", "val"],
            ["d", "booth", "d.mov", "Bob", "monday", ""],
        ],
    )
    half = {"train": 0.5, "val": 0.5}
    for by, expected in {"subject": "ttvv", "session": "tvvt"}.items():
        house.datasets = {"x": {"kind": "windows", "rig": "booth", "split": {"by": by, **half}}}
        splits = plan.load(house.config()).datasets["x"].splits
        assert "".join(splits[name][0] for name in "abcd") == expected


def test_a_dataset_of_another_rate_than_its_rig_is_a_mistake():
    from scripts.planning.config import load_config
    from scripts.planning.rigs import make_rig
    from tests.unit.examples import BOOTH

    entry = {"kind": "windows", "rig": "booth", "fps": 30}
    config = load_config({"rigs": {"booth": BOOTH}, "datasets": {"x": entry}})
    rigs = {"booth": make_rig("booth", config["rigs"]["booth"], config["media"])}
    with pytest.raises(ConfigError, match=r"^datasets\.x\.fps: 30, but the rig is conformed to 25; set rigs\.booth"):
        make_dataset("x", config["datasets"]["x"], rigs, [])
