"""What tests share: the public test data, and a workspace in which the workflow runs."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
DATA = Path(os.environ.get("RUSHES_TEST_DATA", REPO.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Path:
    """The public files that nobody here made; docs/test_data.md names their origins."""
    if not DATA.is_dir():
        pytest.skip(f"no public test data: {DATA} is missing (RUSHES_TEST_DATA names another place)")
    return DATA


@dataclass(frozen=True)
class Workspace:
    """A folder with a copy of the config, in which Snakemake runs the repository's workflow."""

    root: Path
    configfile: str = "config/demo.yaml"

    @property
    def environment(self) -> dict[str, str]:
        """Of a run on this machine: a SLURM that is installed but silent would hold up its start by ten seconds."""
        return {**os.environ, "SLURM_CONF": os.devnull}

    def command(self, *arguments: str, profile: str = "local") -> list[str]:
        """Snakemake's command line, with the workspace's config unless another is named."""
        whole = [sys.executable, "-m", "snakemake", "--snakefile", str(REPO / "Snakefile")]
        whole += ["--profile", str(REPO / "profiles" / profile), *arguments]
        return whole if "--configfile" in arguments else [*whole, "--configfile", self.configfile]

    def snakemake(self, *arguments: str, timeout: float = 600, **options: str) -> subprocess.CompletedProcess[str]:
        """Run the workflow to its end; stdout and stderr come together."""
        return subprocess.run(
            self.command(*arguments, **options),
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )


def make_workspace(root: Path, recordings: Path | None = None, **fields: str) -> Workspace:
    """A workspace in `root`; `recordings` stands in it as demo/recordings."""
    root.mkdir(parents=True, exist_ok=True)
    shutil.copytree(REPO / "config", root / "config")
    if recordings is not None:
        (root / "demo").mkdir()
        (root / "demo" / "recordings").symlink_to(recordings)
    return Workspace(root, **fields)


@pytest.fixture(scope="session")
def demo_recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic recordings of the demo, made once."""
    from rushes.synthetic.demo import make_demo

    folder = tmp_path_factory.mktemp("demo") / "recordings"
    make_demo(folder)
    return folder


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, demo_recordings: Path) -> Workspace:
    """The demo, run once to its end. Tests read it and leave it as it is."""
    workspace = make_workspace(tmp_path_factory.mktemp("workspace") / "demo run", demo_recordings)
    run = workspace.snakemake()
    assert run.returncode == 0, run.stdout
    return workspace
