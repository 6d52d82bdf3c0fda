"""Clips: cut to the frame, at times that people write in many ways."""

import errno
import os
import shutil
import subprocess
from contextlib import suppress
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from av.video.frame import PictureType
from hypothesis import given
from hypothesis import strategies as st

from rushes.synthetic.player import watch
from scripts.common import ledger, manifest
from scripts.common.clip_table import read_table
from scripts.common.clock import Clock, Gap, Segment
from scripts.common.cut_clock import cut_clock
from scripts.common.cut_video import COPIED, codec_of, copy_packets, encode_frames
from scripts.common.empty import write_empty
from scripts.common.encoder import Coding
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.timeline import Timeline
from scripts.media.clip_instants import instant_of
from scripts.media.cut_clips import Camera, cut, cut_clips
from tests.unit.made_media import NS, TICK, Pictures, digests, picture_of, run_import, write_media
from tests.unit.side_by_side import FFMPEG, START_NS, samples_of, stamps, write_camera, write_microphone

CODING = {"codec": "h264", "crf": 18, "preset": "ultrafast", "encoder": "cpu"}
SIZE = (320, 240)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Two cameras of 25 fps, one with B-frames and a gap, and a microphone with a hole."""
    folder = tmp_path_factory.mktemp("recording")
    plain = write_camera(folder, "plain", stamps(25, 8), gop=20)
    # Stamps scatter, so a period after a frame the next one may have begun.
    scatter = np.random.default_rng(5).integers(-50_000, 50_000, 190)
    ordered_ns = stamps(25, 8, without=range(100, 110)) + np.where(np.arange(190) % 10, scatter, 0)
    ordered = write_camera(folder, "ordered", ordered_ns, gop=20, b_frames=2)
    clock = write_microphone(
        folder, "array", 8, start_ns=START_NS + 10_000_000, ppm=100, channels=3, hole=(200_000, 210_000)
    )
    streams = {
        "plain": manifest.picture_entry(plain),
        "ordered": manifest.picture_entry(ordered),
        "array": manifest.sound_entry(clock),
    }
    manifest.write(folder / "manifest.json", recording="take", source=[], streams=streams)
    return folder


def clips(folder, text, target, *, time="auto", zone="UTC", mode="copy"):
    """Cut the clips of a csv; returns the ledger's rows."""
    table = target / "clips.csv"
    table.write_text(text)
    cut_clips(
        [folder / "plain.mp4", folder / "ordered.mp4"],
        [folder / "plain.frames.parquet", folder / "ordered.frames.parquet"],
        [folder / "array.wav"],
        [folder / "array.clock.json"],
        folder / "manifest.json",
        table,
        target / "clips",
        target / "clips.ledger.parquet",
        recording="take",
        product="clips",
        cameras=["plain", "ordered"],
        microphones=["array"],
        time=time,
        zone=zone,
        mode=mode,
        coding=CODING,
    )
    return ledger.rows(ledger.read([target / "clips.ledger.parquet"]))


@pytest.mark.parametrize("mode", ["copy", "exact"])
@pytest.mark.parametrize(
    ("start", "stop"), [(0, 0.04), (0, 8), (0.8, 1.6), (0.84, 0.88), (1.23, 3.3), (3.9, 4.9), (4.1, 7.999), (5, 60)]
)
def test_a_player_sees_the_frames_of_the_clip_and_no_other(recording, tmp_path, mode, start, stop):
    rows = clips(recording, f"clip,start,end\na,{start},{stop}\n", tmp_path, mode=mode)
    assert [row.outcome for row in rows] == ["written"], rows[0].message
    for camera in ("plain", "ordered"):
        source = FrameTable.read(recording / f"{camera}.frames.parquet")
        since = (source.time_ns - START_NS) / NS
        wanted = np.flatnonzero((since >= start - 1e-9) & (since < stop - 1e-9))
        if not len(wanted):
            assert not (tmp_path / "clips" / "a" / f"{camera}.mp4").exists()
            continue
        seen = watch(tmp_path / "clips" / "a" / f"{camera}.mp4", *SIZE)
        table = FrameTable.read(tmp_path / "clips" / "a" / f"{camera}.frames.parquet")
        assert seen.numbers.tolist() == wanted.tolist() == table.source_frame.tolist()
        assert (table.time_ns == source.time_ns[wanted]).all()
        assert table.pts_us[0] == 0
        assert np.abs(seen.pts_ns / 1000 - table.pts_us).max() <= 1


