"""Calibrations of cameras: TOML as aniposelib writes it, and OpenCV's models of lenses."""

import cv2
import numpy as np
import pytest

from scripts.common.calibration_file import Calibration, Camera, rotation_matrix
from scripts.common.errors import InputError
from tests.unit.simulated_room import cameras

POINTS = np.random.default_rng(0).uniform([500, 500, 300], [3500, 2500, 2000], (200, 3))


def test_points_stand_where_opencv_projects_them():
    for camera in cameras().cameras.values():
        ours = camera.project(POINTS)
        theirs, _ = cv2.projectPoints(POINTS, camera.rotation, camera.translation, camera.matrix, camera.distortions)
        seen = np.isfinite(ours[:, 0])
        assert seen.sum() > 100
        assert np.abs(ours - theirs.reshape(-1, 2))[seen].max() < 1e-6


def test_a_fisheye_projects_as_opencv_does():
    template = cameras().cameras["left"]
    bend = np.array([0.05, -0.01, 0.003, -0.001])
    camera = Camera("f", template.size, template.matrix, bend, template.rotation, template.translation, fisheye=True)
    theirs, _ = cv2.fisheye.projectPoints(POINTS[:, None], camera.rotation, camera.translation, camera.matrix, bend)
    seen = np.isfinite(camera.project(POINTS)[:, 0])
    assert np.abs(camera.project(POINTS) - theirs.reshape(-1, 2))[seen].max() < 1e-6


@pytest.mark.parametrize(
    ("bends", "fisheye"),
    [([-0.35, 0.05, 0, 0, 0], False), ([-0.4, 0.2, 0, 0, -0.05], False), ([-0.3, 0.02, 0, 0], True)],
)
def test_what_stands_far_beside_a_camera_is_not_folded_back_into_its_picture(bends, fisheye):
    matrix = np.array([[600.0, 0, 640], [0, 600, 400], [0, 0, 1]])
    camera = Camera("a", (1280, 800), matrix, np.array(bends), np.zeros(3), np.zeros(3), fisheye)
    beside = np.stack([np.tan(np.deg2rad(np.arange(0, 90, 0.5))), np.zeros(180), np.ones(180)], axis=1)
    across = camera.project(beside)[:, 0]
    seen = np.isfinite(across)
    # Further out is further out, and once nothing is seen nothing further out is.
    assert 60 < seen.sum() < 180
    assert (np.diff(across[seen]) > 0).all()
    assert not seen[seen.sum() :].any()


def test_what_lies_behind_a_camera_has_no_pixel():
    camera = Camera("a", (640, 480), np.diag([500.0, 500, 1]), np.zeros(5), np.zeros(3), np.zeros(3))
    assert np.isnan(camera.project(np.array([[0.0, 0, -1], [0, 0, 0]]))).all()
    assert np.allclose(camera.project(np.array([[0.0, 0, 1]])), 0)
    assert camera.holds(np.array([[0, 0], [639, 479], [640, 0], [np.nan, 1]])).tolist() == [True, True, False, False]


@pytest.mark.parametrize("vector", [[0, 0, 0], [0.1, -2, 0.7], [0, 0, np.pi]])
def test_a_rotation_is_that_of_opencv(vector):
    assert np.allclose(rotation_matrix(np.array(vector, float)), cv2.Rodrigues(np.array(vector, float))[0], atol=1e-12)


def test_a_calibration_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "calibration.toml"
    cameras().write(path)
    again = Calibration.read(path)
    assert list(again.cameras) == ["left", "right", "far"]
    assert again.metadata == {"unit": "mm"}
    again.write(tmp_path / "again.toml")
    assert path.read_bytes() == (tmp_path / "again.toml").read_bytes()


CAMERA = """[cam_0]
name = "a"
size = [640, 480]
matrix = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
distortions = [0, 0, 0, 0, 0]
rotation = [0, 0, 0]
translation = [0, 0, 0]
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it holds no camera"),
        ("[cam", "it is no TOML"),
        (CAMERA.replace("size = [640, 480]\n", ""), "`size` is missing"),
        (CAMERA.replace("[640, 480]", "[640]"), "`size` has the shape"),
        (CAMERA.replace("[0, 0, 0]\ntr", '["x", 0, 0]\ntr'), "`rotation` does not hold numbers"),
        (CAMERA.replace("translation = [0,", "translation = [inf,"), "not finite"),
        (CAMERA.replace("[0, 0, 0, 0, 0]", "[1, 2, 3]"), "3 distortions"),
        (CAMERA + CAMERA.replace("cam_0", "cam_1"), "`a` stands there twice"),
        ("x = 1\n", "`x` is no table"),
    ],
)
def test_what_is_no_calibration_is_said_in_one_line(tmp_path, text, said):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        Calibration.read(path)
    assert error.value.reason == "bad_calibration"
    assert said in error.value.message
    assert str(path) in error.value.message
