"""A body with bones: closer to the truth than any point alone, from nothing but the recording itself."""

import numpy as np
import pytest

from scripts.cameras import gimbal, kalman
from scripts.cameras.bands import Bands
from scripts.cameras.body_frame import Shape, headings, learn_shape
from scripts.cameras.series import Series
from scripts.cameras.smooth_poses import smooth_poses
from scripts.cameras.triangulate_keypoints import triangulate_keypoints
from scripts.cameras.triangulation import Rig, triangulate
from scripts.common import ledger
from scripts.common.aligned_frames import AlignedFrames
from scripts.common.calibration_file import Calibration, Camera
from scripts.common.errors import InputError
from scripts.common.keypoints import KeypointWriter, Poses, Skeleton
from tests.unit.test_smooth_poses import SETTINGS
from tests.unit.test_triangulate_keypoints import TRIANGULATE, median_error, mock, ring, seen_from

FPS = 50
BONES = np.array([[0, 1], [1, 2], [1, 3], [1, 4], [4, 5], [5, 6]])


def body(count: int) -> np.ndarray:
    """Seven keypoints of an animal that runs in a circle and swings its tail, with stiff bones, float64 (T, 7, 3)."""
    time = np.arange(count) / FPS
    still = np.array([[0, 0, 0], [60, 0, 0], [85, 15, 5], [85, -15, 5], *[[0, 0, 0]] * 3], float)
    heading = 0.8 * time
    ahead = np.stack([np.cos(heading), np.sin(heading), 0 * heading], axis=-1)
    aside = np.stack([-np.sin(heading), np.cos(heading), 0 * heading], axis=-1)
    up = np.array([0, 0, 1.0])
    out = still[:, 0, None] * ahead[:, None] + still[:, 1, None] * aside[:, None] + still[:, 2, None] * up
    place = 200 * aside + 20 * np.sin(3 * time)[:, None] * up
    out[:, 4] = out[:, 1] - 120 * ahead
    for joint, swing in ((5, 0.5 * np.sin(4 * time)), (6, 0.9 * np.sin(4 * time - 0.7))):
        out[:, joint] = out[:, joint - 1] - 40 * (np.cos(swing)[:, None] * ahead + np.sin(swing)[:, None] * aside)
    return out + place[:, None]


def sightings(rig: Rig, true: np.ndarray, noise_px: float = 2, wild: float = 0.05, offset=(0.0, 0.0)) -> np.ndarray:
    """What the cameras of a ring see of it, (C, 2, T, K)."""
    generator = np.random.default_rng(0)
    frames, count = true.shape[:2]
    rays = seen_from(rig, true.reshape(-1, 3)).reshape(len(rig.poses), 2, frames, count)
    rays += generator.normal(0, noise_px, rays.shape) / 1200 + np.array(offset)[:, None, None] / 1200
    lost = generator.random((len(rays), 1, frames, count)) < wild
    return np.where(lost, rays + generator.uniform(-80, 80, rays.shape) / 1200, rays)


def series_of(rays: np.ndarray, rig: Rig) -> Series:
    frames, count = rays.shape[2:]
    found = triangulate(rays.reshape(len(rays), 2, -1), np.ones((len(rays), frames * count)), rig)
    shape = (frames, count, 3)
    return Series(found.xyz.reshape(shape), found.covariance.reshape(*shape, 3), 1 / FPS, 5)


def test_gimbals_mock_session_is_nearer_to_the_truth_than_any_triangulation(data):
    rig, rays, true, _, _, stored = mock(data)
    shape = stored["groundtruth_pos_3d"].shape[:2]
    rays = rays.reshape(6, 2, *shape)
    bones = np.array([(parent, child) for child, parent in enumerate(stored["parents"]) if parent != child])
    series = series_of(rays, rig)
    found, covariance, known = gimbal.smooth(series, rays, rig, bones, 3.0)
    error = median_error(found.reshape(-1, 3), true)
    assert error < 2.8
    assert error < 0.75 * median_error(series.xyz.reshape(-1, 3), true)
    assert np.isfinite(covariance).all()
    # Without any offset of the detector, which is most of what can be gained here, it is still the best.
    plain = gimbal.smooth(series, rays, rig, bones, 0.0)[0]
    assert median_error(plain.reshape(-1, 3), true) < 3.6
    # Lengths of the bones are those of the truth to a few mm, but for two keypoints which the truth lacks or swaps.
    truth = stored["groundtruth_pos_3d"]
    lengths = np.nanmedian(np.linalg.norm(truth[:, bones[:, 1]] - truth[:, bones[:, 0]], axis=-1), axis=0)
    assert np.median(np.abs(known.lengths - lengths)) < 3


