"""A media file becomes videos with frame tables and sounds with clocks."""

import json
import subprocess
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np
import pytest
import soundfile

from scripts.common.cut_short import cut_short
from scripts.common.errors import InputError
from scripts.common.job import execute
from scripts.sources.import_video import import_video
from tests.unit.made_media import (
    NS,
    TONE,
    UNEVEN,
    Pictures,
    Sound,
    digests,
    numbered,
    numbers_in,
    run_import,
    write_media,
)


def test_the_largest_picture_is_taken_unless_the_config_names_another(tmp_path):
    small = Pictures([k / 25 for k in range(5)])
    large = Pictures([k / 25 for k in range(8)], draw=lambda k: numbered(k, 320, 240))
    path = write_media(tmp_path / "take.mkv", small, large, Sound([(0, TONE)]))
    cameras = {"front": {"file": 0}, "side": {"file": 0, "stream": 0}}
    made = run_import(tmp_path / "media", path, cameras=cameras)
    assert (len(made.frames("front")), len(made.frames("side"))) == (8, 5)
    entries = made.manifest["streams"]
    assert (entries["front"]["stream"], entries["side"]["stream"], entries["voice"]["stream"]) == (1, 0, 2)
    assert "largest picture" in entries["front"]["choice"]
    assert entries["side"]["choice"] == "named in the config"
    assert [topic["taken"] for topic in made.manifest["topics"]] == [True, True, True]


def test_two_cameras_cannot_take_one_stream(tmp_path):
    path = write_media(tmp_path / "take.mp4", Pictures([0, 0.04]))
    cameras = {"front": {"file": 0}, "side": {"file": 0, "stream": 0}}
    made = run_import(tmp_path / "media", path, cameras=cameras, microphones={})
    assert made.outcomes == {"front": ("written", 2), "side": ("failed", "no_picture")}
    assert "front takes the same stream 0" in made.rows[1].message


def test_what_is_missing_fails_alone_and_leaves_whole_empty_outputs(tmp_path):
    path = write_media(tmp_path / "take.mp4", Pictures([0, 0.04]))
    (tmp_path / "garbage.wav").write_bytes(b"no sound " * 1000)
    microphones = {
        "own": {"file": 0},
        "named": {"file": 0, "stream": 0},
        "absent": {"file": -1},
        "broken": {"file": 1},
    }
    made = run_import(tmp_path / "media", path, tmp_path / "garbage.wav", microphones=microphones)
    assert made.outcomes == {
        "front": ("written", 2),
        "own": ("failed", "no_sound"),
        "named": ("failed", "no_sound"),
        "absent": ("failed", "no_sound"),
        "broken": ("failed", "unreadable"),
    }
    assert (made.folder / "own.wav").stat().st_size == made.clock("own").samples == 0
    assert made.manifest["streams"]["broken"]["failed"] == "unreadable"
    assert "0: video h264" in made.rows[1].message


def test_cover_art_is_no_picture(tmp_path):
    soundfile.write(tmp_path / "a.wav", TONE, 48_000)
    write_media(tmp_path / "art.mov", Pictures([0], codec="mjpeg", pix_fmt="yuvj420p", options={"q": "2"}))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", tmp_path / "a.wav"]
    command += ["-i", tmp_path / "art.mov", "-map", "0", "-map", "1", "-c:v", "copy", "-c:a", "aac"]
    subprocess.run([*command, "-disposition:v:0", "attached_pic", tmp_path / "take.m4a"], check=True)
    made = run_import(tmp_path / "media", tmp_path / "take.m4a")
    assert made.outcomes["front"] == ("failed", "no_picture")
    assert made.outcomes["voice"][0] == "written"


