"""What keeps a dry run cheap: Snakemake asks some questions once a job whose answers never change.

Measured with `make bench AREA=scale`; docs/performance.md has the figures with and without.
"""

import functools
import gc
import inspect
import io
import os
from collections.abc import Callable
from typing import IO, Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def quick(function: Function) -> Function:
    """Tell Snakemake the parameters of an input, params or resource function, which it else inspects at each call."""
    function._overwrite_params = inspect.signature(function).parameters  # type: ignore[attr-defined]
    return function


def lower(workflow: Any) -> None:
    """All of the following, for the workflow that is being read."""
    remember_sources(workflow)
    slim_files()
    check_nesting_quickly()
    collect_less()


def remember_sources(workflow: Any) -> None:
    """Look for each script and env file, and read it, once, not once a job."""
    cache = workflow.sourcecache
    cache._cache = functools.cache(cache._cache)
    read = functools.cache(lambda file: _text(cache_open(file)))
    cache_open = cache.open
    cache.open = lambda file, mode="r": io.StringIO(read(file)) if mode == "r" else cache_open(file, mode)


def collect_less() -> None:
    """Look for garbage seldom: planning makes a million objects, hardly any of them garbage; looking took a sixth."""
    gc.set_threshold(1_000_000, 100, 100)


def check_nesting_quickly() -> None:
    """Let Snakemake compare all outputs with their neighbours only where one does lie inside another."""
    from snakemake.dag import DAG

    compare = DAG.check_directory_outputs

    def check_directory_outputs(dag: Any) -> None:
        outputs = {os.path.abspath(file) for job in dag.jobs for file in job.output}
        folders: set[str] = set()
        for folder in map(os.path.dirname, outputs):
            while folder not in folders:
                folders.add(folder)
                folder = os.path.dirname(folder)
        if not outputs.isdisjoint(folders):
            compare(dag)

    DAG.check_directory_outputs = check_directory_outputs


def slim_files() -> None:
    """Keep files without flags, most of them, as plain text until somebody asks for their flags, and give all lists
    of files one pair of guards: together a sixth of the memory of a planned job."""
    from snakemake import io as files
    from snakemake import iocontainers

    clone = files._IOFile.clone_flags

    def clone_flags(self: Any, other: Any, skip_storage_object: bool = False) -> None:
        if type(self._file) is not str or getattr(other._file, "flags", None):
            clone(self, other, skip_storage_object)

    def flags(self: Any) -> Any:
        if type(self._file) is str:
            self._file = files.AnnotatedString(self._file)
        return getattr(self._file, "flags", {})

    def is_flagged(self: Any, flag: str) -> bool:
        return type(self._file) is not str and bool(getattr(self._file, "flags", {}).get(flag))

    def is_storage(self: Any) -> bool:
        return is_flagged(self, "storage_object")

    files._IOFile.clone_flags = clone_flags
    files._IOFile.flags = property(flags)
    files._IOFile.is_flagged = is_flagged
    files._IOFile.is_storage = property(is_storage)
    # A guard without a name is what unpickling asks for.
    guards = functools.cache(lambda name: object.__new__(iocontainers.AttributeGuard))
    iocontainers.AttributeGuard.__new__ = lambda cls, *name: guards(name) if name else object.__new__(cls)


def _text(file: IO[str]) -> str:
    with file:
        return file.read()
