"""Print the rules of the workflow as JSON, as Snakemake has read them: python list_rules.py SNAKEFILE.

A program of its own, because Snakemake changes the process in which it reads a workflow.
"""

import json
import sys
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings


def describe(rule):
    """What the house's own rules speak of."""
    return {
        "name": rule.name,
        "script": rule.script,
        "shell": rule.shellcmd or "",
        "folder": str(Path(rule.basedir.get_path_or_uri(secret_free=True))),
        "docstring": rule.docstring,
        "message": rule.message,
        "input": list(rule.input.keys()),
        "output": list(rule.output.keys()),
        "files": {name: files_of(value) for name, value in rule.output.items()},
        "unnamed": len(rule.input) + len(rule.output) - named(rule.input) - named(rule.output),
        "params": list(rule.params.keys()),
        "log": [str(log) for log in rule.log],
        "benchmark": str(rule.benchmark or ""),
        "conda": str(rule.conda_env or ""),
        "local": rule.name in rule.workflow._localrules or bool(getattr(rule, "localrule", False)),
        "growing": [name for name, resource in rule.resources.items() if resource.is_evaluable()],
    }


def files_of(value):
    """The paths of an output, wildcards and all."""
    return [str(path) for path in (value if isinstance(value, list) else [value])]


def named(items):
    """How many entries of an input or output have a name."""
    return sum(len(value) if isinstance(value, list) else 1 for _, value in items.items())


def main(snakefile):
    """Read the workflow in the current directory."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1), config_settings=ConfigSettings(), snakefile=Path(snakefile)
        )._workflow
        print(json.dumps([describe(rule) for rule in workflow.rules]))


if __name__ == "__main__":
    main(sys.argv[1])
