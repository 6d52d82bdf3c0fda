"""A conda for tests without a channel: its envs are venvs with links to packages that this Python has.

FAKE_CONDA names the folder of its state: `bin/conda`, `base/bin/activate`, and `runs.jsonl`, one object for each start
of a Python in an env: `prefix` and `argv`. It keeps to the pins: a version that this Python does not have is refused,
but for torch, which may be another or missing. What Snakemake lends a script of the controller's packages is refused
too: an env has what it lists, and what that requires.
"""

import json
import os
import re
import sys
import venv
from importlib import metadata
from pathlib import Path
from typing import Any

STATE = Path(os.environ.get("FAKE_CONDA", "."))

ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'

# Runs at the start of every Python of an env.
START = """
import json, os, sys
from importlib.machinery import PathFinder

HERE = {name.partition(".")[0] for name in os.listdir(os.path.dirname(__file__))}

class OnlyThisEnv:
    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target)
        of_a_package = "site-packages" in ((spec and spec.origin) or "")
        if of_a_package and name.partition(".")[0] not in HERE and not name.startswith("snakemake"):
            raise ModuleNotFoundError(f"the env has no {name}", name=name)
        return spec

sys.meta_path.insert(0, OnlyThisEnv)
if "FAKE_CONDA" in os.environ:
    with open(os.environ["FAKE_CONDA"] + "/runs.jsonl", "a") as runs:
        runs.write(json.dumps({"prefix": sys.prefix, "argv": sys.orig_argv[1:]}) + "\\n")
"""


def install(folder: Path) -> None:
    """Put conda into folder/bin."""
    (folder / "bin").mkdir(parents=True)
    (folder / "base" / "bin").mkdir(parents=True)
    (folder / "base" / "bin" / "activate").write_text(ACTIVATE)
    program = folder / "bin" / "conda"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "$@"\n')
    program.chmod(0o755)


def read_runs(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]


def link(site: Path, name: str, version: str = "") -> None:
    """Give an env a package that this Python has."""
    package = metadata.distribution(name)
    if version and package.version != version:
        sys.exit(f"fake conda: {name} is wanted as {version}, here it is {package.version}")
    for top in {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}:
        if not (site / top).exists():
            (site / top).symlink_to(str(package.locate_file(top)))


def link_requirements(site: Path) -> None:
    """Give an env what its packages require on this Python, as pip does."""
    from packaging.requirements import Requirement

    asked: set[str] = set()
    while names := {package.name for package in metadata.distributions(path=[str(site)])} - asked:
        asked |= names
        for requirement in (Requirement(line) for name in names for line in metadata.requires(name) or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                link(site, requirement.name)


def create(file: Path, prefix: Path) -> None:
    """`conda env create`."""
    import yaml

    venv.create(prefix, symlinks=True)
    site = next(prefix.glob("lib/python*/site-packages"))
    (site / "start.pth").write_text("import start_of_env\n")
    (site / "start_of_env.py").write_text(START)
    pip = [sys.executable, __file__, "pip", str(site)]
    (site / "pip.py").write_text(f"import os, sys\nos.execv({sys.executable!r}, [*{pip!r}, *sys.argv[1:]])\n")
    for entry in yaml.safe_load(file.read_text())["dependencies"]:
        for line in entry["pip"] if isinstance(entry, dict) else [entry]:
            name, version = line.split("==")
            if name.startswith("pytorch-"):
                if metadata.packages_distributions().get("torch"):
                    link(site, "torch")
            elif name not in ("python", "pip"):
                link(site, name, version)
    link_requirements(site)


def main(arguments: list[str]) -> None:
    """Do what Snakemake asks for."""
    match arguments:
        case ["--version"]:
            print("conda 25.3.1")
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": str(STATE / "base"), "platform": "linux-64"}))
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["env", "create", "--quiet", "--no-default-packages", "--file", file, "--prefix", prefix]:
            create(Path(file), Path(prefix))
        case ["clean", "-y", "--tarballs"]:
            pass
        case ["pip", site, "install", "--no-deps", pinned] if found := re.fullmatch(r"([\w.-]+)==(\S+)", pinned):
            link(Path(site), found[1], found[2])
        case _:
            sys.exit(f"fake conda: what is `conda {' '.join(arguments)}`?")


if __name__ == "__main__":
    main(sys.argv[1:])
