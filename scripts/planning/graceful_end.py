"""What Snakemake does when it is told to end by SIGTERM: it starts nothing more, and ends when what runs is done."""

import threading
from functools import cache
from typing import Any


@cache
def guard() -> None:
    """Let Snakemake hear the signal at every moment.

    Its handler takes a lock that the thread it interrupts may hold, as while the end of a job is being noted, and would
    wait for itself for ever: so the handler runs in a thread of its own.
    """
    from snakemake.scheduling.job_scheduler import JobScheduler

    handle = JobScheduler.exit_gracefully

    def in_a_thread(scheduler: Any, *_: Any) -> None:
        threading.Thread(target=handle, args=(scheduler,), daemon=True).start()

    JobScheduler.exit_gracefully = in_a_thread