def test_a_copied_clip_may_end_with_any_picture_of_a_codec_that_reorders(recording, tmp_path):
    source = FrameTable.read(recording / "ordered.frames.parquet")
    stops = range(30, 50)
    bounds_s = [((source.time_ns[row] - START_NS) / NS) for row in (25, *stops)]
    lines = [f"to_{row},{bounds_s[0]:.9f},{stop:.9f}\n" for row, stop in zip(stops, bounds_s[1:], strict=True)]
    clips(recording, "clip,start,end\n" + "".join(lines), tmp_path)
    for row in stops:
        seen = watch(tmp_path / "clips" / f"to_{row}" / "ordered.mp4", *SIZE)
        assert seen.numbers.tolist() == list(range(25, row))


RANGES = [(0, 5), (1, 2), (3, 30), (12, 13), (13, 14), (20, 45), (30, 31), (31, 57)]
# Codecs as an import finds them: reference pictures among the B-frames, and an open end.
CODECS = {
    "libx264": {"preset": "medium", "x264-params": "bframes=4:b-pyramid=normal:keyint=20:scenecut=0"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:bframes=4:keyint=20"},
    "mjpeg": {"q:v": "3"},
    "libvpx-vp9": {"crf": "30", "g": "12", "deadline": "realtime"},
    "libsvtav1": {"crf": "40", "preset": "12", "svtav1-params": "keyint=12"},
}


def check_cuts(video, source, target, ranges):
    """Each range, as ffmpeg decodes it, has the pictures and times of the whole video, and no others."""
    whole = digests(video)
    for first, stop in ranges:
        copy_packets(video, source, first, stop, target)
        cut = digests(target)
        assert [picture for _, picture in cut] == [picture for _, picture in whole[first:stop]], (first, stop)
        zero_s = whole[first][0]
        assert all(abs(a - (b - zero_s)) < 3e-6 for (a, _), (b, _) in zip(cut, whole[first:stop], strict=True))


@pytest.mark.parametrize("codec", list(CODECS))
def test_every_codec_that_is_copied_is_cut_to_the_frame(tmp_path, codec):
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    pictures = Pictures([k / 25 for k in range(60)], codec=codec, options=CODECS[codec], pix_fmt=pix_fmt)
    made = run_import(tmp_path / "o", write_media(tmp_path / "a.mp4", pictures), microphones={})
    assert codec_of(made.video()) in COPIED
    check_cuts(made.video(), made.frames(), tmp_path / "cut.mp4", RANGES)


class Crowded(Pictures):
    """Some keyframes stand side by side, where the encoder reorders pictures elsewhere."""

    def packets(self, stream):
        for number, time_s in enumerate(self.times_s):
            picture = picture_of(self.draw(number)).reformat(format=self.pix_fmt)
            picture.pts, picture.time_base = round(Fraction(time_s) / TICK), TICK
            picture.pict_type = PictureType.I if number % 20 in (9, 10, 12) else PictureType.NONE
            yield from stream.encode(picture)
        yield from stream.encode(None)


def test_keyframes_that_crowd_among_reordered_pictures_are_found(tmp_path):
    """Each of them is decoded before the one ahead of it is shown, and a seek by time would find the later one."""
    steps = np.random.default_rng(9).choice([0.02, 0.04, 0.06], 119)
    options = {"preset": "medium", "x264-params": "bframes=3:keyint=40:min-keyint=1:scenecut=0"}
    pictures = Crowded([0.0, *np.cumsum(steps).tolist()], options=options)
    made = run_import(tmp_path / "o", write_media(tmp_path / "a.mp4", pictures), microphones={})
    table = made.frames()
    keyframes = np.flatnonzero(table.keyframe).tolist()
    assert len(keyframes) > 12
    check_cuts(made.video(), table, tmp_path / "cut.mp4", [(row, row + 4) for row in keyframes if row < 116])
    for row in keyframes[:-1]:
        encoded = encode_frames(made.video(), table, row, row + 4, tmp_path / "one.mp4", Coding(**CODING))
        assert encoded.rows.tolist() == list(range(row, row + 4))


@pytest.mark.parametrize("name", ["pyfeat/face_noface.mov", "pyfeat/no_face.mp4", "misc/short_hamilton_clip.mp4"])
def test_real_files_are_cut_to_the_frame_also_those_that_begin_with_hidden_packets(data, tmp_path, name):
    made = run_import(tmp_path / "o", data / "faces" / name, microphones={})
    check_cuts(made.video(), made.frames(), tmp_path / "cut.mp4", RANGES)


def test_what_an_edit_list_cannot_hide_is_encoded_and_said(data, tmp_path):
    """ffmpeg's parser of mpeg1 forgets which packets an edit list leaves out."""
    source = next(iter(sorted((data / "faces" / "grid").glob("*.mpg"))))
    made = run_import(tmp_path / "o", source, microphones={})
    if codec_of(made.video()) in COPIED:
        pytest.skip("the import has encoded it")
    table = made.frames()
    seen = [Camera("front", made.video(), table)]
    start_ns, stop_ns = int(table.time_ns[20]), int(table.time_ns[45])
    note = cut(tmp_path / "clip", seen, [], start_ns, stop_ns, "copy", Coding(**CODING))
    assert note == "front is encoded anew: mpeg1video cannot be cut by an edit list"
    assert len(digests(tmp_path / "clip" / "front.mp4")) == 25


def test_a_copied_clip_has_the_original_packets_from_the_keyframe_before(recording, tmp_path):
    clips(recording, "clip,start,end\na,1.2,2.0\n", tmp_path)

    def packets(path, *options):
        command = [FFMPEG, "-v", "error", *options, "-i", str(path), "-map", "0:v", "-c", "copy"]
        text = subprocess.run([*command, "-f", "framemd5", "-"], capture_output=True, text=True, check=True).stdout
        return [line.split(",")[-1] for line in text.splitlines() if not line.startswith("#")]

    copied = packets(tmp_path / "clips" / "a" / "plain.mp4", "-ignore_editlist", "1")
    assert copied == packets(recording / "plain.mp4")[20:50]


def test_sound_is_cut_to_the_sample_and_keeps_its_clock(recording, tmp_path):
    clips(recording, "clip,start,end\na,4,5\n", tmp_path)
    whole = samples_of(recording / "array.wav", 3)
    part = samples_of(tmp_path / "clips" / "a" / "array.wav", 3)
    source, clock = (Clock.read(folder / "array.clock.json") for folder in (recording, tmp_path / "clips" / "a"))
    first = int(np.ceil(3.99 * source.rate_hz))
    assert len(part) == clock.samples
    assert abs(clock.samples - source.rate_hz) < 1
    assert np.array_equal(part, whole[first : first + len(part)])
    assert abs(clock.start_ns - source.time_ns(np.array([first]))[0]) <= 1
    assert 0 <= clock.start_ns - (START_NS + 4 * NS) < NS / 48_000
    assert [(gap.start_sample, gap.stop_sample) for gap in clock.gaps] == [(200_000 - first, 210_000 - first)]


@given(st.integers(0, 4 * NS), st.integers(1, 3 * NS))
def test_a_cut_clock_agrees_with_the_whole_one_and_leaves_nothing_out(begin, length):
    whole = Clock(
        0, 1_000.5, 1_000, 3_000, 1,
        segments=[Segment(0, 7, 1_000), Segment(1_000, 2 * NS, 2_000)], gaps=[Gap(300, 400, "hole")],
    )  # fmt: skip
    clock, ranges = cut_clock(whole, begin, begin + length)
    times = whole.time_ns(np.arange(3_000))
    inside = np.flatnonzero((times >= begin) & (times < begin + length))
    kept = np.concatenate([np.arange(*pair) for pair in ranges]) if ranges else np.empty(0, int)
    # A sample whose rounded instant is the bound itself may go either way.
    assert len(np.setxor1d(kept, inside)) <= 2
    if ranges:
        assert np.abs(clock.time_ns(np.arange(clock.samples)) - times[kept]).max() <= 1


def test_bad_rows_are_said_and_the_rest_goes_on(recording, tmp_path):
    text = (
        "recording,clip,start,end\n"
        "take,good,1,2\n"
        "take,../up,1,2\n"
        "take,GOOD,1,2\n"
        "take,,3,2\n"
        "take,,soon,2\n"
        "take,,,2\n"
        "take,,100,200\n"
        "other,else,1,2\n"
        ",for all,1,2\n"
        ",for_all,1,2\n"
        ",elsewhere,100,200\n"
        "take,far,1,9999999999\n"
        f"take,{'n' * 101},1,2\n"
        "take,\ud55c,1,2\n"
        "take,\u1112\u1161\u11ab,1,2\n"
    )
    rows = clips(recording, text, tmp_path)
    assert [(row.item, row.outcome) for row in rows] == [
        ("clips/good", "written"),
        *((f"clips/line {number}", "failed") for number in (3, 4, 5, 6, 7, 8, 10)),
        ("clips/for_all", "written"),
        ("clips/line 12", "filtered"),
        ("clips/line 13", "failed"),
        ("clips/line 14", "failed"),
        ("clips/\ud55c", "written"),
        ("clips/line 16", "failed"),
    ]
    assert rows[-5].reason == "outside"
    messages = [row.message for row in rows if row.outcome == "failed"]
    assert messages[1] == "clips.csv, line 4: there is another clip `GOOD`"
    assert messages[2] == "clips.csv, line 5: the end 2 is not after the start 3"
    assert messages[3] == "clips.csv, line 6: `soon` is no time; write seconds, a date and time, or a time of day"
    assert messages[4] == "clips.csv, line 7: a time is missing"
    assert messages[5] == (
        "clips.csv, line 8: it lies outside of the recording: it would begin at 100.000 s of 8.000 s"
    )
    assert messages[0] == "clips.csv, line 3: '../up' cannot name a folder; use letters, digits and ._+=@-"
    assert messages[-1] == "clips.csv, line 16: there is another clip `\u1112\u1161\u11ab`"
    assert messages[-2].endswith("n' cannot name a folder; shorten it from 101 to 100 bytes")
    assert {path.name for path in (tmp_path / "clips").iterdir()} == {"good", "for_all", "\ud55c"}


@pytest.mark.parametrize("mode", ["copy", "exact"])
def test_a_clip_of_a_damaged_camera_leaves_nothing_behind_and_the_others_are_cut(recording, tmp_path, mode, caplog):
    folder = tmp_path / "damaged"
    shutil.copytree(recording, folder)
    (folder / "ordered.mp4").write_bytes((folder / "ordered.mp4").read_bytes()[:200])
    # In the gap of the damaged camera lies the last one.
    rows = clips(folder, "clip,start,end\none,1,2\none,5,6\ngap,4.05,4.35\n", tmp_path, mode=mode)
    assert [(row.item, row.outcome, row.reason) for row in rows] == [
        ("clips/line 2", "failed", "unexpected"),
        ("clips/line 3", "failed", "bad_clip"),
        ("clips/gap", "written", ""),
    ]
    assert rows[0].message.startswith("clips.csv, line 2: InvalidDataError: ")
    assert "ordered.mp4" in rows[0].message
    assert rows[1].message == "clips.csv, line 3: there is another clip `one`"
    assert [path.name for path in (tmp_path / "clips").iterdir()] == ["gap"]
    assert "Traceback" in caplog.text


def test_a_full_disk_is_no_fault_of_a_clip(recording, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("scripts.media.cut_clips.cut_sound", full)
    with pytest.raises(OSError, match="No space left"):
        clips(recording, "start,end\n1,2\n", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the column `start` is missing"),
        (b"begin,end\n1,2\n", "the column `start` is missing; it has begin, end"),
        (b"\x89PNG\0\x01", "x.csv is no text"),
    ],
)
def test_a_table_that_is_none_is_one_line(tmp_path, content, message):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InputError) as error:
        list(read_table(tmp_path / "x.csv"))
    assert message in error.value.message


