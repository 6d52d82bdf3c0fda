"""The lock: complete, consistent, one cv2, and all that the project imports."""

import re
from collections import Counter
from collections.abc import Iterator
from importlib import metadata

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.unit.examples import REPO
from tests.unit.packages import CV2, INSTEAD, LOCKS, PROVIDERS, locked, needed_by, pins, requirements

PYTHONS = ("3.11", "3.12", "3.13")
# What the demo does without: folders and files that run networks by large libraries.
NETWORKS = ("scripts/faces/backends", "scripts/datasets/transcribe_clips.py", "scripts/models", "rushes/engine")
FLOORS = ("scripts", "rushes", "tests", "benchmarks", "docs")


def installed() -> dict[str, str]:
    """Name -> version of the packages of this Python; torch without the name of its build."""
    found = {canonicalize_name(d.name): d.version for d in metadata.distributions()}
    return {name: Version(version).public for name, version in found.items()}


def test_every_line_of_the_lock_pins_one_package_to_one_version():
    lines = [line for file in LOCKS for line in file.read_text().splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r'[\w.-]+==\d[\w.]*(; python_version < "3\.\d+")?', line)] == []
    names = Counter(name for file in LOCKS for name in pins(file.read_text().splitlines()))
    assert [name for name, count in names.items() if count > 1] == []


def test_what_is_installed_is_what_is_locked():
    lock, here = locked(), installed()
    assert {name: here[name] for name in here if name in lock and here[name] != lock[name]} == {}


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_is_complete(python):
    """All that a locked package requires is locked, in a version that it takes: --no-deps leaves nothing out."""
    lock = locked()

    def missing() -> Iterator[str]:
        for name in sorted(lock):
            for requirement in requirements(name, {"python_version": python, "python_full_version": f"{python}.1"}):
                wanted = canonicalize_name(requirement.name)
                wanted = INSTEAD.get(wanted, wanted)
                # torch is installed first and with its own dependencies: which libraries of CUDA, is its affair.
                of_cuda = name == "torch" and (wanted.startswith(("nvidia-", "cuda-")) or wanted == "triton")
                if not of_cuda and (wanted not in lock or not requirement.specifier.contains(lock[wanted])):
                    yield f"{name} requires {requirement}"

    assert list(missing()) == []


def test_one_package_brings_cv2():
    assert set(locked()) & CV2 == {"opencv-python-headless"}
    assert PROVIDERS["cv2"] == {"opencv-python-headless"}


def test_all_that_the_project_imports_is_locked():
    lock = locked()

    def missing() -> Iterator[str]:
        for file in sorted(file for floor in FLOORS for file in (REPO / floor).rglob("*.py")):
            for module, packages in needed_by(file).items():
                if not packages & set(lock):
                    yield f"{file.relative_to(REPO)} imports {module}"

    assert list(missing()) == []


def test_the_lock_of_the_tests_only_adds_to_that_of_the_users():
    """`make setup` suffices for the demo, `make setup-models` for all that the stages import."""
    users, models = (
        {name for lock in locks for name in pins(lock.read_text().splitlines())} for locks in (LOCKS[:1], LOCKS[:3])
    )
    networks = {REPO / place for place in NETWORKS}
    files = [file for floor in ("scripts", "rushes") for file in (REPO / floor).rglob("*.py")]
    wanted = {file: {n for p in needed_by(file).values() for n in p} for file in files}
    assert {n for names in wanted.values() for n in names} - models == set()
    assert {n for file in files if not networks & {file, *file.parents} for n in wanted[file]} - users == set()
