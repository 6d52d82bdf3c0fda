"""Inputs of any name reach the jobs of a cluster, and nothing of a name is run as a command."""

from pathlib import Path

import pytest

from tests.slurm.clusters import REPO, Cluster

SNAKEFILE = """
from scripts.planning import job_command

job_command.guard(workflow, config.get("results", ""))

rule copy:
    input: Path("names").read_text().splitlines()
    output: "copied"
    resources: mem_mb=200, runtime=5
    run:
        Path(output[0]).write_text("".join(Path(file).read_text() for file in input))
"""
NAMES = [
    "raw/$HOME `touch ran` $(touch ran).mov",
    "raw/it's 5\" wide.mov",
    "raw/10.00\u202fAM é.mov",
    "raw/back\\slash.mov",
    '"raw";touch ran;".mov"',
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "scripts").symlink_to(REPO / "scripts")
    (tmp_path / "names").write_text("\n".join(NAMES))
    (tmp_path / "raw").mkdir()
    for number, name in enumerate(NAMES):
        (tmp_path / name).write_text(str(number))
    return tmp_path


def test_names_that_a_shell_would_change_arrive_as_they_are(cluster: Cluster, folder: Path):
    status, output = cluster.snakemake(folder, "--retries", "0")
    assert status == 0, output
    assert (folder / "copied").read_text() == "01234"
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (["--config", "note=`touch ran`"], "--config note: 'note=`touch ran`'"),
        (["--config", "results=$HOME/made"], "--config results: 'results=$HOME/made'"),
        (["--configfile", "$HOME.yaml"], "--configfile, 1: "),
    ],
)
def test_settings_that_a_shell_would_change_are_refused_in_one_line(fake: Cluster, folder: Path, given, place):
    (folder / "$HOME.yaml").write_text("{}")
    status, output = fake.snakemake(folder, *given)
    assert status == 1
    [line] = [line for line in output.splitlines() if "command line of a cluster's jobs" in line]
    assert place in line
    assert "Traceback" not in output
    assert not (folder / "ran").exists()
