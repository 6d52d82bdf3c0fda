"""No group stands in two splits unless somebody asked for it; every class has one number; what leaks is said."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.errors import ConfigError, RunError
from scripts.datasets.frame_splits import class_weights, crossing, missing_classes, roles, stratify
from tests.unit.frame_dataset import dataset

LABELS = {f"r{k}": ["a", "b"] * 10 for k in range(6)}
SUBJECTS = {f"r{k}": f"s{k // 2}" for k in range(6)}
LISTS = {"lists": {"train": ["s0"], "val": ["s1"], "test": ["s2"]}}


def splits_of(whole):
    """Split -> groups."""
    found = {}
    for row in whole.rows:
        found.setdefault(row["split"], set()).add(row["group"])
    return found


def test_fixed_lists_decide_and_a_group_with_all_its_recordings_stands_in_one(tmp_path):
    whole = dataset(tmp_path, LABELS, subjects=SUBJECTS, split=LISTS)
    assert splits_of(whole) == {"train": {"s0"}, "val": {"s1"}, "test": {"s2"}}
    assert not whole.card["leaky"]
    assert whole.card["frames"] == {name: {"a": 20, "b": 20} for name in ("train", "val", "test")}


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"train": ["s0"], "val": ["s9"]}, "there is no `s9`"),
        ({"train": ["s0"], "val": ["s1"]}, "`s2` stands in no list"),
        ({"train": ["s0", "s1"], "val": ["s1", "s2"]}, "stands in train and in val"),
    ],
)
def test_lists_that_do_not_name_every_group_once_are_one_line(tmp_path, lists, message):
    with pytest.raises(ConfigError, match=message):
        dataset(tmp_path, LABELS, subjects=SUBJECTS, split={"lists": lists})


def test_the_sheet_decides_and_the_rest_follows_its_name(tmp_path):
    fixed = {"r0": "train", "r2": "val", "r4": "test"}
    whole = dataset(tmp_path, LABELS, subjects=SUBJECTS, fixed=fixed)
    assert splits_of(whole) == {"train": {"s0"}, "val": {"s1"}, "test": {"s2"}}


def test_stratified_groups_share_out_a_rare_class(tmp_path):
    labels = {f"r{k:02d}": ["a"] * 10 + ["rare"] * (5 if k in (1, 4, 8) else 0) for k in range(12)}
    split = {"method": "stratified", "train": 0.5, "val": 0.25, "test": 0.25}
    whole = dataset(tmp_path, labels, split=split)
    assert whole.classes["missing"] == {}
    found = {name: counts["rare"] for name, counts in whole.card["frames"].items()}
    assert found == {"train": 5, "val": 5, "test": 5}


@given(
    st.dictionaries(
        st.integers(0, 30).map(str), st.dictionaries(st.sampled_from("abc"), st.integers(1, 50)), min_size=3
    ),
    st.sampled_from([[0.7, 0.15, 0.15], [0.5, 0.5, 0.0], [0.2] * 5]),
)
def test_every_group_has_one_part_and_no_wanted_part_is_empty_while_groups_suffice(counts, shares):
    found = stratify(counts, shares)
    assert found.keys() == counts.keys()
    wanted = {part for part, share in enumerate(shares) if share > 0}
    assert set(found.values()) <= wanted
    if len(counts) >= len(wanted):
        assert set(found.values()) == wanted
    assert found == stratify(dict(reversed(counts.items())), shares)


def test_each_fold_tests_once_and_every_group_is_tested_once(tmp_path):
    tested = []
    for fold in range(3):
        split = {"method": "folds", "folds": 3, "fold": fold}
        found = splits_of(dataset(tmp_path / str(fold), LABELS, subjects=SUBJECTS, split=split))
        assert all(not one & other for one, other in itertools.combinations(found.values(), 2))
        tested += sorted(found["test"])
    assert sorted(tested) == ["s0", "s1", "s2"]


def test_leaving_one_out_tests_one_group_alone(tmp_path):
    whole = dataset(tmp_path, LABELS, split={"method": "leave_one_out", "fold": 4})
    assert splits_of(whole) == {"test": {"r4"}, "val": {"r5"}, "train": {"r0", "r1", "r2", "r3"}}


def test_intervals_of_one_subject_are_split_only_when_asked_and_the_card_says_that_it_leaks(tmp_path):
    labels = {"r0": ["a", "b"] * 100}
    whole = dataset(tmp_path, labels, split={"by": "interval", "train": 0.6, "test": 0.2})
    assert whole.card["leaky"]
    assert whole.card["groups_in_several_splits"] == ["r0"]
    of_interval = {}
    for row in whole.rows:
        of_interval.setdefault(row["interval"], set()).add(row["split"])
    assert all(len(found) == 1 for found in of_interval.values())
    assert {row["split"] for row in whole.rows} == {"train", "val", "test"}


def test_the_sheet_decides_where_the_intervals_of_a_recording_stand(tmp_path):
    labels = {name: ["a", "b"] * 50 for name in ("r0", "r1", "r2")}
    split = {"by": "interval", "train": 0.4, "test": 0.3}
    whole = dataset(tmp_path, labels, fixed={"r0": "test", "r1": "val"}, split=split)
    found = {name: {row["split"] for row in whole.rows if row["recording"] == name} for name in labels}
    assert found == {"r0": {"test"}, "r1": {"val"}, "r2": {"train", "val", "test"}}
    assert whole.card["groups_in_several_splits"] == ["r2"]


def test_a_class_that_a_split_lacks_is_a_warning_or_an_error(tmp_path, caplog):
    labels = {"r0": ["a", "b"], "r1": ["a"], "r2": ["a", "c"]}
    lists = {"train": ["r0"], "val": ["r1"], "test": ["r2"]}
    whole = dataset(tmp_path / "one", labels, split={"lists": lists})
    assert whole.classes["missing"] == {"train": ["c"], "val": ["b", "c"], "test": ["b"]}
    assert "train lacks c" in caplog.text
    with pytest.raises(RunError, match="train lacks c; acts: val lacks b, c"):
        dataset(tmp_path / "two", labels, split={"lists": lists, "missing_classes": "error"})


def test_a_priority_of_no_frame_is_said_whatever_its_case(tmp_path, caplog):
    labels = {"r0": ["walk", "Run"], "r1": ["walk"], "r2": ["Run"]}
    lists = {"train": ["r0"], "val": ["r1"], "test": ["r2"]}
    whole = dataset(tmp_path / "one", labels, split={"lists": lists, "priority": ["run", "walc", "WALK"]})
    assert whole.classes["without_frames"] == ["walc"]
    assert "no frame has `walc`, which `priority` names; did you mean `walk`?" in caplog.text
    whole = dataset(tmp_path / "two", labels, split={"lists": lists, "priority": ["run", "WALK"]})
    assert "without_frames" not in whole.classes


def test_all_splits_share_one_class_index(tmp_path):
    labels = {"r0": ["b", "c"], "r1": ["a"], "r2": ["c"]}
    lists = {"train": ["r0"], "val": ["r1"], "test": ["r2"]}
    whole = dataset(tmp_path / "own", labels, split={"lists": lists})
    assert {(row["label"], row["class"]) for row in whole.rows} == {("a", 0), ("b", 1), ("c", 2)}
    whole = dataset(tmp_path / "given", labels, split={"lists": lists}, classes=["c", "x", "b", "a"])
    assert {(row["label"], row["class"]) for row in whole.rows} == {("a", 3), ("b", 2), ("c", 0)}


def test_labels_that_are_not_among_the_classes_are_numbered_behind_them_and_said(tmp_path, caplog):
    labels = {"r0": ["b", "d", "c"], "r1": ["a"], "r2": ["c", "b+c"]}
    lists = {"train": ["r0"], "val": ["r1"], "test": ["r2"]}
    whole = dataset(tmp_path, labels, split={"lists": lists}, classes=["c", "x", "b"])
    assert whole.classes["classes"] == ["c", "x", "b", "a", "b+c", "d"]
    numbers = {(row["label"], row["class"]) for row in whole.rows}
    assert numbers == {("c", 0), ("b", 2), ("a", 3), ("b+c", 4), ("d", 5)}
    assert "numbered behind the classes of the config: a, b+c, d" in caplog.text


def test_a_cap_limits_training_alone_and_draws_the_same_frames_again(tmp_path):
    labels = {"r0": ["a"] * 60 + ["b"] * 7, "r1": ["a"] * 30, "r2": ["a"] * 30}
    lists = {"train": ["r0"], "val": ["r1"], "test": ["r2"]}
    whole = dataset(tmp_path / "one", labels, split={"lists": lists}, cap=20)
    assert whole.card["frames"] == {"train": {"a": 20, "b": 7}, "val": {"a": 30}, "test": {"a": 30}}
    assert (whole.card["pictures"], whole.card["capped"]) == (87, 40)
    drawn = [row["frame"] for row in whole.rows if row["split"] == "train" and row["label"] == "a"]
    assert max(drawn) > 30
    again = dataset(tmp_path / "two", labels, split={"lists": lists}, cap=20)
    assert again.rows == whole.rows


def test_class_weights_make_every_class_count_the_same():
    weights = class_weights({"a": 90, "b": 10, "c": 0})
    assert weights == {"a": 0.555555556, "b": 5.0}
    assert missing_classes({"train": {"a": 1, "b": 0}, "val": {"b": 2}}, ["train", "val"]) == {
        "train": ["b"],
        "val": ["a"],
    }
    assert roles({"x": 0, "y": 1, "z": 2}, 2, 3) == {"x": "val", "y": "train", "z": "test"}


HASHES = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=12, unique=True)


@given(HASHES, HASHES, st.integers(0, 8), st.integers(0, 63))
def test_near_duplicates_across_splits_are_those_that_comparing_all_finds(ones, twos, bits, flipped):
    twos = sorted({*twos, ones[0] ^ (1 << flipped)})
    plain = [v for v in (*ones, *twos) if not 6 <= v.bit_count() <= 58]
    wanted = {
        two for one in ones for two in twos if one not in plain and two not in plain and (one ^ two).bit_count() <= bits
    }
    found = crossing({"train": np.array(ones, np.uint64), "test": np.array(twos, np.uint64)}, bits)
    assert set(found.get(("train", "test"), np.empty(0)).tolist()) == wanted


def test_pictures_that_look_the_same_in_two_splits_are_a_warning_or_an_error(tmp_path, caplog):
    # `part` draws its pictures from the last four bytes of the name.
    labels = {"one_cam": ["a"] * 5, "two_cam": ["a"] * 5, "r2": ["a"] * 5}
    lists = {"train": ["one_cam"], "val": ["r2"], "test": ["two_cam"]}
    whole = dataset(tmp_path / "one", labels, split={"lists": lists})
    assert whole.card["near_duplicates"] == {"train, test": 5}
    assert "5 pictures look the same in train, test" in caplog.text
    with pytest.raises(RunError, match="5 pictures look the same"):
        dataset(tmp_path / "two", labels, split={"lists": lists, "near_duplicates": "error"})
    ignored = dataset(tmp_path / "three", labels, split={"lists": lists, "near_duplicates": "ignore"})
    assert ignored.card["near_duplicates"] == {}


def test_labels_that_look_alike_across_recordings_are_said(tmp_path):
    labels = {"r0": ["Suction"] * 5, "r1": ["suction"] * 5, "r2": ["Suctin"] * 5}
    lists = {"train": ["r0"], "val": ["r1"], "test": ["r2"]}
    alike = dataset(tmp_path, labels, split={"lists": lists}).classes["alike"]
    assert alike == [["Suctin", "Suction"], ["Suctin", "suction"], ["Suction", "suction"]]


def test_no_label_at_all_is_one_line(tmp_path):
    with pytest.raises(RunError, match="no frame of any recording is labelled"):
        dataset(tmp_path, {"r0": []}, split={"lists": {"train": ["r0"]}})
