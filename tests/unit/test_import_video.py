"""A media file becomes videos with frame tables and sounds with clocks."""

import hashlib
import json
import subprocess
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.clock import Gap, Segment
from scripts.common.errors import InputError
from scripts.common.job import execute
from scripts.common.video import VideoReader, plane_arrays
from scripts.sources.container import Cut, PacketTable, find_tainted, plan_copy, rescale
from scripts.sources.import_video import import_video
from scripts.sources.sound_track import SampleLine, to_pcm
from tests.unit.made_media import NS, Pictures, Sound, numbered, numbers_in, run_import, write_media

# 29.97 a second with every seventh picture late: no constant rate.
UNEVEN = [k * 1001 / 30000 + 0.011 * (k % 7 == 3) for k in range(40)]
TONE = (8000 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)).astype(np.int16)


def digests(path, stream=None):
    """Time and pixels of every picture."""
    with VideoReader(path, stream) as reader:
        return [
            (picture.pts * picture.time_base, hashlib.md5(bytes(plane_arrays(picture)[0])).hexdigest())
            for picture in reader
        ]


def outcome(made):
    return {row.item: (row.outcome, row.reason or row.value) for row in made.rows}


# Pictures


@pytest.mark.parametrize("name", ["take.mp4", "take.mov", "take.mkv", "take.ts", "take.avi"])
def test_packets_are_copied_and_every_picture_keeps_its_time(tmp_path, name):
    times = [0.5 * (name != "take.avi") + k / 25 for k in range(30)]
    path = write_media(tmp_path / name, Pictures(times))
    made = run_import(tmp_path / "media", path, microphones={})
    table = made.frames()
    entry = made.manifest["streams"]["front"]
    assert entry["copied"]
    assert numbers_in(made.video()) == list(range(30))
    source, copy = digests(path), digests(made.video())
    assert [pixels for _, pixels in copy] == [pixels for _, pixels in source]
    assert [time for time, _ in copy] == [Fraction(int(pts), 10**6) for pts in table.pts_us]
    assert table.pts_us[0] == 0
    assert np.abs(np.diff(table.time_ns) - 40_000_000).max() <= 1_000_000
    if name == "take.avi":
        # It numbers its packets; their pictures come out of a decoder in another order.
        assert not any("cut off" in line for line in made.manifest["warnings"])
    else:
        assert table.time_ns.tolist() == [round(time * NS) for time, _ in source]


def test_a_variable_rate_is_kept_to_the_microsecond(tmp_path):
    made = run_import(tmp_path, write_media(tmp_path / "take.mp4", Pictures(UNEVEN)), microphones={})
    table = made.frames()
    assert np.abs(table.time_ns - np.array(UNEVEN) * NS).max() < 1e9 / 90_000
    assert np.abs(table.pts_us * 1000 - table.time_ns).max() <= 500
    assert table.keyframe.tolist() == [k % 10 == 0 for k in range(40)]


def test_avi_pictures_are_put_in_the_order_in_which_they_are_shown(tmp_path):
    path = write_media(tmp_path / "take.avi", Pictures([k / 25 for k in range(20)]))
    with av.open(str(path)) as container:
        times = [picture.pts for picture in container.decode(video=0)]
    assert times != sorted(times)
    made = run_import(tmp_path / "media", path, microphones={})
    assert made.manifest["streams"]["front"]["copied"]
    assert numbers_in(made.video()) == list(range(20))
    assert made.frames().time_ns.tolist() == [k * 40_000_000 for k in range(20)]


def test_what_mp4_does_not_hold_is_encoded_once_and_said(tmp_path):
    raw = Pictures(UNEVEN, codec="rawvideo", options={"threads": "1"})
    made = run_import(tmp_path, write_media(tmp_path / "take.mkv", raw), microphones={})
    entry = made.manifest["streams"]["front"]
    assert (entry["copied"], entry["why_encoded"]) == (False, "MP4 does not hold its codec")
    assert any("encoded anew" in line for line in made.manifest["warnings"])
    assert numbers_in(made.video()) == list(range(40))
    # Matroska counts milliseconds.
    assert np.abs(made.frames().time_ns - np.array(UNEVEN) * NS).max() <= 500_001


