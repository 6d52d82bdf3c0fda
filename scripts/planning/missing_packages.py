"""What jobs would import and is not installed stops a run before its first job.

`make setup` installs what every stage needs but for the networks; with `--sdm conda` each rule has an env of its own.
"""

import importlib.util
from collections.abc import Iterable, Iterator
from typing import Any

SPEECH = ("torch", "lightning", "tensorboard")
FACES = ("torch", "face_alignment")
OF_RULE = {
    **dict.fromkeys(("train_speech_landmarks", "infer_landmarks"), SPEECH),
    **dict.fromkeys(("train_frame_classifier", "train_clip_classifier"), (*SPEECH, "torchmetrics")),
    "evaluate_classifier": ("torch",),
    # Of the program that it starts, too.
    "serve_engine": (*SPEECH, "fastapi", "uvicorn"),
    "transcribe_clips": ("faster_whisper",),
}
SEARCHES_FACES = ("extract_landmarks", "find_clip_landmarks")


def guard(workflow: Any) -> None:
    """Let a run end with one line where its jobs lack packages; a dry run shows them all the same."""
    if not workflow.is_main_process:
        return
    from snakemake.dag import DAG

    postprocess = DAG.postprocess

    async def postprocess_and_check(dag: Any, *arguments: Any, **others: Any) -> None:
        await postprocess(dag, *arguments, **others)
        if workflow.dryrun or workflow.touch or _has_envs(workflow):
            return
        if lacking := missing((job.rule.name, dict(job.params.items())) for job in dag.needrun_jobs() if _asks(job)):
            from snakemake_interface_common.exceptions import ApiError  # printed as one line

            raise ApiError(lacking)

    DAG.postprocess = postprocess_and_check


def missing(jobs: Iterable[tuple[str, dict[str, Any]]]) -> str:
    """What to say of jobs, each a rule and its params, whose packages are not installed; "" if all are."""
    wanted: dict[str, set[str]] = {}
    for rule, params in jobs:
        for package in _packages_of(rule, params):
            wanted.setdefault(package, set()).add(rule)
    absent = sorted(package for package in wanted if importlib.util.find_spec(package) is None)
    if not absent:
        return ""
    rules = ", ".join(sorted(set().union(*(wanted[package] for package in absent))))
    are = "is" if len(absent) == 1 else "are"
    return f"{rules}: {', '.join(absent)} {are} not installed: run `make setup-models`, or give `--sdm conda`"


def _packages_of(rule: str, params: dict[str, Any]) -> Iterator[str]:
    yield from OF_RULE.get(rule, ())
    if rule in SEARCHES_FACES:
        settings = {**params, **(params.get("settings") or {})}
        if str(settings.get("backend")).startswith("fan") or settings.get("detector") == "sfd":
            yield from FACES


def _asks(job: Any) -> bool:
    return job.rule.name in OF_RULE or job.rule.name in SEARCHES_FACES


def _has_envs(workflow: Any) -> bool:
    from snakemake.settings.types import DeploymentMethod

    return DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
