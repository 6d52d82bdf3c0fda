"""How far two back ends agree is said in distances of the eyes, where both see one face."""

import csv
from dataclasses import replace

import numpy as np

from scripts.common.face_shape import eye_distance
from scripts.common.landmarks import Landmarks
from scripts.faces.extract_landmarks import extract_landmarks
from scripts.planning.plan import load
from scripts.reports.compare_landmarks import compare_landmarks, distances
from tests.unit.examples import House, conformed_frames, face_points, one_face


def test_points_that_are_moved_are_so_far_apart_and_missing_frames_are_counted(tmp_path):
    points = face_points(20)
    one = one_face(points)
    other = one_face(points + np.float32([3, 4]), without=[0, 1])
    shares = distances(one, other)
    assert np.allclose(shares, 5 / eye_distance(points[2:].astype(float)))
    paths = [tmp_path / "a.npz", tmp_path / "b.npz", tmp_path / "none.npz"]
    for landmarks, path in zip((one, other, Landmarks.empty()), paths, strict=True):
        landmarks.write(path)
    pairs = [["a", "front", "fan", "given"], ["b", "front", "fan", "given"]]
    compare_landmarks([paths[0], paths[0]], [paths[1], paths[2]], tmp_path / "t.tsv", pairs=pairs)
    with (tmp_path / "t.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [(row["frames_of_both"], row["frames_of_one"]) for row in rows] == [("18", "2"), ("0", "20")]
    assert float(rows[0]["median"]) == round(float(np.median(shares)), 4)
    assert rows[1]["median"] == ""


def test_points_that_a_back_end_does_not_measure_do_not_count():
    points = face_points(5)
    moved = points.copy()
    moved[:, 60] += 50
    one = replace(one_face(points), imputed=np.arange(68) == 60)
    assert distances(one, one_face(moved)).max() == 0


def test_looking_every_fifth_frame_agrees_with_looking_at_each_on_grid(tmp_path, data):
    conformed_frames(75).write(tmp_path / "frames.parquet")
    models = data / "models"
    weights = [models / "yunet" / "face_detection_yunet_2023mar.onnx", models / "openseeface" / "lm_model0_opt.onnx"]
    for clip in ("bbaf2n", "lbax4n"):
        found = []
        for every in (1, 5):
            extract_landmarks(
                data / "faces" / "grid" / f"{clip}.mpg", tmp_path / "frames.parquet", weights, None,
                tmp_path / "l.npz", tmp_path / "ledger.parquet",
                recording="a", camera="front", backend="openseeface", batch=16, detect_every=every, min_score=0.6,
            )  # fmt: skip
            found.append(Landmarks.read(tmp_path / "l.npz"))
        shares = distances(*found)
        assert len(shares) == 75
        assert np.median(shares) < 0.02


def test_two_back_ends_of_a_camera_are_compared_in_the_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    house.sheet(["recording", "rig", "source"], [["one", "booth", "a.mp4"]])
    house.files_of_sources("a.mp4")
    split = {"train": 1, "val": 0}
    for name, backend in (("a", "fan"), ("b", "openseeface"), ("c", "fan")):
        house.datasets[name] = {"kind": "windows", "rig": "booth", "landmarks": backend, "split": split}
        plan = load(house.config())
        compared = plan.rooms["faces"].compared
        assert len(compared) == (name != "a")
    assert compared[0][2] == ["one", "front", "fan", "openseeface"]
    assert plan.path.report("landmark_agreement.tsv") in plan.report_pages()
