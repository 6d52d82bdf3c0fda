"""Poses over time: trembling and wild points go, nothing moves in time, and a long gap stays a gap."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import make_smoothing_spline
from scipy.signal import butter, filtfilt

from scripts.cameras import filters, kalman
from scripts.cameras.series import Series, bridge, chunks, grid_places, on_grid, segments
from scripts.cameras.smooth_poses import smooth_poses
from scripts.common import ledger
from scripts.common.empty import write_empty
from scripts.common.errors import InputError
from scripts.common.job import execute
from scripts.common.keypoints import Poses, Skeleton

FPS = 50
SETTINGS = {
    "method": "kalman",
    "max_gap": 5,
    "window_s": 0.1,
    "deviations": 3.0,
    "cutoff_hz": 6.0,
    "order": 4,
    "acceleration": 0.0,
    "gate": 4.0,
}
METHODS = ["median", "hampel", "butterworth", "kalman", "gcv"]
SMOOTHING = [method for method in METHODS if method != "hampel"]
NAMES = ("nose", "neck", "tail")


def poses_of(xyz: np.ndarray, sigma: float = 1.0, person: np.ndarray | None = None, **facts) -> Poses:
    """Poses of points (T, K, 3), every person's frames counted from 0."""
    rows, count = xyz.shape[:2]
    person = np.zeros(rows, np.int32) if person is None else person.astype(np.int32)
    frame = np.concatenate([np.arange((person == p).sum()) for p in np.unique(person)])
    seen = np.isfinite(xyz[..., 0])
    return Poses(
        Skeleton(NAMES[:count], tuple((k, k + 1) for k in range(count - 1))),
        frame=frame,
        person=person,
        time_ns=frame * 1_000_000_000 // FPS,
        xyz=xyz,
        error_px=np.where(seen, 1, np.nan).astype(np.float32),
        cameras=np.full((rows, count), 4, np.uint8),
        inliers=np.where(seen, 4, 0).astype(np.uint8),
        covariance=np.where(seen[..., None, None], np.eye(3) * sigma**2, np.nan),
        facts={"unit": "mm", "calibration": "abc", **facts},
    )


def wave(count: int = 300, hz: float = 1.0) -> np.ndarray:
    """Three keypoints on sinusoids of 100 mm, (T, 3, 3)."""
    time = np.arange(count) / FPS
    phase = np.arange(9).reshape(3, 3)
    return 100 * np.sin(2 * np.pi * hz * time[:, None, None] + phase) + 300


def smooth(tmp_path, poses: Poses, **settings) -> tuple[Poses, ledger.Row]:
    poses.write(tmp_path / "points.parquet")
    smooth_poses(
        tmp_path / "points.parquet",
        [],
        None,
        None,
        tmp_path / "smoothed.parquet",
        tmp_path / "smooth.ledger.parquet",
        recording="r",
        cameras=[],
        triangulate={},
        settings={**SETTINGS, **settings},
    )
    [row] = ledger.rows(ledger.read([tmp_path / "smooth.ledger.parquet"]))
    return Poses.read(tmp_path / "smoothed.parquet"), row


def rms(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean((found - true) ** 2)))


def shift_frames(found: np.ndarray, true: np.ndarray) -> float:
    """By how many frames a curve lags behind another."""
    slope = np.gradient(true, axis=0)
    return float(-((found - true) * slope).sum() / (slope**2).sum())


@pytest.mark.parametrize("method", SMOOTHING)
def test_trembling_goes_and_nothing_moves_in_time(tmp_path, method):
    true = wave(hz=0.1)
    noisy = true + np.random.default_rng(0).normal(size=true.shape)
    found, row = smooth(tmp_path, poses_of(noisy), method=method)
    assert rms(found.xyz, true) < 0.75 * rms(noisy, true)
    assert abs(shift_frames(found.xyz, true)) < 0.05
    assert row.outcome == "written"
    assert row.value > 0


@pytest.mark.parametrize("method", METHODS)
def test_a_clean_curve_stays_what_it_is(tmp_path, method):
    true = wave()
    found, _ = smooth(tmp_path, poses_of(true, sigma=0.1), method=method)
    assert rms(found.xyz, true) < 0.8
    assert abs(shift_frames(found.xyz, true)) < 0.01


