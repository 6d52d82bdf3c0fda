"""Clips show the pictures that their times say, whatever container and codec they are cut from."""

import json
from pathlib import Path

import pytest

from tests.unit.numbered_video import numbered_video, numbers_in
from tests.unit.shard_maker import Made, make, write_table

FRAMES = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("numbered")


def cut_of(root: Path, video: Path, clips: list[list[float]], **changes) -> Made:
    table = write_table(root / "t.jsonl", json.dumps({"url": str(video), "clips": clips}))
    return make(root / "made", table, fetch={"allowed_roots": [str(video.parent)]}, **changes)


def shown_in(made: Made) -> list[list[int]]:
    return [numbers_in(made.unpack(key)) for key in sorted(made.clips)]


@pytest.mark.parametrize("precision", ["exact", "smart"])
def test_clips_that_lie_apart_are_cut_of_one_item(tmp_path, folder, precision):
    video = folder / "apart.mp4"
    video = video if video.exists() else numbered_video(video, FRAMES, options={"bf": "2"})
    made = cut_of(tmp_path, video, [[1, 2], [12.5, 13.5], [15, 15.6]], precision=precision)
    assert shown_in(made) == [list(range(25, 50)), list(range(313, 338)), list(range(375, 390))]
