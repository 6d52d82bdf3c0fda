from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scripts.common.empty import write_empty
from scripts.common.errors import InputError
from scripts.common.landmarks import POINTS, Landmarks, face_boxes


def some(frame: list[int], track: list[int], frames: int = 10) -> Landmarks:
    count = len(frame)
    points = np.random.default_rng(0).uniform(0, 100, (count, POINTS, 2))
    return Landmarks.make(
        np.array(frame),
        np.array(track),
        points,
        np.ones(count),
        frames=frames,
        backend="given",
        imputed=(60, 64),
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    written = some([0, 0, 3], [0, 1, 0])
    written.points[2, 5] = np.nan
    written.write(tmp_path / "a.landmarks.npz")
    read = Landmarks.read(tmp_path / "a.landmarks.npz")
    for name in ("frame", "track", "points", "score", "box", "imputed", "interpolated"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
        assert getattr(read, name).dtype == getattr(written, name).dtype
    assert (read.frames, read.backend, len(read), read.frames_with_face) == (10, "given", 3, 2)
    assert np.flatnonzero(read.imputed).tolist() == [60, 64]


def test_the_same_landmarks_are_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        some([0, 1], [0, 0]).write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_rows_are_sorted_and_tracks_numbered_without_holes() -> None:
    landmarks = some([5, 2, 2, 5], [7, 7, 3, 9])
    assert landmarks.frame.tolist() == [2, 2, 5, 5]
    assert landmarks.track.tolist() == [0, 1, 1, 2]


def test_the_empty_form_of_a_failed_item_is_a_landmarks_file_without_rows(tmp_path: Path) -> None:
    write_empty(tmp_path / "part", "front.fan.landmarks.npz")
    empty = Landmarks.read(tmp_path / "part")
    assert (len(empty), empty.frames, empty.backend, empty.frames_with_face) == (0, 0, "", 0)
    assert empty.points.shape == (0, POINTS, 2)


def test_a_box_holds_the_points_and_the_forehead() -> None:
    points = np.full((2, POINTS, 2), np.nan)
    points[0, 0], points[0, 1] = (10, 100), (50, 200)
    boxes = face_boxes(points)
    np.testing.assert_allclose(boxes[0], [10, 65, 50, 200])
    assert np.isnan(boxes[1]).all()


def test_rows_twice_or_out_of_order_or_beyond_the_video_are_refused() -> None:
    good = some([0, 1], [0, 0])
    for wrong in ({"frame": np.int32([1, 0])}, {"frame": np.int32([1, 1])}, {"frames": 1}):
        with pytest.raises(ValueError, match=r"sorted|video of"):
            replace(good, **wrong)


def test_a_wrong_file_is_refused_in_one_line_that_names_it(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    some([0, 1], [0, 0]).write(whole)
    arrays = dict(np.load(whole))
    wrong = {
        "garbage": b"no zip at all",
        "cut": whole.read_bytes()[:500],
        "nothing": b"",
    }
    for name, content in wrong.items():
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "single.npy", np.zeros((3, 68, 2)))
    for name, changed in {
        "no_box": {k: v for k, v in arrays.items() if k != "box"},
        "float64": {**arrays, "points": arrays["points"].astype(np.float64)},
        "five": {**arrays, "points": arrays["points"][:, :5]},
        "objects": {**arrays, "score": np.array([{}, {}], object)},
    }.items():
        with (tmp_path / name).open("wb") as file:
            np.savez(file, **changed)
    for name in (*wrong, "single.npy", "no_box", "float64", "five", "objects"):
        with pytest.raises(InputError, match=name) as caught:
            Landmarks.read(tmp_path / name)
        assert caught.value.reason == "bad_landmarks"
        assert "\n" not in caught.value.message
    with pytest.raises(InputError, match=r"`points` is float32 \(2, 5, 2\) instead of float32 \(2, 68, 2\)"):
        Landmarks.read(tmp_path / "five")
