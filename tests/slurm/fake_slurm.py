"""A SLURM of one machine, for tests without SLURM: it runs jobs as local processes and notes every call.

The commands are links to this file, named sbatch, squeue, …; FAKE_SLURM names the folder of its state:
`calls.jsonl` (one JSON list a call) and `jobs/<id>.json`. A minute of a job's time limit lasts
FAKE_SLURM_MINUTE_S seconds. There is no queue: jobs start at once.
"""

import argparse
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo", "srun", "sacct")
ENDED = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED")

STATE = Path(os.environ.get("FAKE_SLURM", "."))
MINUTE_S = float(os.environ.get("FAKE_SLURM_MINUTE_S", "60"))


def install(folder: Path) -> None:
    """Put the commands into folder/bin, and the state beside them."""
    (folder / "bin").mkdir(parents=True)
    (folder / "jobs").mkdir()
    for command in COMMANDS:
        program = folder / "bin" / command
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{__file__}" {command} "$@"\n')
        program.chmod(0o755)


def job_file(number: str) -> Path:
    return STATE / "jobs" / f"{number}.json"


def write_job(number: str, **job: Any) -> None:
    part = job_file(number).with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(job))
    part.replace(job_file(number))


def read_jobs() -> dict[str, dict[str, Any]]:
    files = sorted((STATE / "jobs").glob("*.json"), key=lambda file: int(file.stem))
    return {file.stem: json.loads(file.read_text()) for file in files}


def new_number() -> str:
    with open(STATE / "numbers", "a+") as numbers:
        fcntl.flock(numbers, fcntl.LOCK_EX)
        # Another sbatch may have written since the file was opened.
        numbers.seek(0, os.SEEK_END)
        number = str(numbers.tell() + 1)
        numbers.write(".")
        return number


def sbatch(arguments: list[str]) -> None:
    """Start the job in its own session and print its number."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for option in ("--job-name", "--output", "--wrap", "--gpus"):
        parser.add_argument(option)
    parser.add_argument("-t", dest="minutes", type=int, default=60)
    parser.add_argument("-D", dest="folder", default=".")
    options, _ = parser.parse_known_args(arguments)
    number = new_number()
    environment = {**os.environ, "SLURM_JOB_ID": number, "SLURM_JOBID": number}
    if options.gpus:
        environment |= {"SLURM_GPUS": options.gpus, "CUDA_VISIBLE_DEVICES": "0"}
    write_job(number, name=options.job_name, state="RUNNING", pid=0)
    limit_s = options.minutes * MINUTE_S
    with open(options.output.replace("%j", number), "w") as log:
        subprocess.Popen(
            [sys.executable, "-S", __file__, "step", number, str(limit_s), options.job_name, options.wrap],
            env=environment,
            cwd=options.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    print(number)


def step(arguments: list[str]) -> None:
    """Run a job to its end, or to its limit."""
    number, limit_s, name, command = arguments
    job = subprocess.Popen(["/bin/sh", "-c", command], start_new_session=True)
    write_job(number, name=name, state="RUNNING", pid=job.pid)
    try:
        state = "COMPLETED" if job.wait(timeout=float(limit_s)) == 0 else "FAILED"
    except subprocess.TimeoutExpired:
        kill_session(job.pid)
        job.wait()
        state = "TIMEOUT"
    if read_jobs()[number]["state"] == "RUNNING":
        write_job(number, name=name, state=state, pid=job.pid)


def kill_session(pid: int) -> None:
    """Kill every process of a job: its session, in which srun and the rest stay."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[3]) == pid:
                os.kill(int(stat.parent.name), signal.SIGKILL)
        except (OSError, IndexError):
            continue


def squeue(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for option in ("--format", "--states", "--name", "--user"):
        parser.add_argument(option)
    options, _ = parser.parse_known_args(arguments)
    for number, job in read_jobs().items():
        if options.name not in (None, job["name"]) or (job["state"] in ENDED and options.states != "all"):
            continue
        print(options.format.replace("%i", number).replace("%j", job["name"]).replace("%T", job["state"]))


def scancel(arguments: list[str]) -> None:
    jobs = read_jobs()
    for number in arguments:
        if number in jobs and jobs[number]["state"] == "RUNNING":
            write_job(number, **{**jobs[number], "state": "CANCELLED"})
            kill_session(jobs[number]["pid"])


def scontrol(arguments: list[str]) -> None:
    print("MaxArraySize            = 1001\nMinJobAge               = 300 sec")


def sinfo(arguments: list[str]) -> None:
    print("PARTITION\ncpu*\ngpu")


def srun(arguments: list[str]) -> None:
    while arguments and arguments[0].startswith("-"):
        arguments.pop(0)
    os.execvp(arguments[0], arguments)


def sacct(arguments: list[str]) -> None:
    sys.exit("Slurm accounting storage is disabled")


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    if command != "step":
        with open(STATE / "calls.jsonl", "a") as calls:
            calls.write(json.dumps([time.time(), command, *rest]) + "\n")
    globals()[command](rest)
