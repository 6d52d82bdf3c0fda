"""Clips that begin at keyframes keep their bounds whatever else is asked of them, and no part is longer than asked."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.datasets.clip_times import Clip, divided
from tests.unit.numbered_video import number_of, numbered_video, numbers_in
from tests.unit.shard_maker import Made, make, write_table

FPS = 25


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """8 s, a keyframe every 2 s and nowhere else."""
    options = {"bf": "2", "sc_threshold": "0"}
    return numbered_video(tmp_path_factory.mktemp("gops") / "v.mp4", 200, options=options, sound="aac")


@pytest.fixture(scope="module")
def one_gop(tmp_path_factory) -> Path:
    """4 s with the first picture as its only keyframe."""
    options = {"bf": "2", "sc_threshold": "0"}
    return numbered_video(tmp_path_factory.mktemp("gop") / "v.mp4", 100, gop=1000, options=options)


def cut_of(root: Path, item: Path, clips: list[list[float]] | None = None, **changes: Any) -> Made:
    row = {"url": str(item)} | ({"clips": clips} if clips else {})
    table = write_table(root / "t.jsonl", json.dumps(row))
    return make(root / "made", table, fetch={"allowed_roots": [str(item.parent)]}, **changes)


def times_of(made: Made) -> list[tuple[float, float]]:
    return [(clip.start_s, clip.stop_s) for clip in made.clips.values()]


@pytest.mark.parametrize(
    ("precision", "clips", "bounds"),
    [
        ("keyframe", [[0.5, 2.4], [2, 7]], [(0, 2.4), (2, 7)]),
        ("keyframe_adjusted", [[0.5, 5], [2, 7]], [(2, 4), (2, 6)]),
    ],
)
def test_clips_of_another_size_and_rate_begin_at_the_keyframes_of_a_copy_and_are_encoded(
    tmp_path, video, precision, clips, bounds
):
    changes = {"video": {"fps": 5, "height": 32, "resize": ["scale"]}, "audio": {"rate_hz": 8000}}
    made = cut_of(tmp_path, video, clips, precision=precision, **changes)
    assert times_of(made) == bounds
    assert not any(row.message for row in made.rows("cut") if row.outcome == "written")
    for key, clip in made.clips.items():
        with av.open(str(made.unpack(key))) as container:
            assert container.streams.audio[0].rate == 8000
            pictures = list(container.decode(video=0))
        assert {(picture.width, picture.height) for picture in pictures} == {(80, 32)}
        # A fifth of a second shows the picture of its middle.
        wanted = [round(clip.start_s * FPS) + 5 * k + 2 for k in range(int((clip.stop_s - clip.start_s) * 5))]
        shown = [number_of(np.asarray(p.reformat(width=160, height=64).to_ndarray(format="gray"))) for p in pictures]
        assert shown == wanted
        assert {"asked_start_s", "asked_stop_s", "dropped_s"} <= set(clip.meta)


def test_sound_alone_and_pictures_as_arrays_are_written_of_clips_at_keyframes(tmp_path, video):
    formats = {"video": "mp4", "audio": "m4a", "frames": "npy"}
    made = cut_of(tmp_path, video, [[2.4, 3]], precision="keyframe", encode_formats=formats)
    assert times_of(made) == [(2, 3)]
    assert sorted(part["ending"] for part in made.clips["000000000_00000"].parts) == ["m4a", "mp4", "npy"]
    assert numbers_in(made.unpack("000000000_00000")) == list(range(50, 75))


@pytest.mark.parametrize("precision", ["keyframe", "keyframe_adjusted"])
@pytest.mark.parametrize("max_s", [2.5, 3])
def test_a_long_clip_is_divided_at_its_keyframes(tmp_path, video, precision, max_s):
    made = cut_of(tmp_path, video, precision=precision, max_s=max_s)
    assert times_of(made) == [(0, 2), (2, 4), (4, 6), (6, 8)]
    assert set(made.outcomes("cut").values()) == {""}
    assert not any(row.message for row in made.rows("cut"))
    shown = [numbers_in(made.unpack(key)) for key in sorted(made.clips)]
    assert shown == [list(range(first, first + 50)) for first in (0, 50, 100, 150)]
    assert all(clip.meta["dropped_s"] == 0 for clip in made.clips.values())


def test_parts_say_together_what_keyframes_dropped_of_their_clip(tmp_path, video):
    made = cut_of(tmp_path, video, [[1.5, 7]], precision="keyframe_adjusted", max_s=3)
    assert times_of(made) == [(2, 4), (4, 6)]
    asked = [(clip.meta["asked_start_s"], clip.meta["asked_stop_s"]) for clip in made.clips.values()]
    assert asked == [(1.5, 4), (4, 7)]
    assert [clip.meta["dropped_s"] for clip in made.clips.values()] == [0.5, 1]


@pytest.mark.parametrize("precision", ["keyframe", "keyframe_adjusted"])
def test_a_gop_longer_than_the_limit_is_divided_too_and_no_picture_comes_twice(tmp_path, one_gop, precision):
    made = cut_of(tmp_path, one_gop, precision=precision, max_s=3)
    assert times_of(made) == [(0, 3), (3, 4)]
    assert [numbers_in(made.unpack(key)) for key in sorted(made.clips)] == [list(range(75)), list(range(75, 100))]
    assert [row.message for row in made.rows("cut")] == ["", "encoded, not copied: no keyframe stands at its start"]


def test_the_way_from_a_far_keyframe_is_no_part_of_its_own(tmp_path, one_gop):
    made = cut_of(tmp_path, one_gop, [[2.5, 3.5]], precision="keyframe", max_s=1)
    assert times_of(made) == [(2, 3), (3, 3.5)]
    assert [clip.meta["asked_start_s"] for clip in made.clips.values()] == [2.5, 3]
    assert sum(clip.meta["dropped_s"] for clip in made.clips.values()) == -0.5


times = st.integers(0, 2000).map(lambda ticks: ticks / 100)


@given(st.lists(times, unique=True).map(sorted), times, times, st.integers(1, 500), st.floats(0, 1))
def test_parts_are_the_whole_clip_once_within_the_limit(keyframes_s, start_s, length_s, ticks, share):
    max_s = ticks / 100
    asked_start_s = start_s + share * length_s * 0.99
    clip = Clip(start_s, start_s + length_s, asked_s=(asked_start_s, start_s + length_s), short_s=0.25)
    parts = divided([clip], max_s=max_s, strategy="all", keyframes_s=keyframes_s)
    assert all(part.seconds <= max_s + 2e-6 for part in parts)
    assert all(one.stop_s == next_one.start_s for one, next_one in pairwise(parts))
    assert start_s <= parts[0].start_s <= asked_start_s
    assert parts[-1].stop_s == clip.stop_s
    assert sum(part.short_s for part in parts) == 0.25
    assert (parts[0].asked_s[0], parts[-1].asked_s[1]) == clip.asked_s
    for part in parts[:-1]:
        within = [key for key in keyframes_s if part.start_s + 1e-5 < key < part.start_s + max_s - 1e-5]
        assert part.stop_s in keyframes_s or not within
    assert divided([clip], max_s=max_s, strategy="first", keyframes_s=keyframes_s) == parts[:1]
