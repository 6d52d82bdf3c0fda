"""`pip install .`: what a user's own code imports stands alone, without this repository."""

import json
import pkgutil
import shutil
import subprocess
import sys

import numpy as np
import pytest

from rushes.windows import middle_of
from scripts.datasets import pose_shape
from tests.unit.examples import REPO

# What runs inside of a checkout alone: module, with those below it -> why.
OF_A_CHECKOUT = {
    "rushes.engine": "a program that runs the repository's own inference",
    "rushes.remove_originals": "a program that asks the plan of a run what has a copy",
    "rushes.video2dataset_ends": "what a run of a checkout says of its rows",
    "rushes.video2dataset_published": "what a run of a checkout has made",
}
# What setuptools is told to install beside rushes.
DEPENDENCIES = {"numpy", "pyarrow"}
LOADERS = ("rushes.windows", "rushes.shards")


@pytest.fixture
def elsewhere(tmp_path):
    """Runs Python in an empty folder; of the repository it finds the packages that are installed, and no more."""
    shutil.copytree(REPO / "rushes", tmp_path / "site" / "rushes", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "work").mkdir()

    def run(code: str) -> str:
        start = f"import sys\nsys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        done = subprocess.run(
            [sys.executable, "-I", "-c", start + code], cwd=tmp_path / "work", capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def modules() -> list[str]:
    found = [module.name for module in pkgutil.walk_packages([str(REPO / "rushes")], "rushes.")]
    programs = [name for name in found if name.endswith("__main__")]
    return [name for name in found if not name.startswith(tuple(OF_A_CHECKOUT)) and name not in programs]


def test_every_module_that_is_no_program_of_a_checkout_is_imported_without_it(elsewhere):
    names = modules()
    assert set(LOADERS) < set(names)
    elsewhere(
        f"import importlib\nfor name in {names}: importlib.import_module(name)\nassert 'scripts' not in sys.modules"
    )


def test_no_module_that_is_installed_imports_the_repository_later():
    for name in modules():
        source = REPO / name.replace(".", "/")
        text = (source / "__init__.py" if source.is_dir() else source.with_suffix(".py")).read_text()
        assert "from scripts" not in text, name
        assert "import scripts" not in text, name


def test_loaders_ask_for_what_is_installed_with_them_and_nothing_else(elsewhere):
    # Where torch is installed, the loader of shards is one of its datasets.
    code = "sys.modules['torch'] = None\nbefore = set(sys.modules)\n" + "".join(f"import {name}\n" for name in LOADERS)
    code += "import json, pyarrow.parquet\n"
    code += "print(json.dumps(sorted({name.split('.')[0] for name in set(sys.modules) - before})))"
    asked = {name for name in json.loads(elsewhere(code)) if name not in sys.stdlib_module_names}
    alone = "import json, numpy, pyarrow.parquet\n"
    alone += "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    assert asked - set(json.loads(elsewhere(alone))) == {"rushes"}
    text = (REPO / "pyproject.toml").read_text()
    assert f"dependencies = {json.dumps(sorted(DEPENDENCIES))}" in text


def test_an_installed_loader_reads_a_window(elsewhere, tmp_path):
    (tmp_path / "old" / "train" / "ann").mkdir(parents=True)
    pose = np.random.default_rng(0).uniform(0, 300, (64, 2, 68)).astype(np.float32)
    np.savez(tmp_path / "old" / "train" / "ann" / "0.npz", pose=pose, audio=np.zeros((1, 40_960), np.float32))
    np.save(tmp_path / "old" / "lm_mean.npy", np.zeros(136))
    np.save(tmp_path / "old" / "lm_std.npy", np.ones(136))
    code = f"from rushes.windows import Windows\nprint(Windows({str(tmp_path / 'old')!r}, 'train')[0]['pose'].shape)"
    assert elsewhere(code).strip() == "(64, 136)"


def test_the_middle_of_a_pose_is_the_one_that_statistics_are_taken_of():
    pose = np.random.default_rng(0).normal(size=(50, 3, 9))
    pose[np.random.default_rng(1).random((50, 3, 9)) < 0.3] = np.nan
    pose[7] = np.nan
    assert np.array_equal(middle_of(pose), pose_shape.middle_of(pose))
