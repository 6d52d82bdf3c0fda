"""Work that is done by threads while others use its results, which come in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def ahead(work: Callable[[Given], Made], items: Iterable[Given], workers: Executor, count: int) -> Iterator[Made]:
    """work(item) of each item, in order, up to `count` items before the one that is asked for.

    What `items` or `work` raises is raised in its place. Where `work` asks `workers` for more, it may wait for ever.
    """
    begun: deque[Future[Made]] = deque()
    try:
        for item in items:
            begun.append(workers.submit(work, item))
            if len(begun) > count:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()
