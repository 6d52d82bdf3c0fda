"""Times in frames are of a constant rate: where no camera has it, a person is told."""

from fractions import Fraction

import pytest

from scripts.labels.marks import Mark
from scripts.labels.time_base import TimeBase, uneven

NS = 10**9
FRAMES = [Mark("a", Fraction(3), Fraction(9), 1, "frames")]
SECONDS = [Mark("a", Fraction(3), Fraction(9), 1, "seconds")]
SOUND = {"kind": "sound", "start_ns": 0, "stop_ns": 20 * NS}


def video(frames, seconds=20.0, **facts):
    return {
        "kind": "video",
        "file": "a.mp4",
        "frames": frames,
        "start_ns": 5,
        "stop_ns": 5 + round(seconds * NS),
        **facts,
    }


@pytest.mark.parametrize("marks", [FRAMES, [*SECONDS, *FRAMES]])
def test_a_rate_that_no_camera_has_is_said(marks):
    streams = {"c1": video(171, 7.96), "c2": video(400), "mic": SOUND}
    wanted = "labels.fps is 25, but c1 has 171 frames in 7.960 s, c2 has 400 frames in 20.000 s"
    assert uneven(marks, TimeBase(Fraction(25)), streams).startswith(wanted)
    assert uneven(SECONDS, TimeBase(Fraction(25), unit="frames"), streams).startswith(wanted)


@pytest.mark.parametrize(
    ("fps", "streams"),
    [
        ("25", {"c1": video(500), "c2": video(171)}),
        ("30000/1001", {"c1": video(18000, 600.6)}),
        ("29.97", {"c1": video(18000, 600.6)}),
        ("25", {"mic": SOUND}),
        ("25", {"c1": {"kind": "video", "error": "no picture"}}),
        # A gap between chunks is no lack of frames, and pictures of a folder are numbered, not counted.
        ("25", {"c1": video(171, chunks=[])}),
        ("25", {"c1": {k: v for k, v in video(171).items() if k != "file"}}),
    ],
)
def test_a_rate_that_a_camera_has_or_none_can_have_is_not(fps, streams):
    assert uneven(FRAMES, TimeBase(Fraction(fps)), streams) == ""


def test_seconds_are_no_frames():
    assert uneven(SECONDS, TimeBase(Fraction(25)), {"c1": video(171)}) == ""
    assert uneven(FRAMES, TimeBase(), {"c1": video(171)}) == ""
