import os
import unicodedata
import wave
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import get_types_from_msg

from rushes.synthetic import messages as m
from scripts.common.errors import RunError
from scripts.common.names import is_folder_name, is_recording_name, is_stream_name
from scripts.planning.config import load_config
from scripts.planning.recordings import Recording, read_recordings
from scripts.planning.rigs import make_rig
from scripts.sources.find_sources import Topic
from scripts.sources.propose import bag_streams
from scripts.sources.proposed_names import recording_name, short_names, stream_name, why_unfit
from scripts.sources.scan import scan
from tests.conftest import make_workspace

AUDIO_DATA = "audio_common_msgs/msg/AudioData"
AUDIO_INFO = "audio_common_msgs/msg/AudioInfo"
DEFINITIONS = {
    AUDIO_DATA: "uint8[] data\n",
    AUDIO_INFO: "uint8 channels\nuint32 sample_rate\nstring sample_format\n",
}


def make_video(path: Path, *, sound: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as container:
        picture = container.add_stream("mpeg4", rate=Fraction(25), width=32, height=32)
        track = container.add_stream("aac", rate=16000, layout="mono") if sound else None
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        if track is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            silence.sample_rate = 16000
            container.mux(track.encode(silence))
            container.mux(track.encode(None))


def make_sound(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(320))


def write_bag(writer: Writer1 | Writer2, topics: Mapping[str, str], ros: int) -> None:
    """Write one message of no sense for each topic; its definition is what counts."""
    store = m.Messages(ros=ros).typestore
    for name, text in DEFINITIONS.items():
        if name not in store.fielddefs:
            store.register(get_types_from_msg(text, name))
    with writer:
        for topic, kind in topics.items():
            writer.write(writer.add_connection(topic, kind, typestore=store), 1, bytes(8))


def make_bag(path: Path, topics: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bag(Writer1(path), topics, ros=1)


def run_scan(sheet: Path, folder: Path | str, rigs: Mapping[str, Any] | None = None) -> None:
    scan(folder=str(folder), sheet=str(sheet), results="results", rigs=rigs or {})


def read_back(sheet: Path, rigs: Mapping[str, Any] | None = None) -> dict[str, Recording]:
    """The sheet, read as a run would read it, with the proposed rigs in the config."""
    entries = dict(rigs or {})
    if sheet.with_suffix(".rigs.yaml").exists():
        entries |= yaml.safe_load(sheet.with_suffix(".rigs.yaml").read_text(encoding="utf-8"))["rigs"]
    config = load_config({"rigs": entries})
    return read_recordings(
        sheet, {name: make_rig(name, entry, config["media"]) for name, entry in config["rigs"].items()}
    )


def rows(sheet: Path) -> list[list[str]]:
    """Recording, rig and source of each row."""
    lines = [line.split("\t") for line in sheet.read_text(encoding="utf-8").splitlines()]
    return [cells[:3] for cells in lines if not cells[0].startswith("#")][1:]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sources_of_any_name_come_back_from_the_sheet_as_they_were(place: Path) -> None:
    names = [
        "Week#2/Speaker One.MOV",
        "# comment/#1.mp4",
        'it\'s "quoted"/`a` $HOME [x] *?.Mp4',
        "Übung/日本語 видео é.MKV",
        unicodedata.normalize("NFD", "décomposé.webm"),
        "-dash/--version.avi",
        "10:30.m4v",
        "~ .mpg",
        "tab'\\s.mov",
    ]
    for name in names:
        make_video(place / "raw" / name, sound=True)
    run_scan(Path("sheet.tsv"), "raw")
    found = read_back(Path("sheet.tsv"))
    assert {recording.files[0] for recording in found.values()} == {f"raw/{name}" for name in names}
    assert all(recording.microphones["microphone"]["file"] == 0 for recording in found.values())
    assert "Speaker_One" in found


def test_names_that_no_sheet_can_hold_are_left_out_and_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_video(place / "raw" / "good.mp4")
    names = ["a\tb.mp4", "a\nb.mp4", "{a}.mp4", os.fsdecode(b"\xff.mp4")]
    for name in names:
        (place / "raw" / name).write_bytes((place / "raw" / "good.mp4").read_bytes())
    run_scan(Path("sheet.tsv"), "raw")
    assert list(read_back(Path("sheet.tsv"))) == ["good"]
    for text in (Path("sheet.tsv").read_text(encoding="utf-8"), capsys.readouterr().out):
        assert r"raw/a\tb.mp4: a sheet cannot hold its name" in text
        assert r"raw/a\nb.mp4: a sheet cannot hold its name" in text
        assert r"raw/{a}.mp4: Snakemake reads { and }" in text
        assert r"raw/\udcff.mp4: its name is no UTF-8" in text


def test_equal_names_are_told_apart_by_their_folders(place: Path) -> None:
    for name in ("s1/cam.mp4", "s2/cam.mp4", "s2/other.mp4", "S1/CAM.mov", "s1/cam.avi"):
        make_video(place / "raw" / name)
    run_scan(Path("sheet.tsv"), "raw")
    found = read_back(Path("sheet.tsv"))
    assert found["s2_cam"].files == ("raw/s2/cam.mp4",)
    assert found["other"].files == ("raw/s2/other.mp4",)
    assert len(found) == 5


@given(st.lists(st.lists(st.text(max_size=200), min_size=1, max_size=3), max_size=8))
def test_any_paths_get_valid_names_that_differ(paths: list[list[str]]) -> None:
    names = short_names(paths, recording_name)
    assert all(is_recording_name(name) and is_folder_name(name) for name in names)
    assert len({unicodedata.normalize("NFC", name).casefold() for name in names}) == len(paths)
    assert all(is_stream_name(name) for name in short_names(paths, stream_name, taken=["unnamed"]))


@pytest.mark.parametrize("path", ["a\tb", "a\nb", "a\rb", " a", "a ", "a\u3000", "\udcff", "{a", "a}"])
def test_a_path_that_a_sheet_would_change_is_unfit(path: str) -> None:
    assert why_unfit(path)


def test_nothing_is_ever_written_over(place: Path) -> None:
    make_video(place / "raw" / "one.mp4")
    sheet = Path("config/sheet.tsv")
    wanted = ["sheet", "sheet.proposed", "sheet.proposed.2", "sheet.proposed.3"]
    texts: dict[Path, bytes] = {}
    for name in wanted:
        make_video(place / "raw" / f"{name}.mp4")
        run_scan(sheet, "raw")
        new = {path: path.read_bytes() for path in Path("config").iterdir() if path not in texts}
        assert sorted(path.name for path in new) == [f"{name}.rigs.yaml", f"{name}.tsv"]
        assert {path: path.read_bytes() for path in texts} == texts
        texts |= new


def test_the_rigs_of_an_older_proposal_are_not_written_over(place: Path) -> None:
    make_video(place / "raw" / "one.mp4")
    Path("sheet.rigs.yaml").write_text("mine")
    run_scan(Path("sheet.tsv"), "raw")
    assert Path("sheet.rigs.yaml").read_text() == "mine"
    assert not Path("sheet.tsv").exists()
    assert list(read_back(Path("sheet.proposed.tsv"))) == ["one"]


def test_hidden_and_unfinished_files_and_the_results_are_passed_over(place: Path) -> None:
    for name in ("good.mp4", "._good.mp4", ".part.host-1.a.mp4", ".cache/b.mp4", "results/media/c.mp4"):
        make_video(place / name)
    run_scan(Path("sheet.tsv"), ".")
    assert rows(Path("sheet.tsv")) == [["good", "silent_video", "good.mp4"]]


def test_links_are_followed_once(place: Path) -> None:
    make_video(place / "disk" / "one.mp4")
    (place / "raw").mkdir()
    (place / "raw" / "linked").symlink_to(place / "disk")
    (place / "disk" / "round").symlink_to(place / "raw")
    (place / "raw" / "gone.mp4").symlink_to("nowhere.mp4")
    run_scan(Path("sheet.tsv"), "raw")
    assert rows(Path("sheet.tsv")) == [["one", "silent_video", "raw/linked/one.mp4"]]
    assert "gone.mp4: it is no file" in Path("sheet.tsv").read_text()


def test_sounds_and_landmarks_beside_a_video_belong_to_it(place: Path) -> None:
    make_video(place / "raw" / "own.mp4", sound=True)
    make_video(place / "raw" / "beside.MP4")
    make_sound(place / "raw" / "beside.wav")
    make_video(place / "raw" / "LOUD.mp4")
    make_sound(place / "raw" / "LOUD.WAV")
    make_video(place / "raw" / "silent.mp4")
    np.save(place / "raw" / "own.landmarks.npy", np.zeros((1, 68, 2), np.float32))
    (place / "raw" / "silent.landmarks.csv").touch()
    run_scan(Path("sheet.tsv"), "raw")
    found = read_back(Path("sheet.tsv"))
    assert found["own"].files == ("raw/own.mp4",)
    assert found["beside"].files == ("raw/beside.MP4", "raw/beside.wav")
    assert found["LOUD"].files == ("raw/LOUD.mp4", "raw/LOUD.WAV")
    assert [r.microphones.get("microphone", {}).get("file") for r in found.values()] == [1, 1, 0, None]
    assert found["own"].landmarks == "raw/own.landmarks.npy"
    assert found["silent"].landmarks == "raw/silent.landmarks.csv"
    assert {found[name].rig for name in ("own", "beside", "LOUD")} == {"video"}
    assert found["silent"].rig == "silent_video"


def test_a_sound_of_any_form_belongs_to_its_video_and_one_that_belongs_to_none_is_said(place: Path) -> None:
    for name in ("a", "b", "c"):
        make_video(place / "raw" / f"{name}.avi")
    make_video(place / "raw" / "a.mkv")
    make_sound(place / "raw" / "a.wav")
    for name in ("a.flac", "b.flac", "other.flac", "talk.flac"):
        soundfile.write(place / "raw" / name, np.zeros(800), 8000)
    soundfile.write(place / "raw" / "c.mp3", np.zeros(8000), 8000)
    run_scan(Path("sheet.tsv"), "raw")
    found = [recording.files for recording in read_back(Path("sheet.tsv")).values()]
    assert sorted(found) == [
        ("raw/a.avi", "raw/a.wav"),
        ("raw/a.mkv", "raw/a.wav"),
        ("raw/b.avi", "raw/b.flac"),
        ("raw/c.avi", "raw/c.mp3"),
    ]
    assert "a.flac: it and 2 more of the folder's sounds belong to no video by name" in Path("sheet.tsv").read_text()


def test_a_session_in_its_own_folder_is_one_recording_of_several_cameras(place: Path) -> None:
    for session in ("m[1]", "m2"):
        for camera in ("top", "side1", "22181547"):
            make_video(place / "raw" / session / f"{session}.{camera}.20240501.mp4")
        make_video(place / "raw" / session / "overview.mp4")
        make_sound(place / "raw" / session / f"{session}.wav")
    run_scan(Path("sheet.tsv"), "raw")
    found = read_back(Path("sheet.tsv"))
    assert len({recording.rig for name, recording in found.items() if "overview" not in name}) == 1
    assert (found["m_1"].session, found["m2"].session) == ("m_1", "m2")
    files = found["m2"].files
    assert files[found["m2"].cameras["side1"]["file"]] == "raw/m2/m2.side1.20240501.mp4"
    assert files[found["m2"].cameras["22181547"]["file"]] == "raw/m2/m2.22181547.20240501.mp4"
    assert files[found["m2"].microphones["microphone"]["file"]] == "raw/m2/m2.wav"
    assert len(found["m_1"].files) == 4
    assert found["m_1_overview"].files == ("raw/m[1]/overview.mp4",)


def test_sessions_that_share_a_folder_are_listed_camera_by_camera(place: Path) -> None:
    for name in ("a.top.mp4", "a.side.mp4", "b.top.mp4", "b.side.mp4", "part.1.mp4", "part.2.mp4"):
        make_video(place / "raw" / name)
    run_scan(Path("sheet.tsv"), "raw")
    found = read_back(Path("sheet.tsv"))
    sessions = {name: recording.session for name, recording in found.items()}
    own = {"part.1": "part.1", "part.2": "part.2"}
    assert sessions == {"a.side": "a", "a.top": "a", "b.side": "b", "b.top": "b", **own}
    assert "# cameras of session a" in Path("sheet.tsv").read_text()


def test_a_bag_gives_its_cameras_and_microphones(place: Path) -> None:
    make_bag(
        place / "raw" / "day 1.bag",
        {
            "/cams/left/image_raw": m.IMAGE,
            "/cams/left/image_raw/compressed": m.COMPRESSED_IMAGE,
            "/cams/left/image_raw/compressedDepth": m.COMPRESSED_IMAGE,
            "/cams/right/image_raw/ffmpeg": m.FFMPEG_PACKET,
            "/array/audio_stamped": m.AUDIO_STAMPED,
            "/room/audio": AUDIO_DATA,
            "/room/audio_info": AUDIO_INFO,
            "/notes": m.STRING,
        },
    )
    run_scan(Path("sheet.tsv"), "raw")
    text = Path("sheet.rigs.yaml").read_text()
    assert yaml.safe_load(text)["rigs"] == {
        "bag": {
            "source": "bag",
            "cameras": {"left": "/cams/left/image_raw/compressed", "right": "/cams/right/image_raw/ffmpeg"},
            "microphones": {
                "array": "/array/audio_stamped",
                "room": {"topic": "/room/audio", "info_topic": "/room/audio_info"},
            },
        }
    }
    assert "# /cams/left/image_raw/compressed is also there as /cams/left/image_raw" in text
    assert read_back(Path("sheet.tsv"))["day_1"].files == ("raw/day 1.bag",)


@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_folder_of_ros2_is_one_recording(place: Path, plugin: StoragePlugin) -> None:
    (place / "raw").mkdir()
    writer = Writer2(place / "raw" / "trip one", version=9, storage_plugin=plugin)
    write_bag(writer, {"/camera/image_raw/ffmpeg": m.FFMPEG_PACKET, "/voice": m.RAW_AUDIO}, ros=2)
    for folder in ("raw", "raw/trip one/"):
        sheet = Path(f"{len(folder)}.tsv")
        run_scan(sheet, folder)
        assert rows(sheet) == [["trip_one", "bag", "raw/trip one"]]
        assert len(read_back(sheet)["trip_one"].files) == 2


def test_bags_with_the_same_topics_share_a_rig(place: Path) -> None:
    for name in ("one.bag", "two.bag"):
        make_bag(place / "raw" / name, {"/a/image": m.IMAGE, "/b/image": m.IMAGE})
    make_bag(place / "raw" / "three.bag", {"/a/image": m.IMAGE})
    run_scan(Path("sheet.tsv"), "raw")
    assert [row[:2] for row in rows(Path("sheet.tsv"))] == [
        ["one", "bag"],
        ["three", "bag_2"],
        ["two", "bag"],
    ]


def test_topics_without_a_name_of_their_own_get_names_that_differ() -> None:
    topics = [Topic(name, "image", 1, False) for name in ("/image_raw", "/x/a/image", "/y/a/image", "/image")]
    topics += [Topic(name, "pcm", 1, True) for name in ("/audio", "/x/a/audio")]
    cameras, microphones, _ = bag_streams(topics)
    assert cameras == {"camera": "/image_raw", "camera_2": "/image", "x_a": "/x/a/image", "y_a": "/y/a/image"}
    assert microphones == {"microphone": "/audio", "a": "/x/a/audio"}


def test_compressed_depth_is_a_camera_where_it_is_all_there_is() -> None:
    topics = [Topic(name, "compressed", 1, False) for name in ("/a/depth/compressedDepth", "/b/image/compressedDepth")]
    topics.append(Topic("/b/image", "image", 1, False))
    cameras, _, notes = bag_streams(topics)
    assert cameras == {"depth": "/a/depth/compressedDepth", "b": "/b/image"}
    assert notes == ["/b/image is also there as /b/image/compressedDepth"]


def test_bytes_are_a_sound_only_where_the_topic_says_so() -> None:
    topics = [Topic("/lidar/raw", "pcm", 1, False), Topic("/robot/audio", "pcm", 1, False)]
    cameras, microphones, notes = bag_streams(topics)
    assert (cameras, microphones) == ({}, {"robot": "/robot/audio"})
    assert notes == ["/robot/audio does not state its format: add rate_hz, channels and sample_format"]


def test_rigs_of_the_config_are_used_where_they_fit(place: Path) -> None:
    rigs = {
        "booth": {
            "source": "file",
            "cameras": {"front": "{source}"},
            "microphones": {"voice": ["{stem}.wav", "{source}"]},
        },
        "aviary": {
            "source": "bag",
            "cameras": {"cam0": "/cam/image"},
            "microphones": {"array": {"topic": "/audio", "stamp": "block_end"}},
        },
    }
    make_video(place / "raw" / "one.mp4", sound=True)
    make_video(place / "raw" / "silent.mp4")
    make_bag(place / "raw" / "day.bag", {"/cam/image": m.IMAGE, "/audio": m.AUDIO_STAMPED})
    run_scan(Path("sheet.tsv"), "raw", rigs)
    assert {name: r.rig for name, r in read_back(Path("sheet.tsv"), rigs).items()} == {
        "day": "aviary",
        "one": "booth",
        "silent": "silent_video",
    }
    assert "aviary" not in Path("sheet.rigs.yaml").read_text()


def test_what_cannot_be_read_is_a_comment_beside_the_good(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_video(place / "raw" / "good.mp4")
    make_bag(place / "raw" / "notes only.bag", {"/notes": m.STRING})
    for name in ("garbage.mp4", "garbage.bag", "garbage.mcap", "garbage.db3", "open.bag.active"):
        (place / "raw" / name).write_bytes(bytes(range(256)) * 20)
    (place / "raw" / "empty.bag").touch()
    run_scan(Path("sheet.tsv"), "raw")
    assert list(read_back(Path("sheet.tsv"))) == ["good"]
    comments = [line for line in Path("sheet.tsv").read_text().splitlines() if line.startswith("# left out: ")]
    shown = capsys.readouterr().out
    assert len(comments) == 7
    for comment in comments:
        assert comment.removeprefix("# left out: ") in shown


def test_numbered_pictures_are_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_video(place / "raw" / "good.mp4")
    for folder, count in (("frames", 30), ("thumbs", 3)):
        (place / "raw" / folder).mkdir()
        for number in range(count):
            (place / "raw" / folder / f"S1C2{number:04d}.JPG").touch()
    run_scan(Path("sheet.tsv"), "raw")
    assert list(read_back(Path("sheet.tsv"))) == ["good"]
    (said,) = [line for line in capsys.readouterr().out.splitlines() if "pictures" in line]
    assert "raw/frames/S1C20000.JPG: it and 29 more of its folder are numbered pictures" in said


def test_a_scan_without_a_folder_is_one_line(place: Path) -> None:
    with pytest.raises(RunError, match="--config folder="):
        run_scan(Path("sheet.tsv"), "")
    with pytest.raises(RunError, match="nowhere is no folder"):
        run_scan(Path("sheet.tsv"), "nowhere")


def test_a_folder_without_sources_makes_no_sheet(place: Path) -> None:
    (place / "raw").mkdir()
    (place / "raw" / "garbage.mp4").touch()
    with pytest.raises(RunError, match="nothing to propose below raw"):
        run_scan(Path("config/sheet.tsv"), "raw")
    assert not Path("config").exists()


def test_snakemake_scan_works_without_a_sheet_and_says_what_comes_next(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "work")
    make_video(workspace.root / "raw" / "Take 1.MOV", sound=True)
    call = ["scan", "--configfile", "config/config.yaml", "--config", "folder=raw", "recordings=my sheet.tsv"]
    run = workspace.snakemake(*call)
    assert run.returncode == 0, run.stdout
    assert "snakemake -n sources --configfile 'my sheet.rigs.yaml'" in run.stdout
    assert rows(workspace.root / "my sheet.tsv") == [["Take_1", "video", "raw/Take 1.MOV"]]
