"""The envs: pinned, closed, of the lock's versions, and enough for what their rules import."""

import difflib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rattler import MatchSpec

from tests.unit.examples import REPO, House
from tests.unit.packages import CV2, ENV_FILES, INSTEAD, Env, locked, needed_by, pins, reached_from, requirements
from tests.unit.test_house import run, tool

FORMS = ("cpu", "cuda", "cuda-legacy")
# The envs of a stage that no rule names yet, and what its scripts will import.
TO_COME: dict[str, set[str]] = {}
# conda's pip, and the torch that suits the cards.
NOT_OF_THE_LOCK = {"pip", "torch"}

envs = pytest.mark.parametrize("env", [Env.read(file) for file in ENV_FILES], ids=lambda env: env.file.stem)


class Job(NamedTuple):
    """A rule with one of its envs."""

    rule: str
    script: Path
    env: Path


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> set[Job]:
    """Every rule of the workflow with the env that it has on each accelerator."""
    root = tmp_path_factory.mktemp("accelerators")
    house = House(root)
    house.rigs["arena"] = {"source": "file", "cameras": {"top": "{source}"}, "multicam": {}}
    house.files_of_sources("a.mov", "b.bag")
    house.sheet(["recording", "rig", "source"], [["a", "booth", f"{root}/a.mov"], ["b", "aviary", f"{root}/b.bag"]])
    found = set()
    for accelerator in FORMS:
        house.write_config(accelerator=accelerator)
        done = run(sys.executable, str(REPO / "tests" / "unit" / "list_rules.py"), str(REPO / "Snakefile"), cwd=root)
        assert done.returncode == 0, done.stdout
        for rule in json.loads(done.stdout):
            if rule["script"]:
                script, env = (Path(os.path.normpath(f"{rule['folder']}/{rule[part]}")) for part in ("script", "conda"))
                found.add(Job(rule["name"], script, env))
            for module in re.findall(r" -m (rushes\.[\w.]+)", rule["shell"]):
                env = Path(os.path.normpath(f"{rule['folder']}/{rule['conda']}"))
                found.add(Job(rule["name"], REPO.joinpath(*module.split("."), "__main__.py"), env))
    return found


@envs
def test_every_dependency_is_pinned_to_one_version(env):
    assert env.channels == ["conda-forge", "nodefaults"]
    for line in env.conda:
        spec = MatchSpec(line, strict=True)
        assert re.fullmatch(r"==\d[\w.]*", str(spec.version)), line
        assert (spec.channel, spec.build) == (None, None), line
    for line in [*env.pip, *env.deployed]:
        assert re.fullmatch(r"[\w.-]+==\d[\w.]*", line), line
    names = [*pins(env.conda), *pins([*env.pip, *env.deployed])]
    assert len(names) == len(set(names)), "named twice"


@envs
def test_the_versions_are_those_of_the_lock(env):
    lock = locked()
    shared = {name for name in env.versions if name in lock} - NOT_OF_THE_LOCK
    assert {name: env.versions[name] for name in shared} == {name: lock[name] for name in shared}
    if env.stage not in TO_COME:
        assert set(env.versions) - NOT_OF_THE_LOCK - set(lock) == set(), "no test ever met these"


def test_every_script_finds_what_it_imports_in_the_env_of_its_rule(jobs):
    def missing() -> Iterator[str]:
        for job in sorted(jobs):
            has = Env.read(job.env).has
            for file in sorted(reached_from(job.script)):
                for module, packages in needed_by(file).items():
                    if not packages & has:
                        yield f"{job.env.name} lacks {module}: rule {job.rule}, {file.relative_to(REPO)}"

    assert len(jobs) > 15
    assert list(missing()) == []


@envs
def test_what_the_packages_of_an_env_require_is_in_it(env):
    """As far as they are installed here; the test that asks an index asks for all of them."""

    def missing() -> Iterator[str]:
        for name in sorted(set(env.versions) - {"torch"}):
            for requirement in requirements(name, env.python):
                wanted = canonicalize_name(requirement.name)
                wanted = INSTEAD.get(wanted, wanted)
                version = env.versions.get(wanted)
                if wanted not in env.has or (version and not requirement.specifier.contains(version)):
                    yield f"{name} requires {requirement}"

    assert list(missing()) == []


