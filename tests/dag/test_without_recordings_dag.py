"""A project whose sheet is empty, as it is delivered: what comes from elsewhere has models, report and last word."""

import pytest

from scripts.planning.config import ConfigError
from scripts.planning.plan import load
from scripts.planning.store import published
from tests.unit.shard_maker import write_table

LAST_WORD = {"merge_ledgers", "plot_clocks", "plot_outcomes", "check_ledger"}
OLD = {"kind": "windows", "npz": "old"}
LIPS = {"kind": "speech_landmarks", "dataset": "old"}


@pytest.fixture
def archive(archive):
    archive.rows, archive.datasets = [], {}
    for split, speaker in (("train", "ann"), ("val", "bob")):
        archive.files_of_sources(f"old/{split}/{speaker}/1.npz")
    return archive


def test_adopted_folders_alone_are_trained_on_and_checked(archive):
    archive.datasets = {"old": OLD, "both": {"kind": "windows", "from": ["old"]}}
    models = {"lips": LIPS, "more": {**LIPS, "dataset": "both"}}
    assert archive.dry_run("models", models=models).jobs["train_speech_landmarks"] == 2
    shown = archive.dry_run(models=models)
    assert shown.status == 0, shown.text
    assert shown.jobs["adopt_windows"] == 2
    assert {"train_speech_landmarks", *LAST_WORD} <= shown.rules
    merged = shown.text[shown.text.index("rule merge_ledgers:") :]
    assert "results/datasets/old/windows/bob.ledger.parquet" in merged
    assert "train_speech_landmarks" in archive.dry_run("reports", models=models).rules
    assert "is not trained" not in shown.text


def test_a_table_of_urls_alone_is_checked(archive):
    write_table(archive.root / "t.txt", "a.mp4")
    archive.datasets = {"web": {"kind": "shards", "table": "t.txt"}}
    assert archive.dry_run().rules == {"plan_shards", "index_shards", *LAST_WORD}


def test_the_report_of_a_table_of_urls_alone_is_published(archive):
    write_table(archive.root / "t.txt", "a.mp4")
    archive.datasets = {"web": {"kind": "shards", "table": "t.txt"}}
    archive.write()
    leaving = published(load(archive.config()))
    of_report = {"reports/ledger.tsv", "reports/failed.tsv", "reports/clocks.svg", "reports/outcomes.svg"}
    assert of_report <= set(leaving["files"])
    assert leaving["folders"] == ["datasets/web/shards/data"]
    # What has no report has none to publish.
    archive.datasets = {}
    assert not any(published(load(archive.config())).values())


def test_a_model_of_frames_from_elsewhere_alone_is_checked(archive):
    archive.files_of_sources("frames/index.parquet")
    acts = {"kind": "frame_classifier", "dataset": "frames/index.parquet"}
    assert {"train_frame_classifier", *LAST_WORD} <= archive.dry_run(models={"acts": acts}).rules


def test_labels_alone_are_checked(archive):
    archive.files_of_sources("a.mov", "a.csv")
    archive.sheet(["recording", "rig", "source", "labels"], [["a", "booth", "a.mov", "a.csv"]])
    archive.write_config()
    plan = load(archive.config())
    assert "results/labels/booth/a.labels.ledger.parquet" in plan.ledgers()
    assert plan.everything() == ["results/reports/ledger.checked"]


def test_where_there_is_nothing_nothing_is_made(archive):
    shown = archive.dry_run()
    assert (shown.status, shown.jobs) == (0, {})
    assert load(archive.config()).everything() == []


def test_a_model_of_a_dataset_without_recordings_is_said_not_to_be_trained(archive):
    archive.datasets = {"old": OLD, "visemes": {"kind": "windows", "rig": "booth"}}
    models = {"lips": LIPS, "mouths": {**LIPS, "dataset": "visemes"}}
    shown = archive.dry_run("models", models=models)
    assert shown.status == 0, shown.text
    assert shown.jobs["train_speech_landmarks"] == 1
    assert "models.mouths is not trained: visemes has no recordings" in shown.text
    assert "models.lips is not trained" not in shown.text


def test_failures_of_an_adopted_speaker_can_be_accepted(archive):
    archive.datasets = {"old": OLD}
    archive.write()
    assert load(archive.config(known_failures=["bob"])).config["known_failures"] == ["bob"]
    with pytest.raises(ConfigError, match=r"known_failures: there is no recording `bib`.*`bob`"):
        load(archive.config(known_failures=["bib"]))


def test_recordings_that_are_all_ruled_out_are_items_of_the_ledger(archive):
    archive.files_of_sources("a.mov")
    archive.rows = [["a", "booth", "a.mov", "", "", "", "", ""]]
    archive.exclude = [["a", "", "", "a test"]]
    assert archive.dry_run().rules == LAST_WORD