def test_wild_and_trembling_sightings_move_the_body_less_than_its_points_alone():
    rig, true = ring(4), body(200)
    rays = sightings(rig, true, noise_px=4, wild=0.1)
    series = series_of(rays, rig)
    alone = kalman.smooth(series, 0.0, 4.0)[0]
    found, covariance, known = gimbal.smooth(series, rays, rig, BONES, 3.0)
    far = [np.sqrt(np.nanmean((x - true) ** 2)) for x in (series.xyz, alone, found)]
    assert far[2] < 0.85 * far[1] < far[0]
    assert known.lengths == pytest.approx([60, np.sqrt(875), np.sqrt(875), 120, 40, 40], rel=0.05)
    miss = found - true
    square = np.einsum("tki,tkij,tkj->tk", miss, np.linalg.inv(covariance), miss)
    assert 1 < np.median(square) < 5


def test_an_offset_that_all_cameras_share_is_found_as_far_as_it_shows():
    rig, true = ring(6), body(150)
    rays = sightings(rig, true, offset=(4.0, 0.0))
    series = series_of(rays, rig)
    known = gimbal.smooth(series, rays, rig, BONES, 5.0)[2]
    assert known.offset_px[0] == pytest.approx(4, abs=0.5)
    assert abs(known.offset_px[1]) < 1
    assert (gimbal.smooth(series, rays, rig, BONES, 0.0)[2].offset_px == 0).all()


def test_a_keypoint_that_one_camera_alone_sees_for_a_few_frames_is_held_by_its_bones():
    rig, true = ring(4), body(120)
    rays = sightings(rig, true, noise_px=0.5, wild=0)
    rays[1:, :, 60:64, 6] = np.nan
    rays[:, :, 80:90, 6] = np.nan
    found, covariance, _ = gimbal.smooth(series_of(rays, rig), rays, rig, BONES, 0.0)
    assert np.linalg.norm(found - true, axis=-1)[60:64, 6].max() < 3
    assert np.flatnonzero(np.isnan(found[:, 6, 0])).tolist() == list(range(80, 90))
    assert np.isfinite(found[:, :6]).all()
    assert np.isfinite(covariance[:80]).all()


def test_nothing_passes_a_long_gap_of_the_whole_body():
    rig, true = ring(4), body(80)
    rays = sightings(rig, true, noise_px=0.5, wild=0)
    rays[:, :, 40:50] = np.nan
    whole = gimbal.View(rays, rig.slopes(rays), series_of(rays, rig).bridged(), np.zeros(0))
    bound = gimbal._bound(whole.inside, series_of(rays, rig).begins())
    assert not bound[38:50].any()
    assert bound[:38].all()
    assert bound[50:].all()


def test_a_long_recording_in_chunks_is_what_it_is_as_a_whole(monkeypatch):
    rig, true = ring(4), body(150)
    rays = sightings(rig, true)
    series = series_of(rays, rig)
    whole, spread, _ = gimbal.smooth(series, rays, rig, BONES, 3.0)
    monkeypatch.setattr(gimbal, "CHUNK", 40)
    monkeypatch.setattr(gimbal, "OVERLAP", 30)
    pieces, some, _ = gimbal.smooth(series, rays, rig, BONES, 3.0)
    assert np.abs(whole - pieces).max() < 0.1
    assert np.abs(np.log(np.trace(some, axis1=2, axis2=3) / np.trace(spread, axis1=2, axis2=3))).max() < 0.05


