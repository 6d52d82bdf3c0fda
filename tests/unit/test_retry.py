"""`--config retry=failed`: what failed is asked for again, and nothing that nobody wants."""

from dataclasses import replace

import pytest

from scripts.common.plan import load
from scripts.common.retry import failed_outputs
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

    def again(*failed, recording="a"):
        table = tmp_path / plan.path.report("failed.tsv")
        table.parent.mkdir(parents=True, exist_ok=True)
        write_tsv(table, FAILED_COLUMNS, [[recording, step, item, "x", "message"] for step, item in failed])
        return [path.removeprefix("results/") for path in failed_outputs(plan)]

    again.plan = plan
    return again


@pytest.mark.parametrize(
    ("step", "item", "output"),
    [
        ("export_bag", "left", "media/aviary/a/export.ledger.parquet"),
        ("conform_video", "left", "conformed/aviary/a/left.video.ledger.parquet"),
        ("conform_audio", "array", "conformed/aviary/a/array.sound.ledger.parquet"),
        ("extract_landmarks", "right", "faces/aviary/a/right.openseeface.ledger.parquet"),
    ],
)
def test_each_step_has_its_own_output(again, step, item, output):
    assert again((step, item)) == [output]


def test_several_streams_of_one_import_are_one_output(again):
    assert again(("export_bag", "left"), ("export_bag", "right")) == ["media/aviary/a/export.ledger.parquet"]


def test_windows_that_failed_are_cut_again_for_every_dataset(again):
    assert again(("extract_windows", "a")) == [f"datasets/{name}/windows/a.ledger.parquet" for name in "xy"]


def test_a_stream_that_the_config_no_longer_has_is_not_asked_for(again):
    assert again(("conform_video", "middle"), ("extract_landmarks", "middle")) == []


def test_a_recording_that_is_not_chosen_is_left_alone(again):
    again(("export_bag", "left"))
    assert failed_outputs(replace(again.plan, only=("b",))) == []


def test_a_recording_that_is_gone_and_a_run_that_never_was_have_nothing_to_retry(again):
    assert failed_outputs(again.plan) == []
    assert again(("export_bag", "left"), recording="gone") == []
