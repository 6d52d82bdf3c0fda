"""What was made and is gone is made again.

Snakemake asks for a job's outputs only as far as a later job needs them: a video that nobody reads any more, or whose
readers are done, could be deleted and the run would say "Nothing to be done". And of a folder it asks only whether it
is there.
"""

from pathlib import Path
from typing import Any

from scripts.common import folder_entries

KEPT_NOWHERE = ("temp", "pipe", "service")


def guard(workflow: Any) -> None:
    """Let Snakemake run every job of a target rule (`all`, a stage) of which a kept output is missing; a file that is
    asked for by its path still brings only what it needs."""
    if not workflow.is_main_process:
        return
    from snakemake.dag import DAG

    update = DAG.update_needrun

    async def update_needrun(dag: Any, *arguments: Any, **others: Any) -> None:
        if not dag.targetrules or workflow.touch:
            await update(dag, *arguments, **others)
            return
        lacking = {job: files for job in dag.jobs if (files := await _missing(job))}
        asked = dag.forcefiles
        dag.forcefiles = asked.union(*lacking.values())
        try:
            await update(dag, *arguments, **others)
        finally:
            dag.forcefiles = asked
        for job, files in lacking.items():
            reason = dag.reason(job)
            if reason.forced and asked.isdisjoint(job.output) and job.rule not in dag.forcerules:
                reason.forced = False
                reason.missing_output.update(files)

    DAG.update_needrun = update_needrun


async def _missing(job: Any) -> list[Any]:
    """Outputs of a job that should lie in the results and do not; what a store keeps is the store's."""
    kept = [file for file in job.output if not file.is_storage and not any(map(file.is_flagged, KEPT_NOWHERE))]
    return [file for file in kept if not await file.exists() or (file.is_directory and not _is_whole(file))]


def _is_whole(folder: str) -> bool:
    return folder_entries.is_whole(Path(folder))
