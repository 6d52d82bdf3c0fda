"""What a killed run leaves behind: jobs that still run, and files that nobody recorded.

Jobs that still run would write over the next run's results, perhaps by an older config. They are found by
what they inherited: cluster jobs by the beginning of their name, local processes by the environment variable
RUSHES_RUN.

A cluster job that outlives its run finishes its files and clears their mark of being incomplete, but only the
run could have recorded how they were made. Such files look done for ever, and a later change of a parameter
passes them by. So they are marked as incomplete again. Local copies of a store's objects are removed.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from typing import Any

from scripts.common.errors import RunError
from scripts.common.folder_entries import SNAKEMAKES, STAMP

VARIABLE = "RUSHES_RUN"
STOP_S = 120.0  # the longest wait for jobs to be gone
CLOCKS_NS = 600 * 10**9  # by how much the clocks of machines and file systems may disagree


def jobs_of_run(squeue: str, prefix: str) -> list[str]:
    """Ids of the jobs of one run, from lines `id|name`."""
    rows = (line.strip().partition("|") for line in squeue.splitlines())
    return [number for number, _, name in rows if name == prefix or name.startswith(f"{prefix}_")]


def fixed_folder(pattern: str) -> str:
    """The folder that holds every file of a pattern: what stands before its first wildcard."""
    return os.path.dirname(re.split(r"(?<!\{)\{(?!\{)", pattern, maxsplit=1)[0])


def outermost(folders: Iterable[str]) -> list[str]:
    """The folders that lie in no other one of them."""
    kept: list[str] = []
    for folder in sorted(set(folders)):
        if not any(outer in ("", folder) or folder.startswith(f"{outer}/") for outer in kept):
            kept.append(folder)
    return kept


def is_recorded(written_ns: int, end_s: float | None) -> bool:
    """Whether a file's record is that of the job which wrote it: it keeps the file's own time as the end."""
    return end_s is not None and abs(written_ns / 1e9 - end_s) < 1


def written_since(folders: Iterable[str], since_ns: int) -> Iterator[tuple[str, int]]:
    """Files modified since, with their times.

    A folder that is an output as a whole stands for what is in it; its time is that of Snakemake's stamp. Hidden
    files and folders are nobody's output.
    """
    for folder in folders:
        for parent, names, files in os.walk(folder or "."):
            names[:] = [name for name in names if not name.startswith(".")]
            found = [(os.path.join(parent, name),) * 2 for name in files if not name.startswith(".")]
            if STAMP in files:
                names.clear()
                found = [(parent, os.path.join(parent, STAMP))]
            for output, stamp in found:
                try:
                    written_ns = os.stat(stamp).st_mtime_ns
                except OSError:
                    continue  # a dangling link, or just gone
                if written_ns >= since_ns:
                    yield output if folder else output.removeprefix("./"), written_ns


def unrecorded_outputs(workflow: Any, since_ns: int) -> list[str]:
    """Outputs of the workflow's rules, written since by jobs whose end Snakemake did not see."""
    patterns = [pattern for rule in workflow.rules for pattern in rule.output]
    folders = outermost(fixed_folder(str(pattern)) for pattern in patterns)

    def end_s(path: str) -> float | None:
        record = workflow.persistence._read_record(path)
        return record.endtime if record else None

    return [
        path
        for path, written_ns in written_since(folders, since_ns - CLOCKS_NS)
        if not is_recorded(written_ns, end_s(path)) and any(pattern.match(path) for pattern in patterns)
    ]


def make_again(workflow: Any, since_ns: int) -> None:
    """Mark every unrecorded output as incomplete: Snakemake's own word for "to be made again"."""
    persistence = workflow.persistence
    unrecorded = unrecorded_outputs(workflow, since_ns)
    looks_done = sorted(set(unrecorded) - persistence._filter_incomplete_keys(unrecorded))
    for path in looks_done:
        persistence._mark_incomplete(path, None)
    if looks_done:
        say(f"{len(looks_done)} outputs that a killed run left without a record are made again.")


def show_again(workflow: Any, since_ns: int) -> None:
    """The same for a dry run: in memory only."""
    unrecorded = set(unrecorded_outputs(workflow, since_ns))
    marked = workflow.persistence._filter_incomplete_keys

    def marked_or_unrecorded(keys: Iterable[str]) -> set[str]:
        keys = set(keys)
        found: set[str] = marked(keys)
        return found | (unrecorded & keys)

    workflow.persistence._filter_incomplete_keys = marked_or_unrecorded


def remove_copies(workflow: Any) -> None:
    """Remove the local copies of a store's objects that a killed run left: nobody knows which of them are whole.

    A run that comes to its end removes its own. Snakemake would take a folder of which half came for all of it, and
    one that it removes itself, after it has looked whether it is there, for write-protected. Copies elsewhere than
    below Snakemake's own folder may be another run's, and beside other things.
    """
    copies = os.path.realpath(workflow.storage_settings.local_storage_prefix)
    if copies.startswith(os.path.join(os.path.realpath(SNAKEMAKES), "")):
        shutil.rmtree(copies, ignore_errors=True)


def stop_processes(run_id: str) -> int:
    """Kill the processes of this machine that a run has left, and say how many there were."""
    import psutil  # only after a crash

    def left() -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get(VARIABLE) == run_id:
                    yield process
            except (psutil.Error, OSError):
                continue  # gone, a zombie, or somebody else's

    deadline = time.monotonic() + STOP_S
    stopped = set()
    while found := list(left()):
        if time.monotonic() > deadline:
            numbers = " ".join(str(process.pid) for process in found)
            raise RunError(f"processes of a killed run cannot be stopped; try: kill -9 {numbers}")
        for process in found:
            stopped.add(process.pid)
            try:
                process.kill()
            except psutil.Error:
                continue
        psutil.wait_procs(found, timeout=1)
    return len(stopped)


def cancel_jobs(prefix: str, user: str) -> int:
    """Cancel the jobs that a run has left on SLURM, wait until they are gone, and say how many there were."""
    if not shutil.which("squeue"):
        raise RunError("a killed run may have left jobs on SLURM, which this machine does not know")
    deadline = time.monotonic() + STOP_S
    cancelled: set[str] = set()
    looks = 0
    while looks < 2:  # twice without a job: a submission that was under way may still arrive
        queue = _ask("squeue", "--noheader", "--user", user, "--format", "%i|%j")
        left = jobs_of_run(queue.stdout, prefix)
        if queue.returncode == 0:
            looks = 0 if left else looks + 1
        if time.monotonic() > deadline:
            why = queue.stderr.strip().splitlines() or [f"{len(left)} do not end"]
            raise RunError(f"the jobs that a killed run left cannot be cancelled ({why[-1]})")
        if new := [job for job in left if job not in cancelled]:
            _ask("scancel", *new)
            cancelled.update(new)
        time.sleep(0.5)
    return len(cancelled)


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]} does not answer")


def say(message: str) -> None:
    """One line for the user, by Snakemake's own logger."""
    from snakemake.logging import logger

    logger.warning(message)
