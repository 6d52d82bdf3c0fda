"""Classifiers of frames and of sequences: against the majority class, over folds, and after a kill."""

import json

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from scripts.common import ledger
from scripts.common.errors import InputError, RunError
from scripts.common.job import execute
from scripts.models.checkpoint import read_checkpoint
from scripts.models.classifier_network import Backbone
from scripts.models.classifier_training import class_weights, scores
from scripts.models.evaluate_classifier import evaluate_classifier
from scripts.models.labelled_samples import classes_of, read_sequences, split_for
from scripts.models.train_frame_classifier import train_frame_classifier
from scripts.planning.config import checked, schema
from tests.unit.small_classifiers import FILES, SPLITS, train, write_frames

pytestmark = pytest.mark.torch

# Both reach at least this many times the balanced accuracy of the majority class on subjects they never saw.
FACTOR = 1.8


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    return write_frames(tmp_path_factory.mktemp("still") / "d", moving=False, bouts=1)


def beats_majority(test):
    assert test["balanced_accuracy"] >= FACTOR * test["majority"]["balanced_accuracy"]
    assert test["accuracy"] > test["majority"]["accuracy"]
    assert test["macro_f1"] > test["majority"]["macro_f1"]


def test_frames_are_told_apart_on_a_subject_that_was_never_seen(still, tmp_path):
    found = train("frame", still, tmp_path / "out", tmp_path / "w", epochs=6)
    beats_majority(found["test"])
    assert found["test"]["majority"]["accuracy"] == pytest.approx(0.5)
    assert found["test"]["majority"]["balanced_accuracy"] == pytest.approx(1 / 3)
    assert found["classes"] == ["left", "rest", "right"]
    assert "<svg" in (tmp_path / "out" / "confusion.svg").read_text()
    (row,) = ledger.rows(ledger.read([tmp_path / "out" / "ledger.parquet"]))
    assert (row.item, row.outcome) == ("m.whole", "written")


def test_sequences_are_told_apart_where_no_single_frame_tells(tmp_path):
    index = write_frames(tmp_path / "d", moving=True)
    found = train("clip", index, tmp_path / "out", tmp_path / "w", epochs=25, frames=12, learning_rate=0.003)
    beats_majority(found["test"])
    assert sum(found["samples"].values()) == 6 * 16


def test_a_training_that_goes_on_ends_as_one_that_was_never_stopped(still, tmp_path):
    train("frame", still, tmp_path / "a", tmp_path / "w", epochs=1)
    train("frame", still, tmp_path / "b", tmp_path / "w", epochs=2)
    train("frame", still, tmp_path / "c", tmp_path / "v", epochs=2)
    states = [read_checkpoint(tmp_path / x / "checkpoints" / "last.ckpt")["state_dict"] for x in "bc"]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("epochs", [2, 1])
def test_fewer_epochs_than_were_trained_give_what_a_new_training_gives(still, tmp_path, epochs):
    train("frame", still, tmp_path / "a", tmp_path / "w", epochs=3)
    lowered = train("frame", still, tmp_path / "b", tmp_path / "w", epochs=epochs)
    assert lowered == train("frame", still, tmp_path / "c", tmp_path / "v", epochs=epochs)
    last = [read_checkpoint(tmp_path / run / "checkpoints" / "last.ckpt") for run in ("b", "c")]
    assert [read["epoch"] for read in last] == [epochs - 1] * 2
    assert all(torch.equal(last[0]["state_dict"][name], last[1]["state_dict"][name]) for name in last[0]["state_dict"])


def test_folds_share_the_subjects_out_and_a_random_split_does_not(still):
    samples = read_sequences(still, 1, 1)[0]
    tested = []
    for fold in range(3):
        splits = split_for(samples, f"fold{fold}", 3, 0)
        of = {name: {s.subject for s, x in zip(samples, splits, strict=True) if x == name} for name in set(splits)}
        assert not of["train"] & of["test"]
        assert not of["val"] & (of["train"] | of["test"])
        tested += sorted(of["test"])
    assert sorted(tested) == sorted(SPLITS)
    drawn = split_for(samples, "random", 0, 0)
    assert sorted(drawn) == sorted(s.split for s in samples)
    assert len({s.subject for s, x in zip(samples, drawn, strict=True) if x == "test"}) == 6
    with pytest.raises(InputError, match="7 folds of 6 subjects"):
        split_for(samples, "fold0", 7, 0)


