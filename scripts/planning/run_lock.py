"""One run of a folder at a time, and a clean start after a killed one.

Snakemake's own lock outlives a killed run and must be lifted by hand, and what that run left half done is refused
without `--rerun-incomplete`; both are switched off, with a profile or without one. This lock, on
`.snakemake/rushes.lock`, is a POSIX record lock: it ends with the process that took it, whichever way that ends,
and no child inherits it. The file also says which run held it last, and whether that run saw every job of its own
end. If it did not (killed, interrupted), the next run first stops what still runs, and marks as incomplete what was
written without a record (`leftovers.py`).

`guard(workflow)` in the Snakefile is all that a workflow needs. A dry run takes no lock and changes nothing,
but shows what would be made again. Jobs, which read the Snakefile once more, pass.
"""

import errno
import fcntl
import getpass
import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from scripts.common.errors import RunError
from scripts.planning import leftovers

LOCK = Path(".snakemake/rushes.lock")
JOB_PREFIX = "rushes"

RECORD_BYTES = 1024
NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
ATTEMPT_S = 1.0  # a dry run that looks at the lock holds it for an instant


@dataclass(frozen=True)
class Run:
    """What the lock file says of the last run.

    started_ns: Unix time. jobs: what the names of its cluster jobs begin with, "" if it had none.
    settled: every job that it started was seen to end.
    """

    id: str
    host: str
    pid: int
    user: str
    started_ns: int
    jobs: str = ""
    settled: bool = False

    def to_bytes(self) -> bytes:
        """A record of fixed length, so that one write replaces another."""
        return json.dumps(asdict(self)).ljust(RECORD_BYTES - 1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, record: bytes) -> Self | None:
        """None for a new lock file. A record that makes no sense is a run of which nothing is known."""
        if not record.strip(b"\0 \n"):
            return None
        try:
            return cls(**json.loads(record))
        except (ValueError, TypeError):
            return cls("", socket.gethostname(), 0, getpass.getuser(), 0)


def new_run(now_ns: int) -> Run:
    """This process as a run that begins now."""
    start = datetime.fromtimestamp(now_ns / 1e9).strftime("%m%d-%H%M%S")
    return Run(f"{start}-{os.urandom(4).hex()}", socket.gethostname(), os.getpid(), getpass.getuser(), now_ns)


def job_prefix(site_prefix: str | None, run: Run) -> str:
    """What the names of a run's cluster jobs begin with; at most 50 letters, digits, - and _ are allowed."""
    return f"{(site_prefix or JOB_PREFIX)[:24]}-{run.id}"


def _ends(holder: Run) -> str:
    # Of a local run both let what runs come to its end; of a cluster's the one cancels what was submitted.
    return f"kill -INT {holder.pid} (its cluster jobs are cancelled)" if holder.jobs else f"kill {holder.pid}"


def refusal(holder: Run | None) -> str:
    """Why a second run cannot start beside `holder`."""
    if holder is None or holder.settled or not holder.pid:
        return "another run works in this folder: wait until it has ended"
    since = datetime.fromtimestamp(holder.started_ns / 1e9).strftime("%H:%M:%S")
    return (
        f"another run works in this folder since {since} (process {holder.pid} on {holder.host}): "
        f"wait until it has ended, or end it with: {_ends(holder)}"
    )


class Lock:
    """The lock file, held by this process."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises RunError if another process holds it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        # No second descriptor of this file may be closed while the lock is held: POSIX would drop it.
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        locked = _locked(self._file, fcntl.LOCK_EX)
        # Whether a second run would be refused.
        self.excludes = bool(locked)
        if locked is False:
            holder = self.read()
            os.close(self._file)
            raise RunError(refusal(holder))

    def read(self) -> Run | None:
        """The run that held the lock last."""
        return Run.from_bytes(os.pread(self._file, RECORD_BYTES, 0))

    def write(self, run: Run) -> None:
        """Say which run holds the lock now."""
        os.pwrite(self._file, run.to_bytes(), 0)
        os.fsync(self._file)

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._file)


def peek(path: Path) -> Run | None:
    """The last run of this folder; None if there was none, or if it is still on."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return Run.from_bytes(os.pread(file, RECORD_BYTES, 0)) if _locked(file, fcntl.LOCK_SH) is not False else None
    finally:
        os.close(file)