@pytest.mark.parametrize("kind", ["empty", "garbage", "text", "cut off"])
def test_a_file_that_cannot_be_read_is_one_input_error(tmp_path, kind):
    whole = write_media(tmp_path / "whole.mp4", Pictures([k / 25 for k in range(20)])).read_bytes()
    content = {
        "empty": b"",
        "garbage": np.random.default_rng(3).bytes(50_000),
        "text": b"It is a letter.\n" * 100,
        # Its index stands at the end.
        "cut off": whole[: len(whole) // 2],
    }[kind]
    (tmp_path / "take.mp4").write_bytes(content)
    with pytest.raises(InputError) as error:
        run_import(tmp_path / "media", tmp_path / "take.mp4")
    assert error.value.reason == "unreadable"
    assert error.value.message.startswith("take.mp4 cannot be read: ")
    assert "\n" not in error.value.message


def test_a_file_that_was_cut_off_gives_what_is_there(tmp_path):
    pictures, sound = Pictures([k / 25 for k in range(50)]), Sound([(0, np.tile(TONE, 2))])
    path = write_media(tmp_path / "take.mov", pictures, sound, movflags="faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    made = run_import(tmp_path / "media", path)
    count = len(made.frames())
    assert 15 < count < 45
    assert numbers_in(made.video())[: count - 4] == list(range(count - 4))
    assert sum("cut off" in line for line in made.manifest["warnings"]) == 2
    for row in made.rows:
        assert row.outcome == "written"
        assert "cut off" in row.message
        assert f"{row.item}: {row.message.split('; ')[0]}" in "; ".join(made.manifest["warnings"])
    assert 0 < made.clock().samples < 2 * len(TONE)


def test_a_sound_that_was_cut_off_says_so(tmp_path):
    soundfile.write(tmp_path / "take.flac", np.tile(TONE, 2), 48_000)
    content = (tmp_path / "take.flac").read_bytes()
    (tmp_path / "take.flac").write_bytes(content[: len(content) // 4])
    made = run_import(tmp_path / "media", tmp_path / "take.flac", cameras={})
    assert made.clock().samples < 48_000
    assert any("cut off" in line for line in made.manifest["warnings"])


def test_a_trimmed_mp4_that_holds_more_than_it_shows_was_not_cut_off(tmp_path):
    """As phones trim: what came before stays in the file, and an edit list passes it over."""
    path = write_media(tmp_path / "take.mkv", Pictures([k / 25 for k in range(50)]))
    with av.open(str(path)) as source, av.open(str(tmp_path / "take.mp4"), "w") as target:
        target_stream = target.add_stream_from_template(source.streams.video[0])
        second = round(1 / source.streams.video[0].time_base)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - second, packet.dts - second, target_stream
                target.mux(packet)
    made = run_import(tmp_path / "media", tmp_path / "take.mp4", microphones={})
    assert len(made.frames()) < 50
    assert made.manifest["warnings"] == []


def test_an_mp4_that_was_cut_off_says_so_although_its_last_box_has_no_size(tmp_path):
    pictures = Pictures([k / 25 for k in range(50)])
    source = write_media(tmp_path / "take.mkv", pictures)
    path = tmp_path / "take.mp4"
    with av.open(str(source)) as given, av.open(str(path), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    content = path.read_bytes()
    place = content.index(b"mdat") - 4
    path.write_bytes((content[:place] + bytes(4) + content[place + 4 :])[: (place + len(content)) // 2])
    made = run_import(tmp_path / "media", path, microphones={})
    assert any("pictures and holds 24: it was cut off" in line for line in made.manifest["warnings"])


def test_a_matroska_and_a_wav_that_were_cut_off_say_so(tmp_path):
    pictures, sound = Pictures([k / 25 for k in range(50)]), Sound([(0, np.tile(TONE, 2))])
    path = write_media(tmp_path / "take.mkv", pictures, sound)
    soundfile.write(tmp_path / "take.wav", np.tile(TONE, 4), 48_000)
    microphones = {"own": {"file": 0}, "side": {"file": 1}}
    whole = run_import(tmp_path / "whole", path, tmp_path / "take.wav", microphones=microphones)
    assert whole.manifest["warnings"] == []
    assert [row.message for row in whole.rows] == ["", "", ""]
    promised = {}
    for file in (path, tmp_path / "take.wav"):
        promised[file.name] = file.stat().st_size
        file.write_bytes(file.read_bytes()[: promised[file.name] // 2])
    made = run_import(tmp_path / "media", path, tmp_path / "take.wav", microphones=microphones)
    for row, name in zip(made.rows, ["take.mkv", "take.mkv", "take.wav"], strict=True):
        said = f"{name} promises {promised[name]:,} bytes and holds {promised[name] // 2:,}: it was cut off"
        assert said in row.message
        assert f"{row.item}: {said}; what is there is taken" in made.manifest["warnings"]
    # Of a stretch at the beginning nothing need be missing.
    assert run_import(tmp_path / "first", path, microphones={}, stop_s=0.2).manifest["warnings"] == []


@pytest.mark.parametrize("size", [0, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_a_wav_that_was_written_into_a_pipe_is_whole(tmp_path, size):
    path = tmp_path / "take.wav"
    soundfile.write(path, np.tile(TONE, 4), 48_000)
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = size.to_bytes(4, "little")
    path.write_bytes(content)
    assert cut_short(path) == ""


def test_an_rf64_tells_its_size_beside(tmp_path):
    path = tmp_path / "take.wav"
    soundfile.write(path, np.tile(TONE, 4), 48_000, format="RF64")
    assert cut_short(path) == ""
    path.write_bytes(path.read_bytes()[:20_000])
    assert "it was cut off" in cut_short(path)


def test_a_matroska_that_was_never_finished_promises_nothing(tmp_path):
    path = write_media(tmp_path / "take.mkv", Pictures([k / 25 for k in range(50)]), live="1")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert cut_short(path) == ""


@pytest.mark.parametrize("content", [b"", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\x01", b"RIFF1234WAVEdata"])
def test_a_header_that_is_none_promises_nothing(tmp_path, content):
    (tmp_path / "take").write_bytes(content)
    assert cut_short(tmp_path / "take") == ""


@pytest.mark.parametrize("name", ["take.mp4", "take.mkv", "take.ts", "take.avi"])
def test_a_damaged_file_is_imported_or_is_an_input_error(tmp_path, name):
    sound = Sound([(0, TONE)], codec="mp2")
    whole = write_media(tmp_path / name, Pictures([k / 25 for k in range(20)]), sound).read_bytes()
    rng = np.random.default_rng(7)
    for _ in range(8):
        content = np.frombuffer(whole, np.uint8).copy()
        places = rng.choice([len(whole), 3_000, 3_000], 20) * rng.random(20)
        content[np.minimum(places.astype(int), len(whole) - 1)] = rng.integers(0, 256, 20)
        (tmp_path / name).write_bytes(content.tobytes())
        try:
            made = run_import(tmp_path / "media", tmp_path / name)
        except InputError:
            continue
        assert [row.item for row in made.rows] == ["front", "voice"]
        numbers = numbers_in(made.video()) if len(made.frames()) else []
        assert len(numbers) == len(made.frames())


def test_a_title_in_another_encoding_does_not_matter(tmp_path):
    with av.open(str(tmp_path / "take.mkv"), "w") as container:
        container.metadata["title"] = "Katzenjammer"
        pictures = Pictures([0, 0.04])
        stream = pictures.start(container)
        for packet in pictures.packets(stream):
            container.mux(packet)
    content = (tmp_path / "take.mkv").read_bytes()
    assert content.count(b"Katzenjammer") == 1
    (tmp_path / "take.mkv").write_bytes(content.replace(b"Katzenjammer", "Kätzenjammér".encode("latin-1")))
    made = run_import(tmp_path / "media", tmp_path / "take.mkv", microphones={})
    assert len(made.frames()) == 2


def test_the_same_bytes_come_out_again_and_no_path_stands_in_them(tmp_path):
    path = write_media(tmp_path / "it's a take #1 ü.mp4", Pictures(UNEVEN), Sound([(0, TONE)], codec="aac"))
    contents = []
    for folder in ("one", "two"):
        made = run_import(tmp_path / folder, path)
        contents.append({file.name: file.read_bytes() for file in made.folder.iterdir()})
    assert contents[0] == contents[1]
    text = contents[0]["manifest.json"].decode()
    assert str(tmp_path) not in text
    assert json.loads(text)["source"] == ["it's a take #1 ü.mp4"]


def test_as_a_job_an_unreadable_file_is_a_row_for_every_stream(tmp_path):
    (tmp_path / "take.mp4").write_bytes(b"")
    outputs = {
        "videos": [tmp_path / "front.mp4"],
        "frames": [tmp_path / "front.frames.parquet"],
        "sounds": [tmp_path / "voice.wav"],
        "clocks": [tmp_path / "voice.clock.json"],
        "manifest": tmp_path / "manifest.json",
        "ledger": tmp_path / "export.ledger.parquet",
    }
    settings = {"recording": "take", "cameras": {"front": {"file": 0}}, "microphones": {"voice": {"file": 0}}}
    execute(import_video, inputs={"source": [tmp_path / "take.mp4"]}, outputs=outputs, settings=settings)
    from scripts.common import ledger

    rows = ledger.rows(ledger.read([tmp_path / "export.ledger.parquet"]))
    assert [(row.item, row.outcome, row.reason) for row in rows] == [
        ("front", "failed", "unreadable"),
        ("voice", "failed", "unreadable"),
    ]
    assert (tmp_path / "front.mp4").stat().st_size == 0


def test_traps_of_public_files_come_out_right(data, tmp_path):
    late = run_import(tmp_path / "late", data / "faces/pyfeat/face_noface.mov")
    assert late.clock().start_ns == 2_430_022_676
    assert (late.frames().start_ns, len(late.frames())) == (0, 169)
    cut = run_import(tmp_path / "cut", data / "faces/misc/short_hamilton_clip.mp4")
    assert (cut.frames().start_ns, cut.clock().start_ns) == (852_018_685, 8_004_535)
    counted = run_import(tmp_path / "counted", data / "faces/pyfeat/no_face.mp4")
    entry = counted.manifest["streams"]["front"]
    assert (entry["header_frames"], entry["frames"], entry["copied"]) == (98, 95, True)
    assert digests(counted.video()) == [
        (time - Fraction(0), pixels)
        for time, pixels in (
            (Fraction(round(time * 10**6), 10**6), pixels)
            for time, pixels in digests(data / "faces/pyfeat/no_face.mp4")
        )
    ]


def test_mpeg_1_of_the_grid_corpus_is_copied(data, tmp_path):
    path = data / "faces/grid/bbaf2n.mpg"
    made = run_import(tmp_path, path)
    entry = made.manifest["streams"]["front"]
    assert (entry["codec"], entry["copied"], entry["frames"]) == ("mpeg1video", True, 75)
    assert [pixels for _, pixels in digests(made.video())] == [pixels for _, pixels in digests(path)]
    assert (made.frames().time_ns == np.arange(75) * 40_000_000).all()
    assert made.manifest["timeline"] == {"start_ns": 0, "stop_ns": 3 * NS}


def test_both_pictures_of_the_nasa_file_come_out_as_its_makers_say(data, tmp_path):
    path = data / "video/nasa/nasa_13013.mp4"
    cameras = {"chosen": {"file": 0}, "first": {"file": 0, "stream": 0}}
    made = run_import(tmp_path, path, cameras=cameras)
    assert made.manifest["streams"]["chosen"]["stream"] == 3
    for name, stream, count in (("first", 0, 325), ("chosen", 3, 390)):
        facts = json.loads((path.parent / f"{path.name}.stream{stream}.all_frames_info.json").read_text())
        table = made.frames(name)
        assert len(table) == count
        truth = [float(frame["pts_time"] if "pts_time" in frame else frame["pts_seconds"]) for frame in facts]
        assert np.abs(table.time_ns / NS - np.array(truth)).max() < 1e-6
    assert abs(made.frames("chosen").time_ns[-1] / NS - 12.979633) < 1e-6
