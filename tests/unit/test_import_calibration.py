"""Calibrations of other programs are read by the names of their cameras; what stands for two cameras is refused."""

import tomllib
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from scripts.cameras.import_calibration import import_calibration
from scripts.common import ledger
from scripts.common.calibration_file import Calibration, Camera
from scripts.common.errors import InputError
from tests.unit.made_media import Pictures, write_media

CALISCOPE = "multicam/caliscope/post_optimization/camera_array.toml"


def imported(root, source, cameras, unit="m", fisheye=(), size=None) -> Calibration:
    return told(root, source, cameras, unit, fisheye, size)[0]


def told(root, source, cameras, unit="mm", fisheye=(), size=None) -> tuple[Calibration, str]:
    """A calibration for videos of a size, and what the ledger says of it."""
    out = root / "calibration.toml", root / "ledger.parquet"
    video = root / "none.mp4"
    if size:
        grey = np.full(size[::-1], 90, np.uint8)
        video = write_media(root / "v.mp4", Pictures([Fraction(n, 25) for n in range(2)], draw=lambda _: grey))
    videos = [video] * len(cameras)
    import_calibration(source, videos, *out, recording="a", cameras=cameras, unit=unit, fisheye=list(fisheye))
    (row,) = ledger.rows(ledger.read([out[1]]))
    assert (row.outcome, row.value) == ("written", len(cameras))
    return Calibration.read(out[0]), row.message


def written(path, **matrices) -> Path:
    """What OpenCV writes."""
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, values in matrices.items():
        storage.write(name, values if isinstance(values, int) else np.array(values, float))
    storage.release()
    return path


LENS = [[1000, 0, 640], [0, 1000, 360], [0, 0, 1]]
STEREO = {"M1": LENS, "D1": np.zeros((1, 5)), "M2": LENS, "D2": np.zeros((1, 5))}
BESIDE = {"R": np.eye(3), "T": [[-100], [0], [0]]}


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
        (
            "a.yml",
            MATRIX.format(rows=3, numbers="0, 0, 0, 0, 1, 0, 0, 0, 1"),
            "`matrix` has a focal length that is not",
        ),
        ("a.yml", MATRIX.format(rows=3, numbers="9, 0, 0, 0, -9, 0, 0, 0, 1"), "`matrix` has a focal length that is"),
        ("a.yml", MATRIX.format(rows=3, numbers="9, 2, 0, 0, 9, 0, 0, 0, 1"), "`matrix` has a skew of 2"),
        ("a.yml", MATRIX.format(rows=3, numbers="9, 0, 0, 0, 9, 0, 0, 0, 2"), "`matrix` is not fx, 0, cx"),
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


def test_two_parallel_cameras_with_equal_lenses_are_no_twins(tmp_path):
    found = imported(tmp_path, written(tmp_path / "a.yml", **STEREO, **BESIDE), ["left", "right"], "mm")
    assert found.cameras["right"].translation.tolist() == [-100, 0, 0]


def test_two_lenses_without_places_are_told_what_they_lack(tmp_path):
    with pytest.raises(InputError, match="it has no R and T, which say where the second camera stands"):
        imported(tmp_path, written(tmp_path / "a.yml", **STEREO), ["left", "right"])


def test_a_yml_does_not_say_what_is_a_fisheye_so_the_rig_does_or_the_ledger_asks(tmp_path):
    bends = {"D1": [[0.1, 0.01, 0.002, 0.001]], "D2": [[0.1, 0.01, 0.002, 0.001]]}
    source = written(tmp_path / "a.yml", **{**STEREO, **bends}, **BESIDE)
    found, said = told(tmp_path, source, ["left", "right"], fisheye=["left"])
    assert found.cameras["left"].fisheye
    assert found.cameras["left"].distortions.tolist() == bends["D1"][0]
    assert not found.cameras["right"].fisheye
    assert "right is read as a pinhole with k1, k2, p1, p2" in said
    assert "left is read" not in said
    five = written(tmp_path / "b.yml", **{**STEREO, "D1": [[1, 2, 3, 4, 5]]}, **BESIDE)
    with pytest.raises(InputError, match="5 distortions; of a fisheye k1, k2, k3, k4 are known"):
        imported(tmp_path, five, ["left", "right"], fisheye=["left"])


def test_a_calibration_of_larger_pictures_is_scaled_and_sees_the_same(tmp_path):
    source = written(tmp_path / "a.yml", K=LENS, D=[[-0.1, 0.01, 0.001, 0, 0]], image_width=1280, image_height=720)
    whole, said = told(tmp_path, source, ["top"], size=(1280, 720))
    assert "scaled" not in said
    half, said = told(tmp_path, source, ["top"], size=(640, 360))
    assert "top is scaled from 1280x720 to 640x360" in said
    assert half.cameras["top"].size == (640, 360)
    points = np.random.default_rng(0).uniform([-1, -1, 3], [1, 1, 5], (50, 3))
    # The edges of the pictures are the same; the middle of the first pixel is half a pixel from them.
    seen = [found.cameras["top"].project(points) + 0.5 for found in (whole, half)]
    assert np.allclose(seen[0] / 2, seen[1])
    with pytest.raises(InputError, match="pictures of 1280x720, and the video has 640x480") as caught:
        imported(tmp_path, source, ["top"], size=(640, 480))
    assert caught.value.reason == "other_size"


def test_of_a_file_without_a_size_the_ledger_says_that_nothing_was_compared(tmp_path):
    found, said = told(tmp_path, written(tmp_path / "a.yml", K=LENS, D=np.zeros((1, 5))), ["top"], size=(640, 360))
    assert "top: the file does not say for which size" in said
    assert found.cameras["top"].size == (640, 360)


@pytest.mark.parametrize("name", ["calib_\U0001f4f7.toml", "a\x7f.toml"])
def test_a_file_may_be_called_anything(tmp_path, name):
    place = np.zeros(3)
    Calibration({"\U0001f4f7": Camera("\U0001f4f7", (640, 480), np.array(LENS), np.zeros(5), place, place)}, {}).write(
        tmp_path / name
    )
    found = imported(tmp_path, tmp_path / name, ["\U0001f4f7"])
    assert found.metadata["source"] == name


def test_a_camera_of_caliscope_without_a_place_matters_to_a_rig_that_has_it(tmp_path, data):
    text = (data / CALISCOPE).read_text()
    start, stop = text.index("[cameras.1]"), text.index("[cameras.2]")
    unplaced = "\n".join(line for line in text[start:stop].splitlines() if not line.startswith("rotation ="))
    assert unplaced != text[start:stop]
    source = tmp_path / "a.toml"
    source.write_text(text[:start] + unplaced + "\n" + text[stop:])
    assert list(imported(tmp_path, source, ["0", "2"]).cameras) == ["0", "2"]
    with pytest.raises(InputError, match="camera 1 is not whole"):
        imported(tmp_path, source, ["0", "1"])