@pytest.mark.parametrize("frames", [1, 2, 3, 6, 7])
def test_the_banded_system_is_the_dense_one_and_so_is_its_inverse(frames):
    generator = np.random.default_rng(frames)
    keypoints, bones = 4, np.array([[0, 2], [3, 1]])
    bands = Bands(frames, keypoints)
    size = frames * keypoints * 3
    dense, right = np.zeros((size, size)), np.zeros(size)

    def add(rows, matrix, pull=0.0):
        dense[np.ix_(rows, rows)] += matrix
        right[rows] += pull

    root = generator.normal(size=(frames, keypoints, 3, 3))
    points = root @ np.swapaxes(root, -1, -2) + np.eye(3)
    pull = generator.normal(size=(frames, keypoints, 3))
    bands.add_points(points, pull)
    along = generator.normal(size=(frames, 2, 3))
    bone = along[..., :, None] * along[..., None, :]
    bands.add_bones(bones, bone, along)
    motion = generator.uniform(0, 5, (max(frames - 2, 0), keypoints))
    bands.add_motion(motion)
    place = np.arange(size).reshape(frames, keypoints, 3)
    for t in range(frames):
        for k in range(keypoints):
            add(place[t, k], points[t, k], pull[t, k])
        for b, (one, other) in enumerate(bones):
            rows = np.concatenate([place[t, one], place[t, other]])
            add(rows, np.kron([[1, -1], [-1, 1]], bone[t, b]), np.concatenate([-along[t, b], along[t, b]]))
    for t in range(frames - 2):
        for k in range(keypoints):
            for i in range(3):
                add(place[t : t + 3, k, i], np.outer([1, -2, 1], [1, -2, 1]) * motion[t, k])
    other = generator.normal(size=(1, frames, keypoints, 3))
    first, second = bands.solve(other)
    assert np.abs(first.ravel() - np.linalg.solve(dense, right)).max() < 1e-9
    assert np.abs(second[0].ravel() - np.linalg.solve(dense, other.ravel())).max() < 1e-9
    inverse = np.linalg.inv(dense)
    expected = np.array([[inverse[np.ix_(rows, rows)] for rows in frame] for frame in place])
    assert np.abs(bands.covariance() - expected).max() < 1e-9


def test_the_heading_of_a_body_is_how_its_shape_lies():
    true = body(60)
    inside = np.ones(true.shape[:2], bool)
    inside[5, 2] = False
    shape = learn_shape(true, inside, None)
    assert shape is not None
    turn, _, _ = headings(shape, true, inside)
    assert np.linalg.det(turn) == pytest.approx(np.ones(60))
    # From one frame to the next it turns by as much as the animal does.
    angle = np.arccos((np.trace(np.swapaxes(turn[:-1], 1, 2) @ turn[1:], axis1=1, axis2=2) - 1) / 2)
    assert np.median(angle) == pytest.approx(0.8 / FPS, abs=0.004)
    placed, spread = shape.placed(true, inside)
    assert np.median(np.abs(placed - true)[:, :4]) < 2
    assert spread[6] > 5 * spread[0]
    assert learn_shape(true[:, :3], inside[:, :3], None) is None
    few = inside & (np.arange(7) < 3)
    assert np.isnan(Shape(shape.places, shape.spread).placed(true, few)[0]).all()


def recorded(
    root, names=("hip", "head", "ear1", "ear2", "tail1", "tail2", "tail3"), bones=BONES, frames=60
) -> list[str]:
    """Files of a rig that sees the body: keypoints, common frames, calibration, points."""
    rig, true = ring(4), body(frames)
    rays = sightings(rig, true)
    lens = np.array([[1200.0, 0, 640], [0, 1200, 480], [0, 0, 1]])
    cameras = {}
    for name, pose, seen in zip(rig.names, rig.poses, rays, strict=True):
        import cv2

        turn = cv2.Rodrigues(pose[:, :3])[0].ravel()
        cameras[name] = Camera(name, (1280, 960), lens, np.zeros(5), turn, pose[:, 3])
        skeleton = Skeleton(names, tuple((int(a), int(b)) for a, b in bones))
        with KeypointWriter(root / f"{name}.keypoints.parquet", skeleton) as writer:
            for frame, uv in enumerate(seen.transpose(1, 2, 0)):
                writer.add(frame, uv[None] * 1200 + [640, 480], np.ones((1, 7)))
    Calibration(cameras, {}).write(root / "calibration.toml")
    time = np.arange(frames) * 1_000_000_000 // FPS
    AlignedFrames(rig.names, time, np.tile(np.arange(frames, dtype=np.int32)[:, None], (1, 4))).write(
        root / "aligned.parquet"
    )
    triangulate_keypoints(
        [root / f"{name}.keypoints.parquet" for name in rig.names],
        [root / "none.mp4" for _ in rig.names],
        root / "aligned.parquet",
        root / "calibration.toml",
        root / "points.parquet",
        root / "l.parquet",
        recording="r",
        cameras=list(rig.names),
        settings=TRIANGULATE,
    )
    return list(rig.names)


