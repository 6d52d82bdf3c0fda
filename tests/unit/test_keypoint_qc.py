"""A page on keypoints says what the numbers are, and the grid shows each camera's picture with what stands in it."""

import re
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from scripts.common.aligned_frames import AlignedFrames
from scripts.common.calibration_file import Calibration, Camera
from scripts.common.frame_table import FrameTable
from scripts.common.keypoints import KeypointWriter, Poses, Skeleton
from scripts.reports.keypoint_facts import Session, limb_lengths, medians, over_time
from scripts.reports.keypoint_grid import CELL_PX, HEAD_PX, sight
from scripts.reports.render_keypoint_qc import render_keypoint_qc
from tests.unit.made_media import Pictures, write_media

CAMERAS = ["top", "side"]
SKELETON = Skeleton(("nose", "<tail>"), ((0, 1),))
SIZE = (160, 120)
FPS = 25
COUNT = 6
SETTINGS = {"persons": 1, "min_confidence": 0.25, "exclude": []}


def level(number: int) -> int:
    """The luma of a frame's picture."""
    return 40 + 30 * number


def calibration() -> Calibration:
    lens = np.array([[150.0, 0, 80], [0, 150, 60], [0, 0, 1]])
    cameras = {
        name: Camera(name, SIZE, lens, np.zeros(5), np.zeros(3), np.array([x, 0.0, 0]))
        for name, x in (("top", 0), ("side", -200))
    }
    return Calibration(cameras, {})


def points(count: int = COUNT) -> Poses:
    """Two points a decimetre apart, which move to the right; the second one is missing in frame 2."""
    xyz = np.zeros((count, 2, 3))
    xyz[:, :, 2] = 1000
    xyz[:, :, 0] = 20 * np.arange(count)[:, None]
    xyz[:, 1, 1] = 100
    xyz[2:3, 1] = np.nan
    return Poses(
        SKELETON,
        np.arange(count, dtype=np.int64),
        np.zeros(count, np.int32),
        np.arange(count, dtype=np.int64) * 40_000_000,
        xyz,
        np.ones((count, 2), np.float32),
        np.full((count, 2), 2, np.uint8),
        np.full((count, 2), 2, np.uint8),
        np.zeros((count, 2, 3, 3)),
        {"unit": "mm", "calibration": "c" * 64},
    )


def room(folder, *, off_px=3.0, missing=(("side", 4),), poses=None):
    """Files of a session whose camera `side` finds everything `off_px` to the right of where it stands."""
    poses, known = points() if poses is None else poses, calibration()
    known.write(folder / "calibration.toml")
    shown = np.tile(np.arange(COUNT, dtype=np.int32)[:, None], (1, 2))
    for name, frame in missing:
        shown[frame, CAMERAS.index(name)] = -1
    AlignedFrames(tuple(CAMERAS), points().time_ns, shown).write(folder / "aligned.parquet")
    poses.write(folder / "points.parquet")
    for shift, name in ((0.0, "top"), (off_px, "side")):
        times_s = [Fraction(n, FPS) for n in range(COUNT)]
        pictures = Pictures(times_s, draw=lambda n: np.full((120, 160), level(n), np.uint8))
        write_media(folder / f"{name}.mp4", pictures)
        times = np.arange(COUNT) * 40_000
        FrameTable.make(times, times * 1000).write(folder / f"{name}.frames.parquet")
        with KeypointWriter(folder / f"{name}.keypoints.parquet", SKELETON) as writer:
            for frame, xyz in enumerate(points().xyz):
                uv = known.cameras[name].project(xyz) + np.array([shift, 0])
                writer.add(frame, uv[None], np.isfinite(uv[None, :, 0]) * 0.75)
    return folder


def session(folder, **settings) -> Session:
    found = Session.read(
        CAMERAS,
        folder / "aligned.parquet",
        [folder / f"{name}.keypoints.parquet" for name in CAMERAS],
        folder / "points.parquet",
        folder / "points.parquet",
        folder / "calibration.toml",
        {**SETTINGS, **settings},
    )
    assert found is not None
    return found


def rendered(folder, seconds=10.0, **settings):
    render_keypoint_qc(
        [folder / f"{name}.mp4" for name in CAMERAS],
        [folder / f"{name}.frames.parquet" for name in CAMERAS],
        [folder / f"{name}.keypoints.parquet" for name in CAMERAS],
        folder / "aligned.parquet",
        folder / "points.parquet",
        folder / "points.parquet",
        folder / "calibration.toml",
        folder / "qc.mp4",
        folder / "qc.html",
        recording="run <1>",
        cameras=CAMERAS,
        settings={**SETTINGS, **settings},
        seconds=seconds,
    )
    return folder / "qc.mp4", (folder / "qc.html").read_text()


def test_errors_are_the_distance_of_what_was_found_from_what_stands_in_space(tmp_path):
    errors = session(room(tmp_path)).errors_px(points())
    assert errors.shape == (2, COUNT, 1, 2)
    assert medians(errors) == pytest.approx(np.array([[0, 0], [3, 3]]), abs=1e-4)
    assert np.isnan(errors[:, 2, 0, 1]).all()
    assert np.isnan(errors[1, 4]).all()
    middle, curves = over_time(errors, 3)
    assert middle.tolist() == [0.5, 2.5, 4.5]
    assert curves[1] == pytest.approx(np.full(3, 3.0), abs=1e-4)


