"""Rows of the sheet that are cut from one source: which stay together, and what a person may not put apart."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.errors import ConfigError
from scripts.planning.plan import load
from scripts.planning.recordings import Recording
from scripts.planning.same_source import joined_groups, refuse_apart
from tests.unit.examples import House

EMPTY: dict[str, Any] = {
    "rig": "booth", "files": (), "cameras": {}, "microphones": {}, "megabytes": 0.0, "landmarks": "",
    "calibration": "", "labels": "", "split": "",
}  # fmt: skip


def row(name: str, source: str = "s3://a/1.mp4", start: float | None = None, stop: float | None = None) -> Recording:
    return Recording(name=name, source=source, subject=name, session=name, start_s=start, stop_s=stop, **EMPTY)


def groups_of(*rows: Recording, by: str = "recording", **named: str) -> dict[str, str]:
    return joined_groups(rows, {one.name: named.get(one.name, one.name) for one in rows}, by)


def test_rows_that_hold_the_same_seconds_are_one_group():
    assert groups_of(row("a", stop=2), row("b", stop=3), row("c", start=3)) == {"a": "a", "b": "a", "c": "c"}
    assert groups_of(row("a"), row("b", "s3://a/2.mp4")) == {"a": "a", "b": "b"}


def test_a_group_is_joined_with_all_that_its_recordings_are_joined_with():
    rows = row("a", stop=2), row("b", start=1), row("c", "s3://a/2.mp4"), row("d", "s3://a/2.mp4", start=5)
    assert groups_of(*rows, b="Ann", c="Ann") == dict.fromkeys("abcd", "a")


def test_seconds_apart_are_of_one_person_where_nobody_says_of_whom():
    rows = row("a", stop=2), row("b", start=2)
    assert groups_of(*rows, by="subject") == {"a": "a", "b": "a"}
    assert groups_of(*rows, by="subject", a="Ann", b="Bob") == {"a": "Ann", "b": "Bob"}
    assert groups_of(*rows, by="recording") == {"a": "a", "b": "b"}


ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20), st.integers(1, 8), st.integers(0, 6)), max_size=12)


@given(ROWS)
@settings(max_examples=60)
def test_no_two_that_share_a_second_are_in_two_groups(drawn):
    rows = [row(f"r{n}", f"s3://a/{d[0]}", d[1], d[1] + d[2]) for n, d in enumerate(drawn)]
    found = joined_groups(rows, {f"r{n}": f"s{d[3]}" for n, d in enumerate(drawn)}, "subject")
    for one in rows:
        for other in rows:
            together = one.source == other.source and one.start_s < other.stop_s and other.start_s < one.stop_s
            assert not together or found[one.name] == found[other.name]
            assert drawn[rows.index(one)][3] != drawn[rows.index(other)][3] or found[one.name] == found[other.name]


def test_what_a_person_puts_apart_must_not_overlap():
    rows = row("a", stop=2), row("b", stop=3)
    with pytest.raises(
        ConfigError, match=r"s: a and b hold the same seconds of s3://a/1\.mp4, but stand in train and in val"
    ):
        refuse_apart(rows, {"a": "train", "b": "val"}, "s")
    refuse_apart([row("a", stop=2), row("b", start=2)], {"a": "train", "b": "val"}, "s")


@pytest.fixture
def house(tmp_path, monkeypatch) -> House:
    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    house.files_of_sources("a.mp4", "labels.csv")
    return house


@pytest.mark.parametrize(
    "dataset",
    [
        {"kind": "windows", "rig": "booth", "landmarks": "openseeface"},
        {"kind": "frames", "rig": "booth"},
        {"kind": "frames", "rig": "booth", "split": {"lists": {"train": ["one"], "val": ["two"]}}},
    ],
)
def test_the_same_seconds_in_two_splits_are_an_error_before_the_run(house, tmp_path, dataset):
    (tmp_path / "b.mp4").symlink_to("a.mp4")
    columns = ["recording", "rig", "source", "end", "split", "labels"]
    rows = [["one", "booth", "a.mp4", "2", "train", "labels.csv"], ["two", "booth", "b.mp4", "3", "val", "labels.csv"]]
    house.sheet(columns, rows)
    house.datasets["d"] = dataset
    with pytest.raises(ConfigError, match=r"one and two hold the same seconds of a\.mp4"):
        load(house.config())


@pytest.mark.parametrize("split", [{"lists": {"train": ["Ann", "Bob"], "val": ["Cy"]}}, {"by": "interval"}, {}])
def test_subjects_of_the_same_seconds_are_one_group_also_where_lists_or_intervals_decide(house, split):
    """What is trained on the dataset shares groups out by itself."""
    columns = ["recording", "rig", "source", "end", "subject", "labels"]
    people = {"one": "Ann", "two": "Bob"}
    rows = [[name, "booth", "a.mp4", "2", subject, "labels.csv"] for name, subject in people.items()]
    house.files_of_sources("c.mp4")
    house.sheet(columns, [*rows, ["three", "booth", "c.mp4", "", "Cy", "labels.csv"]])
    shares = {} if "lists" in split else {"train": 1, "val": 0, "test": 0}
    house.datasets["d"] = {"kind": "frames", "rig": "booth", "split": {**split, **shares}}
    groups = load(house.config()).rooms["frames"].datasets["d"].groups
    assert groups["one"] == groups["two"] != groups["three"]


def test_two_datasets_that_put_the_same_seconds_apart_are_not_joined(house):
    house.rigs["other"] = dict(house.rigs["booth"])
    columns = ["recording", "rig", "source", "end", "split"]
    house.sheet(columns, [["one", "booth", "a.mp4", "2", "train"], ["two", "other", "a.mp4", "3", "val"]])
    shares = {"train": 1, "val": 0, "test": 0}
    for name, rig, split in (("a", "booth", shares), ("b", "other", {**shares, "train": 0, "val": 1})):
        house.datasets[name] = {"kind": "windows", "rig": rig, "landmarks": "openseeface", "split": split}
    load(house.config())
    house.datasets["both"] = {"kind": "windows", "from": ["a", "b"]}
    with pytest.raises(ConfigError, match=r"datasets.both.from: one and two hold the same seconds"):
        load(house.config())
