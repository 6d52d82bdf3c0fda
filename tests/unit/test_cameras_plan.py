"""Which calibration belongs to which recording, and what the config of several cameras must not say."""

import cv2
import pytest

from scripts.common.errors import ConfigError
from scripts.planning.marker_dictionaries import MARKERS
from scripts.planning.plan import load
from tests.unit.examples import House

ARENA = {"source": "files", "cameras": {"top": "{source}/*.top.mp4", "side": "{source}/*.side.mp4"}, "multicam": {}}
COLUMNS = ["recording", "rig", "source", "calibration"]


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    house.rigs["arena"] = dict(ARENA)
    for name in ("w1", "r1", "w2", "r2"):
        house.files_of_sources(f"raw/{name}/{name}.top.mp4", f"raw/{name}/{name}.side.mp4")
    return house


def rows(*said):
    return [[name, "arena", f"raw/{name}", calibration] for name, calibration in said]


def calibrations(house, *said, **changes):
    house.sheet(COLUMNS, rows(*said))
    room = load(house.config(**changes)).rooms["cameras"]
    return {name: room.calibration_of(name) for name, _ in said}


def test_the_nearest_recording_of_the_board_above_in_the_sheet_is_the_default(house):
    found = calibrations(house, ("w1", "board"), ("r1", ""), ("w2", "board"), ("r2", ""))
    assert found["r1"] == "results/cameras/arena/w1/calibration.toml"
    assert found["r2"] == "results/cameras/arena/w2/calibration.toml"


def test_the_sheet_names_another_recording_or_a_file(house):
    house.files_of_sources("known.toml")
    found = calibrations(house, ("w1", "board"), ("w2", "board"), ("r1", "w1"), ("r2", "known.toml"))
    assert found["r1"] == "results/cameras/arena/w1/calibration.toml"
    assert found["r2"] == "results/cameras/arena/r2/imported.toml"


@pytest.mark.parametrize(
    ("said", "message"),
    [("r2", "is no recording of the board of rig arena"), ("w3", "neither a recording nor a file; did you mean `w1`")],
)
def test_a_calibration_that_is_not_there_is_one_line(house, said, message):
    with pytest.raises(ConfigError, match=message):
        calibrations(house, ("w1", "board"), ("r1", said), ("r2", ""))


def test_a_calibration_of_the_rig_that_is_not_there_is_one_line(house):
    house.rigs["arena"] = {**ARENA, "calibration": "nowhere.toml"}
    with pytest.raises(ConfigError, match=r"rigs\.arena\.calibration: 'nowhere\.toml' is no file"):
        calibrations(house, ("r1", ""))


