"""What reaches a cluster's job by its command line.

Snakemake writes the names of a job's inputs there in Python's quotes, and its executor for SLURM puts the whole between
double quotes: a shell would fill in `$HOME`, and run what stands in backticks. Names that no shell takes as they are go
to the job by a file; settings of the run, which have no such way, are refused.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.common.errors import ConfigError


def guard(workflow: Any, results: str = "") -> None:
    """Let a shell read nothing into what a sheet, a config or a folder is called. results: where products stand."""
    if not workflow.is_main_process:
        return
    execute = workflow.execute

    def guarded(*, executor_plugin: Any, **others: Any) -> Any:
        if executor_plugin.common_settings.non_local_exec:
            from snakemake_interface_common.exceptions import ApiError  # printed as one line

            try:
                check({**settings_of(workflow), "results": results})
            except ConfigError as mistake:
                raise ApiError(str(mistake)) from None
            name_inputs_in_a_file()
        return execute(executor_plugin=executor_plugin, **others)

    workflow.execute = guarded


def is_plain(text: str) -> bool:
    """Whether `text`, quoted as Snakemake does it, is the same again after two shells."""
    from snakemake_interface_executor_plugins.utils import is_quoted

    return not (is_quoted(text) or {"$", "`"} & set(text)) and repr(text)[1:-1] == text


def check(settings: dict[str, str]) -> None:
    """Raises ConfigError for the first of the settings, by what they are, that no command line carries."""
    for place, text in settings.items():
        if not is_plain(text):
            raise ConfigError(
                f"{place}: {text!r} would be changed on the command line of a cluster's jobs: name it without $, `, "
                "backslashes, unusual blanks and quotes of both kinds"
            )


def settings_of(workflow: Any) -> dict[str, str]:
    """What stands on the command line of every job, by what it is."""
    return dict(_settings_of(workflow))


def _settings_of(workflow: Any) -> Iterator[tuple[str, str]]:
    yield "the working folder", os.getcwd()
    yield "--snakefile", str(workflow.main_snakefile)
    for number, file in enumerate(workflow.overwrite_configfiles, 1):
        yield f"--configfile, {number}", str(file)
    for given in workflow.config_settings.config_args or []:
        yield f"--config {str(given).partition('=')[0]}", str(given)


def name_inputs_in_a_file() -> None:
    """Let cluster jobs find unusual names of their inputs in a file, as they find those that are many."""
    from snakemake_interface_executor_plugins.executors.real import RealExecutor
    from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
    from snakemake_interface_executor_plugins.settings import SharedFSUsage
    from snakemake_interface_executor_plugins.utils import format_cli_arg

    by_command_line = RemoteExecutor.get_job_args

    def get_job_args(executor: Any, job: Any) -> str:
        names = [str(name) for name in job.get_wait_for_files()]
        shared = SharedFSUsage.INPUT_OUTPUT in executor.workflow.storage_settings.shared_fs_usage
        if not shared or all(map(is_plain, names)):
            return str(by_command_line(executor, job))
        listed = f"{executor.get_jobscript(job)}.waitforfilesfile.txt"
        Path(listed).write_text("\n".join([executor.tmpdir, *names]), encoding="utf-8")
        return f"{RealExecutor.get_job_args(executor, job)} {format_cli_arg('--wait-for-files-file', listed)}"

    RemoteExecutor.get_job_args = get_job_args
