"""`--config retry=failed`: what failed is asked for again, and nothing that nobody wants."""

from dataclasses import replace

import pytest

from scripts.planning.paths import Paths
from scripts.planning.plan import load
from scripts.planning.retry import failed_outputs
from scripts.reports.merge_ledgers import FAILED_COLUMNS, write_tsv
from tests.unit.examples import House

FAN = {"kind": "windows", "rig": "aviary", "landmarks": "fan", "split": {"train": 1}}


@pytest.fixture
def again(tmp_path, monkeypatch):
    """The outputs that are made again after a run in which the given (step, item) of the recording `a` failed."""
    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    house.files_of_sources("a.bag")
    house.sheet(["recording", "rig", "source"], [["a", "aviary", "a.bag"]])
    house.datasets = {"x": {**FAN, "camera": "left"}, "y": {**FAN, "camera": "right", "landmarks": "openseeface"}}
    plan = load(house.config())

    def again(*failed, report="reports"):
        """failed: the ledgers of the items that failed."""
        table = tmp_path / "results" / report / "failed.tsv"
        table.parent.mkdir(parents=True, exist_ok=True)
        rows = [["a", "step", "item", "x", "message", f"results/{path}"] for path in failed]
        write_tsv(table, FAILED_COLUMNS, rows)
        return [path.removeprefix("results/") for path in failed_outputs(plan)]

    again.plan = plan
    return again


def test_what_failed_is_asked_for_by_its_ledger_and_nothing_else_is(again):
    ledgers = ["conformed/aviary/a/left.video.ledger.parquet", "datasets/x/windows/a.ledger.parquet"]
    assert again(*ledgers) == ledgers


def test_several_streams_of_one_import_are_one_output(again):
    assert again(*["media/aviary/a/export.ledger.parquet"] * 2) == ["media/aviary/a/export.ledger.parquet"]


def test_a_stream_that_the_config_no_longer_has_is_not_asked_for(again):
    assert again("conformed/aviary/a/middle.video.ledger.parquet", "media/aviary/gone/export.ledger.parquet") == []


def test_a_recording_that_is_not_chosen_is_left_alone(again):
    again("media/aviary/a/export.ledger.parquet")
    assert failed_outputs(replace(again.plan, only=("b",))) == []


def test_a_run_of_one_recording_alone_knows_what_failed_for_all_and_for_itself(again, tmp_path):
    again("media/aviary/a/export.ledger.parquet")
    again("conformed/aviary/a/left.video.ledger.parquet", report="reports/only_a")
    alone = replace(again.plan, only=("a",), path=Paths("results", "reports/only_a"))
    assert [path.split("/")[1] for path in failed_outputs(alone)] == ["conformed", "media"]


def test_a_run_that_never_was_and_a_table_of_an_older_version_have_nothing_to_retry(again, tmp_path):
    assert failed_outputs(again.plan) == []
    table = tmp_path / "results" / "reports" / "failed.tsv"
    table.parent.mkdir(parents=True)
    write_tsv(table, FAILED_COLUMNS[:-1], [["a", "export_bag", "left", "x", "message"]])
    assert failed_outputs(again.plan) == []