@pytest.mark.parametrize("stretch", [(0.0, 1.0), (0.57, 0.0), (0.57, 1.03), (0.4, 1.0)])
@pytest.mark.parametrize("codec", ["libx264", "prores"])
def test_a_stretch_begins_with_the_picture_on_screen(tmp_path, stretch, codec):
    form = {"options": {"threads": "1"}, "pix_fmt": "yuv422p10le"} if codec == "prores" else {}
    pictures = Pictures([1 + k / 25 for k in range(40)], codec=codec, **form)
    path = write_media(tmp_path / "take.mov", Sound([(1, np.tile(TONE, 2))]), pictures)
    start_s, stop_s = stretch
    made = run_import(tmp_path / "media", path, start_s=start_s, stop_s=stop_s)
    first, stop = int(start_s * 25), int(np.ceil((stop_s or 1.6) * 25 - 1e-9))
    numbers = numbers_in(made.video())
    # What decodes leans on pictures that come a little later.
    assert numbers[: stop - first] == list(range(first, stop))
    assert len(numbers) <= stop - first + 2
    assert made.frames().pts_us[0] == 0
    assert made.frames().time_ns[0] == NS + first * 40_000_000
    begin = NS + round(start_s * NS)
    assert made.manifest["timeline"] == {
        "start_ns": begin,
        "stop_ns": NS + round(stop_s * NS) if stop_s else 2_600_000_000,
    }
    assert made.clock().start_ns == begin
    sound = voice(made)[:, 0]
    assert (sound == np.tile(TONE, 2)[round(start_s * 48_000) :][: len(sound)]).all()


