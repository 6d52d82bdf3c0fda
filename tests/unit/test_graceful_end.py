"""A run that is told to end while it notes the end of a job does not wait for itself."""

import threading

from snakemake.scheduling.job_scheduler import JobScheduler

from scripts.planning import graceful_end


def test_snakemake_hears_a_signal_while_it_holds_its_own_lock():
    graceful_end.guard()
    scheduler = object.__new__(JobScheduler)
    scheduler._lock, scheduler._open_jobs, scheduler._user_kill = threading.Lock(), threading.Semaphore(0), None
    with scheduler._lock:
        # As Python calls it in the main thread, between two steps of what that does.
        scheduler.exit_gracefully(15, None)
        assert scheduler._user_kill is None
    assert scheduler._open_jobs.acquire(timeout=10)
    assert scheduler._user_kill == "graceful"
