"""The error lines of a run's failed jobs, gathered from their logs, so that they can be repeated together."""

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

# This process reads the Snakefile once, before any job.
_START = time.time()

# How scripts/common/job.py begins the last message of a job that failed.
MARK = "FAILED "
TAIL_BYTES = 8192
LOG_OF_FAILED = re.compile(r"^ +log: (.+) \(check log file\(s\) for error details\)$", re.MULTILINE)


def summary(logs: str, records: Iterable[str]) -> str:
    """What went wrong since this process began, all in one place; empty if no log says anything.

    records: Snakemake's own logs of this run.
    """
    lines = failed_lines(Path(logs), _START)
    lines += [line for record in records for line in silent_lines(Path(record))]
    many = "s" if len(lines) > 1 else ""
    return "\n".join([f"{len(lines)} job{many} failed:", *lines]) if lines else ""


def failed_lines(logs: Path, since: float) -> list[str]:
    """The last words of every job below `logs` that failed after `since` (seconds of the epoch), sorted."""
    return sorted(line for log in logs.rglob("*.log") for line in _last_failure(log, since))


def silent_lines(record: Path) -> list[str]:
    """A line for every job that failed, as Snakemake has it in `record`, and could not say why, as on a full disk."""
    try:
        logs = dict.fromkeys(LOG_OF_FAILED.findall(record.read_text(errors="replace")))
    except OSError:
        return []
    silent = [log for log in logs if _is_empty(Path(log))]
    return [f"{log} is empty, as on a full disk; what the job said stands above" for log in silent]


def _is_empty(log: Path) -> bool:
    try:
        return not log.stat().st_size
    except OSError:
        return True


def _last_failure(log: Path, since: float) -> Iterator[str]:
    try:
        if log.stat().st_mtime < since:
            return
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return
    _, mark, message = text.rpartition(MARK)
    if mark:
        yield message.strip()
