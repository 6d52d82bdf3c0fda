"""What was made and is gone is made again, whoever reads it."""

import os
import shutil
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
from scripts.planning import missing_outputs

missing_outputs.guard(workflow)


rule all:
    input: "table.txt"


rule table:
    input: "a.made"
    output: "table.txt"
    shell: "cat {{input}} > {{output}}"


rule make:
    input: "a.half"
    output: "a.made", "a.picture", directory("a.folder")
    run:
        import shutil
        from pathlib import Path
        from scripts.common import folder_entries

        shutil.copy(input[0], "a.made")
        Path("a.picture").touch()
        for name in ("1", "b/2", "b/3"):
            file = Path("a.folder") / name
            file.parent.mkdir(exist_ok=True, parents=True)
            file.touch()
        folder_entries.note(Path("a.folder"))


rule halve:
    input: "a.raw"
    output: temp("a.half")
    shell: "cp {{input}} {{output}}"
"""
EVERYTHING = {"table.txt", "a.made", "a.picture", "a.folder"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything is made."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "Snakefile").write_text(SNAKEFILE)
    (folder / "a.raw").write_text("a")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all"]
    subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=True)
    return folder


@pytest.fixture(autouse=True)
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")


def snakemake(*arguments: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def there() -> set[str]:
    return {path.name for path in Path().iterdir() if not path.name.startswith(".")} - {"Snakefile", "a.raw"}


@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_each_output_that_was_deleted_is_made_again(name: str) -> None:
    shutil.rmtree(name) if name == "a.folder" else Path(name).unlink()
    shown = snakemake("-n")
    assert f"Missing output files: {name}" in shown
    assert "Forced execution" not in shown
    snakemake()
    assert there() == EVERYTHING
    assert "Nothing to be done" in snakemake("-n")


@pytest.mark.parametrize("name", ["1", "b/2", "b"])
def test_a_folder_of_which_a_part_was_deleted_is_made_again(name: str) -> None:
    part = Path("a.folder") / name
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    assert "Missing output files: a.folder" in snakemake("-n")
    snakemake()
    assert (part.parent / part.name).exists()
    assert "Nothing to be done" in snakemake("-n")


def test_what_somebody_adds_to_a_folder_is_no_change() -> None:
    Path("a.folder/.DS_Store").touch()
    Path("a.folder/b/notes.txt").touch()
    assert "Nothing to be done" in snakemake("-n")


def test_what_is_kept_nowhere_is_not_missed() -> None:
    assert not Path("a.half").exists()
    assert "Nothing to be done" in snakemake("-n")


def test_a_file_that_is_asked_for_by_its_path_brings_only_what_it_needs() -> None:
    Path("a.picture").unlink()
    assert "Nothing to be done" in snakemake("-n", "table.txt")
    assert "Missing output files: a.picture" in snakemake("-n", "a.picture")


def test_what_a_person_forces_stays_forced() -> None:
    Path("a.picture").unlink()
    assert "Forced execution" in snakemake("-n", "--forcerun", "make")


def test_touching_makes_nothing() -> None:
    Path("a.picture").unlink()
    snakemake("--touch")
    assert not Path("a.picture").exists()
