"""Work on the items of a lot: in parallel, with a status an item, and going on where a killed job was."""

import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from scripts.common.errors import InputError
from scripts.common.job import progress
from scripts.common.working import Status, Working

log = logging.getLogger("rushes")


def work_on(
    function: Callable[[Any], Status], tasks: Mapping[str, Any], working: Working, processes: int, what: str
) -> dict[str, Status]:
    """The status of every task, from `function(task)` in a process of its own, in the order of `tasks`.

    An InputError becomes a status with outcome `failed`. A task that brings its process down fails alone.
    """
    ended = {key: status for key, status in working.ended().items() if key in tasks}
    waiting = {key: task for key, task in tasks.items() if key not in ended}
    for key in list(_side_by_side(function, waiting, working, ended, processes, what)):
        # It was at work, or waiting, when a process died: alone, it shows whether it is to blame.
        status = _alone(function, key, waiting[key])
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
) -> Iterator[str]:
    """Fill `ended`; yields what was not finished when a process died."""
    if not waiting:
        return
    with _pool(min(processes, len(waiting))) as pool:
        futures: dict[Future[Status], str] = {}
        try:
            futures = {pool.submit(_guarded, function, key, task): key for key, task in waiting.items()}
            for done, future in enumerate(as_completed(futures), 1):
                status = future.result()
                working.end(status)
                ended[futures[future]] = status
                progress(done, len(futures), what)
        except BrokenProcessPool:
            log.warning("a process died; the items are done one by one")
            yield from (key for key in waiting if key not in ended)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _pool(processes: int) -> ProcessPoolExecutor:
    # A fork shares what is imported: a spawned process would import it all again, which takes longer than a clip.
    return ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), initializer=_calm)


def _calm() -> None:
    """One thread a process: the processes share the cores already."""
    import cv2

    cv2.setNumThreads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


def _guarded(function: Callable[[Any], Status], key: str, task: Any) -> Status:
    try:
        return {"key": key, "outcome": "written", "reason": "", "message": "", **function(task)}
    except InputError as error:
        return failed(key, error)
    except MemoryError:
        return failed(key, InputError("too_large", "it does not fit into memory"))


def _alone(function: Callable[[Any], Status], key: str, task: Any) -> Status:
    with _pool(1) as pool:
        try:
            return pool.submit(_guarded, function, key, task).result()
        except BrokenProcessPool:
            return failed(key, InputError("crashed", "its decoder brought the process down"))


def failed(key: str, error: InputError) -> Status:
    """The status of an item that failed."""
    return {"key": key, "outcome": "failed", "reason": error.reason, "message": error.message}
