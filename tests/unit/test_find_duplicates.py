"""What shows the same as something that stays is left out, and nothing else is: times of an item are not each other."""

import json
import shutil
from pathlib import Path
from typing import Any

import av
import pytest

from scripts.common import ledger
from scripts.datasets.find_duplicates import Shown, find_duplicates, same_clips
from tests.unit.shard_maker import (
    BLUE,
    FOUR,
    GREEN,
    RED,
    Made,
    cut,
    fetch,
    plan,
    scan,
    scene_video,
    settings_of,
    write_table,
)

KINDS = ("exact", "near")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One video of four seconds, its copy, the same encoded anew and a little shorter, and another one."""
    root = tmp_path_factory.mktemp("videos")
    first = scene_video(root / "one.mp4", FOUR)
    shutil.copy(first, root / "copy.mp4")
    scene_video(root / "other.mp4", [(BLUE, 30), (RED, 20), (GREEN, 50)], size=(120, 160), seed=4)
    with av.open(str(first)) as source, av.open(str(root / "again.mp4"), "w") as target:
        stream = target.add_stream("libx264", rate=25, options={"crf": "28"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number, picture in enumerate(source.decode(video=0)):
            if number < 99:
                target.mux(stream.encode(picture.reformat(160, 120)))
        target.mux(stream.encode(None))
    return root


def ended(root: Path, folder: Path, rows: list[dict[str, Any]], **settings: Any) -> dict[str, ledger.Row]:
    """Rows of `cut_shard` by clip, of rows whose `url` is the name of a video; two rows a lot."""
    lines = [json.dumps(row | {"url": f"{folder}/{row['url']}.mp4"}) for row in rows]
    table = write_table(root / "t.jsonl", *lines)
    limits = {"shard_rows": 2, "lot_shards": 1, "fetch": {"allowed_roots": [str(folder)]}}
    made = Made(root / "made", settings_of(table, **limits, **settings))
    planned = plan(made.root, table, made.settings)["lots"]
    numbers = range(len(planned))
    for number, lot in enumerate(planned):
        fetch(made, lot, number)
        scan(made, number)
    files = [[made.lot(f"{what}.parquet", n) for n in numbers] for what in ("items", "scans", "frames")]
    find_duplicates(*files, [], made.root / "duplicates.parquet", settings=made.settings)
    for number in numbers:
        cut(made, number, made.root / "duplicates.parquet")
    return {row.item: row for number in numbers for row in made.rows("cut", number)}


def reasons(rows: dict[str, ledger.Row]) -> list[str]:
    return [row.reason for _, row in sorted(rows.items())]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_with_other_times_of_the_same_item_are_no_duplicates(tmp_path, folder, kind):
    spans = [[0, 1], [1.5, 2.5], [0, 1], [3, 9]]
    rows = [{"url": "one", "clips": [span]} for span in spans]
    found = ended(tmp_path, folder, rows, filters={"duplicates": kind})
    assert reasons(found) == ["", "", "duplicate", ""]
    assert found["000010000_00000"].message == "the same as 000000000_00000"


@pytest.mark.parametrize("kind", KINDS)
def test_one_row_with_all_clips_of_an_item_gives_those_that_a_row_a_clip_gives(tmp_path, folder, kind):
    clips = [[0, 1], [1, 2], [0, 1]]
    apart = ended(tmp_path / "a", folder, [{"url": "one", "clips": [c]} for c in clips], filters={"duplicates": kind})
    together = ended(tmp_path / "b", folder, [{"url": "one", "clips": clips}], filters={"duplicates": kind})
    assert reasons(apart) == reasons(together) == ["", "", "duplicate"]


def test_a_clip_of_a_copy_that_ends_earlier_is_a_duplicate_by_the_times_of_the_table(tmp_path, folder):
    rows = [{"url": url, "clips": [[1, 2], [3, 4]]} for url in ("one", "again", "other")]
    rows += [{"url": "again", "clips": [[2, 3]]}]
    found = ended(tmp_path, folder, rows, filters={"duplicates": "near", "duplicate_bits": 12})
    assert reasons(found) == ["", "", "duplicate", "duplicate", "", "", ""]


def test_what_the_pictures_say_makes_no_original_of_an_item_either(tmp_path, folder):
    rows = [{"url": "again", "clips": [[1, 2], [3.96, 4]]}, {"url": "one", "clips": [[1, 2], [3.96, 4]]}]
    found = ended(tmp_path, folder, rows, filters={"duplicates": "near", "duplicate_bits": 12})
    assert reasons(found) == ["", "empty", "duplicate", ""]


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_that_is_filtered_is_nobody_s_original(tmp_path, folder, kind):
    rows = [
        {"url": "one", "caption": "", "language": "en"},
        {"url": "copy", "caption": "a long caption", "language": "fr"},
        {"url": "one", "caption": "a good caption", "language": "en"},
        {"url": "copy", "caption": "a good one, too", "language": "en"},
    ]
    found = ended(tmp_path, folder, rows, filters={"duplicates": kind, "min_caption": 3, "languages": ["en"]})
    assert reasons(found) == ["min_caption", "languages", "", "duplicate"]
    assert found["000010001"].message == "the same as 000010000"


def test_a_clip_that_is_filtered_leaves_its_time_to_the_next_copy(tmp_path, folder):
    subtitles = [[[0, 1, "a"], [1, 2, "a long one"]], [[0, 1, "also long"], [1, 2, "another one"]]]
    rows = [{"url": "one", "subtitles": lines} for lines in subtitles]
    found = ended(tmp_path, folder, rows, clips="subtitles", filters={"duplicates": "exact", "min_caption": 3})
    assert reasons(found) == ["min_caption", "", "", "duplicate"]


def test_clips_of_scenes_are_filtered_with_the_item_that_shows_what_another_one_shows(tmp_path, folder):
    rows = [{"url": "one"}, {"url": "copy"}]
    found = ended(tmp_path, folder, rows, clips="cuts", filters={"duplicates": "exact"})
    assert reasons(found) == [""] * 4 + ["duplicate"] * 4
    assert {row.message for row in found.values() if row.reason} == {"the same as 000000000"}


def test_parts_of_a_whole_item_are_no_duplicates_of_each_other(tmp_path, folder):
    found = ended(tmp_path, folder, [{"url": "other"}], max_s=1, filters={"duplicates": "near"})
    assert reasons(found) == [""] * 4


def test_items_of_another_original_keep_the_times_that_it_lacks():
    items = [Shown("a", "", [], [("a_0", (0, 1, 0))]), Shown("b", "", [], [("b_0", (1, 2, 0)), ("b_1", (0, 1, 0))])]
    items += [Shown("c", "", [], [("c_0", (1, 2, 0))]), Shown("d", "", [], [("d_0", (0, 1, 0))])]
    assert same_clips(items, {"b": "a", "c": "a"}) == {"b_1": "a_0", "c_0": "b_0"}