@pytest.mark.parametrize("method", ["median", "hampel", "kalman"])
def test_wild_points_are_taken_out(tmp_path, method):
    true = wave(hz=0.2)
    generator = np.random.default_rng(1)
    noisy = true + generator.normal(size=true.shape)
    wild = generator.random(true.shape[:2]) < 0.03
    wild[[0, -1]] = False
    noisy[wild] += generator.choice([-80, 80], size=(wild.sum(), 3))
    found, row = smooth(tmp_path, poses_of(noisy), method=method, window_s=0.18)
    assert np.abs(found.xyz - true)[wild].max() < 12
    assert rms(found.xyz, true) < 0.15 * rms(noisy, true)
    if method != "median":
        assert int(row.message.split(" outliers")[0].split()[-1]) >= wild.sum()


@pytest.mark.parametrize("method", ["hampel", "kalman"])
def test_a_wild_point_at_the_very_beginning_is_one_too(tmp_path, method):
    points = wave(hz=0.2)
    noisy = points + np.random.default_rng(1).normal(size=points.shape) / 10
    noisy[0, 1] += 80
    found, _ = smooth(tmp_path, poses_of(noisy, sigma=0.1), method=method)
    assert np.abs(found.xyz - points)[0].max() < 10


def test_hampel_leaves_every_other_point_as_it_was(tmp_path):
    noisy = wave(hz=0.1) + np.random.default_rng(2).normal(size=(300, 3, 3))
    noisy[100, 1] += 60
    found, row = smooth(tmp_path, poses_of(noisy), method="hampel", deviations=5.0, window_s=0.5)
    changed = (found.xyz != noisy).any(axis=-1)
    assert changed[100, 1]
    assert changed.sum() < 10
    assert f"{changed.sum()} outliers" in row.message


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("cutoff", [0.05, 0.24, 0.8])
def test_butterworth_is_scipys_filtfilt(order, cutoff):
    values = np.random.default_rng(order).normal(size=(200, 3)).cumsum(axis=0)
    expected = filtfilt(*butter(order, cutoff), values, axis=0)
    assert np.abs(filters.butterworth(values, cutoff, order) - expected).max() < 1e-9


def test_the_rule_gives_scipys_filtfilt_to_nine_digits(tmp_path):
    noisy = wave() + np.random.default_rng(3).normal(size=(300, 3, 3))
    found, _ = smooth(tmp_path, poses_of(noisy), method="butterworth")
    assert np.abs(found.xyz - filtfilt(*butter(4, 6 / (FPS / 2)), noisy, axis=0)).max() < 1e-9


def test_gcv_is_scipys_smoothing_spline():
    time = np.arange(120.0)
    noisy = 50 * np.sin(time / 9)[:, None] + np.random.default_rng(4).normal(size=(120, 1))
    penalty = filters.spline_penalty(noisy)
    assert np.abs(filters.spline(noisy, penalty) - make_smoothing_spline(time, noisy[:, 0])(time)[:, None]).max() < 0.01


def textbook_rts(points, variance, acceleration, step):
    """One coordinate by matrices from the book."""
    f, h = np.array([[1, step], [0, 1]]), np.array([[1.0, 0]])
    q = acceleration**2 * np.array([[step**4 / 4, step**3 / 2], [step**3 / 2, step**2]])
    x, p = np.array([points[0], 0]), np.diag([variance, kalman.FASTEST**2])
    states, predictions = [(x, p)], [None]
    for z in points[1:]:
        x, p = f @ x, f @ p @ f.T + q
        predictions.append((x, p))
        if np.isfinite(z):
            gain = p @ h.T / (p[0, 0] + variance)
            x, p = x + gain[:, 0] * (z - x[0]), p - gain @ h @ p
        states.append((x, p))
    for t in range(len(points) - 2, -1, -1):
        x, p = states[t]
        gain = p @ f.T @ np.linalg.inv(predictions[t + 1][1])
        states[t] = (
            x + gain @ (states[t + 1][0] - predictions[t + 1][0]),
            p + gain @ (states[t + 1][1] - predictions[t + 1][1]) @ gain.T,
        )
    return np.array([s[0][0] for s in states]), np.array([s[1][0, 0] for s in states])