@pytest.mark.parametrize("text", ["start;end\n1,5;2\n", "\ufeffSTART\tEnd\n1\t2\n", 'end,start\n"2","1"\n\n'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_tables_of_other_programs_are_read(tmp_path, text, encoding):
    (tmp_path / "x.csv").write_text(text if encoding == "utf-8" else text.lstrip("\ufeff"), encoding=encoding)
    rows = list(read_table(tmp_path / "x.csv"))
    assert [(row.number, row.end) for row in rows] == [(1, "2")]


def test_a_row_has_the_line_where_an_editor_shows_its_beginning(tmp_path):
    (tmp_path / "x.csv").write_text('note,start,end\n\n"a\nb",1,2\n,,\n"c\n\nd",3,4\nx,5,6\n')
    assert [(row.number, row.line) for row in read_table(tmp_path / "x.csv")] == [(1, 3), (2, 6), (3, 9)]


# 2023-11-14 22:13:20 UTC, ten minutes.
EVENING = Timeline(START_NS, START_NS + 600 * NS)
# The hour that comes twice in Vienna: 2023-10-29 02:30 local, first in summer time.
TWICE = Timeline(1_698_539_400 * NS, 1_698_539_400 * NS + 2 * 3600 * NS)


@pytest.mark.parametrize(
    ("text", "kind", "zone", "since_s"),
    [
        ("12.5", "auto", "UTC", 12.5),
        ("1700000012.000000001", "auto", "UTC", 12.000000001),
        ("12", "relative", "UTC", 12),
        ("1700000012", "ros", "UTC", 12),
        ("2023-11-14T22:13:32Z", "auto", "America/New_York", 12),
        ("2023-11-14 22:13:32.25", "utc", "America/New_York", 12.25),
        ("2023-11-14 17:13:32", "local", "America/New_York", 12),
        ("2023-11-14T23:13:32+01:00", "auto", "UTC", 12),
        ("22:13:32,5", "auto", "UTC", 12.5),
        ("17:13:32", "local", "America/New_York", 12),
        ("23:13:32", "auto", "Europe/Vienna", 12),
        ("22:14", "utc", "Europe/Vienna", 40),
        ("22:13:00", "utc", "UTC", -20),
    ],
)  # fmt: skip
def test_times_in_every_form(text, kind, zone, since_s):
    found = instant_of(text, kind, ZoneInfo(zone), EVENING)
    assert abs(found - START_NS - round(since_s * NS)) <= 1


def test_a_time_of_day_after_midnight_is_the_next_day():
    night = Timeline(1_700_006_400 * NS - 600 * NS, 1_700_006_400 * NS + 600 * NS)
    vienna, utc = ZoneInfo("Europe/Vienna"), ZoneInfo("UTC")
    assert instant_of("00:05:00", "utc", utc, night) == 1_700_006_700 * NS
    assert instant_of("23:55:00", "utc", utc, night) == 1_700_006_100 * NS
    assert instant_of("01:05:00", "local", vienna, night) == 1_700_006_700 * NS


@pytest.mark.parametrize(
    ("text", "zone", "timeline", "message"),
    [
        ("02:45", "Europe/Vienna", TWICE, "`02:45` comes 2 times in the recording; write the date, or an offset"),
        ("2023-03-26 02:30", "Europe/Vienna", EVENING, "does not exist in Europe/Vienna"),
        ("25:00", "UTC", EVENING, "`25:00`: hour must be in 0..23"),
        ("2023-02-30 10:00", "UTC", EVENING, "day"),
        ("1e5", "UTC", EVENING, "`1e5` is no time"),
        ("nan", "UTC", EVENING, "`nan` is no time"),
        ("1700000012000000000", "UTC", EVENING, "is not in seconds"),
        ("9" * 400, "UTC", EVENING, "is not in seconds"),
        ("9999999999", "UTC", EVENING, "`9999999999` is not in seconds, whose limit is 4611686018"),
        ("9999-12-31 10:00", "UTC", EVENING, "lies beyond all times"),
    ],
)
def test_a_time_that_cannot_be_known_is_said(text, zone, timeline, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is what counts
        instant_of(text, "auto", ZoneInfo(zone), timeline)
    assert message in str(error.value)


def test_an_offset_or_the_length_of_the_recording_settles_an_hour_that_comes_twice():
    vienna = ZoneInfo("Europe/Vienna")
    assert instant_of("02:45+01:00", "auto", vienna, TWICE) == 1_698_543_900 * NS
    assert instant_of("2023-10-29 02:45+02:00", "auto", vienna, TWICE) == 1_698_540_300 * NS
    short = Timeline(TWICE.start_ns, TWICE.start_ns + 1800 * NS)
    assert instant_of("02:45", "auto", vienna, short) == 1_698_540_300 * NS


@given(st.text(max_size=30), st.sampled_from(["auto", "relative", "ros", "utc", "local"]))
def test_any_text_is_a_time_or_a_line(text, kind):
    with suppress(ValueError):
        assert isinstance(instant_of(text, kind, ZoneInfo("UTC"), EVENING), int)


def test_the_bytes_are_the_same_again(recording, tmp_path):
    made = []
    for name in ("once", "twice"):
        (tmp_path / name).mkdir()
        clips(recording, "clip,start,end\na,1.2,2.0\n", tmp_path / name)
        made.append({path.name: path.read_bytes() for path in (tmp_path / name / "clips" / "a").iterdir()})
    assert made[0] == made[1]
    assert len(made[0]) == 6


def test_a_recording_that_failed_is_named(tmp_path):
    for name in ("plain", "ordered"):
        write_empty(tmp_path / f"{name}.frames.parquet", "x.frames.parquet")
    write_empty(tmp_path / "array.clock.json", "x.clock.json")
    with pytest.raises(InputError) as error:
        clips(tmp_path, "start,end\n1,2\n", tmp_path)
    assert error.value.reason == ledger.UPSTREAM