def smooth(root, cameras):
    smooth_poses(
        root / "points.parquet",
        [root / f"{name}.keypoints.parquet" for name in cameras],
        root / "aligned.parquet",
        root / "calibration.toml",
        root / "smoothed.parquet",
        root / "smooth.ledger.parquet",
        recording="r",
        cameras=cameras,
        triangulate=TRIANGULATE,
        settings={**SETTINGS, "method": "gimbal", "offset_px": 3.0},
    )


def test_the_rule_smooths_a_body_from_files_and_says_what_it_learned(tmp_path):
    cameras = recorded(tmp_path)
    smooth(tmp_path, cameras)
    before, after = (Poses.read(tmp_path / f"{name}.parquet") for name in ("points", "smoothed"))
    assert after.skeleton == before.skeleton
    assert after.skeleton.names[1] == "head"
    true = body(60)
    assert median_error(after.xyz, true) < 0.85 * median_error(before.xyz, true)
    said = after.facts["smoothing"]
    assert said["learned"][0]["bones"][0] == pytest.approx(60, abs=2)
    [row] = ledger.rows(ledger.read([tmp_path / "smooth.ledger.parquet"]))
    assert row.message.startswith("gimbal: 0 points filled, 420 points moved by")
    first = (tmp_path / "smoothed.parquet").read_bytes()
    smooth(tmp_path, cameras)
    assert (tmp_path / "smoothed.parquet").read_bytes() == first


@pytest.mark.parametrize("frames", [1, 4, 5])
def test_of_too_few_frames_no_body_is_learned_and_points_stay(tmp_path, frames):
    smooth(tmp_path, recorded(tmp_path, frames=frames))
    was, found = Poses.read(tmp_path / "points.parquet"), Poses.read(tmp_path / "smoothed.parquet")
    assert np.array_equal(was.xyz, found.xyz, equal_nan=True) == (frames < 5)
    assert ("learned" in found.facts["smoothing"]) == (frames == 5)


def test_keypoints_without_bones_are_one_line(tmp_path):
    cameras = recorded(tmp_path, bones=())
    with pytest.raises(InputError, match=r"r: smooth\.method gimbal wants bones, its keypoints have none"):
        smooth(tmp_path, cameras)


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_a_recording_of_a_few_frames_has_its_poses(frames):
    rig, true = ring(4), body(frames)
    rays = sightings(rig, true, noise_px=0.5, wild=0)
    found, covariance, _ = gimbal.smooth(series_of(rays, rig), rays, rig, BONES, 0.0)
    assert np.linalg.norm(found - true, axis=-1).max() < 3
    assert (np.linalg.eigvalsh(covariance) > 0).all()
    # An offset of the detector is hardly seen in so few, and is no larger than expected.
    loose = gimbal.smooth(series_of(rays, rig), rays, rig, BONES, 3.0)[2].offset_px
    assert np.abs(loose).max() < 6


def test_a_keypoint_that_is_never_seen_stays_unseen_and_the_rest_of_the_body_does_not_care():
    rig, true = ring(4), body(60)
    rays = sightings(rig, true, wild=0)
    rays[:, :, :, 5] = np.nan
    found, _, _ = gimbal.smooth(series_of(rays, rig), rays, rig, BONES, 3.0)
    assert np.isnan(found[:, 5]).all()
    rest = np.delete(found - true, 5, axis=1)
    assert np.sqrt(np.mean(rest**2)) < 1.5


def test_a_body_of_two_keypoints_has_no_heading_and_is_smoothed_all_the_same():
    rig, true = ring(4), body(60)[:, :2]
    rays = sightings(rig, true, wild=0)
    found, _, known = gimbal.smooth(series_of(rays, rig), rays, rig, np.array([[0, 1]]), 0.0)
    assert known.shape is None
    assert np.sqrt(np.mean((found - true) ** 2)) < 1.2