@envs
def test_an_env_lists_nothing_that_nobody_in_it_needs(env, jobs):
    if env.stage not in TO_COME:
        required = {canonicalize_name(r.name) for name in env.versions for r in requirements(name, env.python)}
        assert set(env.versions) - imported_in(env, jobs) - required - {"pip"} == set()


def imported_in(env: Env, jobs: set[Job]) -> set[str]:
    """The packages that the scripts of an env's rules import."""
    if env.stage in TO_COME:
        return TO_COME[env.stage]
    files = {file for job in jobs if job.env == env.file for file in reached_from(job.script)}
    return {name for file in files for packages in needed_by(file).values() for name in packages}


@pytest.mark.parametrize("stage", sorted({Env.read(file).stage for file in ENV_FILES}))
def test_pip_resolves_what_the_scripts_import_to_the_pip_section(stage, jobs, tmp_path):
    """An index has every pin, as a wheel for the env's Python, and there are no more and no fewer than it takes."""
    env = next(env for env in map(Env.read, ENV_FILES) if env.stage == stage)  # the forms share their pip section
    wanted, pinned, replaced = (tmp_path / name for name in ("wanted", "pinned", "replaced"))
    wanted.write_text("\n".join(imported_in(env, jobs) - {"torch"}))
    pinned.write_text("\n".join(f"{name}=={version}" for name, version in env.versions.items() if name != "torch"))
    # face-alignment is installed without its dependencies, torch by conda.
    replaced.write_text("".join(f"{name}; sys_platform == 'never'\n" for name in ("torch", *INSTEAD)))
    found = resolve(
        *(str(wanted), "--constraint", str(pinned), "--override", str(replaced)),
        *("--python-version", env.python["python_version"], "--python-platform", "x86_64-manylinux_2_28"),
    )
    of_pip = pins([*env.pip, *env.deployed])
    of_conda = env.has - set(of_pip)
    assert {name: version for name, version in found.items() if name not in of_conda} == of_pip


def resolve(*arguments: str) -> dict[str, str]:
    """Name -> version, as uv chooses them from wheels. Without an index it skips, or in CI fails."""
    command = [tool("uv"), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--only-binary", ":all:"]
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_HTTP_TIMEOUT": "30", "UV_HTTP_RETRIES": "1"}
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "check": False}
    done = subprocess.run([*command, *arguments], env=environment, **options)
    if re.search(r"error sending request|failed to fetch|timed out", done.stderr, re.IGNORECASE):
        message = f"no package index answers, so the pip sections were not resolved: {done.stderr.splitlines()[0]}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    assert done.returncode == 0, done.stderr
    return pins(done.stdout.splitlines())


@envs
def test_no_env_has_two_packages_that_bring_cv2(env):
    named = {*pins(env.conda), *env.versions}
    assert len(named & CV2) <= 1
    assert named & CV2 <= {"opencv-python-headless"}


@envs
def test_a_post_deploy_script_is_bash_and_says_so(env):
    """Without a first line that names bash, Snakemake gives it to sh, which may not know pipefail."""
    script = env.file.with_suffix(".post-deploy.sh")
    if script.exists():
        lines = script.read_text().splitlines()
        assert lines[0] == "#!/usr/bin/env bash"
        assert "set -euo pipefail" in lines
        assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
        assert env.deployed


@pytest.mark.parametrize("stage", ["faces", "models"])
def test_the_forms_of_an_env_differ_in_nothing_but_torch_s_build(stage):
    cpu, *others = [Env.read(REPO / "envs" / f"{stage}.{form}.yaml") for form in FORMS]
    for other in others:
        assert (other.channels, other.pip, other.deployed) == (cpu.channels, cpu.pip, cpu.deployed)
        changed = [line for line in difflib.ndiff(cpu.conda, other.conda) if line[0] in "+-"]
        names = {Requirement(line[1:].strip()).name for line in changed}
        assert names <= {"pytorch-cpu", "pytorch-gpu", "cuda-version", "cudnn"}


def test_every_env_is_named_by_a_rule_or_is_for_a_stage_that_is_to_come(jobs):
    named = {job.env for job in jobs}
    waiting = {file for file in ENV_FILES if Env.read(file).stage in TO_COME}
    assert named | waiting == set(ENV_FILES)
    assert named & waiting == set(), "no longer to come: take it out of TO_COME"
    scripts = {file.with_suffix(".post-deploy.sh") for file in ENV_FILES}
    assert set((REPO / "envs").iterdir()) - set(ENV_FILES) <= scripts