@pytest.mark.parametrize(
    ("multicam", "message"),
    [
        ({"align": {"by": "triggers"}}, r"align\.table: by triggers wants a file pattern with \{camera\}"),
        (
            {"align": {"by": "clap"}},
            r"align\.microphones: the key `top` is missing; by clap wants a microphone for each",
        ),
        (
            {"align": {"by": "clap", "microphones": {"top": "mic"}}},
            r"align\.microphones\.top: there is no microphone `mic`",
        ),
        ({"board": {"marker_mm": 40, "square_mm": 30}}, "marker_mm: 40 is not less than square_mm"),
        ({"calibration": {"fisheye": ["tip"]}}, "there is no camera `tip`; did you mean `top`"),
        (
            {"detect": {"backend": "markers"}, "smooth": {"method": "gimbal"}},
            r"smooth\.method: gimbal wants bones, and detect\.skeleton names none",
        ),
        (
            {"detect": {"backend": "aruco", "markers": [1], "skeleton": [["1.a", "1.e"]]}},
            r"detect\.skeleton: there is no keypoint `1\.e`; did you mean `1\.[a-d]`",
        ),
        ({"detect": {"backend": "aruco", "markers": [1], "names": ["tip"]}}, r"detect\.names: .*leave it out"),
        ({"detect": {"backend": "markers", "names": ["a", "b"]}}, r"detect\.names: 2 names for 1 markers"),
        (
            {"detect": {"backend": "markers", "count": 2, "skeleton": [["marker_1", "marker_3"]]}},
            "there is no keypoint `marker_3`; did you mean `marker_",
        ),
        ({"bord": {}}, "unknown key `bord`; did you mean `board`"),
        (
            {"board": {"dictionary": "DICT_4x4_50"}},
            r"board\.dictionary: OpenCV has no `DICT_4x4_50`; did you mean `DICT_4X4_50`",
        ),
        ({"board": {"columns": 12, "rows": 9}}, "dictionary: DICT_4X4_50 has 50 markers, and 54 are on the board"),
        ({"board": {"kind": "aruco_grid", "columns": 8, "rows": 7}}, "has 50 markers, and 56 are on the board"),
        ({"detect": {"dictionary": "4X4_50"}}, r"detect\.dictionary: .* did you mean `DICT_4X4_50`"),
        (
            {"detect": {"backend": "aruco", "markers": [3, 50]}},
            r"detect\.markers: DICT_4X4_50 has the numbers 0 to 49, and no 50",
        ),
        ({"detect": {"env": "nope.yaml"}}, r"detect\.env: 'nope\.yaml' is no file"),
        ({"segment": {"env": "nope.yml"}}, r"segment\.env: 'nope\.yml' is no file"),
        (
            {"detect": {"backend": "markers"}, "triangulate": {"min_cameras": 3}},
            r"triangulate\.min_cameras: 3 is more than the rig's 2 cameras: no point is left",
        ),
    ],
)
def test_a_setting_that_makes_no_sense_is_one_line(house, multicam, message):
    house.rigs["arena"]["multicam"] = multicam
    with pytest.raises(ConfigError, match=message):
        calibrations(house, ("r1", ""))


@pytest.mark.parametrize(
    "detect",
    [
        {"backend": "aruco", "markers": [1, 2], "skeleton": [["1.a", "2.b"]]},
        {"backend": "aruco", "markers": [1]},
        {"backend": "markers", "count": 2, "skeleton": [["marker_1", "marker_2"]]},
        {"backend": "markers", "count": 2, "names": ["head", "tail"], "skeleton": [["head", "tail"]]},
    ],
)
def test_bones_between_markers_are_enough_for_gimbal(house, detect):
    house.rigs["arena"]["multicam"] = {"detect": detect, "smooth": {"method": "gimbal"}}
    house.files_of_sources("known.toml")
    assert calibrations(house, ("r1", "known.toml"))


def test_cameras_that_are_left_out_agree_with_none(house):
    house.rigs["arena"]["cameras"] = {name: f"{{source}}/*.{name}.mp4" for name in ("top", "side", "back", "front")}
    for name in ("back", "front"):
        house.files_of_sources(f"raw/r1/r1.{name}.mp4")
    said = {"exclude": ["back"], "min_cameras": 3}
    house.rigs["arena"]["multicam"] = {"detect": {"backend": "markers"}, "triangulate": said}
    house.files_of_sources("known.toml")
    assert calibrations(house, ("r1", "known.toml"))
    said["min_cameras"] = 4
    with pytest.raises(ConfigError, match="4 is more than the rig's 3 cameras, without those of exclude"):
        calibrations(house, ("r1", "known.toml"))


def test_the_sizes_of_dictionaries_are_those_of_opencv():
    known = {name for name in dir(cv2.aruco) if name.startswith("DICT_")}
    sizes = {name: cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name)).bytesList for name in known}
    assert {name: len(markers) for name, markers in sizes.items()} == MARKERS


def test_a_table_of_triggers_that_is_missing_is_said_before_a_job_runs(house):
    house.rigs["arena"]["multicam"] = {"align": {"by": "triggers", "table": "{source}/{camera}.csv"}}
    with pytest.raises(ConfigError, match=r"the table 'raw/r1/top\.csv' does not exist"):
        calibrations(house, ("r1", ""))


def test_a_rig_without_multicam_makes_nothing(house):
    del house.rigs["arena"]["multicam"]
    house.sheet(COLUMNS, rows(("r1", "whatever")))
    assert load(house.config()).targets("cameras") == []
