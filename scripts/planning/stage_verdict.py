"""A run up to a stage ends as badly as a whole run does, if an item of it has failed.

The last rule of a whole run, check_ledger, looks at every ledger; `snakemake cameras` would end well with an empty
calibration.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from scripts.planning.plan import STAGES

# Their last rule says it.
JUDGED = ("all", "reports")


def guard(workflow: Any, *, accepted: Collection[str]) -> None:
    """Let a run whose targets are stages end with 1 where one of its ledgers has a failure that nobody has accepted.

    accepted: recordings, and tables of which some rows may fail.
    """
    if not workflow.is_main_process:
        return
    execute = workflow.execute

    def guarded(**arguments: Any) -> Any:
        done = execute(**arguments)
        asked = {rule.name for rule in workflow.dag.targetrules} if workflow.dag is not None else set()
        if asked & set(STAGES) and not asked & set(JUDGED) and not workflow.dryrun and not workflow.touch:
            _judge(workflow.dag, accepted)
        return done

    workflow.execute = guarded


def _judge(dag: Any, accepted: Collection[str]) -> None:
    from scripts.common import ledger
    from scripts.common.failed_items import describe_failures, root_failures

    files = (str(file) for job in dag.jobs for file in job.output if not file.is_storage)
    ledgers = sorted({Path(file) for file in files if file.endswith("ledger.parquet")})
    rows = root_failures(ledger.read([path for path in ledgers if path.exists()])).to_pylist()
    if new := [row for row in rows if row["recording"] not in accepted]:
        from snakemake_interface_common.exceptions import ApiError  # printed as it is

        raise ApiError(describe_failures(new, "the ledgers of their steps"))