def test_subjects_that_share_a_group_by_way_of_others_too_are_one_in_every_fold(tmp_path):
    """Groups as a dataset's index has them: b shows what a shows, and c what b shows; f is of no group."""
    of_group = {"1": "ab", "2": "bc", "3": "d", "4": "e", "": "f"}
    pairs = [(subject, group) for group, subjects in of_group.items() for subject in subjects]
    subjects, groups = map(list, zip(*pairs, strict=True))
    count = len(pairs)
    rows = {"file": ["p.png"] * count, "label": ["x"] * count, "split": ["train"] * count, "subject": subjects}
    rows |= {"recording": subjects, "frame": [0] * count, "group": [group or None for group in groups]}
    pq.write_table(pa.table(rows), tmp_path / "index.parquet")
    samples = read_sequences(tmp_path / "index.parquet", 1, 1)[0]
    tested = []
    for fold in range(4):
        splits = split_for(samples, f"fold{fold}", 4, 0)
        assert len({split for sample, split in zip(samples, splits, strict=True) if sample.subject in "abc"}) == 1
        tested.append({sample.subject for sample, split in zip(samples, splits, strict=True) if split == "test"})
    assert tested == [{"a", "b", "c"}, {"d"}, {"e"}, {"f"}]
    with pytest.raises(InputError, match="5 folds of 6 subjects, 4 where those that share a group are one"):
        split_for(samples, "fold0", 5, 0)


def with_numbers(still, path, numbers):
    """The dataset with a class number a row; numbers: by label."""
    table = pq.read_table(still)
    column = [numbers[label] for label in table["label"].to_pylist()]
    pq.write_table(table.append_column("class", pa.array(column)), path)
    return path


@pytest.mark.parametrize(
    ("numbers", "classes"),
    [
        ({"right": 0, "rest": 1, "left": 2}, ["right", "rest", "left"]),
        # What no frame shows keeps its number.
        ({"right": 3, "rest": 0, "left": 1}, ["rest", "left", "(class 2)", "right"]),
        ({"right": "a", "rest": "b", "left": "c"}, ["left", "rest", "right"]),
    ],
)
def test_classes_are_numbered_as_in_the_dataset(still, numbers, classes):
    assert classes_of(with_numbers(still, still.parent / "numbered.parquet", numbers)) == classes
    assert classes_of(still) == ["left", "rest", "right"]


def test_a_training_says_its_classes_in_the_datasets_order(still, tmp_path):
    index = with_numbers(still, still.parent / "numbered.parquet", {"right": 3, "rest": 0, "left": 1})
    found = train("frame", index, tmp_path / "out", tmp_path / "w", epochs=1)
    assert found["classes"] == ["rest", "left", "(class 2)", "right"]
    assert found["missing_in_train"] == ["(class 2)"]
    about = read_checkpoint(tmp_path / "out" / "checkpoints" / "last.ckpt")["rushes_classifier"]
    assert about["classes"] == found["classes"]


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"right": 0, "rest": 0, "left": 1}, "a class one label; `0` has several"),
        ({"right": 0, "rest": -1, "left": 1}, "the class -1 is no number from 0 to 9999"),
        ({"right": 0, "rest": None, "left": 1}, "the class None is no number"),
    ],
)
def test_numbers_that_are_none_of_classes_are_one_line(still, numbers, said):
    with pytest.raises(InputError, match=said):
        classes_of(with_numbers(still, still.parent / "odd.parquet", numbers))


def test_scores_are_those_of_a_count_by_hand():
    found = scores([0, 0, 0, 1, 2], [0, 0, 1, 1, 0], 4)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert class_weights([0, 0, 0, 1], 3, balanced=True) == [4 / 6, 2.0, 1.0]


def test_a_backbone_that_is_not_installed_is_said_in_one_line(tmp_path):
    for named, message in (("timm/resnet18", "needs timm"), ("resnet18", "neither timm/NAME")):
        with pytest.raises(RunError, match=message):
            Backbone(named, tmp_path / "w.pth")


def test_a_split_without_samples_is_a_row(still, tmp_path):
    table = pq.read_table(still).filter(pa.compute.not_equal(pq.read_table(still)["split"], "test"))
    pq.write_table(table, still.parent / "no_test.parquet")
    with pytest.raises(InputError, match="no sample stands in split test"):
        train("frame", still.parent / "no_test.parquet", tmp_path / "o", tmp_path / "w", epochs=1)


