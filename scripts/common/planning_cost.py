"""What keeps a dry run cheap: Snakemake asks some questions once a job whose answers never change.

Measured with `make bench AREA=scale`; docs/performance.md has the figures with and without.
"""

import functools
import inspect
import io
from collections.abc import Callable
from typing import IO, Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def quick(function: Function) -> Function:
    """Tell Snakemake the parameters of an input, params or resource function, which it else inspects at each call."""
    function._overwrite_params = inspect.signature(function).parameters  # type: ignore[attr-defined]
    return function


def remember_sources(workflow: Any) -> None:
    """Look for each script and env file, and read it, once, not once a job."""
    cache = workflow.sourcecache
    cache._cache = functools.cache(cache._cache)
    read = functools.cache(lambda file: _text(cache_open(file)))
    cache_open = cache.open
    cache.open = lambda file, mode="r": io.StringIO(read(file)) if mode == "r" else cache_open(file, mode)


def _text(file: IO[str]) -> str:
    with file:
        return file.read()
