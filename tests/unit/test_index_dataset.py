"""The table of all samples, the card, the table of splits and the statistics of a dataset."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import ledger, sample_index
from scripts.common.errors import RunError
from scripts.common.landmarks import POINTS
from scripts.common.ledger import Row
from scripts.common.statistics import Moments
from scripts.datasets import split_table
from scripts.datasets.compute_stats import compute_stats
from scripts.datasets.index_dataset import index_dataset, leaking_groups
from scripts.datasets.split_dataset import split_dataset
from scripts.datasets.split_table import Membership

pytestmark = pytest.mark.usefixtures("here")

S = 10**9
MEMBERS = {"a": Membership("Ann", "train"), "b": Membership("Ann", "train"), "c": Membership("Bob", "val")}


def cut(recording: str, written: int, rejected: tuple[str, ...] = ()) -> tuple[Path, Path]:
    """Index and ledger of a recording with so many windows of 36 s, then its rejects."""
    rows, samples = [], []
    for number in range(written):
        name, span = f"{recording}_{number:06d}", {"start_ns": number * 36 * S, "stop_ns": (number + 1) * 36 * S}
        rows.append(Row("extract_windows", recording, name, "written", **span))
        samples.append(sample_index.Window(name, recording, **span, first_frame=number))
    rows += [
        Row("extract_windows", recording, f"{recording}_{written + number:06d}", "filtered", reason)
        for number, reason in enumerate(rejected)
    ]
    paths = Path(f"{recording}.index.parquet"), Path(f"{recording}.ledger.parquet")
    sample_index.write(paths[0], samples)
    ledger.write(paths[1], rows)
    return paths


def index(*pairs, members=MEMBERS, **settings):
    split_table.write(Path("splits.tsv"), members)
    indexes, ledgers = zip(*pairs, strict=True)
    index_dataset(
        list(indexes), list(ledgers), Path("splits.tsv"), Path("index.parquet"), Path("card.json"),
        dataset="visemes", settings=settings,
    )  # fmt: skip
    return pq.read_table("index.parquet"), json.loads(Path("card.json").read_text())


def test_samples_stand_in_the_order_of_the_sheet_with_their_subject_and_split():
    table, _ = index(cut("b", 1), cut("a", 2), cut("c", 1))
    assert table["sample"].to_pylist() == ["b_000000", "a_000000", "a_000001", "c_000000"]
    assert table["subject"].to_pylist() == ["Ann", "Ann", "Ann", "Bob"]
    assert table["split"].to_pylist() == ["train", "train", "train", "val"]


def test_the_card_counts_samples_hours_and_subjects_of_each_split():
    _, card = index(cut("a", 99), cut("b", 1), cut("c", 50))
    assert card["splits"] == {
        "train": {"samples": 100, "hours": 1.0, "subjects": 1},
        "val": {"samples": 50, "hours": 0.5, "subjects": 1},
    }


def test_the_card_says_what_was_left_out_and_why():
    _, card = index(cut("a", 2, ("jump", "no_face", "jump")), cut("c", 0, ("short",)))
    assert card["candidates"] == 6
    assert card["outcomes"] == {"filtered jump": 2, "filtered no_face": 1, "filtered short": 1, "written": 2}


def test_the_card_hashes_the_settings_whatever_their_order():
    pairs = [cut("a", 1)]
    cards = [index(*pairs, **settings)[1] for settings in ({"hop": 5, "frames": 10}, {"frames": 10, "hop": 5})]
    swapped = index(*pairs, hop=10, frames=5)[1]
    assert cards[0]["settings_sha256"] == cards[1]["settings_sha256"] != swapped["settings_sha256"]


def test_a_subject_in_two_splits_makes_the_dataset_leaky():
    apart = {**MEMBERS, "b": Membership("Ann", "val")}
    assert index(cut("a", 1), members=apart)[1]["subjects_in_several_splits"] == ["Ann"]
    assert index(cut("a", 1), members=apart)[1]["leaky"] is True
    assert index(cut("a", 1))[1]["leaky"] is False


@given(st.dictionaries(st.text(), st.builds(Membership, st.sampled_from("AB"), st.sampled_from(["train", "val"]))))
def test_a_group_leaks_when_its_recordings_are_apart(members):
    pairs = set(members.values())
    assert leaking_groups(members) == [s for s in "AB" if (s, "train") in pairs and (s, "val") in pairs]


def test_an_index_that_is_not_that_of_its_ledger_is_an_error():
    indexed, _ = cut("a", 2)
    _, written = cut("b", 1)
    with pytest.raises(RunError, match="visemes: 1 windows are written, but 2 are indexed"):
        index((indexed, written))


def test_two_windows_of_one_name_are_an_error():
    one = cut("a", 1)
    with pytest.raises(RunError, match="1 names stand for two windows each, such as a_000000"):
        index(one, one)


def test_a_dataset_without_a_sample_has_a_card_all_the_same():
    table, card = index(cut("a", 0, ("short",)))
    assert (table.num_rows, card["splits"], card["candidates"]) == (0, {}, 1)
    assert {"subject", "split"} < set(table.column_names)


def test_the_same_index_and_card_are_the_same_bytes():
    def both():
        index(cut("a", 2), cut("c", 1))
        return Path("index.parquet").read_bytes(), Path("card.json").read_bytes()

    assert both() == both()


def test_the_table_of_splits_is_what_the_plan_has_decided():
    split_dataset(Path("splits.tsv"), splits={"b": "val", "a": "train"}, subjects={"a": "Ann", "b": "Bob B."})
    assert list(split_table.read(Path("splits.tsv")).items()) == [
        ("b", Membership("Bob B.", "val")),
        ("a", Membership("Ann", "train")),
    ]


def stats(recording: str, *values: float) -> Path:
    """Moments of windows in which every coordinate has the same values."""
    path = Path(f"{recording}.stats.npz")
    Moments.of(np.repeat(np.array(values).reshape(-1, 1), 2 * POINTS, axis=1)).write(path)
    return path


def mean_and_std(*paths, members=MEMBERS):
    split_table.write(Path("splits.tsv"), members)
    compute_stats(list(paths), Path("splits.tsv"), Path("lm_mean.npy"), Path("lm_std.npy"))
    return np.load("lm_mean.npy"), np.load("lm_std.npy")


def test_statistics_are_those_of_the_train_windows_alone():
    mean, std = mean_and_std(stats("a", 1, 3), stats("b", 5), stats("c", 1000))
    assert mean.tolist() == [3.0] * 136
    assert np.allclose(std, np.std([1, 3, 5]))
    assert (mean.dtype, mean.shape, std.dtype, std.shape) == (np.float64, (136,), np.float64, (136,))


def test_a_recording_whose_name_holds_dots_is_found_in_the_table_of_splits():
    mean, _ = mean_and_std(stats("x.stats.1", 2), members={"x.stats.1": Membership("Ann", "train")})
    assert mean[0] == 2


def test_a_coordinate_that_nobody_measured_passes_unchanged():
    values = np.ones((4, 2 * POINTS))
    values[:, 60] = np.nan
    Moments.of(values).write(Path("a.stats.npz"))
    mean, std = mean_and_std(Path("a.stats.npz"))
    assert (mean[60], std[60], mean[61], std[61]) == (0.0, 1.0, 1.0, 0.0)


def test_a_dataset_without_a_train_window_has_no_statistics():
    mean, std = mean_and_std(stats("a"), stats("c", 1))
    assert np.isnan(mean).all()
    assert np.isnan(std).all()


def test_folders_and_shards_of_a_split_without_recordings_go(caplog):
    for place in ("train/Ann", "val/Bob", "test/Dan", "shards/val", "shards/test"):
        Path(place).mkdir(parents=True)
        Path(place, "1.npz").touch()
    index(cut("a", 1), cut("c", 1))
    left = sorted(str(path) for path in Path().rglob("1.npz"))
    assert left == ["shards/val/1.npz", "train/Ann/1.npz", "val/Bob/1.npz"]
    assert "shards/test is removed: no recording of the dataset stands in this split any more" in caplog.text
