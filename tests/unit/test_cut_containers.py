"""Clips show the pictures that their times say, whatever container and codec they are cut from."""

import json
from pathlib import Path

import pytest

from scripts.datasets import clip_choice, cut_shard
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


@pytest.mark.parametrize(
    ("ending", "options"),
    [
        ("mp4", {"bf": "2"}),
        ("mkv", {"bf": "2"}),
        ("ts", {"bf": "2"}),
        ("ts", {"bf": "0"}),
        ("ts", {"bf": "3", "x264-params": "open-gop=1"}),
        ("flv", {"bf": "2"}),
        ("mov", {"bf": "3", "x264-params": "open-gop=1"}),
    ],
)
@pytest.mark.parametrize("precision", ["exact", "smart"])
def test_a_clip_far_into_an_item_begins_with_its_own_picture(tmp_path, folder, precision, ending, options):
    video = folder / f"far{'_'.join(options.values())}.{ending}"
    video = video if video.exists() else numbered_video(video, FRAMES, options=options)
    made = cut_of(tmp_path, video, [[0.4, 1], [12.48, 13.48]], precision=precision)
    assert shown_in(made) == [list(range(10, 25)), list(range(312, 337))]


def test_an_item_whose_choice_of_clips_fails_is_a_row_and_the_others_are_cut(tmp_path, folder, monkeypatch, caplog):
    video = folder / "apart.mp4"
    video = video if video.exists() else numbered_video(video, FRAMES, options={"bf": "2"})
    rows = [json.dumps({"url": str(video), "caption": caption, "clips": [[0, 1]]}) for caption in ("one", "two")]

    def choose(dataset, item, *told):
        if item.caption == "one":
            raise ZeroDivisionError("by the way")
        return clip_choice.choose(dataset, item, *told)

    monkeypatch.setattr(cut_shard, "choose", choose)
    table = write_table(tmp_path / "t.jsonl", *rows)
    made = make(tmp_path / "made", table, fetch={"allowed_roots": [str(folder)]})
    assert made.outcomes("cut") == {"000000000": "unexpected", "000000001_00000": ""}
    assert "ZeroDivisionError: by the way" in caplog.text
