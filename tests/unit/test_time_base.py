"""Times of label files on the recording's clock: rates of frames, and lines fitted to events."""

from fractions import Fraction

import pytest

from scripts.common.errors import InputError
from scripts.common.wall_clock import wall_seconds
from scripts.labels.import_labels import base_of
from scripts.labels.marks import Mark
from scripts.labels.time_base import TimeBase, seconds_of, uneven

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


def fitted(fit, start, stop, mark_unit="seconds", unit="auto", fps="30"):
    """Start and stop of a label in seconds after the recording's start, and what is said of the fit."""
    base = base_of({"fps": fps, "sync": "", "fit": fit, "unit": unit})
    marks, said = seconds_of([Mark("a", Fraction(start), Fraction(stop), 1, mark_unit)], base)
    return float(marks[0].start), float(marks[0].stop), said


@pytest.mark.parametrize(
    ("unit", "mark_unit", "of_second"),
    [("auto", "seconds", 1), ("milliseconds", "seconds", 1000), ("frames", "seconds", 30), ("auto", "frames", 30)],
)
def test_the_events_of_a_fit_are_in_what_the_file_counts_in(unit, mark_unit, of_second):
    # The file's clock began 1.5 s before the recording.
    fit = [[1 * of_second, 2.5], [61 * of_second, 62.5]]
    start, stop, said = fitted(fit, 1 * of_second, 11 * of_second, mark_unit, unit)
    assert (start, stop) == pytest.approx((2.5, 12.5), abs=1e-9)
    assert said.startswith("fitted to 2 events:")


@pytest.mark.parametrize(
    ("fit", "mark"),
    [
        ([["2019-04-04 09:21:58", 0], ["2019-04-04 09:22:58.5", 60.5]], "2019-04-04 09:22:08:25"),
        ([[float(wall_seconds("2019-04-04 09:21:58")), 0], ["2019-04-04 09:22:58.5", 60.5]], "2019-04-04 09:22:08:25"),
        ([["09:21:58", 0], ["09:22:58,5", 60.5]], "09:22:08:25"),
        # Past midnight, whichever of them has passed it.
        ([["23:59:55", 0], ["00:00:55.5", 60.5]], "00:00:05:25"),
    ],
    ids=["dates", "a number", "no dates", "midnight"],
)
def test_events_of_a_fit_may_be_of_the_clock_on_the_wall(fit, mark):
    time = wall_seconds(mark)
    start, stop, said = fitted(fit, time, time + 1, "wall")
    assert (start, stop) == pytest.approx((10.25, 11.25), abs=1e-6)
    assert "residuals up to 0.000 ms" in said


@pytest.mark.parametrize(
    ("fit", "settings", "said"),
    [
        ([[1, 2.5], [61, 62.5]], {"unit": "milliseconds"}, "1000 s of the recording pass in a second of the file"),
        ([[1, 2.5], [61, 66]], {}, "1.05833 s of the recording"),
        ([[1, 62.5], [61, 2.5]], {}, "-1 s of the recording"),
        ([["09:21:58", 0], ["09:22:58", 60]], {}, "'09:21:58' is of a clock on the wall, the file's times are not"),
        ([["2019-04-04 09:21:58", 0], [9, 60]], {"mark_unit": "wall"}, "has a date, the file's times have none"),
        ([["2019-13-40 09:21:58", 0], [9, 60]], {"mark_unit": "wall"}, "is no time such as"),
        ([[30, 1], [60, 2]], {"unit": "frames", "fps": ""}, "labels.fps"),
    ],
)
def test_events_that_cannot_be_of_the_files_clock_are_one_line(fit, settings, said):
    with pytest.raises(InputError, match=said):
        fitted(fit, 1, 11, **settings)


def test_a_rate_of_a_film_played_slowly_is_fitted():
    assert fitted([[24, 25], [48, 50]], 24, 48)[:2] == pytest.approx((25, 50))


def test_times_of_two_kinds_are_not_fitted():
    with pytest.raises(InputError, match="the file's times are frames and seconds"):
        seconds_of([*SECONDS, *FRAMES], base_of({"fps": "30", "sync": "", "fit": [[0, 0], [1, 1]], "unit": "auto"}))
