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

from scripts.planning import planning_files

Function = TypeVar("Function", bound=Callable[..., Any])


def quick(function: Function) -> Function:
    """Tell Snakemake the parameters of an input, params or resource function, which it else inspects at each call."""
    function._overwrite_params = inspect.signature(function).parameters  # type: ignore[attr-defined]
    return function


def lower(workflow: Any) -> None:
    """All of the following, for the workflow that is being read."""
    planning_files.lower()
    remember_sources(workflow)
    match_by_prefix()
    find_scripts_once()
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


def match_by_prefix() -> None:
    """Find the rules whose outputs begin like a file by the few lengths of such beginnings, not letter by letter."""
    from snakemake.output_index import OutputIndex

    begin = OutputIndex.__init__

    def index(self: Any, rules: Any) -> None:
        begin(self, rules)
        by_length: dict[int, dict[str, list[Any]]] = {}
        for prefix, producers in self._lookup._entries:
            by_length.setdefault(len(prefix), {})[prefix] = producers
        self._by_length = list(by_length.items())

    def match(self: Any, file: str) -> set[Any]:
        nothing: list[Any] = []
        return {
            rule
            for length, producers in self._by_length
            for rule, suffix in producers.get(file[:length], nothing)
            if file.endswith(suffix)
        }

    OutputIndex.__init__, OutputIndex.match = index, match


def find_scripts_once() -> None:
    """Expand the name of a script without wildcards once, not once a job."""
    from snakemake.jobs import Job

    find = Job._path_to_source_file
    found: dict[tuple[Any, str], Any] = {}

    def path_to_source_file(job: Any, path: Any) -> Any:
        if "{" in str(path):
            return find(job, path)
        key = job.rule, str(path)
        if key not in found:
            found[key] = find(job, path)
        return found[key]

    Job._path_to_source_file = path_to_source_file


def _text(file: IO[str]) -> str:
    with file:
        return file.read()
