"""The small recordings, built once; tests that change something work on copies."""

import pytest

from tests.conftest import Workspace
from tests.end_to_end.small import make_small, small_workspace


@pytest.fixture(scope="session")
def small_recordings(tmp_path_factory: pytest.TempPathFactory):
    """The recordings of `small.py`, made once."""
    folder = tmp_path_factory.mktemp("small") / "recordings"
    make_small(folder)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, small_recordings) -> Workspace:
    """The small config, built undisturbed. Tests read it and leave it as it is."""
    workspace = small_workspace(tmp_path_factory.mktemp("finished") / "small run", small_recordings)
    run = workspace.snakemake("--cores", "2")
    assert run.returncode == 0, run.stdout
    return workspace
