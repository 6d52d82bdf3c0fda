"""A run up to a stage ends as badly as a whole run does, if an item of it has failed.

The last rule of a whole run, check_ledger, looks at every ledger; `snakemake cameras` would end well with an empty
calibration.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.planning.plan import STAGES

# Their last rule says it.
JUDGED = ("all", "reports")


def guard(workflow: Any, *, accepted: Collection[str], tables: Mapping[str, str]) -> None:
    """Let a run whose targets are stages end with 1 where one of its ledgers has a failure that nobody has accepted,
    or a table came to nothing.

    accepted: recordings.  tables: of which some rows may fail, with their cards.
    """
    if not workflow.is_main_process:
        return
    execute = workflow.execute

    def guarded(**arguments: Any) -> Any:
        done = execute(**arguments)
        asked = {rule.name for rule in workflow.dag.targetrules} if workflow.dag is not None else set()
        if asked & set(STAGES) and not asked & set(JUDGED) and not workflow.dryrun and not workflow.touch:
            _judge(workflow.dag, accepted, tables)
        return done

    workflow.execute = guarded


def _judge(dag: Any, accepted: Collection[str], tables: Mapping[str, str]) -> None:
    from scripts.common.failed_items import describe_failures, end_of_tables

    made = {str(file) for job in dag.jobs for file in job.output if not file.is_storage}
    ledgers = sorted(Path(file) for file in made if file.endswith("ledger.parquet"))
    new = [row for path in ledgers if path.exists() for row in _failures(path, {*accepted, *tables})]
    _, lost = end_of_tables([Path(card) for card in sorted(made & set(tables.values())) if Path(card).exists()])
    if new or lost:
        from snakemake_interface_common.exceptions import ApiError  # printed as it is

        said = [describe_failures(new, "the ledgers of their steps")] if new else []
        raise ApiError("\n".join([*said, *lost]))


def _failures(path: Path, accepted: Collection[str]) -> Iterator[dict[str, Any]]:
    """What failed by itself; a table of URLs has millions of rows, which stay arrow's."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from scripts.common import ledger
    from scripts.common.failed_items import root_failures

    failed = root_failures(ledger.read([path]))
    known = pc.is_in(failed["recording"], value_set=pa.array(sorted(accepted), pa.string()))
    yield from failed.filter(pc.invert(known)).to_pylist()
