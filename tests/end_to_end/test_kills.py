"""Kill a run at any moment, and give the same command again: it ends, and with the same bytes."""

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from scripts.common.atomic import PART
from tests.conftest import Workspace
from tests.end_to_end.small import small_workspace
from tests.end_to_end.trees import differences, digest, job_counts

KILLS = 20
END_S = 240.0  # the longest that a build may take, on a busy machine

Run = subprocess.Popen[bytes]


def processes_in(folder: Path) -> set[psutil.Process]:
    """Processes that work in a folder: a run and its jobs."""
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if Path(process.cwd()) == folder.resolve():
                found.add(process)
    return found


@contextmanager
def started(workspace: Workspace, *arguments: str) -> Iterator[Run]:
    """A run in a process group of its own, with its output in `run.log`; killed with all of its group at the end."""
    with (workspace.root / "run.log").open("ab") as log:
        run = subprocess.Popen(
            workspace.command(*arguments),
            cwd=workspace.root,
            env=workspace.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield run
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait(timeout=30)


def log_of(workspace: Workspace) -> str:
    log = workspace.root / "run.log"
    return log.read_text(errors="replace") if log.exists() else ""


def jobs_begun(workspace: Workspace) -> int:
    """How many jobs all runs so far have begun."""
    return len(re.findall(r"^ {4}jobid: \d+$", log_of(workspace), re.MULTILINE))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + END_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def wait_for_jobs(run: Run, workspace: Workspace, count: int) -> None:
    """Wait until so many jobs have begun, or the run has ended."""
    wait_until(lambda: run.poll() is not None or jobs_begun(workspace) >= count)


@pytest.fixture
def workspace(tmp_path: Path, small_recordings: Path) -> Iterator[Workspace]:
    workspace = small_workspace(tmp_path / "killed run", small_recordings)
    yield workspace
    for process in processes_in(workspace.root):
        with suppress(psutil.Error):
            process.kill()


def assert_ends_as(finished: Workspace, workspace: Workspace) -> None:
    """The same command once more ends the build with success, and with the bytes of an undisturbed one."""
    last = workspace.snakemake("--cores", "2", timeout=END_S)
    assert last.returncode == 0, last.stdout
    assert differences(digest(finished.root / "results"), digest(workspace.root / "results")) == []
    assert list((workspace.root / "results").rglob(f"{PART}*")) == []
    assert "Nothing to be done" in workspace.snakemake("-n", timeout=END_S).stdout


def test_one_core_gives_the_same_bytes(finished, workspace):
    run = workspace.snakemake("--cores", "1", timeout=END_S)
    assert run.returncode == 0, run.stdout
    assert differences(digest(finished.root / "results"), digest(workspace.root / "results")) == []


def test_a_run_killed_twenty_times_ends_with_the_same_bytes(finished, workspace):
    chance = random.Random(20)
    killed_at_work = 0
    for _ in range(KILLS):
        # From the start of the program to the middle of jobs, however slow the machine is.
        wanted = jobs_begun(workspace) + chance.randrange(8)
        with started(workspace, "--cores", "2") as run:
            wait_for_jobs(run, workspace, wanted)
            time.sleep(chance.uniform(0.1, 1.5))
            assert run.poll() in (None, 0), log_of(workspace)
            killed_at_work += len(processes_in(workspace.root)) > 1
    assert killed_at_work >= KILLS / 4
    assert_ends_as(finished, workspace)


def test_jobs_that_outlive_their_run_are_stopped_and_made_again(finished, workspace):
    for more in (2, 8):
        with started(workspace, "--cores", "2") as run:
            wait_for_jobs(run, workspace, jobs_begun(workspace) + more)
            wait_until(lambda: len(processes_in(workspace.root)) > 1)
            os.kill(run.pid, signal.SIGKILL)
            run.wait(timeout=30)
            orphans = processes_in(workspace.root)
            for orphan in orphans:
                with suppress(psutil.Error):
                    orphan.suspend()  # so that it lives as long as a long job
            with started(workspace, "--cores", "2") as run_after:
                wait_for_jobs(run_after, workspace, jobs_begun(workspace) + 1)
                assert not orphans & processes_in(workspace.root)
    assert "Stopped what a killed run had left" in log_of(workspace)
    assert_ends_as(finished, workspace)
    assert processes_in(workspace.root) == set()
    # No output lacks its provenance: a change of what made it is noticed.
    changed = workspace.snakemake("-n", "--config", "media={crf: 20}", timeout=END_S)
    assert job_counts(changed.stdout)["conform_video"] == 4


def test_a_second_run_is_refused_in_one_line_and_a_dry_run_is_not(workspace):
    with started(workspace, "--cores", "1") as run:
        wait_for_jobs(run, workspace, 1)
        second = workspace.snakemake("--cores", "1", timeout=END_S)
        dry = workspace.snakemake("-n", timeout=END_S)
        assert run.poll() is None, log_of(workspace)
    assert second.returncode == 1
    last = second.stdout.rstrip().splitlines()[-1]
    assert "another run works in this folder" in last
    assert f"kill {run.pid}" in last
    assert "Traceback" not in second.stdout
    assert dry.returncode == 0, dry.stdout
    assert job_counts(dry.stdout)["check_ledger"] == 1
