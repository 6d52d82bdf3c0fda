"""One run of a folder at a time, and a clean start after a killed one."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.common.errors import RunError
from scripts.planning import leftovers, run_lock
from scripts.planning.run_lock import Lock, Run, guard, job_prefix, peek, refusal

REPO = Path(__file__).parents[2]
RUN = Run("1120-140512-0a1b2c3d", "node1", 4711, "ada", 1_700_000_000_000_000_000, "rushes-1120-140512-0a1b2c3d")

HOLD = """
import os, sys, time
from pathlib import Path
from scripts.planning.run_lock import Lock
lock = Lock(Path(sys.argv[1]))
if os.fork():
    print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def quick_and_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lock, "ATTEMPT_S", 0.05)
    monkeypatch.setenv(leftovers.VARIABLE, "")


@pytest.fixture
def lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / run_lock.LOCK


@pytest.fixture
def holder(lock_file: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the lock, and has a child."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock_file)],
        cwd=REPO,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_a_record_survives_writing_and_reading():
    assert Run.from_bytes(RUN.to_bytes()) == RUN
    assert len(RUN.to_bytes()) == len(replace(RUN, settled=True).to_bytes()) == run_lock.RECORD_BYTES


def test_a_new_lock_file_tells_of_no_run():
    assert Run.from_bytes(b"") is None


def test_a_record_that_makes_no_sense_is_a_run_of_which_nothing_is_known():
    unknown = Run.from_bytes(RUN.to_bytes()[:40])
    assert unknown is not None
    assert (unknown.id, unknown.started_ns, unknown.settled) == ("", 0, False)


def test_the_names_of_jobs_are_short_enough_for_the_executor():
    assert job_prefix(None, RUN) == "rushes-1120-140512-0a1b2c3d"
    assert len(job_prefix("x" * 60, RUN)) <= 50


def test_a_refusal_is_one_line_that_names_the_holder():
    assert "process 4711 on node1" in refusal(RUN)
    assert "\n" not in refusal(RUN)
    assert refusal(None) == refusal(replace(RUN, settled=True))


def test_the_lock_goes_to_one_process_only(holder, lock_file):
    with pytest.raises(RunError, match="another run works in this folder"):
        Lock(lock_file)
    assert peek(lock_file) is None


def test_the_lock_ends_with_its_process_though_a_child_lives_on(holder, lock_file):
    with pytest.raises(RunError):
        Lock(lock_file)
    holder.kill()
    holder.wait()
    free = Lock(lock_file)
    assert free.read() is None
    free.release()


def test_peeking_leaves_no_trace(lock_file):
    assert peek(lock_file) is None
    assert not lock_file.exists()


class Records:
    """Stands for Snakemake's records of outputs: when the job of each ended, which are incomplete."""

    def __init__(self, ends: dict[str, float]) -> None:
        self.ends = ends
        self.incomplete: set[str] = set()

    def _read_record(self, path):
        return SimpleNamespace(endtime=self.ends[path]) if path in self.ends else None

    def _mark_incomplete(self, path, jobid):
        self.incomplete.add(path)

    def _filter_incomplete_keys(self, paths):
        return self.incomplete & set(paths)


class Workflow:
    """Stands for Snakemake's: `run` is what happens while jobs run."""

    def __init__(self, records=None, *, main=True, run=lambda: None, running=()) -> None:
        self.is_main_process = main
        self.persistence = records or Records({})
        self.scheduler = SimpleNamespace(running=set(running))
        self.rules = [SimpleNamespace(output=[Pattern("results/{part}.txt", "results/[^/]+[.]txt")])]
        self.run = run
        self.built = 0
        self.execution_settings = SimpleNamespace(lock=True)
        self.dag_settings = SimpleNamespace(force_incomplete=False)
        self.storage_settings = SimpleNamespace(local_storage_prefix=Path(".snakemake/storage"))
        guard(self)

    def execute(self, *, executor_plugin, executor_settings, **others):
        self._build_dag()
        self.run()
        return "done"

    def _build_dag(self):
        self.built += 1

    def start(self, *, dry=False, settings=None):
        plugin = SimpleNamespace(common_settings=SimpleNamespace(dryrun_exec=dry))
        return self.execute(executor_plugin=plugin, executor_settings=settings, scheduler_plugin=None)


class Pattern(str):
    def __new__(cls, text, regex):
        return super().__new__(cls, text)

    def __init__(self, text, regex):
        self.regex = regex

    def match(self, path):
        return re.fullmatch(self.regex, path)


def last(lock_file: Path) -> Run:
    run = Run.from_bytes(lock_file.read_bytes())
    assert run is not None
    return run


def test_a_run_holds_the_lock_and_leaves_it_settled(lock_file):
    states = []
    assert Workflow(run=lambda: states.append(last(lock_file).settled)).start() == "done"
    assert states == [False]
    assert last(lock_file).settled
    assert last(lock_file).pid == os.getpid()


def test_cluster_jobs_are_named_after_the_run(lock_file):
    settings = SimpleNamespace(jobname_prefix="")
    Workflow().start(settings=settings)
    assert settings.jobname_prefix == last(lock_file).jobs == f"rushes-{last(lock_file).id}"


def test_jobs_inherit_the_name_of_their_run(lock_file):
    seen = []
    Workflow(run=lambda: seen.append(os.environ[leftovers.VARIABLE])).start()
    assert seen == [last(lock_file).id]


def test_a_failed_run_whose_jobs_have_ended_is_settled(lock_file):
    def fail():
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        Workflow(run=fail).start()
    assert last(lock_file).settled


def test_an_interrupted_run_with_running_jobs_is_not_settled(lock_file):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Workflow(run=interrupt, running=["job"]).start()
    assert not last(lock_file).settled


def test_a_second_run_is_refused_before_it_reads_anything(holder):
    from snakemake_interface_common.exceptions import ApiError

    workflow = Workflow()
    with pytest.raises(ApiError, match="another run works in this folder"):
        workflow.start()
    assert workflow.built == 0


def test_a_job_reads_the_snakefile_without_a_lock(holder):
    assert Workflow(main=False).start() == "done"


def test_a_dry_run_needs_no_lock(holder):
    assert Workflow().start(dry=True) == "done"


@pytest.fixture
def killed(lock_file: Path) -> Records:
    """A run was killed: `recorded` ended in time; `orphan`, `stale`, `folder` come from jobs that outlived it."""
    results = Path("results")
    results.mkdir()
    for name in ("recorded.txt", "orphan.txt", "stale.txt", "earlier.txt", "notes", ".part.n-1.orphan.txt"):
        (results / name).write_text("")
        os.utime(results / name, ns=(RUN.started_ns + 10**9, RUN.started_ns + 10**9))
    (results / "folder.txt").mkdir()
    for name in ("folder.txt/inside.txt", "folder.txt/.snakemake_timestamp"):
        (results / name).write_text("")
    before_s = RUN.started_ns / 1e9 - 10_000
    os.utime(results / "earlier.txt", (before_s, before_s))
    lock_file.parent.mkdir()
    lock_file.write_bytes(replace(RUN, jobs="", host=os.uname().nodename).to_bytes())
    ends = {"results/recorded.txt": RUN.started_ns / 1e9 + 1, "results/stale.txt": before_s}
    return Records(ends)


def test_outputs_without_a_record_of_their_own_are_made_again(killed, lock_file):
    Workflow(killed).start()
    assert killed.incomplete == {"results/orphan.txt", "results/stale.txt", "results/folder.txt"}
    assert last(lock_file).settled


def copy_of_an_object(prefix: Path) -> Path:
    copy = prefix / "s3" / "lab" / "p3" / "1.jpg"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"half")
    return copy


