"""Why the jobs of a run failed, gathered from their logs and from Snakemake's, so that it can be repeated together."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# This process reads the Snakefile once, before any job.
_START = time.time()

# How scripts/common/job.py begins the last message of a job that failed.
MARK = "FAILED "
TAIL_BYTES = 8192
# What Snakemake notes of a job: how it is announced, that it failed, that it left nothing, that it ended well.
EVENT = re.compile(
    r"^(?:local)?(?:rule|checkpoint) (?P<rule>\S+):\n(?P<before>(?: {4}.*\n)*?) {4}jobid: (?P<announced>\d+)\n"
    r"|^Error in rule (?P<failing>\S+):\n(?: {4}message: (?P<message>(?:.*\n)*?))? {4}jobid: (?P<failed>\d+)\n"
    r"(?P<after>(?: {4}.*\n)*)"
    r"|^MissingOutputException in rule (?P<leaving>\S+) in file .*\n"
    r"Job (?P<left>\d+) +completed successfully, but some output files are missing.*\n(?P<file>.*) \(missing"
    r"|^Finished jobid: (?P<finished>\d+)\b",
    re.MULTILINE,
)
LOG = re.compile(r"^ {4}log: (.+?)(?: \(check log file\(s\) for error details\))?$", re.MULTILINE)
STATUS = re.compile(r"SLURM status is: '(\w+)'")
# What SLURM says of every job that ends by itself and not well, whatever the reason.
OF_ITSELF = "FAILED"
# What the executor adds to a message: it helps nobody to find the reason.
NO_REASON = re.compile(r" ?(sbatch call:|sbatch script:|For further error details|None$).*")


@dataclass(frozen=True)
class Failure:
    """A job as Snakemake saw it fail. log: its own; cluster_log: SLURM's of it; message: Snakemake's; "": none."""

    rule: str
    log: str
    cluster_log: str = ""
    message: str = ""


def summary(logs: str, records: Iterable[str]) -> str:
    """What went wrong since this process began, once for each job; empty if no log says anything.

    logs: folder of the jobs' own.  records: Snakemake's own logs of this run.
    """
    words = failed_words(Path(logs), _START)
    failures = [failure for record in records for failure in read_failures(Path(record))]
    lines = [reason(failure, words.pop(Path(failure.log), "")) for failure in failures]
    lines = sorted([*lines, *words.values()])
    many = "s" if len(lines) > 1 else ""
    return "\n".join([f"{len(lines)} job{many} failed:", *lines]) if lines else ""


def failed_words(logs: Path, since: float) -> dict[Path, str]:
    """The last words of every job below `logs` that failed after `since` (seconds of the epoch), by its log."""
    return {log: words for log in logs.rglob("*.log") if (words := _last_words(log, since))}


def read_failures(record: Path) -> list[Failure]:
    """The jobs of Snakemake's log `record` that failed, and at no later attempt ended well."""
    try:
        text = record.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    logs: dict[str, str] = {}
    failures: dict[str, Failure] = {}
    for event in EVENT.finditer(text):
        if number := event["announced"]:
            logs[number] = _log(event["before"])
        elif number := event["failed"]:
            both = _log(event["after"])
            own = logs.get(number) or both.partition(", ")[0]
            message = NO_REASON.sub("", " ".join((event["message"] or "").split()))
            failures[number] = Failure(event["failing"], own, both.removeprefix(own).removeprefix(", "), message)
        elif number := event["left"]:
            message = f"it ended well, but {event['file']} is missing"
            failures[number] = Failure(event["leaving"], logs.get(number, ""), message=message)
        else:
            failures.pop(event["finished"], None)
    return list(failures.values())


def reason(failure: Failure, words: str) -> str:
    """Why a job failed, in one line. words: its own last ones, "" if it said none."""
    status = STATUS.search(failure.message)
    said = failure.message
    if status:
        said = f"SLURM says {status[1]}" if status[1] != OF_ITSELF else ""
    if words:
        return f"{words}; {said}" if status and said else words
    if not said and not failure.cluster_log and not _is_written(Path(failure.log)):
        return f"{failure.log} is empty, as of a job that is killed, or on a full disk; what it said stands above"
    said = said or "its log does not say why, as when a job is killed"
    return f"{failure.rule}: {said}  (log: {', '.join(filter(None, [failure.log, failure.cluster_log]))})"


def _log(entries: str) -> str:
    found = LOG.search(entries)
    return found[1] if found else ""


def _last_words(log: Path, since: float) -> str:
    try:
        if log.stat().st_mtime < since:
            return ""
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    _, mark, words = text.rpartition(MARK)
    return words.strip() if mark else ""


def _is_written(log: Path) -> bool:
    return log.is_file() and log.stat().st_size > 0
