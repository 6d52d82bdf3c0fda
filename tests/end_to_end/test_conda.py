"""`--sdm conda`, end to end: every job in the env of its rule, with nothing that the env lacks."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPO, Workspace, make_workspace
from tests.end_to_end import fake_conda

# What Snakemake itself imports for a script, from the controller's packages.
PREAMBLE = (
    "import snakemake.logging, snakemake.iocontainers, sys; print(*{name.partition('.')[0] for name in sys.modules})"
)


@pytest.fixture(scope="module")
def conda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the fake conda keeps its state."""
    folder = tmp_path_factory.mktemp("conda")
    fake_conda.install(folder)
    return folder


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, conda: Path, demo_recordings: Path) -> Workspace:
    """A bag and two short recordings of the demo, taken through every stage in the envs of the rules."""
    workspace = make_workspace(tmp_path_factory.mktemp("in-envs"), demo_recordings, configfile="config/few.yaml")
    folder = workspace.root / "config"
    config = yaml.safe_load((folder / "demo.yaml").read_text())
    config |= {"recordings": "config/few.tsv", "known_failures": []}
    config["datasets"]["visemes"]["split"] = {"by": "subject", "train": 1, "val": 0}
    (folder / "few.yaml").write_text(yaml.safe_dump(config))
    rows = (folder / "demo.tsv").read_text().splitlines(keepends=True)
    (folder / "few.tsv").write_text(
        "".join(row for row in rows if row.startswith(("recording", "bench", "speaker_one")))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_CONDA", str(conda))
        patch.setenv("PATH", f"{conda}/bin", prepend=":")
        run = workspace.snakemake("--sdm", "conda")
    assert run.returncode == 0, run.stdout
    return workspace


@pytest.fixture(scope="module")
def runs(conda: Path, workspace: Workspace) -> list[dict]:
    """The Pythons that ran in an env: the env's file, the script and the strangers."""
    envs = {file.read_text(): file.name for file in (REPO / "envs").glob("*.yaml")}
    found = fake_conda.read_runs(conda)
    return [{**run, "env": envs[Path(f"{run['prefix']}.yaml").read_text()]} for run in found]


def scripts_of(runs: list[dict]) -> list[tuple[str, str]]:
    """Script and env of each job."""
    return [
        (run["argv"][0].rpartition("/")[2].split(".")[1], run["env"]) for run in runs if run["argv"][0].endswith(".py")
    ]


def test_every_job_runs_in_the_env_of_its_stage(runs):
    stages = {script.stem: script.parent.name for script in (REPO / "scripts").glob("*/*.py")}
    jobs = scripts_of(runs)
    assert {(script, stages[script]) for script, _ in jobs} == {(script, env.partition(".")[0]) for script, env in jobs}
    assert {env for _, env in jobs} == {"sources.yaml", "media.yaml", "faces.cpu.yaml", "datasets.yaml", "reports.yaml"}


def test_no_job_takes_a_package_from_outside_its_env(runs):
    done = subprocess.run([sys.executable, "-c", PREAMBLE], capture_output=True, text=True, check=True)
    of_snakemake = set(done.stdout.split())
    taken = {(run["env"], *run["argv"][-1:], name) for run in runs for name in set(run["strangers"]) - of_snakemake}
    assert taken == set()


def test_the_post_deploy_script_installs_into_its_env(conda, runs):
    [faces] = {run["prefix"] for run in runs if run["env"] == "faces.cpu.yaml"}
    assert list(Path(faces).glob("lib/python*/site-packages/face_alignment"))
    assert not any(Path(run["prefix"], "pyvenv.cfg").is_file() is False for run in runs)
