"""Crops follow the face, show it upright at one size, and measures say what its points do."""

import tarfile
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import ledger
from scripts.common.errors import InputError
from scripts.common.face_shape import MEAN_STABLE, STABLE, to_mean_face
from scripts.common.landmarks import Landmarks
from scripts.faces.crop_faces import CROPS, crop_faces
from scripts.faces.extract_landmarks import extract_landmarks
from scripts.faces.head_pose import HEAD_MM, HEAD_POINTS, head_pose
from tests.unit.examples import conformed_frames

ANGLES = st.floats(-25, 25)


@settings(max_examples=50, deadline=None)
@given(st.floats(-3, 3), st.floats(5, 300), st.floats(-500, 500), st.floats(-500, 500))
def test_a_face_that_is_turned_scaled_and_moved_comes_onto_the_mean_face(angle, scale, x, y):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = np.zeros((1, 68, 2))
    points[0, STABLE] = MEAN_STABLE @ turn.T + [x, y]
    (shape,) = to_mean_face(points)
    assert np.abs(points[0, STABLE] @ shape[:, :2].T + shape[:, 2] - MEAN_STABLE).max() < 1e-6


@settings(max_examples=50, deadline=None)
@given(ANGLES, ANGLES, ANGLES)
def test_the_pose_of_a_head_is_that_with_which_it_was_drawn(yaw, pitch, roll):
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    seen = HEAD_MM @ (about_y @ about_x @ about_z).T + [30, -20, 900]
    points = np.zeros((1, 68, 2))
    points[0, list(HEAD_POINTS)] = 640 * seen[:, :2] / seen[:, 2:] + [320, 180]
    nose = about_y @ about_x @ np.array([0, 0, -1])
    expected = np.degrees([np.arctan2(nose[0], -nose[2]), np.arcsin(nose[1])])
    assert np.abs(head_pose(points, 640, 360)[0, :2] - expected).max() < 0.5
    if abs(yaw) < 1 and abs(pitch) < 1:
        assert head_pose(points, 640, 360)[0, 2] == pytest.approx(roll, abs=1)


@pytest.fixture(scope="module")
def speaker(tmp_path_factory, data) -> Path:
    """A speaker of GRID who is turned by 20 degrees, with her landmarks."""
    folder = tmp_path_factory.mktemp("speaker")
    turn = cv2.getRotationMatrix2D((180, 144), 20, 1.0)
    with av.open(str(data / "faces" / "grid" / "bbaf2n.mpg")) as source, av.open(str(folder / "v.mp4"), "w") as target:
        stream = target.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 360, 288, "yuv420p"
        for picture in source.decode(video=0):
            pixels = cv2.warpAffine(picture.to_ndarray(format="bgr24"), turn, (360, 288))
            target.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        target.mux(stream.encode(None))
    conformed_frames(75).write(folder / "frames.parquet")
    models = data / "models"
    weights = [models / "yunet" / "face_detection_yunet_2023mar.onnx", models / "openseeface" / "lm_model0_opt.onnx"]
    extract_landmarks(
        folder / "v.mp4", folder / "frames.parquet", weights, None, folder / "l.npz", folder / "l.ledger.parquet",
        recording="a", camera="front", backend="openseeface", batch=16, detect_every=5, min_score=0.6,
    )  # fmt: skip
    return folder


def crop(folder: Path, out: Path, crops: list[str]) -> dict[str, np.ndarray]:
    """The videos of the tar, uint8 (F, H, W, 3)."""
    out.mkdir()
    crop_faces(
        folder / "v.mp4", folder / "l.npz", out / "crops.tar", out / "measures.parquet", out / "ledger.parquet",
        recording="a", camera="front", backend="openseeface", crops=crops, fps="25", tmpdir=out,
    )  # fmt: skip
    with tarfile.open(out / "crops.tar") as tar:
        names = tar.getnames()
        tar.extractall(out / "crops", filter="data")
    found = {}
    for name in names:
        with av.open(str(out / "crops" / name)) as container:
            found[name] = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
    return found


def test_crops_show_the_face_upright_in_the_middle_at_one_size(speaker, tmp_path, data):
    found = crop(speaker, tmp_path / "out", ["face", "mouth"])
    assert {name: pictures.shape for name, pictures in found.items()} == {
        "0000.face.mp4": (75, 256, 256, 3),
        "0000.mouth.mp4": (75, 96, 96, 3),
    }
    models = data / "models"
    yunet = cv2.FaceDetectorYN.create(str(models / "yunet" / "face_detection_yunet_2023mar.onnx"), "", (256, 256))
    for picture in found["0000.face.mp4"][::15]:
        (face,) = yunet.detect(np.ascontiguousarray(picture[..., ::-1]))[1]
        eyes, mouth = face[4:8].reshape(2, 2), face[10:14].reshape(2, 2)
        assert abs(np.degrees(np.arctan2(*(eyes[1] - eyes[0])[::-1]))) % 180 < 8
        scale = CROPS["face"][0] / CROPS["face"][1]
        assert mouth.mean(axis=0) == pytest.approx(127.5 + scale * np.array([0, 0.65 - 0.25]), abs=16)
    # The camera's own mouth is sharper than its surroundings: lips stand in the middle of their crop.
    redness = found["0000.mouth.mp4"].astype(float)
    lips = (redness[..., 0] - redness[..., 1]).mean(axis=0)
    ys, xs = np.nonzero(lips > np.percentile(lips, 90))
    assert (ys.mean(), xs.mean()) == pytest.approx((47.5, 47.5), abs=10)


def test_measures_have_a_row_a_face_and_frame(speaker, tmp_path):
    assert crop(speaker, tmp_path / "out", []) == {}
    table = pq.read_table(tmp_path / "out" / "measures.parquet").to_pandas()
    assert table.frame.tolist() == list(range(75))
    # OpenCV turns anticlockwise.
    assert table.roll_deg.median() == pytest.approx(-20, abs=4)
    # She speaks, and blinks less than she speaks.
    assert table.lip_opening.max() > 3 * max(table.lip_opening.min(), 0.02)
    assert [row.outcome for row in ledger.rows(ledger.read([tmp_path / "out" / "ledger.parquet"]))] == ["written"]


def test_the_same_faces_give_the_same_bytes(speaker, tmp_path):
    for name in ("a", "b"):
        crop(speaker, tmp_path / name, ["mouth"])
    assert (tmp_path / "a" / "crops.tar").read_bytes() == (tmp_path / "b" / "crops.tar").read_bytes()


def test_a_failed_search_fails_here_as_upstream(speaker, tmp_path):
    Landmarks.empty().write(tmp_path / "l.npz")
    (tmp_path / "v.mp4").touch()
    with pytest.raises(InputError, match="face search failed"):
        crop(tmp_path, tmp_path / "out", ["face"])