def _locked(file: int, kind: int) -> bool | None:
    """Try for ATTEMPT_S to lock a file. None, with a warning, where the file system has no locks at all."""
    deadline = time.monotonic() + ATTEMPT_S
    while True:
        try:
            fcntl.lockf(file, kind | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno in NO_LOCKS_HERE:
                leftovers.say("This file system has no locks: a second run may go unnoticed.")
                return None
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)


def guard(workflow: Any) -> None:
    """Let the workflow run only alone in its folder, and only after what a killed run left is settled.

    Called by the Snakefile, once. Snakemake has no hook between its command line and the making of the DAG,
    so this takes the place of `Workflow.execute`, which --lint, --report, --unlock and such do not reach.
    """
    if not workflow.is_main_process:
        return
    execute = workflow.execute

    def guarded(*, executor_plugin: Any, executor_settings: Any, **others: Any) -> Any:
        from snakemake_interface_common.exceptions import ApiError  # printed as one line

        def go() -> Any:
            return execute(executor_plugin=executor_plugin, executor_settings=executor_settings, **others)

        workflow.dag_settings.force_incomplete = True
        if executor_plugin.common_settings.dryrun_exec:
            return _dry_run(workflow, go)
        try:
            return _run_alone(workflow, executor_settings, go)
        except RunError as reason:
            raise ApiError(str(reason)) from None

    workflow.execute = guarded


def _run_alone(workflow: Any, executor_settings: Any, go: Callable[[], Any]) -> Any:
    run = new_run(time.time_ns())
    if hasattr(executor_settings, "jobname_prefix"):
        run = replace(run, jobs=job_prefix(executor_settings.jobname_prefix, run))
        executor_settings.jobname_prefix = run.jobs
    lock = Lock(LOCK)
    if lock.excludes:
        workflow.execution_settings.lock = False
    begun = False

    def begin() -> None:
        nonlocal begun
        lock.write(run)
        os.environ[leftovers.VARIABLE] = run.id
        begun = True

    try:
        before = lock.read()
        if before is None or before.settled:
            begin()
        else:
            _stop_what_is_left(before)

            def settle() -> None:
                leftovers.remove_copies(workflow)
                leftovers.make_again(workflow, before.started_ns)
                begin()  # only now: killed before this, the run before is still the one to clean up after

            _before_dag(workflow, settle)
        return go()
    finally:
        if begun and not _has_running_jobs(workflow):
            lock.write(replace(run, settled=True))
        lock.release()


def _dry_run(workflow: Any, go: Callable[[], Any]) -> Any:
    workflow.execution_settings.lock = False
    before = peek(LOCK)
    if before is not None and not before.settled:
        _before_dag(workflow, lambda: leftovers.show_again(workflow, before.started_ns))
    return go()


def _stop_what_is_left(run: Run) -> None:
    processes = jobs = 0
    if run.host != socket.gethostname():
        leftovers.say(f"The run before was killed on {run.host}: local jobs that it left there still run.")
    elif run.id:
        processes = leftovers.stop_processes(run.id)  # first: one of them may be about to submit a job
    if run.jobs:
        try:
            jobs = leftovers.cancel_jobs(run.jobs, run.user)
        except RunError as reason:
            by_hand = f"cancel those whose names begin with {run.jobs}, then remove {LOCK}"
            raise RunError(f"{reason}: {by_hand}") from None
    if jobs or processes:
        leftovers.say(f"Stopped what a killed run had left: {jobs} cluster jobs, {processes} processes.")


def _before_dag(workflow: Any, action: Callable[[], None]) -> None:
    """Let `action` come between the opening of Snakemake's records and the making of the DAG."""
    build = workflow._build_dag

    def build_after_action() -> None:
        workflow._build_dag = build
        action()
        build()

    workflow._build_dag = build_after_action


def _has_running_jobs(workflow: Any) -> bool:
    return workflow.scheduler is not None and bool(workflow.scheduler.running)
