"""What the lock, the envs and the imports of the project say about packages. Names are those of PyPI, canonical."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.unit.examples import REPO

ENV_FILES = sorted((REPO / "envs").glob("*.yaml"))
LOCKS = [REPO / f"requirements{what}.txt" for what in ("", "-torch", "-models", "-test")]
OWN = {"scripts", "rushes", "tests", "benchmarks", "docs"}

# Conda's names of what has another name on PyPI, and packages of conda without Python in them.
NAMES_OF_CONDA = {"pytorch-cpu": "torch", "pytorch-gpu": "torch"}
NOT_PYTHON = {"python", "cuda-version", "cudnn"}
# What torch requires: with conda's torch these come along, in versions that conda chooses.
BROUGHT_BY_TORCH = {
    *("filelock", "fsspec", "jinja2", "markupsafe", "mpmath", "networkx", "setuptools", "sympy", "typing-extensions")
}
# Without its own name among the installed modules: Python 3.14 has it, before that a backport is imported.
MODULES_OF_LATER_PYTHONS = {"compression": {"backports-zstd"}}
CV2 = {f"opencv{contrib}-python{headless}" for contrib in ("", "-contrib") for headless in ("", "-headless")} | {
    *("opencv", "py-opencv", "libopencv"),  # conda's
}
# face-alignment requires the one, and finds what it needs of it in the other.
INSTEAD = {"opencv-python": "opencv-python-headless"}
# Packages of which a file is read and nothing is run: what they require is not needed.
ONLY_FILES = {"silero-vad"}

PROVIDERS = {name: {canonicalize_name(n) for n in names} for name, names in metadata.packages_distributions().items()}


def pins(lines: Iterable[str]) -> dict[str, str]:
    """Name -> version of lines `name==version`, with an optional marker."""
    requirements = [Requirement(line) for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in requirements}


def locked() -> dict[str, str]:
    """Every package that the project pins for its own environment."""
    return {name: version for file in LOCKS for name, version in pins(file.read_text().splitlines()).items()}


@dataclass(frozen=True)
class Env:
    """An env as its file and its post-deploy script write it."""

    file: Path
    channels: list[str]
    conda: list[str]
    pip: list[str]
    deployed: list[str]

    @classmethod
    def read(cls, file: Path) -> "Env":
        """Parse the file, and the lines of its post-deploy script that install."""
        content: dict[str, Any] = yaml.safe_load(file.read_text())
        listed = content["dependencies"]
        script = file.with_suffix(".post-deploy.sh")
        commands = script.read_text().splitlines() if script.exists() else []
        deployed = [re.fullmatch(r"python -m pip install --no-deps (.+)", line) for line in commands]
        return cls(
            file,
            content["channels"],
            [entry for entry in listed if isinstance(entry, str)],
            [line for entry in listed if isinstance(entry, dict) for line in entry["pip"]],
            [name for found in deployed if found for name in found[1].split()],
        )

    @property
    def stage(self) -> str:
        """The stage whose env it is, in whatever form."""
        return self.file.name.partition(".")[0]

    @property
    def from_conda(self) -> dict[str, str]:
        """Name -> version of what conda installs."""
        return {NAMES_OF_CONDA.get(name, name): version for name, version in pins(self.conda).items()}

    @property
    def versions(self) -> dict[str, str]:
        """Name -> version of every Python package that the env names."""
        named = {**self.from_conda, **pins([*self.pip, *self.deployed])}
        return {name: version for name, version in named.items() if name not in NOT_PYTHON}

    @property
    def has(self) -> set[str]:
        """Every Python package that may be imported in the env."""
        return {*self.versions, *(BROUGHT_BY_TORCH if "torch" in self.from_conda else ())}

    @property
    def python(self) -> dict[str, str]:
        """What the env's Python answers to the markers of requirements."""
        version = pins(self.conda)["python"]
        return {"python_version": version.rpartition(".")[0], "python_full_version": version}


@cache
def imports(module: Path) -> set[str]:
    """Every dotted name that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "find_spec":
            found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return found


def files_of(name: str) -> Iterator[Path]:
    """The files of the project that run when a dotted name is imported."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        stem = REPO.joinpath(*parts[:end])
        yield from (file for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.is_file())


@cache
def reached_from(script: Path) -> set[Path]:
    """The files of the project that may run when the script does, itself among them."""
    reached: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file not in reached:
            reached.add(file)
            waiting += [other for name in imports(file) for other in files_of(name)]
    return reached


def needed_by(module: Path) -> dict[str, set[str]]:
    """Module of somebody else that this one imports -> the packages that provide it."""
    tops = {name.partition(".")[0] for name in imports(module)} - OWN - sys.stdlib_module_names
    return {top: MODULES_OF_LATER_PYTHONS.get(top) or PROVIDERS.get(top, {canonicalize_name(top)}) for top in tops}


def requirements(name: str, environment: Mapping[str, str] | None = None, *, extra: str = "") -> Iterator[Requirement]:
    """What an installed package requires, with the extras of others that it asks for; nothing if it is not there."""
    try:
        lines = [] if name in ONLY_FILES else metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra, **(environment or {})}):
            yield requirement
            for asked in requirement.extras:
                yield from requirements(requirement.name, environment, extra=asked)
