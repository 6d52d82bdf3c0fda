"""A project of adopted windows alone, with the sheet of recordings as it is delivered."""

import csv
import shutil

import pytest
import yaml

from tests.conftest import REPO, Workspace
from tests.unit.test_window_datasets import write_windows

CONFIG = {
    "datasets": {"old": {"kind": "windows", "npz": "old"}},
    "models": {"lips": {"kind": "speech_landmarks", "dataset": "old", "epochs": 1, "width": 8, "batch": 4}},
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    root = tmp_path_factory.mktemp("adopted")
    shutil.copytree(REPO / "config", root / "config")
    (root / "config" / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    write_windows(root / "old" / "train" / "ann", 6, seed=1)
    write_windows(root / "old" / "val" / "bob", 2, seed=2)
    (root / "old" / "val" / "bob" / "junk.npz").write_bytes(b"no npz")
    return Workspace(root, configfile="config/config.yaml")


@pytest.mark.torch
def test_the_model_is_trained_and_a_failed_window_ends_every_run_badly_until_it_is_accepted(workspace):
    for _ in range(2):
        run = workspace.snakemake("--cores", "2", timeout=300)
        assert run.returncode == 1, run.stdout
        assert "1 item failed; everything else is finished:" in run.stdout
        assert "bob, file 2: junk.npz: the file is no npz" in run.stdout
    results = workspace.root / "results"
    assert (results / "models" / "lips" / "metrics.json").exists()
    with (results / "reports" / "ledger.tsv").open(newline="") as file:
        counts = [row for row in csv.reader(file, delimiter="\t") if row[0] == "adopt_windows"]
    assert counts == [["adopt_windows", "written", "", "8"], ["adopt_windows", "failed", "bad_window", "1"]]
    again = workspace.snakemake("--config", "retry=failed", "-n")
    assert "rule adopt_windows:" in again.stdout
    accepted = ("--config", "known_failures=[bob]")
    assert workspace.snakemake("--cores", "2", *accepted, timeout=300).returncode == 0
    assert "Nothing to be done" in workspace.snakemake(*accepted).stdout
    (workspace.root / "old" / "val" / "bob" / "junk.npz").unlink()
    mended = workspace.snakemake("--cores", "2", timeout=300)
    assert mended.returncode == 0, mended.stdout