def test_the_report_sets_a_random_split_beside_that_of_subjects(still, tmp_path):
    files, runs = [], ["whole", "random", "fold0", "fold1"]
    for number, run in enumerate(runs):
        measures = dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1"), 0.5 + number / 10)
        files.append(tmp_path / f"{run}.json")
        files[-1].write_text(json.dumps({"test": {**measures, "majority": {**measures, "accuracy": 0.25}}}))
    files.append(tmp_path / "fold2.json")
    files[-1].write_text(json.dumps({"failed": True}))
    outs = [tmp_path / name for name in ("m.json", "t.tsv", "p.svg")]
    evaluate_classifier(files, *outs, model="m", runs=[*runs, "fold2"])
    found = json.loads((tmp_path / "m.json").read_text())
    assert found["test"]["random"]["accuracy"] == 0.6
    assert found["test"]["folds"]["accuracy"] == pytest.approx(0.75)
    assert found["test"]["folds"]["accuracy_std"] == pytest.approx(0.05)
    assert found["test"]["majority"]["accuracy"] == 0.25
    assert found["failed"] == ["fold2"]
    assert found["test"]["claimed_too_much"]["accuracy"] == pytest.approx(0.1)
    plot = (tmp_path / "p.svg").read_text()
    assert "random split: leaks" in plot
    assert "A random split of frames would have claimed 0.60 balanced accuracy;" in plot
    assert "the split of the dataset says 0.50." in plot
    table = [line.split("\t") for line in (tmp_path / "t.tsv").read_text().splitlines()]
    assert {row[0]: row[1] for row in table} == {
        "split": "accuracy",
        "split of the dataset": "0.500",
        "random split: leaks": "0.600",
        "folds of subjects, mean": "0.750",
        "majority class": "0.250",
        "claimed too much": "0.100",
    }


def test_a_random_split_claims_what_the_split_of_subjects_denies(tmp_path):
    """Every bout has a wall of its own and nothing tells its class: only who has seen the bout's other frames knows."""
    rng = np.random.default_rng(3)
    folder = tmp_path / "d"
    folder.mkdir()
    rows = []
    for subject, split in SPLITS.items():
        for bout in range(4):
            wall = rng.integers(0, 255, (4, 4, 3)).astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)
            for number in range(10):
                name = f"{subject}_{bout}_{number}.png"
                noise = rng.integers(0, 6, wall.shape).astype(np.uint8)
                cv2.imwrite(str(folder / name), cv2.add(wall, noise))
                rows.append([name, ("left", "right")[bout % 2], split, subject, subject, 100 * bout + number])
    names = ["file", "label", "split", "subject", "recording", "frame"]
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), folder / "index.parquet")
    index = folder / "index.parquet"
    whole = train("frame", index, tmp_path / "a", tmp_path / "w", epochs=8)["test"]
    claimed = train("frame", index, tmp_path / "b", tmp_path / "v", run="random", epochs=8)["test"]
    assert claimed["accuracy"] >= 0.9
    assert whole["accuracy"] <= claimed["accuracy"] - 0.2
    outs = [tmp_path / name for name in ("m.json", "t.tsv", "p.svg")]
    files = [tmp_path / name / "metrics.json" for name in "ab"]
    evaluate_classifier(files, *outs, model="m", runs=["whole", "random"])
    shown = dict(line.split("\t")[:2] for line in outs[1].read_text().splitlines())
    assert float(shown["claimed too much"]) == pytest.approx(claimed["accuracy"] - whole["accuracy"], abs=1e-3)


def test_one_run_alone_claims_nothing(tmp_path):
    measures = dict.fromkeys(("accuracy", "balanced_accuracy", "macro_f1"), 0.5)
    (tmp_path / "whole.json").write_text(json.dumps({"test": {**measures, "majority": measures}}))
    outs = [tmp_path / name for name in ("m.json", "t.tsv", "p.svg")]
    evaluate_classifier([tmp_path / "whole.json"], *outs, model="m", runs=["whole"])
    assert "claimed" not in outs[1].read_text() + outs[2].read_text()


def test_two_runs_that_fail_are_two_items_of_the_ledger(still, tmp_path):
    settings = checked({"kind": "frame_classifier", "dataset": "d", "folds": 7}, schema("models.frame_classifier"), "m")
    items = []
    for run in ("fold0", "fold1"):
        outputs = {name: tmp_path / run / f"{name}{ending}" for name, ending in FILES.items()}
        execute(
            train_frame_classifier,
            inputs={"index": still},
            outputs=outputs,
            settings={
                "model": "m",
                "split_by": run,
                "settings": settings,
                "of_weights": {},
                "working": str(tmp_path / "w"),
            },
        )
        (row,) = ledger.rows(ledger.read([outputs["ledger"]]))
        assert (row.outcome, row.reason) == ("failed", "few_subjects")
        assert json.loads(outputs["metrics"].read_text()) == {"failed": True}
        items.append(row.item)
    assert items == ["m.fold0", "m.fold1"]
