"""A site of a test's own, and the bytes of a video of four scenes."""

import pytest

from tests.unit.shard_maker import FOUR, scene_video, serve


@pytest.fixture
def site():
    with serve() as served:
        yield served


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> bytes:
    return scene_video(tmp_path_factory.mktemp("video") / "four.mp4", FOUR).read_bytes()
