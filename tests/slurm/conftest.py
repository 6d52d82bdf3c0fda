"""Clusters for tests: the real one that cluster.sh starts, and a fake one for machines without SLURM."""

import os
import shutil
import subprocess

import pytest

from tests.slurm import fake_slurm
from tests.slurm.clusters import Cluster


def is_up() -> bool:
    """Whether a controller of SLURM answers."""
    if not shutil.which("scontrol"):
        return False
    ping = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, timeout=30, check=False)
    return "is UP" in ping.stdout


@pytest.fixture(scope="session")
def real_slurm() -> Cluster:
    """The one-node SLURM of cluster.sh. Without it a test is skipped; in CI it fails."""
    if not is_up():
        reason = "no SLURM answers: tests/slurm/cluster.sh start (as root, needs slurm-wlm and munge)"
        if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
            pytest.fail(reason)
        pytest.skip(reason)
    return Cluster()


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A SLURM that runs jobs as local processes and writes down its calls; its minutes last 8 seconds."""
    folder = tmp_path_factory.mktemp("fake_slurm")
    fake_slurm.install(folder)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "FAKE_SLURM": str(folder), "FAKE_SLURM_MINUTE_S": "8"}
    return Cluster(environment, folder / "calls.jsonl")


@pytest.fixture(params=["fake", pytest.param("real_slurm", marks=pytest.mark.slurm)])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """One after the other."""
    found: Cluster = request.getfixturevalue(request.param)
    return found
