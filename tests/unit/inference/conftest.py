"""A checkpoint that was trained once a module."""

import pytest

from tests.unit.speaking_checkpoint import make_checkpoint


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def checkpoint(trained):
    return trained[0]