def test_copies_of_a_store_that_a_killed_run_left_are_gone_before_the_dag_is_made(killed):
    copy = copy_of_an_object(Path(".snakemake/storage"))
    Workflow(killed).start(dry=True)
    assert copy.exists()
    workflow, seen = Workflow(killed), []
    workflow._build_dag = lambda: seen.append(copy.exists())
    workflow.start()
    assert seen == [False]


def test_copies_in_a_folder_of_others_stay(killed, tmp_path):
    shared = copy_of_an_object(tmp_path / "scratch")
    workflow = Workflow(killed)
    workflow.storage_settings.local_storage_prefix = tmp_path / "scratch"
    workflow.start()
    assert shared.exists()


def test_a_dry_run_shows_what_is_made_again_and_writes_nothing(killed, lock_file):
    before = lock_file.read_bytes()
    Workflow(killed).start(dry=True)
    assert killed._filter_incomplete_keys(["results/orphan.txt", "results/recorded.txt"]) == {"results/orphan.txt"}
    assert killed.incomplete == set()
    assert lock_file.read_bytes() == before


def test_killed_while_it_cleans_up_a_run_leaves_the_work_to_the_next(killed, lock_file, monkeypatch):
    def dies(workflow, since_ns):
        raise KeyboardInterrupt

    before = lock_file.read_bytes()
    monkeypatch.setattr(leftovers, "make_again", dies)
    with pytest.raises(KeyboardInterrupt):
        Workflow(killed).start()
    assert lock_file.read_bytes() == before


