"""`--config retry=failed`: which outputs must be made again because their item failed in the last run."""

import csv
from pathlib import Path
from typing import Any

from scripts.common.plan import Plan


def force(workflow: Any, plan: Plan) -> None:
    """Make Snakemake's workflow run the failed jobs again if the config asks for it; a job of its own passes."""
    if plan.config["retry"] != "failed" or not workflow.is_main_process:
        return
    prepare = workflow._prepare_dag

    # The command line arrives in the workflow only after the Snakefile has been read.
    def prepare_with_failed(*arguments: Any, **others: Any) -> Any:
        settings = workflow.dag_settings
        settings.forcerun = frozenset({*settings.forcerun, *failed_outputs(plan)})
        return prepare(*arguments, **others)

    workflow._prepare_dag = prepare_with_failed


def failed_outputs(plan: Plan) -> list[str]:
    """The ledger of every job whose item failed by itself in the last run, as far as this run has that job."""
    table = Path(plan.path.report("failed.tsv"))
    if not table.exists():
        return []
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    found = {output for row in rows for output in _outputs(plan, row)}
    return sorted(found.intersection(plan.ledgers()))


def _outputs(plan: Plan, row: dict[str, str]) -> list[str]:
    recording = next((recording for recording in plan.chosen if recording.name == row["recording"]), None)
    if recording is None:
        return []
    place = {"rig": recording.rig, "recording": recording.name}
    item = row["item"]
    if row["step"] in ("export_bag", "import_video"):
        return [plan.path.export_ledger().format(**place)]
    if row["step"] == "conform_video":
        return [plan.path.conform_ledger("camera").format(camera=item, **place)]
    if row["step"] == "conform_audio":
        return [plan.path.conform_ledger("microphone").format(microphone=item, **place)]
    datasets = [dataset for dataset in plan.datasets.values() if recording.name in dataset.recordings]
    if row["step"] == "extract_landmarks":
        pattern, of_camera = plan.path.landmarks_ledger(), [d for d in datasets if d.camera == item]
        return [pattern.format(camera=item, landmarks=dataset.landmarks, **place) for dataset in of_camera]
    pattern = plan.path.windows("ledger.parquet")
    return [pattern.format(dataset=dataset.name, recording=recording.name) for dataset in datasets]
