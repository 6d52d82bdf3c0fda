"""Keypoints in space come back from every file of other programs as they were."""

import csv
from dataclasses import replace

import ezc3d
import h5py
import numpy as np
import pytest

from scripts.cameras.export_poses import export_poses
from scripts.cameras.pose_writers import WRITERS
from scripts.common import ledger
from scripts.common.errors import InputError
from scripts.common.keypoints import Poses, Skeleton
from tests.unit.folders import contents

NAMES = ("nose", "left ear", "tail_base")
FPS = 30


def poses(persons: int = 1, frames: int = 5) -> Poses:
    generator, rows = np.random.default_rng(1), persons * frames
    xyz = generator.normal(0, 300, (rows, 3, 3))
    xyz[2:3, 1] = np.nan
    return Poses(
        Skeleton(NAMES, ((0, 1), (0, 2))),
        frame=np.tile(np.arange(frames, dtype=np.int64), persons),
        person=np.repeat(np.arange(persons, dtype=np.int32), frames),
        time_ns=np.tile(10**18 + np.arange(frames) * 10**9 // FPS, persons),
        xyz=xyz,
        error_px=np.where(np.isnan(xyz[..., 0]), np.nan, 0.5).astype(np.float32),
        cameras=np.full((rows, 3), 4, np.uint8),
        inliers=np.full((rows, 3), 3, np.uint8),
        covariance=np.tile(np.eye(3), (rows, 3, 1, 1)),
        facts={"unit": "mm", "calibration": "a" * 64},
    )


def exported(folder, found, *formats):
    found.write(folder / "poses.parquet")
    names = {"recording": "walk", "formats": list(formats)}
    export_poses(folder / "poses.parquet", folder / "exported", folder / "ledger.parquet", **names)
    return folder / "exported"


def test_npz_has_every_array_and_pickles_nothing(tmp_path):
    known = poses()
    with np.load(exported(tmp_path, known, "npz") / "poses.npz", allow_pickle=False) as file:
        assert np.array_equal(file["xyz"], known.xyz, equal_nan=True)
        assert file["names"].tolist() == list(NAMES)
        assert file["bones"].tolist() == [[0, 1], [0, 2]]
        assert (str(file["unit"]), str(file["calibration"])) == ("mm", "a" * 64)
        assert float(file["fps"]) == pytest.approx(FPS, rel=1e-6)


def test_csv_has_aniposes_columns(tmp_path):
    known = poses(persons=2)
    with (exported(tmp_path, known, "csv") / "poses.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    assert float(rows[7]["left ear_z"]) == pytest.approx(known.xyz[7, 1, 2], rel=1e-5)
    assert (rows[7]["fnum"], rows[7]["person"], rows[7]["nose_ncams"]) == ("2", "1", "3")
    assert rows[2]["left ear_x"] == rows[2]["left ear_error"] == ""
    assert float(rows[1]["time_s"]) == pytest.approx(1 / FPS, abs=1e-6)


def test_h5_has_sleap_aniposes_tracks(tmp_path):
    known = poses(persons=2)
    with h5py.File(exported(tmp_path, known, "h5") / "poses.h5") as file:
        tracks = file["tracks"][:]
        assert tracks.shape == (5, 2, 3, 3)
        assert np.array_equal(tracks[:, 1], known.xyz[5:], equal_nan=True)
        assert file["node_names"].asstr()[:].tolist() == list(NAMES)
        assert dict(file.attrs) == {"unit": "mm", "calibration": "a" * 64, "fps": pytest.approx(FPS, rel=1e-6)}


def test_trc_has_a_row_a_frame_and_empty_fields_for_what_is_not_there(tmp_path):
    known = poses()
    lines = (exported(tmp_path, known, "trc") / "poses.trc").read_text().split("\n")
    facts = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    assert (facts["NumFrames"], facts["NumMarkers"], facts["Units"]) == ("5", "3", "mm")
    assert float(facts["DataRate"]) == pytest.approx(FPS, rel=1e-4)
    assert lines[3].split("\t") == ["Frame#", "Time", "nose", "", "", "left ear", "", "", "tail_base", "", ""]
    rows = [line.split("\t") for line in lines[6:11]]
    assert [row[0] for row in rows] == list("12345")
    assert rows[2][5:8] == ["", "", ""]
    assert np.array(rows[4][2:], float).reshape(3, 3) == pytest.approx(known.xyz[4], rel=1e-5)


def test_c3d_is_read_by_ezc3d(tmp_path):
    known = poses()
    file = ezc3d.c3d(str(exported(tmp_path, known, "c3d") / "poses.c3d"))
    points = file["data"]["points"][:3].transpose(2, 1, 0)
    seen = np.isfinite(known.xyz)
    assert points[seen] == pytest.approx(known.xyz[seen], rel=1e-5)
    assert np.isnan(points[2, 1]).all()
    assert file["parameters"]["POINT"]["LABELS"]["value"] == list(NAMES)
    assert file["parameters"]["POINT"]["UNITS"]["value"] == ["mm"]
    assert file["parameters"]["POINT"]["RATE"]["value"][0] == pytest.approx(FPS, rel=1e-6)


def lost(known: Poses, *rows: int) -> Poses:
    """The same without some of its rows, as where all cameras lost the frame."""
    kept = np.setdiff1d(np.arange(len(known)), rows)
    names = ("person", "time_ns", "xyz", "error_px", "cameras", "inliers", "covariance")
    return replace(known, frame=np.arange(len(kept)), **{name: getattr(known, name)[kept] for name in names})


def test_frames_that_all_cameras_lost_are_rows_without_points_in_motion_capture(tmp_path):
    known = poses(frames=40)
    folder = exported(tmp_path, lost(known, 10, 11, 12, 25), "c3d", "trc", "h5")
    file = ezc3d.c3d(str(folder / "poses.c3d"))
    points = file["data"]["points"][:3].transpose(2, 1, 0)
    assert len(points) == 40
    assert file["parameters"]["POINT"]["RATE"]["value"][0] == pytest.approx(FPS, rel=1e-6)
    assert points[39] == pytest.approx(known.xyz[39], rel=1e-5)
    assert np.flatnonzero(np.isnan(points).all(axis=(1, 2))).tolist() == [10, 11, 12, 25]
    assert (file["data"]["meta_points"]["residuals"][0, :, [10, 11, 12, 25]] == -1).all()
    lines = (folder / "poses.trc").read_text().split("\n")
    assert lines[2].split("\t")[2] == "40"
    rows = [line.split("\t") for line in lines[6:46]]
    assert [float(row[1]) for row in rows] == pytest.approx(np.arange(40) / FPS, abs=1e-6)
    assert rows[11][2:] == [""] * 9
    with h5py.File(folder / "poses.h5") as h5:
        assert h5["time_ns"][:].tolist() == np.delete(known.time_ns, [10, 11, 12, 25]).tolist()


def test_stamps_of_milliseconds_do_not_stretch_a_file_of_motion_capture(tmp_path):
    # The median of 33, 33, 34 ms is a rate of 30.3.
    known = poses(frames=3001)
    stamps = 10**18 + np.round(np.arange(3001) * 1000 / FPS).astype(np.int64) * 1_000_000
    file = ezc3d.c3d(str(exported(tmp_path, replace(known, time_ns=stamps), "c3d") / "poses.c3d"))
    assert 3000 / file["parameters"]["POINT"]["RATE"]["value"][0] == pytest.approx(100, abs=0.001)


def test_a_recording_of_one_frame_has_its_file_of_motion_capture(tmp_path):
    known = poses(frames=1)
    folder = exported(tmp_path, known, *WRITERS)
    file = ezc3d.c3d(str(folder / "poses.c3d"))
    points = file["data"]["points"][:3, :, 0].T
    assert points == pytest.approx(known.xyz[0], rel=1e-5)
    assert file["parameters"]["POINT"]["RATE"]["value"][0] == 1
    assert (folder / "poses.trc").read_text().split("\n")[2].startswith("1\t1\t1\t3")


def test_what_is_too_long_for_a_c3d_goes_on_in_a_second_part(tmp_path):
    known = poses(frames=65_600)
    folder = exported(tmp_path, lost(known, 100), "c3d")
    parts = [ezc3d.c3d(str(folder / f"poses.part_{part}.c3d")) for part in (1, 2)]
    assert len(list(folder.iterdir())) == 2
    points = np.concatenate([part["data"]["points"][:3].transpose(2, 1, 0) for part in parts])
    assert len(points) == 65_600
    known.xyz[100] = np.nan
    assert np.allclose(points, known.xyz, rtol=1e-5, equal_nan=True)
    assert parts[1]["parameters"]["RUSHES"]["BEGINS_S"]["value"][0] == pytest.approx(65_535 / FPS)


def test_a_pause_too_long_for_rows_fails_motion_capture_alone(tmp_path):
    known = poses(frames=6)
    known.time_ns[3:] += 10**9 * 3600 * 24
    folder = exported(tmp_path, known, "csv", "c3d", "trc")
    assert [path.name for path in folder.iterdir()] == ["poses.csv"]
    rows = ledger.rows(ledger.read([tmp_path / "ledger.parquet"]))
    assert [(row.item, row.outcome, row.reason) for row in rows] == [
        ("csv", "written", ""),
        ("c3d", "failed", "long_pause"),
        ("trc", "failed", "long_pause"),
    ]
    assert "walk: c3d has a row for every period, and the times leave out 2592000 of" in rows[1].message


def test_tables_are_fine_as_a_micrometre_a_hundred_metres_away(tmp_path):
    known = poses()
    known.xyz[:] = 123_456.789
    folder = exported(tmp_path, known, "csv", "trc")
    with (folder / "poses.csv").open(newline="") as file:
        assert float(next(csv.DictReader(file))["nose_x"]) == pytest.approx(123_456.789, abs=0.0009)
    assert (folder / "poses.trc").read_text().split("\n")[6].split("\t")[2] == "123456.789"


def test_of_several_persons_motion_capture_has_a_file_each(tmp_path):
    folder = exported(tmp_path, poses(persons=2), "trc", "c3d")
    assert sorted(path.name for path in folder.iterdir()) == [
        f"poses.person_{person}.{ending}" for person in (0, 1) for ending in ("c3d", "trc")
    ]


def test_the_same_poses_give_the_same_bytes(tmp_path):
    folders = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        folders.append(exported(tmp_path / name, poses(), *WRITERS))
    assert contents(folders[0]) == contents(folders[1])


def test_every_format_is_an_item_of_the_ledger(tmp_path):
    exported(tmp_path, poses(), "csv", "npz")
    rows = ledger.rows(ledger.read([tmp_path / "ledger.parquet"]))
    assert [(row.item, row.outcome) for row in rows] == [("csv", "written"), ("npz", "written")]


def test_no_keypoints_in_space_is_a_failed_item(tmp_path):
    with pytest.raises(InputError, match="walk: it has no keypoints in space") as caught:
        exported(tmp_path, poses(frames=0), "csv")
    assert caught.value.reason == ledger.UPSTREAM
