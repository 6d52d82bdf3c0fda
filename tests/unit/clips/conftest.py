"""A lot of four scenes that is scanned once and cut by settings of a test's own."""

import json
from pathlib import Path

import pytest

from tests.unit.shard_maker import (
    FOUR,
    Made,
    cut,
    fetch,
    plan,
    scan,
    scene_video,
    settings_of,
    write_table,
)


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return scene_video(tmp_path_factory.mktemp("video") / "four.mp4", FOUR)


@pytest.fixture(scope="module")
def ready(tmp_path_factory, video) -> Made:
    """A lot that is scanned; tests cut it by settings of their own."""
    root = tmp_path_factory.mktemp("ready")
    row = {"url": str(video), "caption": "all of it", "clips": [[0.5, 1.5], [1.02, 2.9]], "language": "en"}
    table = write_table(root / "t.jsonl", json.dumps(row))
    made = Made(root / "lots", settings_of(table, fetch={"allowed_roots": [str(video.parent)]}))
    fetch(made, plan(made.root, table, made.settings)["lots"][0])
    scan(made)
    return made


@pytest.fixture
def cut_by(ready, tmp_path):
    """Cut the lot by changed settings."""

    def do(**changes) -> Made:
        made = Made(tmp_path / "cut", settings_of(ready.root.parent / "t.jsonl", **changes))
        made.root.mkdir(exist_ok=True)
        for file in ready.root.glob("lot00000.*"):
            (made.root / file.name).write_bytes(file.read_bytes())
        cut(made)
        return made

    return do
