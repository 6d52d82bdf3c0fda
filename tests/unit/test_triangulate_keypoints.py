"""Points in space: exact where pixels are, robust where some are wild, named as they came."""

from fractions import Fraction
from itertools import combinations

import cv2
import numpy as np
import pytest

from benchmarks.cameras import ring
from rushes.synthetic import arena
from scripts.cameras.association import associate
from scripts.cameras.detect_keypoints import detect_keypoints
from scripts.cameras.lens import pinhole
from scripts.cameras.triangulate_keypoints import triangulate_keypoints
from scripts.cameras.triangulation import Rig, solve_all, triangulate, undistorted
from scripts.common import ledger
from scripts.common.aligned_frames import AlignedFrames
from scripts.common.calibration_file import Calibration, Camera
from scripts.common.empty import write_empty
from scripts.common.errors import InputError
from scripts.common.keypoints import Keypoints, KeypointWriter, Poses, Skeleton
from tests.unit.arena_room import in_first_camera, room
from tests.unit.made_media import Pictures, write_media

ARUCO = {"backend": "aruco", "batch": 4, "dictionary": "DICT_4X4_50", "markers": list(range(30, 36))}
ARUCO |= {"names": [], "skeleton": []}
TRIANGULATE = {"persons": 1, "min_confidence": 0.25, "max_error_px": 10.0, "min_cameras": 2, "exclude": []}


def seen_from(rig: Rig, points: np.ndarray) -> np.ndarray:
    place = np.einsum("cij,nj->cin", rig.poses[:, :, :3], points) + rig.poses[:, :, 3:]
    return place[:, :2] / place[:, 2:]


def mock(data):
    """gimbal's mock session as (rig, rays, true points, pixels, matrices)."""
    import cv2

    stored = np.load(data / "multicam" / "gimbal" / "tests" / "mock_data.npz", allow_pickle=False)
    matrices = stored["camera_matrices"]
    pixels = stored["observed_pos_2d"].transpose(1, 0, 2, 3).reshape(6, -1, 2)
    poses, focal, rays = [], [], []
    for matrix, seen in zip(matrices, pixels, strict=True):
        lens, turn, home = cv2.decomposeProjectionMatrix(matrix)[:3]
        lens = lens / lens[2, 2]
        home = (home[:3] / home[3]).ravel()
        poses.append(np.column_stack([turn, -turn @ home]))
        focal.append((lens[0, 0] + lens[1, 1]) / 2)
        rays.append(np.linalg.solve(lens, np.column_stack([seen, np.ones(len(seen))]).T)[:2])
    rig = Rig(tuple("012345"), np.array(poses), tuple(map(pinhole, focal)))
    return rig, np.array(rays), stored["groundtruth_pos_3d"].reshape(-1, 3), pixels, matrices, stored


def median_error(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.nanmedian(np.linalg.norm(found - true, axis=-1)))


