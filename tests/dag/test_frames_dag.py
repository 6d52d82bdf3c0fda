"""What a dataset of labelled frames makes Snakemake plan."""

import pytest

from scripts.planning.plan import load
from scripts.planning.store import published
from tests.dag.archive import COLUMNS, MEDIA, Archive

ACTS = {"kind": "frames", "rig": "booth", "split": {"train": 0.5, "val": 0.5, "test": 0}}


class Labelled(Archive):
    """An archive whose recordings of the booth have files of labels."""

    def __init__(self, root):
        super().__init__(root)
        self.labels = {"a.1": "labels/a.csv", "b=2": "labels/b.csv", "ç": "labels/c.csv"}
        self.files_of_sources(*self.labels.values())

    def write(self, **changes):
        """Write sheets and config."""
        self.sheet([*COLUMNS, "labels"], [[*row, self.labels.get(row[0], "")] for row in self.rows])
        self.write_config(**{"media": MEDIA, **changes})


@pytest.fixture
def archive(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Labelled(tmp_path)


def planned(archive, *arguments, acts=None, **changes):
    return archive.dry_run(*arguments, datasets={"acts": {**ACTS, **(acts or {})}}, **changes)


def test_each_recording_is_cleaned_and_each_camera_extracted_and_the_formats_are_asked_for(archive):
    acts = {"formats": ["folders", "webdataset", "mmaction2", "clips"]}
    shown = planned(archive, "datasets", acts=acts)
    assert shown.status == 0, shown.text
    wanted = {"clean_labels": 3, "extract_labelled_frames": 3, "split_frames": 1, "index_frames": 1}
    assert {name: shown.jobs.get(name) for name in wanted} == wanted
    assert shown.jobs["arrange_frames"] == 2
    assert shown.jobs["write_frames"] == 3
    assert shown.jobs["cut_bouts"] == 3
    assert shown.jobs["import_labels"] == 3
    for name in ("folders", "webdataset/ç.front", "pictures/a.1.front.tar", "index.parquet"):
        assert f"results/datasets/acts/{name}" in shown.text
    assert not {"conform_video", "extract_windows", "index_dataset"} & shown.rules


def test_chunks_and_folders_of_pictures_are_sources_as_any_other(archive):
    archive.files_of_sources("chunks/a.MP4", "chunks/b.MP4", "stills/S1C2000001.jpg")
    archive.rigs = {
        **archive.rigs,
        "theatre": {"source": "chunks", "cameras": {"c2": "{source}/*.MP4"}, "microphones": {"m": "{source}/*.MP4"}},
        "seed": {"source": "frames", "cameras": {"c2": "{source}/S{subject}C2{frame}.jpg"}},
    }
    archive.rows = [
        ["joined", "theatre", "chunks", "1", "", "", "", "train"],
        ["again", "seed", "stills", "1", "", "", "", "val"],
    ]
    archive.labels = {"joined": "labels/a.csv", "again": "labels/b.csv"}
    for rig, rule in (("theatre", "join_chunks_theatre"), ("seed", "import_frames_seed")):
        acts = {"rig": rig, "split": {"train": 1, "test": 0} if rig == "theatre" else {"train": 0, "val": 1, "test": 0}}
        shown = planned(archive, "datasets", acts=acts)
        assert shown.status == 0, shown.text
        assert (shown.jobs[rule], shown.jobs["extract_labelled_frames"]) == (1, 1)


def test_labels_go_back_into_the_files_of_other_tools(archive):
    archive.rigs["booth"] = {**archive.rigs["booth"], "labels": {"export": ["textgrid", "procedures"]}}
    shown = planned(archive, "labels")
    assert (shown.jobs["export_labels"], shown.jobs["pool_procedures"]) == (3, 1)
    shown = planned(archive, only="a.1")
    assert shown.jobs["export_labels"] == 1
    assert "pool_procedures" not in shown.rules


def test_recordings_without_labels_are_left_out_and_no_labels_at_all_are_one_line(archive):
    del archive.labels["b=2"]
    assert planned(archive, "datasets").jobs["extract_labelled_frames"] == 2
    archive.labels.clear()
    shown = planned(archive, "datasets")
    assert "datasets.acts: no recording of rig booth has a file in the column `labels`" in shown.text


def test_a_few_recordings_are_extracted_alone(archive):
    shown = planned(archive, only="a.1")
    assert shown.jobs["extract_labelled_frames"] == 1
    assert not {"split_frames", "index_frames", "arrange_frames"} & shown.rules


def test_the_ledgers_of_the_run_hold_those_of_labels_and_pictures(archive):
    shown = planned(archive)
    assert {"merge_ledgers", "index_frames", "render_labels"} <= shown.rules
    for name in ("labels/ç.ledger.parquet", "pictures/ç.front.ledger.parquet", "ledger.parquet"):
        assert f"results/datasets/acts/{name}" in shown.text


def test_a_classifier_learns_from_the_dataset_of_the_config(archive):
    shown = planned(archive, "models", models={"m": {"kind": "frame_classifier", "dataset": "acts"}})
    assert shown.status == 0, shown.text
    assert shown.jobs["train_frame_classifier"] == 2
    assert shown.jobs["extract_labelled_frames"] == 3


@pytest.mark.parametrize(
    ("acts", "message"),
    [
        ({"rig": "boot"}, "datasets.acts.rig: there is no rig `boot`; did you mean `booth`"),
        ({"cameras": ["frnt"]}, "datasets.acts.cameras: the rig has no `frnt`; did you mean `front`"),
        ({"names": "x"}, "datasets.acts.names: {frame} is missing"),
        ({"names": "{fram}"}, "datasets.acts.names: there is no field {fram}; did you mean `frame`"),
        ({"names": "{subject}_{frame}"}, "would have the same names"),
        ({"names": "{frame:q}{recording}"}, "cannot name a frame"),
        ({"names": "{recording}/{frame}"}, "cannot name a file"),
        ({"stride": 2, "fps": 5}, "stride and fps both say"),
        ({"overlaps": "priority"}, "datasets.acts.priority"),
        ({"labels": {"unknown": "drop"}}, "datasets.acts.classes"),
        ({"labels": {"map": {"sit": "a", "Sit": "b"}}}, "datasets.acts.labels.map: `Sit` and `sit` are one label"),
        ({"split": {"by": "interval", "method": "folds"}}, "intervals are split by hash"),
        ({"split": {"method": "folds", "folds": 3, "fold": 3}}, "the last is number 2"),
        ({"size": 3}, "datasets.acts.size"),
        ({"size": [224, 224], "resize": "short_side"}, "wants one number"),
        ({"split": {"lists": {"train": ["Ann"], "val": ["Bbo"]}}}, "there is no `Bbo`; did you mean `Bob`"),
        ({"split": {"train": 0.9, "val": 0.9}}, "the shares add up to"),
        ({"split": {"method": "stratified", "train": 0.9, "val": 0.9}}, "the shares add up to"),
        ({"split": {"method": "folds"}}, "datasets.acts.split: folds wants at least 5 groups (by: subject)"),
        ({"split": {"method": "stratified", "train": 0.8, "val": 0.1, "test": 0.1}}, "no group is left for `test`"),
        ({"split": {"lists": {"train": ["Bob"], "val": ["Ann"]}}}, "in train by the column `split`"),
        ({"overlap": "first"}, "unknown key `overlap`; did you mean `overlaps`"),
    ],
)
def test_a_mistake_is_one_line_before_anything_runs(archive, acts, message):
    shown = planned(archive, acts=acts)
    assert shown.status == 1
    assert message in shown.text
    assert "Traceback" not in shown.text


def test_the_live_preset_sets_what_the_config_leaves_open(archive):
    acts = {**ACTS, "preset": "live", "names": "{recording}{camera}{frame}"}
    archive.write()
    entry = load({**archive.config(), "datasets": {"acts": acts}}).rooms["frames"].datasets["acts"].entry
    assert (entry["names"], entry["first_frame"]) == ("{recording}{camera}{frame}", 1)
    assert (entry["edges"], entry["overlaps"]) == ("open_counts", "first")


def test_all_kinds_of_datasets_and_the_parts_of_the_report_leave_for_a_store(archive):
    datasets = {
        "acts": {**ACTS, "formats": ["webdataset"]},
        "visemes": {
            "kind": "windows",
            "rig": "booth",
            "landmarks": "openseeface",
            "formats": ["shards"],
            "split": {"train": 0.5, "val": 0.5, "test": 0},
        },
        "web": {"kind": "shards", "rig": "booth"},
    }
    archive.write()
    of_frames = ("index.parquet", "card.json", "classes.json", "splits.tsv", "ledger.parquet")
    of_windows = ("index.parquet", "card.json", "splits.tsv", "lm_mean.npy", "lm_std.npy")
    of_clips = ("index.parquet", "metadata.parquet", "ledger.parquet", "card.json")
    leaving = published(load({**archive.config(), "datasets": datasets}))
    assert sorted(leaving["files"]) == sorted(
        [
            *(f"datasets/acts/{name}" for name in of_frames),
            *(f"datasets/visemes/{name}" for name in of_windows),
            *(f"datasets/web/shards/{name}" for name in of_clips),
            *(f"reports/{name}" for name in ("ledger.tsv", "failed.tsv", "clocks.svg", "outcomes.svg")),
            "reports/labels/acts.html",
        ]
    )
    of_cameras = [f"datasets/acts/webdataset/{name}.front" for name in ("a.1", "b=2", "ç")]
    packed = ["datasets/visemes/shards/train", "datasets/visemes/shards/val", "datasets/web/shards/data"]
    assert sorted(leaving["folders"]) == sorted([*of_cameras, *packed])
    assert sorted(leaving["listed"]) == packed
    lists = [f"results/{folder}.shards.json" for folder in leaving["folders"]]
    shown = archive.dry_run(*lists, datasets=datasets)
    assert shown.status == 0, shown.text
    # Those of labelled frames are written with the shards.
    assert shown.jobs["list_published"] == 3
    few = published(load({**archive.config(), "datasets": datasets, "only": "a.1"}))
    assert not any(few.values())


def test_a_clip_classifier_takes_no_dataset_whose_cap_draws_single_frames(archive):
    turns = {"kind": "clip_classifier", "dataset": "acts"}
    shown = planned(archive, "models", acts={"cap": 60}, models={"turns": turns})
    assert shown.status == 1
    assert "models.turns.dataset: a clip is of frames in a row, and datasets.acts.cap draws single ones" in shown.text
    assert "Traceback" not in shown.text
    for acts, kind in (({}, "clip_classifier"), ({"cap": 60}, "frame_classifier")):
        shown = planned(archive, "models", acts=acts, models={"turns": {**turns, "kind": kind}})
        assert shown.status == 0, shown.text
