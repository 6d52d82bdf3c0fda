"""Videos of faces with all that can be wrong with them: each ends as it deserves, with its reason, in one run."""

import csv
import shutil
import subprocess
import tarfile
from collections import Counter
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pyarrow.parquet as pq
import pytest

from scripts.common import ledger
from scripts.common.face_shape import eye_distance
from scripts.common.landmarks import Landmarks
from tests.conftest import Workspace, make_workspace

CONFIG = """\
recordings: config/faces.tsv
models_dir: models
rigs:
  booth: {source: file, cameras: {front: "{source}"}, microphones: {voice: "{source}"}}
datasets:
  visemes:
    {kind: windows, rig: booth, landmarks: openseeface, hop: 8, split: {train: 1, val: 0}, limits: {too_small: 40}}
faces: {detect_every: 5}
reports: {overlays: 0}
"""
FACE = "scale=360:288,setsar=1"
TILED = "scale=320:-2,split=8[a][b][c][d][e][f][g][h];[a][b][c][d]hstack=4[t];[e][f][g][h]hstack=4[u];[t][u]vstack"
# Options of ffmpeg for each video; the speaker is input 0.
VIDEOS: dict[str, list[str]] = {
    "good": [],
    "no_sound": ["-an"],
    "no_face": ["-vf", f"{FACE},drawbox=t=fill:c=gray"],
    "three_frames": ["-vf", f"{FACE},boxblur=20:3:enable='not(between(n,30,32))'"],
    "eight_faces": ["-filter_complex", TILED],
    "fps_240": ["-vf", f"{FACE},fps=240"],
    "variable_rate": ["-vf", f"{FACE},select='not(eq(mod(n,5),1))'", "-fps_mode", "vfr"],
    "uhd": ["-vf", "scale=3840:2160,setsar=1"],
    "black_frame": ["-vf", f"{FACE},drawbox=t=fill:c=black:enable='eq(n,40)'"],
    "short_sound": ["-af", "atrim=0:1"],
    "long_sound": ["-af", "apad=pad_dur=2"],
    "silence": ["-af", "volume=0"],
    "clipped": ["-af", "volume=40dB"],
}
# Of 64 frames at every 8th of 75: two candidates. What is expected of each video, by the ledger of `extract_windows`.
EXPECTED = {
    "good": {"written"},
    "no_sound": {"upstream"},
    "no_face": {"no_face"},
    "three_frames": {"no_face"},
    "eight_faces": {"multi_face"},
    "fps_240": {"written"},
    "variable_rate": {"written"},
    "rotated": {"written"},
    "uhd": {"written"},
    # It is a cut to black, and one back.
    "black_frame": {"cut"},
    "short_sound": {"av_length"},
    # What goes beyond the picture is cut off.
    "long_sound": {"written"},
    "silence": {"no_speech"},
    "clipped": {"clipping"},
}


def ffmpeg(*arguments: object) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, data: Path) -> tuple[Workspace, str]:
    """One run over all of them, and what it said."""
    workspace = make_workspace(tmp_path_factory.mktemp("faces") / "run", configfile="config/faces.yaml")
    root = workspace.root
    (root / "videos").mkdir()
    for name, options in VIDEOS.items():
        coded = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "16", "-pix_fmt", "yuv420p", "-c:a", "aac"]
        ffmpeg("-i", data / "faces" / "grid" / "bbaf2n.mpg", *options, *coded, root / "videos" / f"{name}.mp4")
    # Stored upside down, with a display matrix that turns it round.
    turned = root / "videos" / "turned.mp4"
    ffmpeg("-i", root / "videos" / "good.mp4", "-vf", "hflip,vflip", "-c:a", "copy", turned)
    ffmpeg("-display_rotation", 180, "-i", turned, "-c", "copy", root / "videos" / "rotated.mp4")
    (root / "models").mkdir()
    for file in (data / "models").glob("*/*.onnx"):
        shutil.copyfile(file, root / "models" / file.name)
    rows = "".join(f"{name}\tbooth\tvideos/{name}.mp4\t{name}\n" for name in EXPECTED)
    (root / "config" / "faces.tsv").write_text(f"recording\trig\tsource\tsubject\n{rows}")
    (root / "config" / "faces.yaml").write_text(CONFIG)
    run = workspace.snakemake("--cores", "2", timeout=600)
    return workspace, run.stdout


def rows_of(workspace: Workspace, recording: str) -> list[ledger.Row]:
    folder = workspace.root / "results" / "datasets" / "visemes" / "windows"
    return ledger.rows(ledger.read([folder / f"{recording}.ledger.parquet"]))


@pytest.mark.parametrize("recording", EXPECTED)
def test_each_video_ends_as_it_deserves(built, recording):
    rows = rows_of(built[0], recording)
    assert {row.reason or row.outcome for row in rows} == EXPECTED[recording]