def median_of_pairs(pixels: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """The old system's way: homogeneous solution of every pair of cameras, and the median over pairs by coordinate.

    pixels: float64 (C, N, 2), NaN where unseen.  matrices: float64 (C, 3, 4) with the lens.  Returns float64 (N, 3).
    """
    rows = pixels[..., None] * matrices[:, None, 2:3] - matrices[:, None, :2]
    found = []
    for one, other in combinations(range(len(pixels)), 2):
        stacked = np.concatenate([rows[one], rows[other]], axis=1)
        seen = np.isfinite(stacked).all(axis=(1, 2))
        point = np.full((len(stacked), 3), np.nan)
        direction = np.linalg.svd(stacked[seen])[2][:, -1]
        point[seen] = direction[:, :3] / direction[:, 3:]
        found.append(point)
    return np.asarray(np.nanmedian(np.array(found), axis=0))


def test_gimbals_stored_triangulation_is_the_median_of_pairs_and_ours_is_better(data):
    rig, rays, true, pixels, matrices, stored = mock(data)
    pairs = median_of_pairs(pixels, matrices)
    assert np.nanmax(np.abs(pairs - stored["triangulated_pos_3d"].reshape(-1, 3))) < 1e-9
    assert median_error(pairs, true) == pytest.approx(4.244, abs=0.001)
    robust = triangulate(rays, np.ones(rays[:, 0].shape), rig)
    assert median_error(robust.xyz, true) < 4.0
    assert np.isfinite(robust.xyz).all()


@pytest.mark.parametrize("single", [True, False])
def test_one_wild_pixel_in_ten_moves_the_robust_point_by_two_millimetres_at_most(single):
    rig, generator = ring(), np.random.default_rng(0)
    points = generator.uniform(-300, 300, (5000, 3))
    rays = seen_from(rig, points) + generator.normal(0, 0.7 / 1200, (6, 2, 5000))
    wild = generator.random((6, 5000)) < 0.1
    rays += np.where(wild[:, None], generator.uniform(-300, 300, (6, 2, 5000)) / 1200, 0)
    rays[np.broadcast_to((generator.random((6, 5000)) < 0.15)[:, None], rays.shape)] = np.nan
    weights = np.ones((6, 5000))
    found = triangulate(rays, weights, rig, single=single)
    far = np.linalg.norm(found.xyz - points, axis=1)
    plain = np.linalg.norm(solve_all(rays, weights, rig) - points, axis=1)
    assert np.nanpercentile(far, 95) <= 2
    assert np.nanpercentile(plain, 95) > 90
    assert np.isfinite(far).mean() > 0.99
    assert (found.inliers & wild).sum() < 0.02 * wild.sum()


def test_the_covariance_says_how_far_off_a_point_is():
    rig, generator = ring(), np.random.default_rng(1)
    points = generator.uniform(-300, 300, (5000, 3))
    rays = seen_from(rig, points) + generator.normal(0, 2 / 1200, (6, 2, 5000))
    found = triangulate(rays, np.ones((6, 5000)), rig, limit_px=20)
    miss = found.xyz - points
    square = np.einsum("ni,nij,nj->n", miss, np.linalg.inv(found.covariance), miss)
    # Of three normal numbers the median of the sum of squares is 2.37.
    assert np.median(square) == pytest.approx(2.37, rel=0.15)


def ceiling(focal: tuple[float, float], bends: list[float], fisheye: bool) -> Calibration:
    """Four cameras that look straight down from the corners of a room."""
    matrix = np.array([[focal[0], 0, 700], [0, focal[1], 700], [0, 0, 1]])
    down = np.array([np.pi, 0, 0])
    homes = {"a": (-1500, -1500), "b": (1500, -1500), "c": (1500, 1500), "d": (-1500, 1500)}
    return Calibration(
        {
            name: Camera(name, (1400, 1400), matrix, np.array(bends), down, np.array([-x, y, 1000.0]), fisheye)
            for name, (x, y) in homes.items()
        },
        {},
    )


@pytest.mark.parametrize(
    ("focal", "bends", "fisheye"),
    [
        ((400, 400), [0.01, -0.003, 0.001, 0], True),
        ((200, 300), [0, 0, 0, 0, 0], False),
        ((250, 250), [-0.02, 0.0004, 0.001, -0.001, 0], False),
    ],
    ids=["fisheye", "oblong pixels", "pinhole"],
)
def test_errors_are_pixels_of_the_picture_whatever_the_lens_and_where_in_it(focal, bends, fisheye):
    calibration, generator = ceiling(focal, bends, fisheye), np.random.default_rng(2)
    cameras = list(calibration.cameras.values())
    points = generator.uniform([-1800, -1800, 300], [1800, 1800, 300], (1000, 3))
    pixels = np.array([camera.project(points) for camera in cameras])
    pixels += generator.normal(0, 1.5, pixels.shape)
    rig = Rig.of(calibration, tuple("abcd"))
    rays = undistorted(calibration, dict(zip("abcd", pixels, strict=True)))
    found = triangulate(rays, np.isfinite(rays[:, 0]).astype(float), rig)
    shown = np.array([camera.project(found.xyz) for camera in cameras])
    miss = np.linalg.norm(shown - pixels, axis=-1)
    assert np.isfinite(miss).mean() > 0.9
    assert found.inliers[np.isfinite(miss)].mean() > 0.999
    good = np.isfinite(miss).all(axis=0)
    assert np.abs(found.error_px - np.median(miss, axis=0))[good].max() < 0.25
    # No step in any direction brings the points nearer to what was seen.
    cost = (miss[:, good] ** 2).sum(axis=0)
    for step in np.eye(3) * 8:
        moved = np.array([camera.project(found.xyz[good] + step) for camera in cameras])
        other = ((moved - pixels[:, good]) ** 2).sum(axis=(0, 2))
        assert (other > cost).mean() > 0.97


def test_a_point_that_one_camera_sees_is_none_and_weights_decide_between_two_opinions():
    rig = ring(4)
    points = np.array([[10.0, 20, 30]])
    rays = seen_from(rig, points)
    alone = np.where(np.arange(4)[:, None, None] == 0, rays, np.nan)
    assert np.isnan(triangulate(alone, np.ones((4, 1)), rig).xyz).all()
    assert np.abs(triangulate(rays, np.ones((4, 1)), rig).xyz - points).max() < 1e-6
    off = rays.copy()
    off[0] += 5 / 1200
    trusted = np.linalg.norm(triangulate(off, np.array([[0.01], [1], [1], [1]]), rig).xyz - points)
    even = np.linalg.norm(triangulate(off, np.ones((4, 1)), rig).xyz - points)
    assert trusted < even / 5


def detected(tmp_path):
    root, _ = room()
    for name in arena.CAMERAS:
        detect_keypoints(
            root / f"cube.{name}.mp4",
            root / f"cube.{name}.frames.parquet",
            None,
            None,
            None,
            tmp_path / f"{name}.keypoints.parquet",
            tmp_path / "ledger.parquet",
            recording="cube",
            camera=name,
            settings=ARUCO,
            accelerator="cpu",
        )
    return root


def aligned_to(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Points moved and turned (never scaled) onto the true ones."""
    middle, wanted = found.mean(axis=0), true.mean(axis=0)
    u, _, v = np.linalg.svd((found - middle).T @ (true - wanted))
    turn = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v
    return (found - middle) @ turn + wanted


def test_the_cube_of_the_arena_is_where_it_was_drawn_by_a_calibration_of_its_own_board(tmp_path):
    root = detected(tmp_path)
    triangulate_keypoints(
        [tmp_path / f"{name}.keypoints.parquet" for name in arena.CAMERAS],
        [root / f"cube.{name}.mp4" for name in arena.CAMERAS],
        root / "cube.aligned.parquet",
        root / "calibration.toml",
        tmp_path / "points.parquet",
        tmp_path / "l.parquet",
        recording="cube",
        cameras=list(arena.CAMERAS),
        settings=TRIANGULATE,
    )
    poses = Poses.read(tmp_path / "points.parquet")
    assert poses.skeleton.names[:5] == ("30.a", "30.b", "30.c", "30.d", "31.a")
    assert poses.facts["unit"] == "mm"
    true = in_first_camera(arena.cube_points(len(poses)))
    good = np.isfinite(poses.xyz[..., 0])
    assert good.sum() > 200
    moved = aligned_to(poses.xyz[good], true[good])
    assert median_error(moved, true[good]) < 1.0
    # The dropped frames of a camera are no reason to lose the others.
    assert good[list(arena.DROPPED["side2"])].any(axis=1).all()


def test_cameras_are_taken_by_their_whole_names(tmp_path):
    """The old system looked for `top` in the path, and found `Desktop`."""
    lens = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])

    def camera(name, x):
        return Camera(name, (640, 480), lens, np.zeros(5), np.zeros(3), np.array([x, 0.0, 0]))

    Calibration({"Desktop": camera("Desktop", 900), "side": camera("side", 100)}, {}).write(tmp_path / "c.toml")
    AlignedFrames(("top", "side"), np.zeros(1, np.int64), np.zeros((1, 2), np.int32)).write(tmp_path / "a.parquet")
    for name in ("top", "side"):
        with KeypointWriter(tmp_path / f"{name}.parquet", Skeleton(("nose",))) as writer:
            writer.add(0, np.zeros((1, 1, 2)), np.ones((1, 1)))
    files = [tmp_path / "top.parquet", tmp_path / "side.parquet"]
    arguments = {"recording": "Desktop/top", "cameras": ["top", "side"], "settings": TRIANGULATE}
    with pytest.raises(InputError, match="the calibration has no camera `top`"):
        triangulate_keypoints(
            files, [], tmp_path / "a.parquet", tmp_path / "c.toml", tmp_path / "o", tmp_path / "l", **arguments
        )


def test_cameras_whose_keypoints_have_other_names_are_refused(tmp_path):
    root, _ = room()
    for name, keypoint in zip(arena.CAMERAS, ("nose", "nose", "tail", "nose"), strict=True):
        with KeypointWriter(tmp_path / f"{name}.parquet", Skeleton((keypoint,))) as writer:
            writer.add(0, np.zeros((1, 1, 2)), np.ones((1, 1)))
    files = [tmp_path / f"{name}.parquet" for name in arena.CAMERAS]
    with pytest.raises(InputError, match="the keypoints of side2 are not those of top"):
        triangulate_keypoints(
            files,
            [],
            root / "cube.aligned.parquet",
            root / "calibration.toml",
            tmp_path / "o",
            tmp_path / "l",
            recording="r",
            cameras=list(arena.CAMERAS),
            settings=TRIANGULATE,
        )


def test_pictures_of_another_size_than_the_boards_are_refused(tmp_path):
    lens = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    rig = {
        n: Camera(n, (640, 480), lens, np.zeros(5), np.zeros(3), np.array([x, 0.0, 0])) for n, x in (("a", 0), ("b", 9))
    }
    Calibration(rig, {}).write(tmp_path / "c.toml")
    AlignedFrames(tuple(rig), np.zeros(1, np.int64), np.zeros((1, 2), np.int32)).write(tmp_path / "aligned.parquet")
    videos = []
    for name, (width, height) in (("a", (640, 480)), ("b", (320, 240))):
        with KeypointWriter(tmp_path / f"{name}.parquet", Skeleton(("nose",))) as writer:
            writer.add(0, np.zeros((1, 1, 2)), np.ones((1, 1)))
        grey = np.full((height, width), 90, np.uint8)
        pictures = Pictures([Fraction(n, 25) for n in range(2)], draw=lambda _, grey=grey: grey)
        videos.append(write_media(tmp_path / f"{name}.mp4", pictures))
    files = [tmp_path / f"{name}.parquet" for name in rig]
    out = tmp_path / "aligned.parquet", tmp_path / "c.toml", tmp_path / "o", tmp_path / "l"
    names = {"recording": "r", "cameras": list(rig)}
    with pytest.raises(
        InputError, match=r"r, b: its pictures are 320x240, and those of the board were 640x480"
    ) as told:
        triangulate_keypoints(files, videos, *out, **names, settings=TRIANGULATE)
    assert told.value.reason == "other_size"
    triangulate_keypoints(files, [videos[0]] * 2, *out, **names, settings=TRIANGULATE)


@pytest.mark.parametrize("persons", [1, 2])
def test_a_camera_whose_detection_failed_sees_nothing_and_the_others_make_the_points(tmp_path, persons):
    lens = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    views = {name: np.array([x, 0.0, 0]) for name, x in (("a", 0.0), ("b", -200.0), ("c", -400.0))}
    point = np.array([[30.0, 40, 1000]])
    rig = {n: Camera(n, (640, 480), lens, np.zeros(5), np.zeros(3), move) for n, move in views.items()}
    Calibration(rig, {}).write(tmp_path / "c.toml")
    AlignedFrames(tuple(rig), np.zeros(1, np.int64), np.zeros((1, 3), np.int32)).write(tmp_path / "aligned.parquet")
    for name, camera in rig.items():
        with KeypointWriter(tmp_path / f"{name}.parquet", Skeleton(("nose",))) as writer:
            writer.add(0, camera.project(point)[None], np.ones((1, 1)))
    write_empty(tmp_path / "b.parquet", "keypoints.parquet")
    triangulate_keypoints(
        [tmp_path / f"{name}.parquet" for name in rig],
        [tmp_path / "none.mp4" for _ in rig],
        tmp_path / "aligned.parquet",
        tmp_path / "c.toml",
        tmp_path / "points.parquet",
        tmp_path / "l.parquet",
        recording="r",
        cameras=list(rig),
        settings={**TRIANGULATE, "persons": persons},
    )
    poses = Poses.read(tmp_path / "points.parquet")
    assert np.nanmin(np.linalg.norm(poses.xyz - point, axis=-1)) < 1e-3
    assert poses.cameras.max() == 2
    (row,) = ledger.rows(ledger.read([tmp_path / "l.parquet"]))
    assert row.outcome == "written"
    assert "3 cameras, of which b saw nothing" in row.message


def test_keypoints_of_a_cameras_frames_come_to_the_common_frames_and_the_surest_person_counts():
    uv = np.array([[[1.0, 1]], [[9, 9]], [[2, 2]]], np.float32)
    sure = np.array([[0.5], [0.9], [0.7]], np.float32)
    keypoints = Keypoints(Skeleton(("nose",)), np.array([0, 0, 1]), np.array([0, 1, 0]), uv, sure)
    found, confidence = keypoints.by_common_frame(np.array([-1, 0, 1], np.int32), 1)
    assert found[1:, 0, 0, 0].tolist() == [9, 2]
    assert confidence[0].tolist() == [[0]]
    both, _ = keypoints.by_common_frame(np.array([-1, 0, 1], np.int32), 2)
    assert both[1, :, 0, 0].tolist() == [1, 9]


def test_of_more_people_than_are_wanted_the_surest_count_whatever_their_numbers():
    sure = np.array([0.3, 0.9, 0.6, 0.5, 0.8, 0.4, 0.7], np.float32)[:, None]
    frame, person = np.array([1, 1, 1, 0, 0, 2, 2]), np.array([0, 3, 1, 7, 9, 5, 4])
    uv = np.arange(7, dtype=np.float32)[:, None, None] * np.ones((1, 1, 2), np.float32)
    keypoints = Keypoints(Skeleton(("nose",)), frame, person, uv, sure)
    shown = np.array([0, 1, -1], np.int32)
    found, confidence = keypoints.by_common_frame(shown, 2)
    assert found[:2, :, 0, 0].tolist() == [[3, 4], [2, 1]]
    assert confidence[:2, :, 0] == pytest.approx(np.array([[0.5, 0.8], [0.6, 0.9]]))
    assert np.isnan(found[2]).all()
    assert keypoints.beyond(shown, 2) == 1
    assert keypoints.beyond(shown, 1) == 3
    assert keypoints.beyond(np.full(3, -1, np.int32), 1) == 0


def test_an_animal_whose_track_breaks_is_in_every_frame_and_what_is_left_out_is_counted(tmp_path):
    rig, generator = ring(4), np.random.default_rng(3)
    body = generator.uniform(-60, 60, (4, 3))
    true = body + np.array([[[-250.0, 0, 0]], [[250, 0, 0]]])
    lens = np.array([[1200.0, 0, 640], [0, 1200, 480], [0, 0, 1]])
    cameras, names, files = {}, list(rig.names), []
    pixels = seen_from(rig, true.reshape(-1, 3)).transpose(0, 2, 1).reshape(4, 2, 4, 2) * 1200 + [640, 480]
    for name, pose, seen in zip(names, rig.poses, pixels, strict=True):
        cameras[name] = Camera(name, (1280, 960), lens, np.zeros(5), cv2.Rodrigues(pose[:, :3])[0].ravel(), pose[:, 3])
        files.append(tmp_path / f"{name}.parquet")
        with KeypointWriter(files[-1], Skeleton(tuple("abcd"))) as writer:
            for frame in range(30):
                writer.add_person(frame, 0, seen[0], np.full(4, 0.9))
                # A false one, less sure, goes before.
                if frame < 3:
                    writer.add_person(frame, 1, generator.uniform(0, 900, (4, 2)), np.full(4, 0.3))
                writer.add_person(frame, 2 + frame // 10, seen[1], np.full(4, 0.9))
    Calibration(cameras, {}).write(tmp_path / "calibration.toml")
    shown = np.tile(np.arange(30, dtype=np.int32)[:, None], 4)
    AlignedFrames(rig.names, np.arange(30) * 10**7, shown).write(tmp_path / "aligned.parquet")
    triangulate_keypoints(
        files,
        [tmp_path / "none.mp4"] * 4,
        tmp_path / "aligned.parquet",
        tmp_path / "calibration.toml",
        tmp_path / "points.parquet",
        tmp_path / "l.parquet",
        recording="r",
        cameras=names,
        settings={**TRIANGULATE, "persons": 2},
    )
    found = Poses.read(tmp_path / "points.parquet")
    middles = found.xyz.reshape(2, 30, 4, 3).mean(axis=2)
    assert sorted(middles[:, 0, 0].round().tolist()) == sorted(true.mean(axis=1)[:, 0].round().tolist())
    assert np.abs(middles - middles[:, :1]).max() < 1e-3
    [row] = ledger.rows(ledger.read([tmp_path / "l.parquet"]))
    assert row.message.endswith("; 12 detections left out, beyond the 2 surest of their frame")


def test_two_people_whose_numbers_change_from_view_to_view_keep_their_places():
    rig, generator = ring(4), np.random.default_rng(2)
    frames, count = 30, 6
    body = generator.uniform(-60, 60, (count, 3))
    time = np.linspace(0, 1, frames)[:, None]
    homes = np.stack([np.hstack([-200 + 150 * time, 40 * time, 0 * time]), np.hstack([200 - 120 * time, time, time])])
    true = homes[:, :, None] + body[None, None] * np.array([1, 1.1])[:, None, None, None]
    rays, sure = np.empty((4, 2, frames, 2, count)), np.ones((4, frames, 2, count))
    for frame in range(frames):
        for camera in range(4):
            order = generator.permutation(2)
            seen = seen_from(rig, true[order, frame].reshape(-1, 3))[camera] + generator.normal(0, 0.5 / 1200, (2, 12))
            rays[camera, :, frame] = seen.reshape(2, 2, count)
    joined, weight = associate(rays, sure, rig, 10)
    found = triangulate(joined.reshape(4, 2, -1), weight.reshape(4, -1), rig).xyz.reshape(frames, 2, count, 3)
    first = 0 if np.linalg.norm(found[0, 0] - true[0, 0]) < np.linalg.norm(found[0, 0] - true[1, 0]) else 1
    for person in range(2):
        assert np.nanmedian(np.linalg.norm(found[:, person] - true[person ^ first], axis=-1)) < 3
        assert np.isfinite(found[:, person]).mean() > 0.95


def test_who_comes_far_from_where_another_left_is_not_the_other():
    rig, generator = ring(4), np.random.default_rng(4)
    body = generator.uniform(-60, 60, (6, 3))
    homes = np.array([[-250.0, 0, 0], [250, 0, 0]])
    # The second one enters in the frame after the first one left, and leaves when that comes back.
    who = np.repeat([0, 1, 0], 10)
    rays, sure = np.full((4, 2, 30, 2, 6), np.nan), np.zeros((4, 30, 2, 6))
    for frame, person in enumerate(who):
        rays[:, :, frame, frame % 2] = seen_from(rig, body + homes[person] + frame)
        sure[:, frame, frame % 2] = 1
    joined, weight = associate(rays, sure, rig, 10)
    found = triangulate(joined.reshape(4, 2, -1), weight.reshape(4, -1), rig).xyz.reshape(30, 2, 6, 3)
    placed = np.isfinite(found).all(axis=(2, 3))
    assert (placed.sum(axis=1) == 1).all()
    assert (placed[:, 0] == (who == who[0])).all() or (placed[:, 1] == (who == who[0])).all()


def test_without_a_free_place_who_comes_takes_that_of_who_left():
    rig = ring(4)
    body = np.random.default_rng(5).uniform(-60, 60, (6, 3))
    rays, sure = np.empty((4, 2, 2, 1, 6)), np.ones((4, 2, 1, 6))
    for frame, home in enumerate(([-250.0, 0, 0], [250, 0, 0])):
        rays[:, :, frame, 0] = seen_from(rig, body + home)
    assert np.allclose(associate(rays, sure, rig, 10)[0], rays)


def test_files_of_keypoints_and_poses_come_back_with_names_bones_and_units(tmp_path):
    skeleton = Skeleton.of(["nose", "tail"], [["nose", "tail"]])
    with KeypointWriter(tmp_path / "k.parquet", skeleton) as writer:
        for frame in range(5000):
            writer.add(frame, np.full((1, 2, 2), frame), np.ones((1, 2)))
    known = Keypoints.read(tmp_path / "k.parquet")
    assert known.skeleton == skeleton
    assert (known.uv[:, 1, 1] == np.arange(5000)).all()
    count = 7
    poses = Poses(
        skeleton,
        np.arange(count),
        np.zeros(count, np.int32),
        np.arange(count) * 10,
        np.random.default_rng(0).normal(size=(count, 2, 3)),
        np.ones((count, 2), np.float32),
        np.full((count, 2), 4, np.uint8),
        np.full((count, 2), 3, np.uint8),
        np.tile(np.eye(3), (count, 2, 1, 1)),
        {"unit": "mm"},
    )
    poses.write(tmp_path / "p.parquet")
    again = Poses.read(tmp_path / "p.parquet")
    assert again.skeleton == skeleton
    assert (again.xyz == poses.xyz).all()
    assert (again.covariance == poses.covariance).all()
    assert again.facts == {"unit": "mm"}
