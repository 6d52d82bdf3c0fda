"""The whole DAG of the demo through a real cluster, with its controller killed on the way."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import REPO, Workspace, make_workspace
from tests.end_to_end.trees import differences, digest
from tests.slurm.clusters import Cluster

pytestmark = pytest.mark.slurm

KILLS = 2
ARGUMENTS = ["--snakefile", str(REPO / "Snakefile"), "--configfile", "config/demo.yaml"]
# The demo needs no network; one rule asks for a GPU all the same, to see that it gets one.
GPU = ["--set-resources", "extract_landmarks:gpu=1"]


@pytest.fixture(scope="module")
def on_slurm(real_slurm: Cluster, demo_recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The demo, made on the cluster by one command that was given again after each kill."""
    # As deep as the one at home: what was fetched names local files relative to the working directory.
    workspace = make_workspace(tmp_path_factory.mktemp("slurm") / "run", demo_recordings)
    moment = random.Random(5)
    for _ in range(KILLS):
        run = real_slurm.start(workspace.root, *ARGUMENTS, *GPU)
        time.sleep(moment.uniform(20, 40))
        run.send_signal(signal.SIGKILL)
        run.wait(30)
    status, output = real_slurm.snakemake(workspace.root, *ARGUMENTS, *GPU, timeout=900)
    assert status == 0, output
    assert "Traceback" not in output
    return workspace


def test_a_killed_run_on_the_cluster_ends_with_the_same_bytes_as_one_at_home(on_slurm: Workspace, demo: Workspace):
    made, at_home = (digest(workspace.root / "demo" / "results") for workspace in (on_slurm, demo))
    assert differences(made, at_home) == []


def test_no_orphan_is_left_in_the_queue(on_slurm: Workspace, real_slurm: Cluster):
    assert "rushes-" not in real_slurm.queue()


def test_the_same_command_again_has_nothing_to_do(on_slurm: Workspace, real_slurm: Cluster):
    status, output = real_slurm.snakemake(on_slurm.root, *ARGUMENTS, *GPU)
    assert status == 0
    assert "Nothing to be done" in output


def test_no_output_lacks_its_provenance(on_slurm: Workspace, real_slurm: Cluster):
    # Half the hop: what depends on it, and nothing else, is made again, for each of the five recordings.
    faster = on_slurm.root / "config" / "faster.yaml"
    faster.write_text((on_slurm.root / "config" / "demo.yaml").read_text().replace("augment_factor: 2", "hop: 16"))
    planned = on_slurm.snakemake("-n", "--configfile", "config/faster.yaml").stdout
    counts = dict(line.split() for line in planned.splitlines() if len(line.split()) == 2)
    assert counts["extract_windows"] == "5"
    assert "conform_video" not in counts
    assert "missing metadata" not in planned


def test_a_job_that_asks_for_a_gpu_sees_one(on_slurm: Workspace):
    logs = sorted((on_slurm.root / "demo" / "results" / "logs" / "extract_landmarks").rglob("*.log"))
    assert logs
    for log in logs:
        assert "CUDA_VISIBLE_DEVICES=0" in log.read_text() or "CUDA_VISIBLE_DEVICES=1" in log.read_text()


def test_the_cluster_profile_works_literally_from_the_root():
    assert os.path.samefile(REPO / "slurm" / "profile.yaml", REPO / "profiles" / "slurm" / "profile.yaml")
