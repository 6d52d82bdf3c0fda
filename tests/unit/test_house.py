"""What holds for every rule, every script and every module of the house."""

import ast
import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.common.empty import FOLDERS, write_empty
from scripts.common.job import RESOURCE_ARGUMENTS, UNPASSED_PARAMS, bind
from tests.unit.examples import REPO, House

STAGES = {"sources", "media", "faces", "cameras", "labels", "datasets", "models", "reports"}
RULE_FILES = sorted((REPO / "rules").glob("*.smk"))
MODULES = sorted((REPO / "scripts").rglob("*.py"))
HEAVY = {"numpy", "scipy", "pandas", "pyarrow", "av", "cv2", "torch", "onnxruntime", "soundfile", "matplotlib"}


def run(*command: str, cwd: Path = REPO) -> subprocess.CompletedProcess[str]:
    """Run a program; stdout and stderr come together."""
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    return subprocess.run(command, cwd=cwd, env=environment, text=True, check=False, stdin=subprocess.DEVNULL, **both)


def tool(name: str) -> str:
    """A linter, beside this Python or on the path. Its absence is a failure where it must not be absent."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found:
        return found
    if os.environ.get("CI"):
        pytest.fail(f"{name} is not installed: make setup-test")
    pytest.skip(f"{name} is not installed: make setup-test")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the workflow has both kinds of rigs, and a dataset."""
    root = tmp_path_factory.mktemp("house")
    house = House(root)
    # Every kind of source has its rule.
    house.rigs["theatre"] = {"source": "chunks", "cameras": {"c2": "{source}/*.MP4"}}
    house.rigs["arena"] = {
        "source": "file",
        "cameras": {"top": "{source}"},
        "multicam": {"segment": {"backend": "background"}, "compress": {}},
    }
    house.rigs["stills"] = {"source": "frames", "cameras": {"c2": "{source}/S{subject}C2{frame}.jpg"}}
    cwd = Path.cwd()
    os.chdir(root)
    try:
        house.files_of_sources("a.mov", "b.mov", "c.bag")
        house.sheet(
            ["recording", "rig", "source", "split"],
            [["a", "booth", "a.mov", "train"], ["b", "booth", "b.mov", "val"], ["c", "aviary", "c.bag", ""]],
        )
        house.datasets = {"visemes": {"kind": "windows", "rig": "booth"}}
        house.write_config()
    finally:
        os.chdir(cwd)
    return root