def test_damage_taints_up_to_the_next_keyframe(tmp_path):
    path = write_media(tmp_path / "take.mp4", Pictures([k / 25 for k in range(40)]))
    with av.open(str(path)) as container:
        places = {packet.pts: packet for packet in container.demux(video=0) if packet.size}
        packets = [(packet.pos, packet.size, packet.is_keyframe) for packet in places.values()]
    content = bytearray(path.read_bytes())
    # The second packet after the second keyframe.
    number = [k for k, (_, _, key) in enumerate(packets) if key][1] + 2
    begin, size, _ = packets[number]
    content[begin + size // 3 : begin + size] = bytes(size - size // 3)
    path.write_bytes(content)
    made = run_import(tmp_path / "media", path, microphones={})
    table = made.frames()
    numbers = np.array(numbers_in(made.video()))
    assert len(table) >= 39
    assert set(numbers[~table.tainted].tolist()) >= {*range(11), *range(20, 40)}
    tainted = np.flatnonzero(table.tainted)
    assert len(tainted) >= 7
    assert made.manifest["streams"]["front"]["tainted"] == len(tainted)


def table_of(pts, keys, discard=(), corrupt=()):
    count = len(pts)
    flags = [np.isin(np.arange(count), list(those)) for those in (keys, discard, corrupt)]
    return PacketTable(np.array(pts, np.int64), np.ones(count, np.int64), *flags, Fraction(1, 25))


def test_pictures_between_two_keyframes_lean_on_both():
    # Decoded: I0 P3 B1 B2 | I6 B4 B5 P9 …: 4 and 5 are shown before the keyframe 6 that is decoded before them.
    table = table_of([0, 3, 1, 2, 6, 4, 5, 9, 7, 8], keys=[0, 4])
    plan = plan_copy(table, Cut())
    damaged = np.isin(np.arange(10), [1])
    assert np.flatnonzero(find_tainted(table, plan, damaged)).tolist() == [1, 2, 3, 5, 6]
    assert not find_tainted(table, plan, np.zeros(10, bool)).any()


def test_a_copy_begins_with_a_keyframe_and_hides_what_nobody_asked_for():
    table = table_of([0, 3, 1, 2, 4, 7, 5, 6], keys=[0, 4])
    plan = plan_copy(table, Cut(start_ns=5 * NS // 25))
    assert (plan.first, plan.stop, plan.base, plan.reorder, plan.why_not) == (4, 8, 5, 1, "")
    assert plan_copy(table, Cut(stop_ns=0)) is None
    assert plan_copy(table, Cut(start_ns=3 * NS // 25)).first == 0


def test_what_cannot_be_copied_says_why():
    hidden = table_of([0, 1, 2, 3], keys=[0], discard=[2])
    assert "edit list" in plan_copy(hidden, Cut()).why_not
    before = table_of([-2, -1, 0, 1], keys=[0], discard=[0, 1])
    assert (plan_copy(before, Cut()).why_not, plan_copy(before, Cut()).base) == ("", 0)
    assert "same time" in plan_copy(table_of([0, 1, 1, 2], keys=[0]), Cut()).why_not
    assert "without a time" in plan_copy(table_of([0, 1, np.iinfo(np.int64).min, 2], keys=[0]), Cut()).why_not


@given(st.lists(st.integers(-(10**9), 4 * 10**9), max_size=20), st.sampled_from([1, 12_800, 11_988, 90_000, 10**9]))
def test_ticks_are_rounded_exactly(ticks, per_s):
    exact = [Fraction(tick * NS, per_s) for tick in ticks]
    rounded = rescale(np.array(ticks, np.int64), Fraction(1, per_s), NS)
    assert all(abs(int(a) - b) <= Fraction(1, 2) for a, b in zip(rounded, exact, strict=True))


# Streams


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
    assert outcome(made) == {"front": ("written", 2), "side": ("failed", "no_picture")}
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
    assert outcome(made) == {
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
    assert outcome(made)["front"] == ("failed", "no_picture")
    assert outcome(made)["voice"][0] == "written"


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
    assert 0 < made.clock().samples < 2 * len(TONE)


def test_a_sound_that_was_cut_off_says_so(tmp_path):
    soundfile.write(tmp_path / "take.flac", np.tile(TONE, 2), 48_000)
    content = (tmp_path / "take.flac").read_bytes()
    (tmp_path / "take.flac").write_bytes(content[: len(content) // 4])
    made = run_import(tmp_path / "media", tmp_path / "take.flac", cameras={})
    assert made.clock().samples < 48_000
    assert any("cut off" in line for line in made.manifest["warnings"])


# Sound


def voice(made, name="voice"):
    return soundfile.read(made.folder / f"{name}.wav", dtype="int32", always_2d=True)[0] >> 16


def test_a_sound_that_starts_later_says_so(tmp_path):
    path = write_media(tmp_path / "take.mkv", Pictures([0, 0.5, 1]), Sound([(0.25, TONE)]))
    made = run_import(tmp_path / "media", path)
    clock = made.clock()
    assert (clock.start_ns, clock.samples, clock.rate_hz, clock.gaps) == (250_000_000, 48_000, 48_000.0, [])
    assert (voice(made)[:, 0] == TONE).all()
    assert made.manifest["timeline"] == {"start_ns": 0, "stop_ns": 1_040_000_000}


def test_a_hole_is_silent_and_listed_and_the_rest_stays_in_place(tmp_path):
    blocks = [(0, TONE[:10_240]), (0.5, TONE[24_000:34_240])]
    made = run_import(tmp_path, write_media(tmp_path / "take.mkv", Sound(blocks)), cameras={})
    clock = made.clock()
    assert clock.gaps == [Gap(10_240, 24_000, "hole")]
    sound = voice(made)[:, 0]
    assert len(sound) == clock.samples == 34_240
    assert (sound[:10_240] == TONE[:10_240]).all()
    assert not sound[10_240:24_000].any()
    assert (sound[24_000:] == TONE[24_000:34_240]).all()


def test_an_overlap_is_trimmed_and_said(tmp_path):
    blocks = [(0, TONE[:10_240]), (0.2, TONE[9_600:20_480])]
    made = run_import(tmp_path, write_media(tmp_path / "take.mkv", Sound(blocks)), cameras={})
    assert (voice(made)[:, 0] == TONE[:20_480]).all()
    assert made.clock().gaps == []
    assert any("640 samples overlapped" in line for line in made.manifest["warnings"])


def test_a_hole_of_hours_begins_a_new_segment(tmp_path):
    line = SampleLine(jitter=96, longest_hole=48_000 * 600)
    assert line.place(0, 1024) == (0, 0)
    assert line.place(48_000 * 7200, 1024) == (0, 0)
    assert line.place(48_000 * 7200 + 1024 + 200, 1024) == (200, 0)
    assert line.runs == [(0, 0), (1024, 48_000 * 7200)]
    assert line.gaps == [Gap(2048, 2248, "hole")]


@given(st.lists(st.tuples(st.integers(-5_000, 5_000), st.integers(1, 2_000)), max_size=30))
def test_no_sample_stands_farther_from_its_time_than_the_jitter(steps):
    line = SampleLine(jitter=96, longest_hole=10**9)
    position = 0
    for late, count in steps:
        position = max(position + late, 0)
        before = line.samples
        fill, skip = line.place(position, count)
        if skip < count:
            assert abs(before + fill - (position + skip)) <= 96
        position += count
    assert sum(gap.stop_sample - gap.start_sample for gap in line.gaps) <= line.samples


def test_times_in_milliseconds_are_no_holes(tmp_path):
    sound = Sound([(0, np.tile(TONE, 5))], rate_hz=44_100, codec="aac")
    sound.blocks = [(0, np.tile(TONE, 5).astype(np.float32) / 32_768)]
    with av.open(str(tmp_path / "take.mkv"), "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="mono")
        for first in range(0, 5 * 48_000, 1024):
            samples = sound.blocks[0][1][None, first : first + 1024]
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="mono")
            block.sample_rate, block.time_base, block.pts = 44_100, Fraction(1, 44_100), first
            container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    made = run_import(tmp_path / "media", tmp_path / "take.mkv", cameras={})
    assert made.clock().gaps == []
    assert 0 <= made.clock().samples - 240_000 < 2048


def test_a_sidecar_begins_at_zero_and_a_latency_is_taken_off(tmp_path):
    path = write_media(tmp_path / "take.mkv", Pictures([k / 25 for k in range(50)]))
    sidecars = [tmp_path / "voice.flac", tmp_path / "voice.wav"]
    for sidecar in sidecars:
        soundfile.write(sidecar, TONE, 48_000)
    microphones = {"plain": {"file": 1}, "late": {"file": 2, "latency_ms": 12.5}}
    made = run_import(tmp_path / "media", path, *sidecars, microphones=microphones)
    assert (made.clock("plain").start_ns, made.clock("plain").latency_ms) == (0, 0.0)
    late = made.clock("late")
    assert (late.start_ns, late.latency_ms) == (-12_500_000, 12.5)
    assert late.segments == [Segment(0, -12_500_000, 48_000)]
    assert made.manifest["timeline"]["start_ns"] == -12_500_000
    assert (voice(made, "plain")[:, 0] == TONE).all()


@pytest.mark.parametrize(("subtype", "form"), [("PCM_16", "PCM_16"), ("PCM_24", "PCM_24"), ("FLOAT", "PCM_24")])
def test_the_depth_of_the_source_is_kept(tmp_path, subtype, form):
    stereo = np.random.default_rng(4).uniform(-0.9, 0.9, (4_800, 2))
    soundfile.write(tmp_path / "take.wav", stereo, 96_000, subtype=subtype)
    made = run_import(tmp_path / "media", tmp_path / "take.wav", cameras={})
    found = soundfile.info(made.folder / "voice.wav")
    assert (found.subtype, found.samplerate, found.channels) == (form, 96_000, 2)
    heard, _ = soundfile.read(made.folder / "voice.wav")
    assert np.abs(heard - stereo).max() < (4e-5 if form == "PCM_16" else 2e-7)
    assert made.clock().channels == 2


def test_loud_floats_are_clipped_and_counted():
    payload, clipped = to_pcm(np.array([[1.5], [-1.0], [1.0], [0.25]], np.float32), 16)
    assert np.frombuffer(payload, "<i2").tolist() == [32_767, -32_768, 32_767, 8_192]
    assert clipped == 1
    assert np.frombuffer(to_pcm(np.array([[0], [128], [255]], np.uint8), 16)[0], "<i2").tolist() == [
        -32_768,
        0,
        32_512,
    ]


# Whole


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
