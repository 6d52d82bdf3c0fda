"""Landmarks of real faces by real weights, and videos of which there are none."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from scripts.common.bgr_picture import to_bgr
from scripts.common.landmarks import POINTS, face_boxes
from scripts.common.video import VideoReader
from scripts.faces.backends.openseeface import IBUG, OpenSeeFace
from scripts.faces.backends.yunet import YuNet
from scripts.faces.face_tracks import follow_faces
from scripts.faces.landmark_item import find_landmarks
from tests.unit.face_search.landmark_maker import extract, weights_of

GRID = ("bbaf2n", "id2_vcd_swwp2s", "lbax4n", "pwij3p")


@pytest.mark.parametrize("clip", GRID)
def test_every_frame_of_a_grid_clip_has_one_face_in_one_track(data: Path, tmp_path: Path, clip: str) -> None:
    landmarks, row = extract(tmp_path, data / "faces" / "grid" / f"{clip}.mpg", weights_of(data), frames=75)
    assert landmarks.frame.tolist() == list(range(75))
    assert set(landmarks.track) == {0}
    assert (landmarks.frames, landmarks.backend) == (75, "openseeface")
    assert np.flatnonzero(landmarks.imputed).tolist() == [60, 64]
    assert np.isfinite(landmarks.points).all()
    assert landmarks.score.min() > 0.8
    assert (row.step, row.recording, row.item, row.outcome, row.value) == (
        "extract_landmarks",
        "booth_1",
        "front.openseeface",
        "written",
        75,
    )
    eyes = landmarks.points[:, 36:48, 1].mean(axis=1)
    nose, mouth, chin = (landmarks.points[:, part, 1] for part in (33, 66, 8))
    assert ((eyes < nose) & (nose < mouth) & (mouth < chin)).all()
    # 360 x 288 px: the speakers sit still, 107 to 125 px wide.
    assert np.abs(np.diff(landmarks.points, axis=0)).max() < 12


def test_neither_threads_nor_batch_change_a_byte(data: Path, tmp_path: Path) -> None:
    made = []
    for threads, batch in ((1, 16), (2, 7)):
        extract(
            tmp_path,
            data / "faces" / "grid" / "lbax4n.mpg",
            weights_of(data),
            frames=75,
            threads=threads,
            batch=batch,
        )
        made.append((tmp_path / "front.landmarks.npz").read_bytes())
    assert made[0] == made[1]


def test_where_the_face_leaves_no_frame_has_landmarks(data: Path, tmp_path: Path) -> None:
    landmarks, row = extract(tmp_path, data / "faces" / "pyfeat" / "face_noface.mov", weights_of(data), frames=169)
    assert landmarks.frame.tolist() == list(range(72))
    assert row.value == 72


def test_a_video_without_a_face_is_written_without_rows(data: Path, tmp_path: Path) -> None:
    landmarks, row = extract(tmp_path, data / "faces" / "pyfeat" / "no_face.mp4", weights_of(data), frames=95)
    assert (len(landmarks), landmarks.frames, landmarks.backend) == (0, 95, "openseeface")
    assert (row.outcome, row.value) == ("written", 0)


def test_five_faces_of_a_picture_are_found_at_once(data: Path, detector: YuNet, openseeface: OpenSeeFace) -> None:
    picture = cv2.imread(str(data / "faces" / "pyfeat" / "multi_face.jpg"))
    boxes = detector(picture)
    points, scores = openseeface([picture] * len(boxes), boxes)
    assert points.shape == (5, 68, 2)
    assert scores.min() > 0.75
    own = face_boxes(points)
    assert np.abs(own - boxes).max() < 0.15 * (boxes[:, 2:] - boxes[:, :2]).max()


def test_a_mirrored_picture_has_the_mirrored_landmarks(
    single_face: np.ndarray, detector: YuNet, openseeface: OpenSeeFace
) -> None:
    box = detector(single_face)
    width = single_face.shape[1]
    mirrored_box = box[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + ((width - 1) * np.array([1, 0, 1, 0]))
    points, _ = openseeface([single_face], box)
    mirrored, _ = openseeface([np.ascontiguousarray(single_face[:, ::-1])], mirrored_box)
    back = mirrored[0, mirror_image_of_each_point()]
    back[:, 0] = width - 1 - back[:, 0]
    # With a point of the mouth in another's place it is more than ten times as much.
    assert np.linalg.norm(back - points[0], axis=1).mean() < 0.02 * (box[0, 2] - box[0, 0])
    mouth = slice(48, POINTS)
    assert np.linalg.norm(back - points[0], axis=1)[mouth].max() < 0.05 * (box[0, 2] - box[0, 0])


def mirror_image_of_each_point() -> list[int]:
    parts = [range(16, -1, -1), range(26, 16, -1), range(27, 31), range(35, 30, -1)]
    eyes = [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    mouth = [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
    return [point for part in parts for point in part] + eyes + mouth


def test_each_measured_point_has_a_place_of_its_own() -> None:
    assert sorted([*IBUG.tolist(), *OpenSeeFace.imputed]) == list(range(POINTS))


def test_a_face_four_times_as_large_has_the_same_landmarks(
    single_face: np.ndarray, detector: YuNet, openseeface: OpenSeeFace
) -> None:
    large = cv2.resize(single_face, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    boxes = detector(large)
    assert len(boxes) == 1
    points, _ = openseeface([single_face], boxes / 4)
    scaled, score = openseeface([large], boxes)
    # The middle of pixel 0 lies at 1.5 in the picture of four times the size.
    assert np.abs((scaled[0] - 1.5) / 4 - points[0]).mean() < 0.5
    assert score[0] > 0.8


def test_a_face_at_the_border_is_found_where_it_is(
    single_face: np.ndarray, detector: YuNet, openseeface: OpenSeeFace
) -> None:
    box = detector(single_face)
    whole, _ = openseeface([single_face], box)
    left, top = 205, 120
    cut = np.ascontiguousarray(single_face[top:, left:])
    points, score = openseeface([cut], box - (left, top, left, top))
    assert score[0] > 0.7
    inner = slice(17, POINTS)
    assert np.abs(points[0, inner] + (left, top) - whole[0, inner]).mean() < 3


def test_one_black_frame_shows_no_face_and_the_track_goes_on(
    data: Path, detector: YuNet, openseeface: OpenSeeFace
) -> None:
    with VideoReader(data / "faces" / "grid" / "lbax4n.mpg") as reader:
        pictures = [to_bgr(picture) for picture, _ in zip(reader, range(18), strict=False)]
    pictures[7] = np.zeros_like(pictures[7])
    found = list(find_landmarks(follow_faces(pictures, detector, 5), openseeface, detector, 4))
    assert sorted(face.frame for face in found) == [frame for frame in range(18) if frame != 7]
    assert {face.track for face in found} == {0}
