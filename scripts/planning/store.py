"""What leaves for a store, and what the store is called."""

from os.path import splitext
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scripts.common.errors import ConfigError
from scripts.common.names import one_of

if TYPE_CHECKING:
    from scripts.planning.plan import Plan

OF_WINDOWS = ("index.parquet", "card.json", "splits.tsv", "lm_mean.npy", "lm_std.npy")
OF_REPORT = ("ledger.tsv", "failed.tsv", "clocks.svg", "outcomes.svg")


def store_prefix(prefix: str) -> str:
    """The prefix without a slash at its end. Raises ConfigError for what is none."""
    parts = urlsplit(prefix)
    if prefix and (not parts.scheme or not parts.netloc or "{" in prefix or "}" in prefix):
        raise ConfigError(f"publish: `{prefix}` is no place in a store; write s3://bucket/folder")
    return prefix.rstrip("/")


def published(plan: "Plan") -> dict[str, list[str]]:
    """What leaves for the store, below the results folder: `files`; `folders` of shards; and `listed`, those of them
    beside which no `.shards.json` is written where they are made."""
    found: dict[str, list[str]] = {"files": [], "folders": [], "listed": []}
    if plan.only:
        # A few recordings are no dataset.
        return found
    for made in (_of_windows(plan), _of_report(plan), *(room.published() for room in plan.rooms.values())):
        for kind, paths in made.items():
            found[kind] += [path.removeprefix(f"{plan.path.results}/") for path in paths]
    found["folders"] += found["listed"]
    return found


def _of_windows(plan: "Plan") -> dict[str, list[str]]:
    """Tables and statistics of the datasets of windows, and their shards."""
    files, listed = [], []
    for dataset in plan.datasets.values():
        if not dataset.recordings:
            continue
        files += [plan.path.dataset(name).format(dataset=dataset.name) for name in OF_WINDOWS]
        for split in dataset.split_names if "shards" in dataset.formats else ():
            listed.append(plan.path.dataset(f"shards/{split}").format(dataset=dataset.name))
    return {"files": files, "listed": listed}


def _of_report(plan: "Plan") -> dict[str, list[str]]:
    """The pages and plots that the report is made of; the Snakemake report itself is no file of a run."""
    if not plan.has_items:
        return {}
    pages: dict[str, list[str]] = {"files": [*map(plan.path.report, OF_REPORT)], "listed": []}
    for page in plan.report_pages():
        pages["files" if splitext(page)[1] else "listed"].append(page)
    return pages


def publishable(plan: "Plan", kind: str) -> str:
    """What leaves for the store, as a wildcard's pattern."""
    return one_of(published(plan)[kind])
