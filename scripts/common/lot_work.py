"""Work on the items of a lot: in parallel, with a status an item, and going on where a killed job was."""

import errno
import logging
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import forkserver
from typing import Any

from scripts.common.errors import InputError, RunError, unexpected
from scripts.common.job import progress
from scripts.common.told_to_end import die_when_interrupted
from scripts.common.working import Status, Working

log = logging.getLogger("rushes")
# What OpenMP, OpenBLAS and OpenCV ask for the number of their threads.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
# The disk, the set-up: what the next item would meet, too.
MACHINE = (OSError, ImportError, RunError)
# Where the status of an item has a traceback on its way to the log.
TRACE = "trace"


def work_on(
    function: Callable[[Any], Status],
    tasks: Mapping[str, Any],
    working: Working,
    processes: int,
    what: str,
    *,
    batch: int = 1,
) -> dict[str, Status]:
    """The status of every task, from `function(task)` in a process of its own, in the order of `tasks`.

    An InputError becomes a status with outcome `failed`, and so does what nobody foresaw; see `failure`. A task that
    brings its process down fails alone. Raises TypeError for a function of the main program.
    function: it stands in a module other than the rule's script, which processes find by its name.
    batch: so many tasks are handed to a process at once; worth it where they are short.
    """
    # Snakemake runs the script of a rule as the main program, which is hidden from processes.
    if getattr(function, "__module__", "") == "__main__":
        raise TypeError(f"{function.__name__} stands in the script of its rule; move it to a module of its own")
    ended = {key: status for key, status in working.ended().items() if key in tasks}
    waiting = {key: task for key, task in tasks.items() if key not in ended}
    for key in list(_side_by_side(function, waiting, working, ended, processes, what, batch)):
        # It was at work, or waiting, when a process died: alone, it shows whether it is to blame.
        status = logged(_alone(function, key, waiting[key]))
        working.end(status)
        ended[key] = status
    return {key: ended[key] for key in tasks}


def _side_by_side(
    function: Callable[[Any], Status],
    waiting: Mapping[str, Any],
    working: Working,
    ended: dict[str, Status],
    processes: int,
    what: str,
    batch: int,
) -> Iterator[str]:
    """Fill `ended`; yields what was not finished when a process died."""
    if not waiting:
        return
    with _pool(min(processes, len(waiting)), function) as pool:
        futures: list[Future[list[Status]]] = []
        done = 0
        try:
            with _hidden_main():
                listed = list(waiting.items())
                groups = [listed[first : first + batch] for first in range(0, len(listed), batch)]
                futures = [pool.submit(_guarded_group, function, group) for group in groups]
            for future in as_completed(futures):
                statuses = [logged(status) for status in future.result()]
                working.end(*statuses)
                ended |= {status["key"]: status for status in statuses}
                done += len(statuses)
                progress(done, len(waiting), what)
        except BrokenProcessPool:
            log.warning("a process died; the items are done one by one")
            yield from (key for key in waiting if key not in ended)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _pool(processes: int, function: Callable[[Any], Status]) -> ProcessPoolExecutor:
    # A fork of this process could inherit the locks of its threads, and hang; so processes are forks of a server that
    # has imported what they need, and has no threads.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([function.__module__])
    with _calm_children():
        forkserver.ensure_running()
    return ProcessPoolExecutor(processes, context, die_when_interrupted)


@contextmanager
def _calm_children() -> Iterator[None]:
    """Processes that start here find our modules, which the server would not look for where Snakemake did.

    And each has one thread, for they share the cores already.
    """
    known = {name: os.environ.get(name) for name in ("PYTHONPATH", *ONE_THREAD)}
    os.environ |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **dict.fromkeys(ONE_THREAD, "1")}
    try:
        yield
    finally:
        for name, value in known.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _hidden_main() -> Iterator[None]:
    """Processes that start here do not run the main program again: what they do stands in modules."""
    main = sys.modules["__main__"]
    kept: dict[str, Any] = {name: vars(main).pop(name) for name in ("__file__", "__spec__") if name in vars(main)}
    main.__spec__ = None
    try:
        yield
    finally:
        vars(main).update(kept)


def _guarded_group(function: Callable[[Any], Status], group: Sequence[tuple[str, Any]]) -> list[Status]:
    return [_guarded(function, key, task) for key, task in group]


def _guarded(function: Callable[[Any], Status], key: str, task: Any) -> Status:
    try:
        return {"key": key, "outcome": "written", "reason": "", "message": "", **function(task)}
    except Exception as error:
        return failure(key, error)


def _alone(function: Callable[[Any], Status], key: str, task: Any) -> Status:
    with _pool(1, function) as pool, _hidden_main():
        try:
            pool.submit(_received, function, task).result()
        except BrokenProcessPool as error:
            raise RunError(f"a process died before it began with {key}; what it said last stands above") from error
        try:
            return pool.submit(_guarded, function, key, task).result()
        except BrokenProcessPool:
            return failed(key, InputError("crashed", "its decoder brought the process down"))


def _received(function: Callable[[Any], Status], task: Any) -> None:
    """Nothing: a process that was told what to do, and with what, and lives, can begin."""


def failed(key: str, error: InputError) -> Status:
    """The status of an item that failed."""
    return {"key": key, "outcome": "failed", "reason": error.reason, "message": error.message}


def failure(key: str, error: Exception) -> Status:
    """The status of an item that `error` ended, to be `logged`; raises it again where it is no fault of the item's.

    What nobody foresaw is a row of the ledger for this item, and a traceback in the log of its job.
    """
    if isinstance(error, InputError):
        return failed(key, error)
    if isinstance(error, MemoryError):
        return failed(key, InputError("too_large", "it does not fit into memory"))
    # Some demuxers say EPERM when they give up.
    if isinstance(error, MACHINE) and getattr(error, "errno", None) != errno.EPERM:
        raise error
    return failed(key, unexpected(error)) | {TRACE: "".join(traceback.format_exception(error))}


def trace_of(status: Status) -> Status:
    """The traceback alone that `failure` put into a status, if it did."""
    return {name: value for name, value in status.items() if name == TRACE}


def logged(status: Status) -> Status:
    """The status without its traceback, which goes to the job's log, and not to the terminal."""
    if TRACE in status:
        logging.getLogger().error("%s\n%s", status["key"], status[TRACE])
    return {name: value for name, value in status.items() if name != TRACE}
