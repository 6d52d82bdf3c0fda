"""Clips that begin at keyframes keep their bounds whatever else is asked of them."""

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.unit.numbered_video import number_of, numbered_video, numbers_in
from tests.unit.shard_maker import Made, make, write_table

FPS = 25


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """8 s, a keyframe every 2 s and nowhere else."""
    options = {"bf": "2", "sc_threshold": "0"}
    return numbered_video(tmp_path_factory.mktemp("gops") / "v.mp4", 200, options=options, sound="aac")


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
