"""Faces are followed from look to look: a track is one person, and ends where its face does."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from scripts.common.bgr_picture import to_bgr
from scripts.common.landmarks import POINTS
from scripts.common.video import VideoReader
from scripts.faces.backends.openseeface import OpenSeeFace
from scripts.faces.backends.yunet import YuNet
from scripts.faces.face_tracks import GAP_FRAMES, Tracker, follow_faces
from scripts.faces.landmark_item import find_landmarks


class Script:
    """A detector for pictures that are numbers: boxes by frame. Remembers where it was asked to look."""

    def __init__(self, boxes: Callable[[int], list[tuple[float, ...]]]) -> None:
        self.boxes, self.looked = boxes, list[int]()

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        self.looked.append(int(picture))
        return np.array(self.boxes(int(picture)), float).reshape(-1, 4)

    def follow(self, frames: int, every: int) -> dict[int, dict[int, list[float]]]:
        sightings = list(follow_faces((np.array(n) for n in range(frames)), self, every))
        assert [sighting.frame for sighting in sightings] == list(range(frames))
        assert [int(sighting.picture) for sighting in sightings] == list(range(frames))
        assert [sighting.frame for sighting in sightings if sighting.detected] == sorted(self.looked)
        return {s.frame: {track: box.tolist() for track, box in s.faces.items()} for s in sightings}


def face(x: float, y: float = 0) -> tuple[float, ...]:
    return x, y, x + 100, y + 100


def test_the_detector_looks_at_every_fifth_frame_and_the_last() -> None:
    script = Script(lambda frame: [face(10)])
    faces = script.follow(18, 5)
    assert sorted(script.looked) == [0, 5, 10, 15, 17]
    assert all(faces[frame] == {0: list(face(10))} for frame in range(18))


def test_between_two_looks_the_box_moves_on_a_line() -> None:
    faces = Script(lambda frame: [face(2 * frame)]).follow(21, 5)
    assert [faces[frame][0][0] for frame in range(21)] == pytest.approx([2 * frame for frame in range(21)])


def test_a_box_that_trembles_is_steadied_by_its_neighbours() -> None:
    faces = Script(lambda frame: [face(4 if frame % 2 else 0)]).follow(26, 5)
    steady = [faces[frame][0][0] for frame in range(5, 21)]
    assert steady == pytest.approx([2] * 16)


def test_a_face_begins_and_ends_in_its_true_frame() -> None:
    script = Script(lambda frame: [face(10)] if 7 <= frame < 23 else [])
    faces = script.follow(31, 5)
    assert [frame for frame in faces if faces[frame]] == list(range(7, 23))
    assert sorted(script.looked) == [0, 5, *range(6, 10), 10, 15, 20, *range(21, 25), 25, 30]


def test_two_faces_keep_their_tracks_when_the_detector_changes_their_order() -> None:
    script = Script(lambda frame: [face(10), face(300)] if frame % 2 else [face(300), face(10)])
    faces = script.follow(16, 5)
    assert all([boxes[track][0] for track in sorted(boxes)] == pytest.approx([300, 10]) for boxes in faces.values())


def test_a_cut_to_a_face_elsewhere_begins_a_new_track_in_its_frame() -> None:
    faces = Script(lambda frame: [face(10 if frame < 8 else 300)]).follow(16, 5)
    assert [list(faces[frame]) for frame in range(16)] == [[0]] * 8 + [[1]] * 8


@pytest.mark.parametrize(("missing", "tracks"), [(10, {0}), (11, {0, 1})])
def test_a_face_that_comes_back_too_late_is_another_track(missing: int, tracks: set[int]) -> None:
    """A gap of at most 10 frames is 10 frames without the face, as gaps that are filled are counted."""
    assert GAP_FRAMES == 10
    faces = Script(lambda frame: [face(10)] if not 10 <= frame < 10 + missing else []).follow(41, 5)
    assert {track for boxes in faces.values() for track in boxes} == tracks
    assert [frame for frame in faces if not faces[frame]] == list(range(10, 10 + missing))


def test_a_face_seen_just_now_goes_before_one_that_was_lost() -> None:
    tracker = Tracker()
    assert tracker.update(0, np.array([face(0), face(30, 300)])) == [0, 1]
    assert tracker.update(1, np.array([face(20)])) == [0]
    # Nearer to where track 0 was at first than to where it is; and track 1 has gone.
    assert tracker.update(2, np.array([face(2)])) == [0]
    assert tracker.update(3, np.empty((0, 4))) == []
    assert tracker.update(4, np.array([face(2), face(30, 300)])) == [0, 1]


class Told:
    """A network that finds a face wherever `right` lies, and is unsure in frames that it is told."""

    imputed = ()
    least_score = 0.5
    at_once = 3

    def __init__(self, right: Callable[[int], float], unsure: Sequence[int] = ()) -> None:
        self.right, self.unsure, self.calls = right, unsure, list[tuple[int, float]]()

    def __call__(self, pictures: Sequence[np.ndarray], boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points = np.zeros((len(boxes), POINTS, 2), np.float32)
        scores = np.ones(len(boxes), np.float32)
        for row, (picture, box) in enumerate(zip(pictures, boxes, strict=True)):
            frame = int(picture)
            self.calls.append((frame, float(box[0])))
            points[row, ::2] = self.right(frame), 26
            points[row, 1::2] = self.right(frame) + 100, 100
            scores[row] = 0.1 if frame in self.unsure and self.calls.count((frame, float(box[0]))) == 1 else 1
        return points, scores


def test_a_face_that_jumps_between_two_looks_is_detected_in_its_frame() -> None:
    def where(frame: int) -> float:
        return 90.0 if frame == 7 else 10.0

    script, network = Script(lambda frame: [face(where(frame))]), Told(where)
    pictures = [np.array(n) for n in range(11)]
    found = list(find_landmarks(follow_faces(pictures, script, 5), network, script, 3))
    assert sorted(script.looked) == [0, 5, 7, 10]
    assert sorted((face.frame, float(face.points[0, 0])) for face in found) == [
        (frame, where(frame)) for frame in range(11)
    ]


def test_threads_that_look_and_measure_ahead_change_nothing() -> None:
    """Faces that come, go and jump, with one of the threads slower than the others."""

    def faces_of(frame: int) -> list[tuple[float, ...]]:
        return [face(40.0 if frame == 7 else 10.0)] * (frame != 17) + [face(300)] * (12 <= frame < 33)

    class Slow(Script):
        def __call__(self, picture: np.ndarray) -> np.ndarray:
            time.sleep(0.002 * (int(picture) % 3))
            return super().__call__(picture)

    def tracked(*threads: ThreadPoolExecutor) -> list[tuple[int, int, float]]:
        script, network = Slow(faces_of), Told(lambda frame: 40.0 if frame == 7 else 10.0, unsure=[3, 21])
        looking, measuring = threads or (None, None)
        pictures = (np.array(n) for n in range(41))
        sightings = follow_faces(pictures, script, 5, {20}, looking, 4)
        found = find_landmarks(sightings, network, script, 3, measuring)
        return [(face.frame, face.track, float(face.points[0, 0])) for face in found]

    with ThreadPoolExecutor(4) as looking, ThreadPoolExecutor(3) as measuring:
        assert tracked(looking, measuring) == tracked()


def test_the_box_of_a_head_that_is_shaken_follows_its_landmarks(
    data: Path, detector: YuNet, openseeface: OpenSeeFace
) -> None:
    """By 60 px four times a second, which a line between two looks at every fifth frame knows nothing of."""
    with VideoReader(data / "faces" / "grid" / "bbaf2n.mpg") as reader:
        still = [to_bgr(picture) for picture, _ in zip(reader, range(40), strict=False)]
    time_s = np.arange(len(still)) / 25
    moved = 60 * np.stack([np.sin(2 * np.pi * 4 * time_s), 0.6 * np.sin(2 * np.pi * 5.2 * time_s + 1)], axis=1)
    shaken = [
        cv2.warpAffine(picture, np.array([[1, 0, x], [0, 1, y]]), picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        for picture, (x, y) in zip(still, moved, strict=True)
    ]

    def points_of(pictures: list[np.ndarray], every: int) -> dict[int, np.ndarray]:
        sightings = follow_faces(pictures, detector, every)
        return {face.frame: face.points for face in find_landmarks(sightings, openseeface, detector, 16)}

    true = points_of(still, 1)
    errors = {
        every: np.mean([np.abs(points - true[frame] - moved[frame]).mean() for frame, points in found.items()])
        for every, found in ((every, points_of(shaken, every)) for every in (1, 5))
    }
    assert errors[5] < 1.3 * errors[1]


def test_unsure_landmarks_are_tried_once_more_on_a_new_detection() -> None:
    script, network = Script(lambda frame: [face(10)]), Told(lambda frame: 10.0, unsure=[3, 5])
    pictures = [np.array(n) for n in range(11)]
    found = list(find_landmarks(follow_faces(pictures, script, 5), network, script, 16))
    # Frame 5 was looked at already: there is nothing more to try.
    assert sorted(face.frame for face in found) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert sorted(script.looked) == [0, 3, 5, 10]


def test_no_track_goes_on_across_a_cut_and_the_detector_looks_there_at_once(
    single_face: np.ndarray, detector: YuNet
) -> None:
    looked: list[int] = []
    pictures = (np.append(single_face, np.full_like(single_face[:1], n), axis=0) for n in range(12))

    def detect(picture: np.ndarray) -> np.ndarray:
        looked.append(int(picture[-1, 0, 0]))
        return detector(picture[:-1])

    tracks = [list(sighting.faces) for sighting in follow_faces(pictures, detect, 5, cuts={7})]
    assert tracks == [[0]] * 7 + [[1]] * 5
    assert looked == [0, 5, 6, 7, 11]
