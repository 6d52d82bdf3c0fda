"""Shards of a rig's recordings: what a person has ruled out, and what its cameras did not see."""

import json
from pathlib import Path

import numpy as np
import pytest

from scripts.common.filler import filler
from scripts.common.frame_table import FrameTable
from scripts.sources.list_recordings import list_recordings
from tests.unit.shard_maker import FOUR, Made, cut, fetch, plan, scan, scene_video, settings_of

PERIOD_US = 40_000


def shown(source_frame, gaps=()) -> FrameTable:
    """A conformed table at 25 fps. gaps: (frame, ns missing before it)."""
    pts = np.arange(len(source_frame)) * PERIOD_US
    missing = np.zeros(len(pts), np.int64)
    for frame, gap_ns in gaps:
        missing[frame] = gap_ns
    return FrameTable.make(pts, pts * 1000, source_frame=np.array(source_frame), gap_before_ns=missing)


# Four seconds: black to 0.2 s, frame 24 stands still from 1.0 to 1.6 s, and the camera ended at 3.4 s.
HOLED = shown([-1] * 5 + list(range(20)) + [19] * 15 + list(range(20, 65)) + [-1] * 15, gaps=[(40, 600_000_000)])


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return scene_video(tmp_path_factory.mktemp("video") / "four.mp4", FOUR)


def listed(root: Path, video: Path, *, table: FrameTable | None = None, **row: object) -> Path:
    """The table of one recording."""
    root.mkdir(exist_ok=True)
    row = {"url": str(video), "_sound": "", "rig": "stage", "recording": "r1", "camera": "front", **row}
    frames = root / "front.frames.parquet"
    if table is not None:
        table.write(frames)
    list_recordings([video], [], [frames] if table is not None else [], root / "t.jsonl", rows=[row])
    return root / "t.jsonl"


def shards_of(table: Path, video: Path, **settings) -> Made:
    made = Made(table.parent / "lots", settings_of(table, fetch={"allowed_roots": [str(video.parent)]}, **settings))
    fetch(made, plan(made.root, table, made.settings)["lots"][0])
    scan(made)
    cut(made)
    return made


def verdicts(made: Made) -> dict[str, str]:
    """Reason of each clip by the end of its name."""
    return {row.item.removeprefix("000000000").lstrip("_"): row.reason for row in made.rows("cut")}


def test_filler_is_what_stands_still_in_a_gap_and_what_lies_outside_of_the_pictures():
    assert filler(HOLED) == [(0.0, 0.2, "av_start"), (1.0, 1.6, "gap"), (3.4, 4.0, "av_length")]
    assert filler(shown(range(100))) == []
    assert filler(FrameTable.empty()) == []


def test_a_clip_that_overlaps_what_a_person_ruled_out_is_excluded_with_the_reason(tmp_path, video):
    table = listed(tmp_path / "a", video, _unusable=[[2, 3, "excluded", "blink"]])
    made = shards_of(table, video, max_s=1)
    assert verdicts(made) == {"00000": "", "00001": "", "00002": "excluded", "00003": ""}
    assert [row.message for row in made.rows("cut") if row.reason] == ["blink"]
    assert "_unusable" not in made.clips["000000000_00000"].meta


def test_a_stretch_may_reach_to_the_start_or_the_end(tmp_path, video):
    table = listed(tmp_path / "a", video, _unusable=[[None, 0.5, "excluded", "a"], [3.5, None, "excluded", "b"]])
    made = shards_of(table, video, max_s=1)
    assert verdicts(made) == {"00000": "excluded", "00001": "", "00002": "", "00003": "excluded"}


def test_a_whole_recording_with_a_stretch_that_is_ruled_out_is_excluded(tmp_path, video):
    table = listed(tmp_path / "a", video, _unusable=[[2, 3, "excluded", "blink"]])
    assert verdicts(shards_of(table, video)) == {"": "excluded"}


def test_a_clip_that_shows_more_filler_than_pictures_is_filtered_and_less_is_said(tmp_path, video):
    table = listed(tmp_path / "a", video, table=HOLED)
    made = shards_of(table, video, max_s=1)
    assert verdicts(made) == {"00000": "", "00001": "gap", "00002": "", "00003": "av_length"}
    rows = {row.item[-1]: row for row in made.rows("cut")}
    assert rows["0"].message == "its camera has no picture for 0.200 of 1.000 s (av_start)"
    assert (round(rows["1"].value, 3), rows["1"].limit) == (0.6, 0.5)
    assert rows["2"].message == ""


def test_a_recording_without_filler_or_exclusions_is_listed_as_ever(tmp_path, video):
    row = json.loads(listed(tmp_path / "a", video, table=shown(range(100))).read_text())
    assert sorted(row) == ["_sound", "camera", "recording", "rig", "sha256", "sound_sha256", "url"]


def test_a_column_of_that_name_in_a_table_of_urls_rules_nothing_out(tmp_path, video):
    table = tmp_path / "t.jsonl"
    table.write_text(json.dumps({"url": str(video), "_unusable": "x", "rig": "stage"}) + "\n")
    assert verdicts(shards_of(table, video)) == {"": ""}
