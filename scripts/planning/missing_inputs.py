"""What is missing stops a run even where an older product is there.

Snakemake takes a file whose own inputs are missing for one that needs no making, as long as the file exists: the last
run's table of failures would hide that a new recording is nowhere to be found, and the run would end well.
"""

from typing import Any


def guard(workflow: Any) -> None:
    """Let Snakemake stop at the first missing input, whether or not what is made of it is there from before."""
    if not workflow.is_main_process:
        return
    from snakemake.dag import DAG
    from snakemake.exceptions import MissingInputException

    update, init = DAG.update, DAG.init
    missing: list[MissingInputException] = []

    async def update_and_remember(dag: Any, *arguments: Any, **others: Any) -> Any:
        try:
            return await update(dag, *arguments, **others)
        except MissingInputException as error:
            missing.append(error)
            raise

    async def init_or_stop(dag: Any, *arguments: Any, **others: Any) -> None:
        await init(dag, *arguments, **others)
        if missing:
            raise missing[0]

    DAG.update, DAG.init = update_and_remember, init_or_stop
