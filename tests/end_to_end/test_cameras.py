"""Several cameras through Snakemake: what fails is named, what is killed leaves nothing, and frames are counted."""

import csv
import re
import shutil
import subprocess
import time
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pyarrow.parquet as pq
import pytest

from rushes.windows import Windows
from scripts.common import ledger
from scripts.common.aligned_frames import AlignedFrames
from scripts.common.atomic import PART
from scripts.common.keypoints import Poses
from tests.conftest import Workspace, make_workspace
from tests.end_to_end.test_kills import started
from tests.end_to_end.trees import differences, digest

CAMERAS = ("top", "side1", "side3")
CONFIG = """\
recordings: config/cameras.tsv
rigs:
  arena:
    source: files
    calibration: known.toml
    cameras: {top: "{source}/*.top.mp4", side1: "{source}/*.side1.mp4", side3: "{source}/*.side3.mp4"}
    multicam:
      detect: {backend: aruco, markers: [30, 31, 32, 33, 34, 35]}
      export: [npz, csv, h5, trc, c3d]
datasets:
  postures:
    {kind: poses, rig: arena, frames: 8, limits: {missing: 0.9}, split: {by: recording, train: 1},
     formats: [folders, shards]}
reports: {overlay_s: 0.5}
"""
SESSIONS = ("whole", "cut", "lost")


