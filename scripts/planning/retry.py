"""Which outputs must be made again because their item failed in the last run: those of `--config retry=failed`, and
those that a server has failed, not their own data."""

import csv
from pathlib import Path
from typing import Any

from scripts.planning.plan import Plan


def force(workflow: Any, plan: Plan) -> None:
    """Make Snakemake's workflow run the failed jobs again where that is asked for; a job of its own passes."""
    if not workflow.is_main_process:
        return
    prepare = workflow._prepare_dag

    # The command line arrives in the workflow only after the Snakefile has been read.
    def prepare_with_failed(*arguments: Any, **others: Any) -> Any:
        settings = workflow.dag_settings
        again = {path for room in plan.rooms.values() for path in room.again(settings.targets)}
        failed = failed_outputs(plan) if plan.config["retry"] == "failed" else []
        settings.forcerun = frozenset({*settings.forcerun, *again, *failed})
        return prepare(*arguments, **others)

    workflow._prepare_dag = prepare_with_failed


def failed_outputs(plan: Plan) -> list[str]:
    """The ledger of every job whose item failed by itself in the last run, as far as this run has that job."""
    # The last run may have been one of all recordings, or of the chosen ones alone.
    tables = {Path(plan.path.report("failed.tsv")), Path(plan.path.results, "reports", "failed.tsv")}
    rows = [row for table in tables if table.exists() for row in _rows(table)]
    of_rooms = {path for room in plan.rooms.values() for path in room.retried()}
    return sorted(of_rooms | {row["ledger"] for row in rows if row.get("ledger")}.intersection(plan.ledgers()))


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))
