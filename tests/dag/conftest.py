"""An archive in a folder of the test's own."""

import pytest

from tests.dag.archive import Archive


@pytest.fixture
def archive(tmp_path, monkeypatch) -> Archive:
    monkeypatch.chdir(tmp_path)
    return Archive(tmp_path)