def test_kalman_is_the_smoother_of_the_textbook_with_its_covariance():
    points = wave(80)[:, :2] + np.random.default_rng(5).normal(size=(80, 2, 3))
    points[30:33, 1] = np.nan
    seen = np.isfinite(points[..., 0])
    begins = np.zeros(seen.shape, bool)
    begins[0] = True
    noise = np.broadcast_to(np.diag([1.0, 4, 9]), (80, 2, 3, 3))
    found = kalman.rts(points, noise, seen, begins, np.array([2000.0, 500.0]), 1 / FPS)
    for keypoint, acceleration in enumerate((2000.0, 500.0)):
        for axis, variance in enumerate((1.0, 4.0, 9.0)):
            mean, spread = textbook_rts(points[:, keypoint, axis], variance, acceleration, 1 / FPS)
            assert np.abs(found.mean[:, keypoint, axis] - mean).max() < 1e-4
            assert np.abs(found.covariance[:, keypoint, axis, axis] / spread - 1).max() < 1e-4


def test_the_covariance_of_kalman_says_how_far_off_points_are(tmp_path):
    true = wave()
    sigma = np.random.default_rng(6).uniform(0.5, 4, true.shape[:2])
    noisy = true + np.random.default_rng(7).normal(size=true.shape) * sigma[..., None]
    poses = poses_of(noisy)
    poses = replace(poses, covariance=np.eye(3) * sigma[..., None, None] ** 2)
    found, _ = smooth(tmp_path, poses)
    square = np.einsum("tki,tkij,tkj->tk", found.xyz - true, np.linalg.inv(found.covariance), found.xyz - true)
    # Of three normal numbers the mean of the sum of squares is 3.
    assert 1.5 < square.mean() < 5
    even, _ = smooth(tmp_path, poses_of(noisy, sigma=2.0))
    assert rms(found.xyz, true) < 0.9 * rms(even.xyz, true)


@pytest.mark.parametrize("method", METHODS)
def test_short_gaps_are_filled_and_marked_and_long_ones_stay(tmp_path, method):
    true = wave()
    points = true.copy()
    points[50:55, 0], points[100:106, 0], points[:3, 0], points[-2:, 0] = (np.nan,) * 4
    found, row = smooth(tmp_path, poses_of(points, sigma=0.1), method=method)
    missing = np.isnan(found.xyz[..., 0])
    assert np.flatnonzero(missing[:, 0]).tolist() == [0, 1, 2, *range(100, 106), 298, 299]
    assert not missing[:, 1:].any()
    assert (found.inliers[50:55, 0] == 0).all()
    assert rms(found.xyz[50:55, 0], true[50:55, 0]) < 8
    assert "5 points filled" in row.message


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_smoothed_across_a_long_gap_or_a_jump_in_time(tmp_path, method):
    noisy = wave(120) + np.random.default_rng(8).normal(size=(120, 3, 3))
    changed = noisy.copy()
    changed[66:] += 500
    settings = {"method": method, "acceleration": 1000.0}
    made = []
    for points in (noisy, changed):
        gap = points.copy()
        gap[60:66] = np.nan
        gapped = smooth(tmp_path, poses_of(gap), **settings)[0].xyz[:60]
        poses = poses_of(points[np.r_[:60, 66:120]])
        time = np.r_[:60, 66:120] * 1_000_000_000 // FPS
        jumped = smooth(tmp_path, replace(poses, time_ns=time), **settings)[0].xyz[:60]
        made.append((gapped, jumped))
    if method == "gcv":  # one penalty a keypoint, from its longest stretch
        assert np.abs(made[0][0] - made[1][0]).max() < 1e-9
    elif method == "kalman":  # one factor of the covariance a keypoint, from all of it
        assert np.abs(made[0][0] - made[1][0]).max() < 2
    else:
        assert (made[0][0] == made[1][0]).all()
    assert np.abs(made[0][1] - made[1][1]).max() < 2