def truncated(video: Path) -> None:
    """Lose the end of a file whose header stands in front, and says how many frames there were."""
    front = video.with_suffix(".front.mp4")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(video), "-c", "copy"]
    subprocess.run([*command, "-movflags", "+faststart", str(front)], check=True, stdin=subprocess.DEVNULL)
    content = front.read_bytes()
    front.unlink()
    video.write_bytes(content[: len(content) * 6 // 10])


@pytest.fixture(scope="module")
def arena(tmp_path_factory, demo, demo_recordings) -> Workspace:
    """Three sessions of the demo's cube, not yet taken through: whole, one camera cut short, one of garbage."""
    workspace = make_workspace(tmp_path_factory.mktemp("arena"), configfile="config/cameras.yaml")
    rows = ["recording\trig\tsource"]
    for session in SESSIONS:
        folder = workspace.root / "raw" / session
        folder.mkdir(parents=True)
        for camera in CAMERAS:
            shutil.copy(demo_recordings / "arena" / "cube" / f"arena_cube.{camera}.mp4", folder / f"s.{camera}.mp4")
        rows.append(f"{session}\tarena\traw/{session}")
    truncated(workspace.root / "raw" / "cut" / "s.top.mp4")
    (workspace.root / "raw" / "lost" / "s.side1.mp4").write_bytes(b"no video" * 1000)
    calibration = demo.root / "demo" / "results" / "cameras" / "arena" / "arena_board" / "calibration.toml"
    shutil.copy(calibration, workspace.root / "known.toml")
    (workspace.root / "config" / "cameras.tsv").write_text("\n".join(rows) + "\n")
    (workspace.root / "config" / "cameras.yaml").write_text(CONFIG)
    return workspace


@pytest.fixture(scope="module")
def run(arena, tmp_path_factory):
    """A copy that ran undisturbed, and what Snakemake said."""
    workspace = Workspace(tmp_path_factory.mktemp("run") / "arena", arena.configfile)
    shutil.copytree(arena.root, workspace.root)
    return workspace, workspace.snakemake("--cores", "2")


def results(workspace: Workspace, session: str) -> Path:
    return workspace.root / "results" / "cameras" / "arena" / session


def test_what_fails_is_named_and_ends_the_run_with_1_while_the_rest_goes_on(run):
    """The old system ended with 0 after an error."""
    workspace, done = run
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    with (workspace.root / "results" / "reports" / "failed.tsv").open() as file:
        failed = list(csv.DictReader(file, delimiter="\t"))
    assert {row["recording"] for row in failed} == {"lost"}
    assert {row["reason"] for row in failed if row["step"] == "import_video"} == {"unreadable"}
    assert re.search(r"lost.*side1", done.stdout)
    for session in ("whole", "cut"):
        assert len(Poses.read(results(workspace, session) / "smoothed.parquet"))
        folder = results(workspace, session) / "exported"
        assert {path.suffix for path in folder.glob("poses.*")} == {".npz", ".csv", ".h5", ".trc", ".c3d"}


def test_poses_become_a_dataset_whose_windows_are_those_of_the_recordings(run):
    workspace, _ = run
    windows = Windows(workspace.root / "results" / "datasets" / "postures", "train", normalise=False)
    linked = workspace.root / "results" / "datasets" / "postures" / "train"
    assert {path.name for path in linked.iterdir() if path.is_dir()} == {"whole", "cut"}
    poses = Poses.read(results(workspace, "whole") / "smoothed.parquet")
    index = pq.read_table(workspace.root / "results" / "datasets" / "postures" / "index.parquet").to_pylist()
    (first,) = [row for row in index if row["recording"] == "whole" and row["first_frame"] == 4]
    with np.load(workspace.root / "results" / "datasets" / "postures" / first["file"], allow_pickle=False) as arrays:
        np.testing.assert_allclose(arrays["pose"], poses.xyz[4:12].transpose(0, 2, 1), rtol=1e-6)
        assert tuple(arrays["names"]) == poses.skeleton.names
        assert arrays["time_ns"].tolist() == poses.time_ns[4:12].tolist()
    packed = Windows(windows.folder, "train", shards=True)
    assert len(packed) == len(windows) == len(index)
    assert abs(np.nanmean(np.concatenate([window["pose"] for window in packed]))) < 0.2


def test_every_camera_is_one_item_of_every_step(run):
    workspace, _ = run
    table = pq.read_table(workspace.root / "results" / "reports" / "ledger.parquet")
    rows = ledger.rows(table)
    found = [row.item for row in rows if row.step == "detect_keypoints" and row.recording == "whole"]
    assert sorted(found) == sorted(CAMERAS)
    assert {row.reason for row in rows if row.recording == "lost" and row.step == "align_cameras"} == {"upstream"}


def test_frames_are_counted_whatever_the_header_says(run):
    """The old system took the number of frames from the header."""
    workspace, _ = run
    table = AlignedFrames.read(results(workspace, "cut") / "aligned.parquet")
    whole = AlignedFrames.read(results(workspace, "whole") / "aligned.parquet")
    seen = int((table.of("top") >= 0).sum())
    assert 5 < seen < 40
    assert int((table.of("side1") >= 0).sum()) == int((whole.of("side1") >= 0).sum()) == 45
    frames = pq.read_table(workspace.root / "results" / "media" / "arena" / "cut" / "top.frames.parquet")
    assert frames.num_rows == seen


def test_a_job_that_was_killed_leaves_no_file_and_the_same_command_ends_with_the_same_bytes(run, arena, tmp_path):
    """The old system took half a file for a whole one."""
    workspace = Workspace(tmp_path / "killed", arena.configfile)
    shutil.copytree(arena.root, workspace.root)
    folder = workspace.root / "results" / "cameras"
    killed = 0
    for _ in range(3):
        with started(workspace, "--cores", "2") as going:
            deadline = time.monotonic() + 120
            while going.poll() is None and time.monotonic() < deadline and not list(folder.rglob(f"{PART}*")):
                time.sleep(0.02)
            killed += going.poll() is None
        done = digest(workspace.root / "results")
        wanted = digest(run[0].root / "results")
        whole = [name for name in done if PART not in name and not name.startswith("reports")]
        assert [name for name in whole if done[name] != wanted.get(name)] == []
    assert killed == 3
    again = workspace.snakemake("--cores", "2")
    assert again.returncode == 1
    assert differences(digest(run[0].root / "results"), digest(workspace.root / "results")) == []