def test_processes_of_a_killed_run_are_stopped_and_no_others():
    def sleeper(run: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(["sleep", "60"], env={**os.environ, leftovers.VARIABLE: run})

    orphan, other = sleeper(RUN.id), sleeper("another")
    try:
        assert leftovers.stop_processes(RUN.id) == 1
        orphan.wait(5)
        assert other.poll() is None
    finally:
        for process in (orphan, other):
            process.kill()
            process.wait()


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """squeue and scancel over a file of jobs."""
    queue = tmp_path / "queue"
    for name, body in {
        "squeue": f'cat "{queue}"',
        "scancel": f'for job; do sed -i "/^$job|/d" "{queue}"; done',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return queue


def test_jobs_of_a_killed_run_are_cancelled_and_no_others(slurm):
    slurm.write_text(f"7|{RUN.jobs}_1234\n8|{RUN.jobs}0_99\n9|other\n12_[1-3]|{RUN.jobs}_1234\n")
    slurm.write_text(slurm.read_text().replace("12_[1-3]", "12"))
    assert leftovers.cancel_jobs(RUN.jobs, "ada") == 2
    assert slurm.read_text() == f"8|{RUN.jobs}0_99\n9|other\n"


def test_jobs_that_cannot_be_cancelled_are_an_error_with_the_reason(slurm, monkeypatch):
    (slurm.parent / "squeue").write_text("#!/bin/sh\necho slurm_load_jobs: Unable to contact >&2; exit 1\n")
    monkeypatch.setattr(leftovers, "STOP_S", 0.1)
    with pytest.raises(RunError, match="Unable to contact"):
        leftovers.cancel_jobs(RUN.jobs, "ada")


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("results/media/{rig}/{recording}/a.mp4", "results/media"),
        ("results/reports/truth.tsv", "results/reports"),
        ("{name}.txt", ""),
        ("/scratch/x{n}/a", "/scratch"),
        ("a{{b}}/c/{n}", "a{{b}}/c"),
    ],
)
def test_the_fixed_folder_of_a_pattern(pattern, folder):
    assert leftovers.fixed_folder(pattern) == folder


def test_only_outermost_folders_are_walked():
    assert leftovers.outermost(["a/b", "a", "ab", "a/c", "b/c"]) == ["a", "ab", "b/c"]
    assert leftovers.outermost(["a", ""]) == [""]


SNAKEMAKE = [sys.executable, "-m", "snakemake", "--cores", "1"]


def write_workflow(folder: Path, shell: str) -> None:
    """One rule, which makes a.txt."""
    (folder / "Snakefile").write_text(
        f"import sys; sys.path.insert(0, {str(REPO)!r})\n"
        "from scripts.planning import run_lock\n"
        "run_lock.guard(workflow)\n"
        f"rule all:\n    output: 'a.txt'\n    shell: {shell!r}\n"
    )


def test_a_run_is_refused_by_snakemake_in_one_line_and_a_dry_run_is_not(holder, tmp_path):
    write_workflow(tmp_path, "touch {output}")

    def snakemake(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*SNAKEMAKE, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)

    refused = snakemake()
    assert refused.returncode == 1
    assert [line for line in refused.stderr.splitlines() if "Assuming" not in line] == [
        "Error: another run works in this folder: wait until it has ended"
    ]
    assert snakemake("-n").returncode == 0


def test_the_same_command_goes_on_after_a_kill_without_a_profile(tmp_path):
    write_workflow(tmp_path, "if test -e go; then echo whole > {output}; else touch {output} begun; sleep 60; fi")
    killed = subprocess.Popen(
        SNAKEMAKE, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert (tmp_path / "a.txt").read_text() == ""
    (tmp_path / "go").touch()
    for arguments in (["-n"], []):
        again = subprocess.run([*SNAKEMAKE, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert again.returncode == 0, again.stderr
        assert "lock" not in again.stderr
    assert (tmp_path / "a.txt").read_text() == "whole\n"


def test_a_file_system_without_locks_keeps_snakemake_s_own(lock_file, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    workflow = Workflow()
    workflow.start()
    assert not workflow.execution_settings.lock
    monkeypatch.setattr(run_lock.fcntl, "lockf", refuse)
    workflow = Workflow()
    workflow.start()
    assert workflow.execution_settings.lock


@pytest.mark.parametrize(
    ("prefix", "goes"),
    [
        (".snakemake/storage", True),
        ("./.snakemake/storage", True),
        (".snakemake", False),
        (".", False),
        ("../shared cache", False),
        ("copies", False),
        (".snakemake/../data", False),
    ],
)
def test_only_copies_below_snakemakes_own_folder_are_removed(tmp_path, monkeypatch, prefix, goes):
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    Path(".snakemake").mkdir()
    kept = Path(prefix) / "s3" / "object"
    kept.parent.mkdir(parents=True)
    kept.touch()
    leftovers.remove_copies(SimpleNamespace(storage_settings=SimpleNamespace(local_storage_prefix=Path(prefix))))
    assert kept.exists() != goes