def test_persons_are_kept_apart_and_names_order_bones_and_facts_stay(tmp_path):
    one, other = wave(100), wave(100) + 900
    other += np.random.default_rng(9).normal(size=other.shape)
    poses = poses_of(np.concatenate([one, other]), person=np.repeat([0, 1], 100), max_error_px=10)
    alone, _ = smooth(tmp_path, poses_of(one))
    both, _ = smooth(tmp_path, poses)
    assert (both.xyz[:100] == alone.xyz).all()
    assert np.abs(both.xyz[100:] - other).max() < 5
    assert both.skeleton == poses.skeleton
    assert both.person.tolist() == poses.person.tolist()
    assert both.time_ns.tolist() == poses.time_ns.tolist()
    said = both.facts.pop("smoothing")
    assert both.facts == {"unit": "mm", "calibration": "abc", "max_error_px": 10}
    assert len(said.pop("learned")) == 2
    assert said == {"method": "kalman", "max_gap": 5, "acceleration": 0.0, "gate": 4.0}


def test_none_changes_no_point(tmp_path):
    points = wave(20)
    points[4, 1] = np.nan
    found, row = smooth(tmp_path, poses_of(points), method="none")
    assert np.array_equal(found.xyz, points, equal_nan=True)
    assert row.value == 0
    assert found.facts["smoothing"] == {"method": "none"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_a_series_too_short_to_smooth_comes_back_whole(tmp_path, method, count):
    points = wave(count)
    found, _ = smooth(tmp_path, poses_of(points, sigma=0.01), method=method)
    assert np.isfinite(found.xyz).all()
    assert np.abs(found.xyz - points).max() < 5


@pytest.mark.parametrize("method", METHODS)
def test_a_keypoint_that_is_never_seen_stays_unseen_and_the_others_do_not_care(tmp_path, method):
    points = wave(60) + np.random.default_rng(10).normal(size=(60, 3, 3))
    blind = points.copy()
    blind[:, 1] = np.nan
    whole, _ = smooth(tmp_path, poses_of(points), method=method)
    found, _ = smooth(tmp_path, poses_of(blind), method=method)
    assert np.isnan(found.xyz[:, 1]).all()
    assert np.abs(found.xyz[:, [0, 2]] - whole.xyz[:, [0, 2]]).max() < 1e-6
    nothing, row = smooth(tmp_path, poses_of(np.full((60, 3, 3), np.nan)), method=method)
    assert np.isnan(nothing.xyz).all()
    assert row.value is None


def test_a_cut_off_that_the_frame_rate_does_not_carry_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"r: smooth\.cutoff_hz 25 is not below half its 50 frames a second"):
        smooth(tmp_path, poses_of(wave(60)), method="butterworth", cutoff_hz=25.0)


def test_a_failed_triangulation_is_a_row_of_the_ledger_and_an_empty_file(tmp_path):
    write_empty(tmp_path / "points.parquet", "points.parquet")
    execute(
        smooth_poses,
        inputs={"points": tmp_path / "points.parquet", "keypoints": [], "aligned": [], "calibration": []},
        outputs={"smoothed": tmp_path / "s.parquet", "ledger": tmp_path / "l.parquet"},
        settings={"recording": "r", "cameras": [], "triangulate": {}, "settings": SETTINGS},
    )
    [row] = ledger.rows(ledger.read([tmp_path / "l.parquet"]))
    assert (row.outcome, row.reason) == ("failed", ledger.UPSTREAM)
    assert "it was not triangulated" in row.message
    assert Poses.read(tmp_path / "s.parquet").skeleton.names == ()


def test_the_same_points_give_the_same_bytes(tmp_path):
    points = poses_of(wave(60) + np.random.default_rng(11).normal(size=(60, 3, 3)))
    for method in METHODS:
        smooth(tmp_path, points, method=method)
        first = (tmp_path / "smoothed.parquet").read_bytes()
        smooth(tmp_path, points, method=method)
        assert (tmp_path / "smoothed.parquet").read_bytes() == first


