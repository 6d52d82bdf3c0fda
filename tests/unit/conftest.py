"""A folder to work in, and how properties are tested: on machines that are busy, and the same cases wherever a failure
must be repeated."""

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "house",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("house")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The test works in a folder of its own."""
    monkeypatch.chdir(tmp_path)