def test_a_reject_has_its_value_and_its_limit(built):
    for recording, reason in (("short_sound", "av_length"), ("eight_faces", "multi_face"), ("clipped", "clipping")):
        row = next(row for row in rows_of(built[0], recording) if row.reason == reason)
        assert row.value > row.limit
    assert next(row for row in rows_of(built[0], "eight_faces")).value == 8


def test_only_the_video_without_a_sound_has_failed_and_the_run_says_so(built):
    workspace, said = built
    assert "no_sound" in said
    assert "Traceback" not in said
    table = pq.read_table(workspace.root / "results" / "reports" / "ledger.parquet").to_pylist()
    assert {row["recording"] for row in table if row["outcome"] == "failed"} == {"no_sound"}
    index = pq.read_table(workspace.root / "results" / "datasets" / "visemes" / "index.parquet").to_pylist()
    assert {row["recording"] for row in index} == {name for name, ends in EXPECTED.items() if "written" in ends}


def test_however_it_was_filmed_the_same_speaker_has_the_same_landmarks(built):
    folder = built[0].root / "results" / "datasets" / "visemes" / "npz"
    shapes = {}
    for name in ("good", "fps_240", "variable_rate", "rotated", "uhd"):
        file = sorted((folder / name).glob("*.npz"))[0]
        pose = np.load(file, allow_pickle=False)["pose"].astype(float)
        flat = pose - pose.mean(axis=2, keepdims=True)
        # A wide picture of a narrow one stretches the face.
        shapes[name] = flat / flat.std(axis=2, keepdims=True)
    for name, shape in shapes.items():
        assert np.abs(shape - shapes["good"]).mean() < 0.06, name


TWICE = """\
recordings: config/twice.tsv
models_dir: models
results: twice
rigs:
  booth: {source: file, cameras: {front: "{source}"}, microphones: {voice: "{source}", room: "{stem}.wav"}}
datasets:
  found: {kind: windows, rig: booth, landmarks: openseeface, microphone: voice, split: {train: 1, val: 0}}
  adopted: {kind: windows, rig: booth, landmarks: given, microphone: voice, split: {train: 1, val: 0}}
  other_sound: {kind: windows, rig: booth, landmarks: given, microphone: room, split: {train: 1, val: 0}}
faces: {detect_every: 5, crops: [mouth], sync: {lag: true}}
reports: {overlays: 0}
"""
SHIFT_PX = 3


def test_back_ends_and_sounds_of_one_camera_stand_side_by_side(built):
    """The adopted landmarks are those that were found, moved by a few pixels."""
    workspace, _ = built
    root = workspace.root
    found = Landmarks.read(root / "results" / "faces" / "booth" / "good" / "front.openseeface.landmarks.npz")
    np.save(root / "moved.npy", (found.points + SHIFT_PX * np.array([1, 0])).astype(np.float32))
    ffmpeg("-i", root / "videos" / "good.mp4", "-vn", root / "videos" / "good.wav")
    row = "good\tbooth\tvideos/good.mp4\tgood\tmoved.npy\n"
    (root / "config" / "twice.tsv").write_text(f"recording\trig\tsource\tsubject\tlandmarks\n{row}")
    (root / "config" / "twice.yaml").write_text(TWICE)
    run = workspace.snakemake("--cores", "2", "--configfile", "config/twice.yaml")
    assert run.returncode == 0, run.stdout

    twice = root / "twice"
    items = Counter()
    for entry in pq.read_table(twice / "reports" / "ledger.parquet").to_pylist():
        if entry["step"] in ("extract_landmarks", "crop_faces", "measure_sync"):
            assert entry["outcome"] == "written"
            items[entry["step"], entry["item"]] += 1
    assert items == {
        (step, f"front.{backend}{sound}"): 1
        for step, sounds in (("extract_landmarks", [""]), ("crop_faces", [""]), ("measure_sync", [".voice", ".room"]))
        for backend in ("openseeface", "given")
        for sound in sounds
        # The dataset `found` hears one of the two alone.
        if (backend, sound) != ("openseeface", ".room")
    }
    with tarfile.open(twice / "faces" / "booth" / "good" / "front.given.crops.tar") as tar:
        assert tar.getnames() == ["0000.mouth.mp4"]
    with (twice / "reports" / "landmark_agreement.tsv").open() as file:
        (compared,) = csv.DictReader(file, delimiter="\t")
    wanted = SHIFT_PX / eye_distance(found.points[np.isfinite(found.points).all(axis=(1, 2))].astype(float))
    assert int(compared["frames_of_both"]) == found.frames_with_face
    assert float(compared["median"]) == pytest.approx(np.median(wanted), rel=0.02)