def test_a_long_series_in_chunks_is_what_it_is_as_a_whole(monkeypatch):
    true = wave(700)
    points = true + np.random.default_rng(12).normal(size=true.shape)
    points[300:320, 1] = np.nan
    covariance = np.broadcast_to(np.eye(3), (*points.shape, 3))
    series = Series(points, covariance, 1 / FPS, 5)
    whole = kalman.smooth(series, 2000.0, 4.0)
    monkeypatch.setattr(kalman, "CHUNK", 150)
    monkeypatch.setattr(kalman, "OVERLAP", 100)
    pieces = kalman.smooth(series, 2000.0, 4.0)
    assert np.nanmax(np.abs(whole[0] - pieces[0])) < 1e-3
    assert (np.isnan(whole[0]) == np.isnan(pieces[0])).all()


@pytest.mark.parametrize("method", METHODS)
def test_frames_that_all_cameras_lost_are_a_gap_as_one_of_points_is(tmp_path, method):
    points = wave(240) + np.random.default_rng(13).normal(size=(240, 3, 3))
    lost = np.zeros(240, bool)
    for start in (40, 95, 150, 205):
        lost[start : start + 5] = True
    without = np.where(lost[:, None, None], np.nan, points)
    gapped, _ = smooth(tmp_path, poses_of(without), method=method)
    missing = poses_of(points[~lost])
    times = np.flatnonzero(~lost) * 1_000_000_000 // FPS
    found, row = smooth(tmp_path, replace(missing, time_ns=times), method=method)
    assert np.abs(found.xyz - gapped.xyz[~lost]).max() < 1e-6
    assert len(found) == 220
    assert "0 points filled" in row.message


def test_frames_stand_on_a_grid_of_time():
    step = 33_333_333
    assert grid_places(np.array([0, 1, 2, 5, 6, 1000]) * step).tolist() == [0, 1, 2, 5, 6, 1000]
    assert grid_places(np.array([0, 1, 2, 5, 6, 1000]) * step, 3).tolist() == [0, 1, 2, 5, 6, 10]
    trembling = np.arange(200) * step + np.random.default_rng(14).integers(-step // 5, step // 5, 200)
    assert grid_places(trembling).tolist() == list(range(200))
    assert grid_places(np.array([7])).tolist() == [0]
    assert grid_places(np.array([], np.int64)).tolist() == []
    assert np.array_equal(on_grid(np.array([1.0, 2]), np.array([0, 2])), [1, np.nan, 2], equal_nan=True)


def test_segments_end_where_more_is_missing_than_may_be():
    seen = np.array([0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1], bool)
    assert segments(seen, 2) == [slice(1, 6), slice(9, 12)]
    assert segments(seen, 3) == [slice(1, 12)]
    assert segments(np.zeros(3, bool), 2) == []
    assert bridge(np.array([[0.0], [np.nan], [4.0]])).tolist() == [[0], [2], [4]]
    assert [(read, inner) for read, _, inner in chunks(10, 6, 2)] == [
        (slice(0, 8), slice(0, 6)),
        (slice(4, 10), slice(2, 6)),
    ]


@pytest.mark.parametrize("told", [0.5, 1, 2, 3, 6])
def test_the_covariance_of_kalman_is_that_of_its_errors_whatever_it_is_told(told):
    """Errors over their covariance are distributed as chi squared of three dimensions: median 2.37, 95 % below 7.81."""
    random, rows, step_s, sigma = np.random.default_rng(1), 600, 1 / 30, 2.0
    velocity = np.cumsum(random.normal(0, 2000, (rows, 8, 3)) * step_s, axis=0)
    truth = np.cumsum((velocity - np.linspace(0, 1, rows)[:, None, None] * velocity[-1]) * step_s, axis=0)
    seen = truth + random.normal(0, sigma, truth.shape)
    covariance = np.broadcast_to(np.eye(3) * sigma**2 * told, (rows, 8, 3, 3)).copy()
    xyz, covariance, _, motion = kalman.smooth(Series(seen, covariance, step_s, 5), 0, 4)
    miss = xyz - truth
    square = np.einsum("tki,tkij,tkj->tk", miss, np.linalg.inv(covariance), miss)
    assert np.median(square) == pytest.approx(2.37, rel=0.1)
    assert np.percentile(square, 95) == pytest.approx(7.81, rel=0.1)
    assert motion.factor == pytest.approx(np.full(8, 1 / told), rel=0.3)
