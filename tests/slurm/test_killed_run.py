"""A controller is killed while its cluster jobs run: the same command finishes the work, with its records."""

import base64
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.slurm.clusters import REPO, Cluster

SNAKEFILE = """
from scripts.planning import run_lock

run_lock.guard(workflow)

rule all:
    input: "results/merged"

rule part:
    output: "results/parts/{part}"
    params: factor=config["factor"]
    resources: mem_mb=200, runtime=5
    shell: "sleep {config[nap]}; echo {params.factor} > {output}"

rule merge:
    input: expand("results/parts/{part}", part=range(3))
    output: "results/merged"
    resources: mem_mb=200, runtime=5
    shell: "cat {input} > {output}"
"""


def wait_for(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def results(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in (folder / "results").rglob("*") if file.is_file())


def has_record(folder: Path, output: str) -> bool:
    return (folder / ".snakemake/metadata" / base64.urlsafe_b64encode(output.encode()).decode()).exists()


def of_this_folder(cluster: Cluster, folder: Path) -> list[str]:
    prefix = json.loads((folder / ".snakemake/rushes.lock").read_text())["jobs"]
    return [line for line in cluster.queue().splitlines() if prefix in line]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "scripts").symlink_to(REPO / "scripts")
    return tmp_path


def kill_when(cluster: Cluster, folder: Path, condition, *arguments: str) -> None:
    """Begin a run, and kill its controller alone as soon as the condition holds."""
    run = cluster.start(folder, *arguments)
    wait_for(lambda: condition() or run.poll() is not None)
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL, (folder / "run.log").read_text()


def jobs_run(folder: Path) -> bool:
    return (folder / "run.log").read_text().count("has been submitted") == 3


def test_jobs_of_a_killed_run_are_stopped_and_done_again(cluster, folder):
    long = ("--config", "factor=1", "nap=300")
    kill_when(cluster, folder, lambda: jobs_run(folder), *long)
    orphans = of_this_folder(cluster, folder)
    assert len(orphans) == 3

    status, output = cluster.snakemake(folder, "--config", "factor=1", "nap=0")
    assert status == 0, output
    assert "Stopped what a killed run had left" in output
    assert not set(orphans) & set(cluster.queue().splitlines())
    assert all(has_record(folder, output) for output in results(folder))


def test_what_outlived_its_run_is_made_again_with_a_record(cluster, folder):
    same = ("--config", "factor=1", "nap=3")
    kill_when(cluster, folder, lambda: jobs_run(folder), *same)
    wait_for(lambda: not of_this_folder(cluster, folder))
    left = results(folder)
    assert left == ["results/parts/0", "results/parts/1", "results/parts/2"]
    assert not any(has_record(folder, output) for output in left)

    _, dry = cluster.snakemake(folder, "-n", *same)
    assert re.search(r"^part +3$", dry, re.MULTILINE), dry

    status, output = cluster.snakemake(folder, *same)
    assert status == 0, output
    assert "3 outputs that a killed run left without a record are made again." in output
    assert all(has_record(folder, output) for output in results(folder))

    _, again = cluster.snakemake(folder, *same)
    assert "Nothing to be done" in again
    _, changed = cluster.snakemake(folder, "-n", "--config", "factor=2", "nap=3")
    assert re.search(r"^part +3$", changed, re.MULTILINE), changed
