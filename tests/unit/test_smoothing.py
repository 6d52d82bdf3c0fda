"""Gaps that are filled and marked, trembling that is smoothed, and nothing moved in time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.landmarks import Landmarks
from scripts.faces.smoothing import METHODS, fill_gaps, finished, runs, smoothed
from tests.unit.examples import face_points

FPS = 25.0
SMOOTHING = [method for method in METHODS if method != "none"]


def rows(frame: list[int], track: list[int] | None = None, points: np.ndarray | None = None) -> Landmarks:
    """A face that moves by 3 px to the right and 1 px down in a frame."""
    number = np.array(frame)
    at = {k: (3 * n, n) for k, n in enumerate(frame)}
    return Landmarks.make(
        number,
        np.zeros(len(frame)) if track is None else np.array(track),
        face_points(len(frame), at=at) if points is None else points,
        np.linspace(0.5, 1, len(frame)),
        frames=max(frame) + 1,
        backend="fan",
    )


def one_scene(landmarks: Landmarks) -> np.ndarray:
    return np.zeros(landmarks.frames, int)


def test_a_gap_of_five_frames_lies_on_a_line_and_is_marked_and_one_of_six_stays():
    five = rows([0, 1, 7, 8])
    filled = fill_gaps(five, one_scene(five), 5)
    assert filled.frame.tolist() == list(range(9))
    assert np.flatnonzero(filled.interpolated).tolist() == [2, 3, 4, 5, 6]
    np.testing.assert_allclose(filled.points, rows(list(range(9))).points, atol=1e-4)
    assert filled.score[4] == min(five.score[1], five.score[2])
    np.testing.assert_allclose(filled.box[:, 0], filled.points[:, :, 0].min(axis=1))
    six = rows([0, 1, 8])
    assert fill_gaps(six, one_scene(six), 5) is six


def test_no_gap_is_filled_between_two_faces_or_across_a_cut():
    two = rows([0, 1, 4, 5], [0, 0, 1, 1])
    assert len(fill_gaps(two, one_scene(two), 5)) == 4
    one = rows([0, 1, 4, 5])
    assert len(fill_gaps(one, np.array([0, 0, 0, 1, 1, 1]), 5)) == 4
    assert len(fill_gaps(one, one_scene(one), 5)) == 6
    assert len(fill_gaps(one, one_scene(one), 0)) == 4


@settings(max_examples=40)
@given(st.sets(st.tuples(st.integers(0, 30), st.integers(0, 2)), min_size=1), st.integers(0, 6))
def test_filling_keeps_every_row_and_leaves_no_short_gap(where, longest):
    frame, track = (list(column) for column in zip(*sorted(where), strict=True))
    given_rows = rows(frame, track)
    filled = fill_gaps(given_rows, one_scene(given_rows), longest)
    assert (~filled.interpolated).sum() == len(given_rows)
    for number in np.unique(filled.track):
        gaps = np.diff(filled.frame[filled.track == number]) - 1
        assert ((gaps == 0) | (gaps > longest)).all()


def test_runs_are_of_one_face_in_frames_that_follow_each_other_within_a_scene():
    landmarks = rows([0, 0, 1, 1, 2, 4, 5], [0, 1, 0, 1, 0, 0, 0])
    found = [landmarks.frame[part].tolist() for part in runs(landmarks, np.array([0, 0, 1, 1, 1, 1]))]
    assert found == [[0, 1], [2], [4, 5], [0, 1]]


def swaying(hertz: float, frames: int = 200, noise: float = 0.0) -> Landmarks:
    """A face that sways by 10 px to both sides."""
    way = 10 * np.sin(2 * np.pi * hertz * np.arange(frames) / FPS)
    points = face_points(frames) + np.stack([way, np.zeros(frames)], axis=1)[:, None]
    points += np.random.default_rng(0).normal(0, noise, points.shape)
    return rows(list(range(frames)), points=points.astype(np.float32))


def phase_and_size(landmarks: Landmarks, hertz: float) -> tuple[float, float]:
    """How late the first point is against the sine, in seconds, and the size of its way, by its Fourier coefficient.

    The ends, where no frame follows, are left out; whole periods remain.
    """
    way = landmarks.points[25:-25, 0, 0].astype(np.float64)
    time_s = np.arange(25, 25 + len(way)) / FPS
    coefficient = 2 * np.mean((way - way.mean()) * np.exp(-2j * np.pi * hertz * time_s))
    return float(-(np.angle(coefficient) + np.pi / 2) / (2 * np.pi * hertz)), float(abs(coefficient))


@pytest.mark.parametrize("method", SMOOTHING)
@pytest.mark.parametrize("hertz", [0.5, 1.0, 2.0])
def test_smoothing_moves_a_sine_by_less_than_half_a_millisecond(method, hertz):
    moving = swaying(hertz)
    done = smoothed(moving, one_scene(moving), fps=FPS, method=method)
    late_s, size = phase_and_size(done, hertz)
    assert abs(late_s) < 0.0005
    assert 0.75 * 10 < size < 1.02 * 10


def test_a_single_pass_of_the_one_euro_filter_would_be_late():
    """What the test above sees when there is something to see."""
    from scripts.faces.smoothing import _one_pass

    moving = swaying(1.0)
    late = smoothed(moving, one_scene(moving), fps=FPS)
    late.points[:] = _one_pass(moving.points.astype(np.float64), FPS, 1.0, 1.0 / 200)
    assert phase_and_size(late, 1.0)[0] > 0.01


@pytest.mark.parametrize("method", SMOOTHING)
def test_smoothing_halves_the_trembling_of_a_face_at_rest(method):
    still = swaying(0.0, noise=1.0)
    done = smoothed(still, one_scene(still), fps=FPS, method=method)
    assert np.diff(done.points, axis=0).std() < np.diff(still.points, axis=0).std() / 2


@pytest.mark.parametrize("method", SMOOTHING)
def test_time_runs_the_same_in_both_directions(method):
    moving = swaying(0.7, noise=1.0)
    back = rows(list(range(200)), points=moving.points[::-1])
    forwards, backwards = (smoothed(one, one_scene(one), fps=FPS, method=method).points for one in (moving, back))
    np.testing.assert_allclose(forwards, backwards[::-1], atol=1e-3)


@pytest.mark.parametrize("method", SMOOTHING)
def test_two_runs_know_nothing_of_each_other(method):
    """Before the cut the face stands at one place, after it at another: no frame lies between them."""
    at = dict.fromkeys(range(20, 40), (300, 0))
    jumped = rows(list(range(40)), points=face_points(40, at=at))
    scene = np.repeat([0, 1], 20)
    np.testing.assert_allclose(smoothed(jumped, scene, fps=FPS, method=method).points, jumped.points, atol=1e-3)


def test_none_changes_nothing_and_short_runs_and_unknown_points_are_left_alone():
    moving = swaying(1.0, frames=3)
    assert smoothed(moving, one_scene(moving), fps=FPS) is moving
    moving.points[1, 5] = np.nan
    done = finished(moving, one_scene(moving), interpolate_frames=5, smooth={"method": "savgol"}, fps=FPS)
    np.testing.assert_array_equal(done.points, moving.points)
    with pytest.raises(ValueError, match="is none of none, savgol, one_euro"):
        smoothed(moving, one_scene(moving), fps=FPS, method="median")
