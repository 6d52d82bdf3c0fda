"""Videos and weights that are not what they should be."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from scripts.common import ledger
from scripts.common.errors import InputError, RunError
from scripts.common.frame_table import FrameTable
from scripts.faces.backends.openseeface import OpenSeeFace
from scripts.faces.backends.yunet import YuNet
from scripts.faces.face_tracks import follow_faces
from scripts.faces.landmark_item import find_landmarks
from tests.unit.face_search.landmark_maker import extract, weights_of


def test_a_video_that_failed_upstream_fails_here_as_upstream(data: Path, tmp_path: Path) -> None:
    (tmp_path / "front.mp4").touch()
    with pytest.raises(InputError) as caught:
        extract(tmp_path, tmp_path / "front.mp4", weights_of(data), frames=FrameTable.empty())
    assert caught.value.reason == ledger.UPSTREAM


@pytest.mark.parametrize(("rows", "words"), [(76, "75 frames, its frame table has 76"), (60, "more than 60")])
def test_a_video_of_another_length_than_its_table_is_refused(data: Path, tmp_path: Path, rows: int, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        extract(tmp_path, data / "faces" / "grid" / "lbax4n.mpg", weights_of(data), frames=rows)
    assert caught.value.reason == "frame_count"


def test_missing_and_broken_weights_are_one_line_that_names_the_file(data: Path, tmp_path: Path) -> None:
    detector, network = weights_of(data)
    (tmp_path / "broken.onnx").write_bytes(network.read_bytes()[:1000])
    for wrong, words in (
        (tmp_path / "missing.onnx", "missing"),
        (tmp_path / "broken.onnx", "not the weights of"),
    ):
        for weights in ([wrong, network], [detector, wrong]):
            with pytest.raises(RunError, match=words) as caught:
                extract(tmp_path, data / "faces" / "grid" / "lbax4n.mpg", weights, frames=75)
            assert str(wrong) in str(caught.value)
            assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match="not 1 files"):
        extract(tmp_path, data / "faces" / "grid" / "lbax4n.mpg", [network], frames=75)
    with pytest.raises(RunError, match="known: fan, fan3d, openseeface"):
        extract(tmp_path, data / "faces" / "grid" / "lbax4n.mpg", [detector, network], frames=75, backend="dlib")


def test_pictures_that_change_their_size_are_followed(
    single_face: np.ndarray, detector: YuNet, openseeface: OpenSeeFace
) -> None:
    small = cv2.resize(single_face, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    found = list(find_landmarks(follow_faces([single_face, small] * 3, detector, 1), openseeface, detector, 4))
    assert sorted(face.frame for face in found) == list(range(6))


def test_the_threads_change_no_landmark(data):
    picture = cv2.imread(str(data / "faces" / "pyfeat" / "single_face.jpg"))
    boxes = np.array([[191.0, 146.0, 373.0, 399.0]] * 5) + np.arange(5)[:, None]
    weights = data / "models" / "openseeface" / "lm_model0_opt.onnx"
    found = [OpenSeeFace(weights, accelerator="cpu", threads=n)([picture] * 5, boxes) for n in (1, 2, 3)]
    assert all(np.array_equal(found[0][0], points) and np.array_equal(found[0][1], s) for points, s in found)
