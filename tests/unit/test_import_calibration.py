"""Calibrations of other programs are read by the names of their cameras; what stands for two cameras is refused."""

import tomllib

import cv2
import numpy as np
import pytest

from scripts.cameras.import_calibration import import_calibration
from scripts.common import ledger
from scripts.common.calibration_file import Calibration
from scripts.common.errors import InputError

CALISCOPE = "multicam/caliscope/post_optimization/camera_array.toml"


def imported(root, source, cameras, unit="m") -> Calibration:
    out = root / "calibration.toml", root / "ledger.parquet"
    import_calibration(source, *out, recording="a", cameras=cameras, unit=unit)
    (row,) = ledger.rows(ledger.read([out[1]]))
    assert (row.outcome, row.value) == ("written", len(cameras))
    return Calibration.read(out[0])


def test_caliscopes_numbers_are_the_rigs_cameras_and_its_metres_are_mm(tmp_path, data):
    told = tomllib.loads((data / CALISCOPE).read_text())["cameras"]
    found = imported(tmp_path, data / CALISCOPE, ["cam_3", "cam_0", "1"])
    assert list(found.cameras) == ["cam_3", "cam_0", "1"]
    for name, number in (("cam_3", "3"), ("cam_0", "0"), ("1", "1")):
        camera = found.cameras[name]
        assert np.allclose(camera.matrix, told[number]["matrix"])
        assert np.allclose(camera.translation, 1000 * np.array(told[number]["translation"]))
        assert np.allclose(cv2.Rodrigues(camera.rotation)[0], told[number]["rotation"], atol=1e-6)


def test_what_was_written_is_read_again_as_it_is(tmp_path, data):
    first = imported(tmp_path, data / CALISCOPE, ["0", "1", "2"])
    (tmp_path / "again").mkdir()
    again = imported(tmp_path / "again", tmp_path / "calibration.toml", ["0", "1", "2"], "mm")
    for name, camera in first.cameras.items():
        assert np.array_equal(camera.matrix, again.cameras[name].matrix)
        assert np.array_equal(camera.translation, again.cameras[name].translation)


def test_opencvs_own_file_gives_its_lens(tmp_path, data):
    source = data / "multicam" / "opencv_stereo_chessboard" / "left_intrinsics.yml"
    camera = imported(tmp_path, source, ["left"]).cameras["left"]
    assert camera.size == (640, 480)
    assert camera.matrix[0, 0] == pytest.approx(535.916, abs=1e-3)


def test_two_cameras_with_the_same_parameters_are_refused(tmp_path, data):
    text = (data / CALISCOPE).read_text()
    one = text[text.index("[cameras.0]") : text.index("[cameras.1]")]
    twins = tmp_path / "twins.toml"
    twins.write_text(one + one.replace("[cameras.0]", "[cameras.1]"))
    with pytest.raises(InputError, match="`0` and `1` have the same parameters"):
        imported(tmp_path, twins, ["0", "1"])


# What OpenCV writes of a lens; the matrix has as many columns as rows.
MATRIX = """%YAML:1.0
---
K: !!opencv-matrix
   rows: {rows}
   cols: {rows}
   dt: d
   data: [{numbers}]
D: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: [0., 0., 0., 0., 0.]
"""


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", "{}", "known are files that end in"),
        ("a.toml", "[cam", "no TOML"),
        ("a.toml", "[cameras.0]\nsize = 1\n", "is not whole"),
        ("a.yml", "%YAML:1.0\n---\na: 1\n", "cameras"),
        ("a.yml", b"\xff\xfegarbage", "OpenCV cannot read it"),
        ("a.yml", "%YAML:1.0\n---\nM1: 3\n", "OpenCV cannot read it"),
        ("a.yml", MATRIX.format(rows=2, numbers="1, 0, 0, 1"), "`matrix` has the shape"),
        ("a.yml", MATRIX.format(rows=3, numbers=".nan, 0, 0, 0, 1, 0, 0, 0, 1"), "`matrix` holds a number that is not"),
        ("a.xml", "<a", "a.xml"),
    ],
)
def test_a_file_that_is_no_calibration_is_one_line(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=said) as error:
        imported(tmp_path, tmp_path / name, ["0"])
    assert "\n" not in str(error.value)


def test_a_camera_that_the_file_lacks_is_named(tmp_path, data):
    with pytest.raises(InputError, match="it has no camera `top`"):
        imported(tmp_path, data / CALISCOPE, ["top"])
