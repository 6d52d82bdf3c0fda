"""The main job, once through the house."""

import csv
from pathlib import Path

import numpy as np

from rushes.synthetic import truth_table
from rushes.synthetic.demo import read_truth
from tests.conftest import Workspace
from tests.end_to_end.small import copied


def results_of(workspace: Workspace) -> Path:
    return workspace.root / "demo" / "results"


def test_every_row_of_the_truth_table_holds(demo):
    truth = read_truth(demo.root / "demo" / "recordings")
    rows = truth_table.measure(truth, results_of(demo))
    assert len(rows) > 40
    assert [row for row in rows if not row.ok] == []


def test_the_same_command_again_has_nothing_to_do(demo):
    again = demo.snakemake()
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout


def test_windows_are_what_the_models_take(demo):
    windows = sorted((results_of(demo) / "datasets" / "visemes" / "train").rglob("*.npz"))
    assert windows
    for window in windows:
        with np.load(window, allow_pickle=False) as arrays:
            assert set(arrays) == {"pose", "audio"}
            assert (arrays["pose"].shape, arrays["pose"].dtype) == ((64, 2, 68), np.float32)
            assert (arrays["audio"].shape, arrays["audio"].dtype) == ((1, 40_960), np.float32)


def test_what_failed_is_named_with_its_reason(demo):
    with (results_of(demo) / "reports" / "failed.tsv").open() as file:
        failed = list(csv.DictReader(file, delimiter="\t"))
    assert {row["recording"] for row in failed} == {"garbage"}
    assert {row["reason"] for row in failed} == {"unreadable"}


def test_an_unaccepted_failure_ends_the_run_with_1_each_time_and_says_what_failed(demo, tmp_path):
    workspace = copied(demo, tmp_path / "unaccepted")
    for _ in range(2):
        run = workspace.snakemake("--config", "known_failures=[]")
        assert run.returncode == 1
        assert "garbage" in run.stdout
        assert "Traceback" not in run.stdout


def test_the_report_is_one_file_that_needs_no_network(demo, tmp_path):
    page = tmp_path / "report.html"
    run = demo.snakemake("--report", str(page))
    assert run.returncode == 0, run.stdout
    text = page.read_text()
    assert "speaker_one" in text
    assert 'src="http' not in text
    assert 'href="http://' not in text.split("<body")[0]
