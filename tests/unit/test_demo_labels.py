"""The demo's labelled recordings: every picture is where it belongs, and classifiers learn from them."""

import json

import pytest

from rushes.synthetic.labels_truth import FOLDERS, look, wanted_labels
from rushes.synthetic.theatre import write_theatre
from scripts.common import label_intervals
from scripts.datasets.clean_labels import clean_labels
from scripts.labels.import_labels import import_labels
from scripts.planning.config import schema, with_defaults
from scripts.sources.join_chunks import join_chunks
from tests.unit.frame_dataset import Whole, extract, gathered, settings
from tests.unit.test_classifiers import train

SUBJECTS = {1: "train", 2: "val", 3: "test"}
# Both reach at least this many times the balanced accuracy of the majority class on a subject that they never saw.
FACTOR = 2.0
ENTRY = {"size": [160, 120], "format": "jpg", "overlaps": "error", "labels": {"case": "lower", "ignore": ["CLAP"]}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The dataset of three subjects, and the truth by recording."""
    root = tmp_path_factory.mktemp("acts")
    truth, parts = {}, {}
    rigs = schema("rigs")["properties"]
    for subject in SUBJECTS:
        name, folder = f"act_{subject}", root / f"P{subject}"
        truth[name] = write_theatre(folder, subject)
        files = sorted(folder.glob("*.mp4"))
        video, table, manifest = root / f"{name}.mp4", root / f"{name}.frames.parquet", root / f"{name}.json"
        join_chunks(
            files,
            *([video], [table], [], []),
            *(manifest, root / "ledger.parquet"),
            recording=name,
            cameras={"c1": {"files": [0, 1, 2]}},
            microphones={},
            chunks={**with_defaults({}, rigs["chunks"]), "starts": "names"},
            tmpdir=root,
        )
        raw, clean = root / f"{name}.raw.labels.parquet", root / f"{name}.labels.parquet"
        of_rig = {**with_defaults({}, rigs["labels"]), "sync": "CLAP"}
        ledger = root / "labels.ledger.parquet"
        import_labels(
            folder / "labels.csv", manifest, raw, ledger, recording=name, subject=str(subject), settings=of_rig
        )
        entry = settings(**ENTRY)
        clean_labels(raw, manifest, clean, ledger, recording=name, settings=entry["labels"], classes=[])
        fields = {"recording": name, "subject": str(subject), "session": name, "camera": "c1"}
        intervals = label_intervals.read(clean)
        found = extract(root / "d" / "pictures", video, table, manifest, intervals, fields=fields, **ENTRY)
        parts[name] = found.renamed(name)
    lists = {split: [f"act_{subject}"] for subject, split in SUBJECTS.items()}
    split = {"lists": lists, "near_duplicates": "ignore"}
    return gathered(root / "d", parts, {name: name for name in parts}, split=split, **ENTRY), truth


def test_every_picture_shows_its_number_in_the_folder_of_its_label_and_none_is_missing(made):
    whole, truth = made
    shown = look(whole.arrange("folders"))
    wanted = [
        (FOLDERS[SUBJECTS[int(known["subject"])]], label, number)
        for known in truth.values()
        for number, label in wanted_labels(known).items()
    ]
    assert sorted(place for _, place in shown) == sorted(wanted)
    assert len(shown) == len(set(wanted))


def test_edges_fall_on_frames_between_them_across_the_break_and_across_the_seam(made):
    _, truth = made
    labels = wanted_labels(truth["act_1"])
    # A frame that stands where an act starts belongs to it, and one where it stops does not.
    assert (labels.get(9), labels[10], labels[29], labels[30]) == (None, "walk", "walk", "run")
    # The break stands between 59 and 60, the seam between 119 and 120.
    assert (labels[59], labels[60]) == ("rest", "rest")
    assert (labels[119], labels[120]) == ("run", "run")
    assert not {k for k, label in labels.items() if label == "jump"}


@pytest.mark.torch
@pytest.mark.parametrize(
    ("kind", "more"), [("frame", {"epochs": 12}), ("clip", {"epochs": 20, "frames": 4, "batch": 4})]
)
def test_classifiers_beat_the_majority_class_on_a_subject_that_was_never_seen(made, tmp_path, kind, more):
    whole, _ = made
    assert isinstance(whole, Whole)
    index = whole.folder / "index.parquet"
    found = train(kind, index, tmp_path / "out", tmp_path / "w", size=48, seed=1, **more)["test"]
    assert found["balanced_accuracy"] >= FACTOR * found["majority"]["balanced_accuracy"], json.dumps(found)
    assert found["accuracy"] > found["majority"]["accuracy"]
