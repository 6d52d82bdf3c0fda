"""An older product does not hide that what it is made of is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
# A SLURM that is installed but silent would hold up each start by ten seconds.
ENVIRONMENT = {**os.environ, "SLURM_CONF": os.devnull}
SNAKEFILE = f"""
import sys
sys.path.insert(0, {str(REPO)!r})
from scripts.planning import missing_inputs

missing_inputs.guard(workflow)


rule all:
    input: "table.txt"


rule table:
    input: "a.made", "b.made"
    output: "table.txt"
    shell: "cat {{input}} > {{output}}"


rule make:
    input: "{{name}}.raw"
    output: "{{name}}.made"
    shell: "cp {{input}} {{output}}"
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Snakefile").write_text(SNAKEFILE)
    Path("a.raw").write_text("a")


def snakemake(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [(), ("table.txt", "-n")])
def test_a_missing_source_stops_the_run_although_what_is_made_of_it_is_there(arguments: tuple[str, ...]) -> None:
    Path("table.txt").write_text("of the last run")
    done = snakemake(*arguments)
    assert done.returncode == 1
    assert "b.raw" in done.stdout + done.stderr
    assert "Nothing to be done" not in done.stdout + done.stderr
    assert not Path("a.made").exists()


def test_what_is_there_is_made() -> None:
    Path("b.raw").write_text("b")
    assert snakemake("--quiet", "all").returncode == 0
    assert Path("table.txt").read_text() == "ab"