@pytest.fixture(scope="module")
def rules(workplace: Path) -> list[dict[str, Any]]:
    """Every rule as Snakemake has read it."""
    program = str(REPO / "tests" / "unit" / "list_rules.py")
    done = run(sys.executable, program, str(REPO / "Snakefile"), cwd=workplace)
    assert done.returncode == 0, done.stdout
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def jobs(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rules that run a script; the others are targets."""
    return [rule for rule in rules if rule["script"]]


def script_of(rule: dict[str, Any]) -> Path:
    return Path(os.path.normpath(Path(rule["folder"]) / rule["script"]))


def problems(found: Iterator[str]) -> list[str]:
    return list(found)


def test_every_rule_runs_the_script_that_is_named_after_it(jobs):
    def wrong() -> Iterator[str]:
        for rule in jobs:
            script = script_of(rule)
            if not script.is_file() or script.parent.parent != REPO / "scripts":
                yield f"{rule['name']}: {script}"
            # Made in a loop, a rule has the name of its rig or split at the end.
            verb = script.stem.split("_")[0]
            if not (rule["name"].startswith(script.stem) or rule["name"].startswith(f"{verb}_")):
                yield f"{rule['name']} runs {script.name}"

    assert len(jobs) >= 15
    assert problems(wrong()) == []


def test_the_names_of_every_rule_are_the_arguments_of_its_function(jobs):
    def wrong() -> Iterator[str]:
        for rule in jobs:
            script = script_of(rule)
            module = importlib.import_module(".".join(script.relative_to(REPO).with_suffix("").parts))
            given = {*rule["input"], *rule["params"], *RESOURCE_ARGUMENTS} - UNPASSED_PARAMS
            parts = {f"out_{name}": "x" for name in rule["output"]}
            try:
                bind(getattr(module, script.stem), dict.fromkeys(given, "x"), parts)
            except (TypeError, AttributeError) as error:
                yield f"{rule['name']}: {error}"
            if both := set(rule["input"]) & set(rule["params"]):
                yield f"{rule['name']}: {both} name an input and a param"
            if rule["unnamed"]:
                yield f"{rule['name']}: {rule['unnamed']} inputs or outputs have no name"

    assert problems(wrong()) == []


def test_every_function_of_a_rule_takes_paths_by_place_and_settings_by_name(jobs):
    def wrong() -> Iterator[str]:
        for script in {script_of(rule) for rule in jobs}:
            module = importlib.import_module(".".join(script.relative_to(REPO).with_suffix("").parts))
            for name, parameter in inspect.signature(getattr(module, script.stem)).parameters.items():
                is_path = "Path" in str(parameter.annotation)
                by_place = parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
                if is_path and name.startswith("out_") and not by_place:
                    yield f"{script.stem}: {name}"
                if not is_path and by_place:
                    yield f"{script.stem}: {name} must be keyword-only"

    assert problems(wrong()) == []


def test_every_rule_says_what_it_does_and_where_it_writes_that(rules, jobs):
    assert [rule["name"] for rule in rules if not rule["docstring"]] == []
    # A message takes the place of inputs and outputs in a dry run, which is to show every file.
    assert [rule["name"] for rule in rules if rule["message"]] == []
    assert [rule["name"] for rule in jobs if not rule["log"]] == []
    assert [rule["name"] for rule in jobs if not rule["benchmark"] and not rule["local"]] == []


def test_what_an_item_that_fails_leaves_behind_is_known_for_every_output(jobs, tmp_path):
    def wrong() -> Iterator[str]:
        for rule in jobs:
            if "ledger" not in rule["output"] or rule["name"] == "merge_ledgers":
                continue
            for name, paths in rule["files"].items():
                for number, path in enumerate(paths):
                    try:
                        target = tmp_path / f"{rule['name']}.{name}.{number}"
                        write_empty(target, Path(path).name, folder=f"out_{name}" in FOLDERS)
                    except ValueError as error:
                        yield f"{rule['name']}: {error}"

    assert problems(wrong()) == []


def test_every_rule_has_a_key_with_the_version_of_its_method(jobs):
    assert [rule["name"] for rule in jobs if "key" not in rule["params"] and rule["output"]] == []


def test_every_rule_asks_for_memory_and_runtime_that_grow_with_the_attempt(jobs):
    asked = {rule["name"] for rule in jobs if {"mem_mb", "runtime"} <= set(rule["growing"])}
    assert {rule["name"] for rule in jobs if not rule["local"]} - asked == set()


def test_every_rule_names_an_env_that_exists(jobs):
    envs = {rule["name"]: Path(os.path.normpath(Path(rule["folder"]) / rule["conda"])) for rule in jobs}
    assert {name: env for name, env in envs.items() if not env.is_file()} == {}


def test_every_accelerator_has_its_env(workplace):
    for accelerator in ("cpu", "cuda", "cuda-legacy"):
        for stage in ("faces", "models"):
            assert (REPO / "envs" / f"{stage}.{accelerator}.yaml").is_file()


def test_every_rule_states_its_threads():
    for file in RULE_FILES:
        text = file.read_text()
        scripts, threads = (len(re.findall(rf"^ +{word}:", text, re.MULTILINE)) for word in ("script", "threads"))
        assert scripts == threads, file.name


def test_every_rule_file_opens_with_its_contract():
    for file in RULE_FILES:
        text = file.read_text()
        assert text.startswith(f'"""\n{file.stem}: '), file.name
        assert file.stem.endswith("common") or ("\nNeeds   " in text and "\nMakes   " in text), file.name


def imported(module: Path) -> Iterator[str]:
    """The stages and parts of the project that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import fails in a job"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in ("scripts", "rushes", "tests", "benchmarks"))


def test_every_function_of_the_rules_is_defined_once():
    # All files of rules share one namespace: the later one would win, without a word.
    names = [
        name
        for file in [REPO / "Snakefile", *RULE_FILES]
        for name in re.findall(r"^def (\w+)", file.read_text(), re.MULTILINE)
    ]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_a_stage_and_the_planning_import_the_ground_floor_and_no_other():
    def wrong() -> Iterator[str]:
        for module in MODULES:
            floor = module.relative_to(REPO / "scripts").parts[0]
            assert floor in STAGES | {"common", "planning"}, module
            for name in imported(module):
                if not name.startswith(("scripts.common", f"scripts.{floor}")):
                    yield f"{module.relative_to(REPO)} imports {name}"

    assert problems(wrong()) == []


def test_a_script_of_a_rule_is_one_function_that_the_adaptor_runs(jobs):
    for script in {script_of(rule) for rule in jobs}:
        text = script.read_text()
        assert text.endswith(f'\n\nif __name__ == "__main__":\n    run({script.stem})\n'), script.name
        # Snakemake puts its preamble before it.
        assert "from __future__" not in text, script.name


def test_every_script_of_a_stage_is_run_by_a_rule_or_imported_by_one(jobs):
    scripts = {script_of(rule) for rule in jobs}
    used = {name for module in MODULES for name in imported(module)}

    def unused() -> Iterator[str]:
        for module in {path for path in MODULES if path.name != "__init__.py"} - scripts:
            name = ".".join(module.relative_to(REPO).with_suffix("").parts)
            if name.startswith(("scripts.common.", "scripts.planning.")):
                continue
            if not any(f"{other}.".startswith(f"{name}.") for other in used):
                yield name

    assert problems(unused()) == []


def test_reading_the_workflow_imports_nothing_heavy():
    files = [REPO / "Snakefile", *RULE_FILES]
    lines = [line for file in files for line in file.read_text().splitlines()]
    imports = sorted({line for line in lines if line.startswith("from scripts.")})
    assert len(imports) >= 4
    shown = "print(*{name.partition('.')[0] for name in sys.modules})"
    done = run(sys.executable, "-c", "\n".join(["import sys", *imports, shown]))
    assert done.returncode == 0, done.stdout
    assert set(done.stdout.split()) & HEAVY == set()


def test_snakemake_finds_nothing_to_lint(workplace):
    done = run(sys.executable, "-m", "snakemake", "--lint", "--snakefile", str(REPO / "Snakefile"), cwd=workplace)
    assert done.returncode == 0, done.stdout


def test_text_is_read_and_written_in_an_encoding_that_no_machine_chooses():
    """ruff asks for it where it can tell that something is a path; here whatever is called like that."""
    found = [
        f"{module.relative_to(REPO)}:{call.lineno}: {ast.unparse(call)[:80]}"
        for folder in ("scripts", "rushes")
        for module in sorted((REPO / folder).rglob("*.py"))
        for call in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and _is_text_of_the_machines(call)
    ]
    assert not found, "\n".join(found)


def _is_text_of_the_machines(call: ast.Call) -> bool:
    name = call.func.attr
    if any(keyword.arg in ("encoding", None) for keyword in call.keywords):
        return False
    if name in ("write_text", "read_text"):
        return len(call.args) < (2 if name == "write_text" else 1)
    # A path's `open` has its mode first, that of a module has the name there.
    first = call.args[0] if call.args else None
    return name == "open" and isinstance(first, ast.Constant) and set(str(first.value)) <= set("rwaxt+")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("snakefmt", ["--check", "--compact-diff", "Snakefile", "rules"]),
        ("ruff", ["check", "--no-cache"]),
        ("ruff", ["format", "--check", "--no-cache"]),
        ("mypy", []),
    ],
    ids=["snakefmt", "ruff check", "ruff format", "mypy"],
)
def test_the_linters_find_nothing(name, arguments):
    done = run(tool(name), *arguments)
    assert done.returncode == 0, f"{name} {' '.join(arguments)}\n{done.stdout[-4000:]}"
