"""The error lines of a run's failed jobs, gathered from their logs, so that they can be repeated together."""

import time
from collections.abc import Iterator
from pathlib import Path

# This process reads the Snakefile once, before any job.
_START = time.time()

# How scripts/common/job.py begins the last message of a job that failed.
MARK = "FAILED "
TAIL_BYTES = 8192


def summary(logs: str) -> str:
    """What went wrong since this process began, all in one place; empty if no log says anything."""
    lines = failed_lines(Path(logs), _START)
    many = "s" if len(lines) > 1 else ""
    return "\n".join([f"{len(lines)} job{many} failed:", *lines]) if lines else ""


def failed_lines(logs: Path, since: float) -> list[str]:
    """The last words of every job below `logs` that failed after `since` (seconds of the epoch), sorted."""
    return sorted(line for log in logs.rglob("*.log") for line in _last_failure(log, since))


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
