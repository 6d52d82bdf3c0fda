"""What a rig of several cameras makes Snakemake plan."""

import pytest

from tests.dag.archive import Archive

CAMERAS = ("top", "side1", "side2")
MULTICAM = {"detect": {"backend": "aruco", "markers": [1, 2]}}


class Arena(Archive):
    """A session of a board and two recordings that it calibrates, and one with a calibration of its own."""

    def __init__(self, root):
        super().__init__(root)
        self.rigs = {"arena": {"source": "files", "cameras": {name: f"{{source}}/*.{name}.mp4" for name in CAMERAS}}}
        self.names = {"cal": "board", "walk": "", "run": "cal", "given": "known.toml"}
        self.files_of_sources(*(f"raw/{name}/{name}.{camera}.mp4" for name in self.names for camera in CAMERAS))
        self.files_of_sources("known.toml")

    def write(self, **changes):
        """Write sheets and config."""
        rows = [[name, "arena", f"raw/{name}", calibration] for name, calibration in self.names.items()]
        self.sheet(["recording", "rig", "source", "calibration"], rows)
        self.write_config(**{"datasets": {}, **changes})


@pytest.fixture
def arena(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Arena(tmp_path)


def planned(arena, *arguments, **multicam):
    arena.rigs["arena"]["multicam"] = {**MULTICAM, **multicam}
    return arena.dry_run(*arguments)


def test_a_board_is_calibrated_once_and_every_recording_is_taken_through_every_step(arena):
    shown = planned(arena, "cameras")
    assert shown.status == 0, shown.text
    wanted = {"align_cameras": 4, "detect_boards": 3, "calibrate_cameras": 1, "import_calibration": 1}
    wanted |= {"detect_keypoints_arena": 9, "triangulate_keypoints": 3, "smooth_poses": 3, "export_poses": 3}
    assert {name: shown.jobs.get(name) for name in wanted} == wanted
    assert not {"conform_video", "segment_frames_arena", "check_gpu"} & shown.rules


def test_the_report_waits_for_a_page_and_a_video_of_each_recording_with_keypoints(arena):
    shown = planned(arena)
    assert shown.jobs["render_keypoint_qc"] == 3
    for name in ("walk.mp4", "given.html"):
        assert f"results/reports/cameras/arena/{name}" in shown.text


def test_a_segmentation_stands_before_the_keypoints(arena):
    shown = planned(arena, "cameras", segment={"backend": "background"})
    assert shown.jobs["segment_frames_arena"] == 9


def test_without_a_back_end_there_are_common_frames_and_calibrations_alone(arena):
    shown = planned(arena, detect={"backend": "none"})
    assert (shown.jobs["align_cameras"], shown.jobs["calibrate_cameras"]) == (4, 1)
    assert not {"detect_keypoints_arena", "triangulate_keypoints", "smooth_poses", "import_calibration"} & shown.rules


def test_one_recording_alone_brings_the_board_that_calibrates_it(arena):
    arena.rigs["arena"]["multicam"] = MULTICAM
    shown = arena.dry_run("cameras", only="walk")
    assert shown.jobs["align_cameras"] == 2
    assert (shown.jobs["calibrate_cameras"], shown.jobs["triangulate_keypoints"]) == (1, 1)


def test_a_gpu_is_checked_on_demand(arena):
    shown = planned(arena, "check_gpu")
    assert shown.jobs["check_gpu"] == 1


def test_formats_of_other_programs_are_asked_for_or_not(arena):
    assert "export_poses" not in planned(arena, "cameras", export=[]).rules


def test_a_dataset_of_poses_is_cut_from_the_recordings_that_are_none_of_the_board(arena):
    arena.rigs["arena"]["multicam"] = MULTICAM
    shown = arena.dry_run("datasets", datasets={"postures": {"kind": "poses", "rig": "arena", "formats": ["shards"]}})
    assert shown.status == 0, shown.text
    assert shown.jobs["extract_poses"] == shown.jobs["smooth_poses"] == 3
    assert {"split_dataset", "compute_stats", "index_dataset", "pack_train"} <= shown.rules
    assert not {"extract_windows", "extract_landmarks", "conform_video", "arrange_train"} & shown.rules


def test_a_dataset_of_poses_wants_a_rig_with_keypoints(arena):
    arena.rigs["arena"]["multicam"] = {"detect": {"backend": "none"}}
    for rig, words in {
        "arena": "has no poses; set rigs.arena.multicam.detect.backend",
        "arana": "no rig `arana`",
    }.items():
        shown = arena.dry_run(datasets={"postures": {"kind": "poses", "rig": rig}})
        assert shown.status != 0
        assert words in shown.text