def test_of_several_persons_each_is_compared_with_the_nearest_one_of_the_camera(tmp_path):
    found = session(room(tmp_path, off_px=0, missing=()))
    other = points()
    both = replace(
        other,
        **{
            name: np.concatenate([getattr(other, name)] * 2)
            for name in ("frame", "time_ns", "error_px", "cameras", "inliers", "covariance")
        },
        person=np.repeat([0, 1], COUNT).astype(np.int32),
        xyz=np.concatenate([other.xyz + np.array([0, 300, 0]), other.xyz]),
    )
    # The camera counts them in the other order.
    twice = replace(
        found,
        uv=np.concatenate([found.uv, found.uv + np.array([0, 45])], axis=2),
        confidence=np.concatenate([found.confidence] * 2, axis=2),
    )
    assert np.nanmax(twice.errors_px(both)) < 1e-3


def test_errors_are_of_what_was_used_alone_and_the_page_tells_seen_from_used(tmp_path):
    found = session(room(tmp_path))
    poor = np.zeros_like(found.confidence)
    poor[1, :3] = 0.6
    mixed = replace(found, confidence=found.confidence - poor, uv=found.uv + 100 * (poor[..., None] > 0))
    assert medians(mixed.errors_px(points()))[1] == pytest.approx([3, 3], abs=1e-4)
    assert mixed.used[1].sum() == 4
    assert np.isnan(session(tmp_path, exclude=["side"]).errors_px(points())[1]).all()
    _, page = rendered(tmp_path, exclude=["side"])
    assert "<tr><td>side</td><td>-</td><td>-</td><td>75.0%</td><td>0.0%</td></tr>" in page
    assert "<tr><td>top</td><td>0.00</td><td>0.00</td><td>91.7%</td><td>91.7%</td></tr>" in page


def test_bones_have_a_length_and_a_spread():
    found = limb_lengths(points())
    assert found == [{"bone": "nose-<tail>", "seen": COUNT - 1, "median": 100.0, "spread": pytest.approx(0, abs=1e-9)}]


def test_a_cell_looks_at_the_subject_and_stays_where_it_was_last_seen():
    seen = np.array([[[10.0, 10], [30, 10]], [[np.nan, np.nan]] * 2, [[30.0, 20], [50, 20]]])
    middle, side = sight(seen, (1000, 500))
    assert middle.tolist() == [[20, 10], [30, 15], [40, 20]]
    assert side == 48
    assert sight(seen * np.nan, (1000, 500))[1] == 1000


def test_the_grid_has_a_cell_a_step_and_camera_with_the_cameras_own_frame(tmp_path):
    video, _ = rendered(room(tmp_path))
    with av.open(str(video)) as container:
        pictures = [picture.to_ndarray(format="gray").astype(int) for picture in container.decode(video=0)]
        assert container.streams.video[0].duration * container.streams.video[0].time_base == pytest.approx(0.24)
    assert len(pictures) == COUNT
    assert pictures[0].shape == (3 * CELL_PX + HEAD_PX, 3 * CELL_PX)
    for number, picture in enumerate(pictures):
        for row in range(3):
            for column in range(2):
                top, left = HEAD_PX + row * CELL_PX, column * CELL_PX
                cell = picture[top : top + CELL_PX, left : left + CELL_PX]
                dark = (column, number) == (1, 4)
                # Away from points and words.
                assert abs(np.median(cell) - (25 if dark else (level(number) - 16) * 255 / 219)) < 10


def test_the_page_tells_the_errors_and_names_are_no_html(tmp_path):
    _, page = rendered(room(tmp_path))
    assert "<title>Keypoints of run &lt;1&gt;</title>" in page
    assert "&lt;tail&gt;" in page
    assert "<tail>" not in page
    assert re.search(r"<tr><td>nose</td><td>0\.00</td><td class=bad>3\.00</td></tr>", page)
    assert "<td>nose-&lt;tail&gt;</td><td>5</td><td>100.00</td><td>0.00</td>" in page
    assert page.count("<svg") == 2


def test_the_video_ends_where_it_is_told_to_and_the_same_input_gives_the_same_bytes(tmp_path):
    room(tmp_path)
    video, page = rendered(tmp_path, seconds=0.1)
    first = video.read_bytes()
    with av.open(str(video)) as container:
        assert len(list(container.decode(video=0))) == 2
    assert rendered(tmp_path, seconds=0.1)[1] == page
    assert video.read_bytes() == first


def test_a_keypoint_that_is_never_in_space_is_named(tmp_path):
    gone = points()
    gone.xyz[:, 1] = np.nan
    _, page = rendered(room(tmp_path, poses=gone))
    assert "Never in space: &lt;tail&gt;" in page


def test_a_recording_without_keypoints_in_space_gets_a_card_and_a_line(tmp_path):
    video, page = rendered(room(tmp_path, poses=points(0)))
    assert "No keypoints in space: see the ledger" in page
    with av.open(str(video)) as container:
        assert len(list(container.decode(video=0))) == 25
