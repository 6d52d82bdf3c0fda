"""Chunks become one video with one continuous frame table; what is missing between two stays missing."""

import hashlib
import json
import os
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import jpeg, ledger
from scripts.common.errors import ConfigError, InputError
from scripts.planning.config import schema, with_defaults
from scripts.sources.chunk_times import declared, natural, place
from scripts.sources.import_frames import import_frames, times_ns
from scripts.sources.join_chunks import join_chunks
from tests.unit.examples import House
from tests.unit.folders import contents
from tests.unit.made_media import NS, Imported, Pictures, Sound, numbered, numbers_in, write_media

LENGTHS = (30, 25, 17)
# A second of a tone that rises from chunk to chunk.
RATE_HZ = 16_000


def chunk(path, first, count, *, sound=False, **options):
    """Pictures `first` … of ten a second, from 0 s; sound: the samples say their number's thousands."""
    streams = [Pictures([Fraction(k, 10) for k in range(count)], draw=lambda k: numbered(first + k), **options)]
    if sound:
        streams.append(Sound([(0, np.full(count * RATE_HZ // 10, first + 1, np.int16))], rate_hz=RATE_HZ))
    return write_media(path, *streams)


def chunks(folder, names=("c1.mov", "c2.mov", "c10.mov"), **options):
    folder.mkdir(parents=True, exist_ok=True)
    firsts = [sum(LENGTHS[:k]) for k in range(len(LENGTHS))]
    return [
        chunk(folder / name, first, count, **options) for name, first, count in zip(names, firsts, LENGTHS, strict=True)
    ]


def rule(**changes):
    return {**with_defaults({}, schema("rigs")["properties"]["chunks"]), **changes}


def join(folder, files, *, sound=False, cameras=None, **settings):
    folder.mkdir(parents=True, exist_ok=True)
    every = list(range(len(files)))
    cameras = cameras or {"front": {"files": every}}
    microphones = {"voice": {"files": every}} if sound else {}
    wanted = {key: settings.pop(key) for key in ("start_s", "stop_s") if key in settings}
    join_chunks(
        files,
        [folder / f"{name}.mp4" for name in cameras],
        [folder / f"{name}.frames.parquet" for name in cameras],
        [folder / f"{name}.wav" for name in microphones],
        [folder / f"{name}.clock.json" for name in microphones],
        folder / "manifest.json",
        folder / "export.ledger.parquet",
        recording="take",
        cameras=cameras,
        microphones=microphones,
        chunks=rule(**settings),
        tmpdir=folder,
        **wanted,
    )
    rows = ledger.rows(ledger.read([folder / "export.ledger.parquet"]))
    return Imported(folder, rows, json.loads((folder / "manifest.json").read_text()))


def packets_of(path):
    with av.open(str(path)) as container:
        return [hashlib.md5(bytes(p)).hexdigest() for p in container.demux(container.streams.video[0]) if p.size]


def test_chunks_that_follow_each_other_are_one_video_of_the_same_packets(tmp_path):
    files = chunks(tmp_path / "in")
    made = join(tmp_path / "out", files)
    assert numbers_in(made.video()) == list(range(72))
    assert packets_of(made.video()) == [digest for path in files for digest in packets_of(path)]
    table = made.frames()
    assert table.time_ns.tolist() == [k * 10**8 for k in range(72)]
    assert table.pts_us.tolist() == [k * 10**5 for k in range(72)]
    assert table.source_frame.tolist() == list(range(72))
    assert not table.gap_before_ns.any()
    assert np.flatnonzero(table.keyframe).tolist()[:4] == [0, 10, 20, 30]
    assert made.outcomes == {"front": ("written", 72.0)}
    assert [c["start_ns"] for c in made.manifest["streams"]["front"]["chunks"]] == [0, 3 * NS, 55 * NS // 10]


def test_names_tell_gaps_and_a_second_of_rounding_is_none(tmp_path):
    names = ("GX20190404_092158.mov", "GX20190404_092202.mov", "GX20190404_093000.mov")
    made = join(tmp_path / "out", chunks(tmp_path / "in", names), starts="names")
    table = made.frames()
    # The first lasts 3 s and the second begins 4 s after it: whole seconds; the third begins 482 s after the first.
    starts = [int(table.time_ns[k]) for k in (0, 30, 55)]
    assert starts == [0, 3 * NS, 482 * NS]
    assert np.flatnonzero(table.gap_before_ns).tolist() == [55]
    assert table.gap_before_ns[55] == 482 * NS - 55 * NS // 10
    assert numbers_in(made.video()) == list(range(72))
    assert (table.pts_us * 1000 == table.time_ns).all()
    assert "476.500 s are missing before it" in " ".join(made.manifest["warnings"])
    assert made.rows[0].message == "GX20190404_093000.mov: 476.500 s are missing before it"


def test_chunks_whose_starts_overlap_follow_each_other_and_are_said(tmp_path):
    # 5 s from 11:59:59, so the next one begins 4 s before its end, and the third as much as both are long.
    names = ["v_115959.mov", "v_120000.mov", "v_120010.mov"]
    files = [chunk(tmp_path / name, 0, count) for name, count in zip(names, (50, 10, 10), strict=True)]
    made = join(tmp_path / "out", files, starts="names", pattern="v_%H%M%S")
    assert [c["start_ns"] for c in made.manifest["streams"]["front"]["chunks"]] == [0, 5 * NS, 11 * NS]
    said = "v_120000.mov: it says that it begins 4.000 s before the end of the chunk before, and follows it"
    assert made.rows[0].message.startswith(said)
    assert made.manifest["warnings"][0].startswith(said)
    # Whole seconds are rounded: that is no overlap.
    made = join(tmp_path / "near", files[1:], starts="given", starts_s={names[1]: 0, names[2]: 0.5})
    assert made.rows[0].message == ""
    assert made.manifest["warnings"] == []


def test_file_times_and_the_config_tell_gaps_too(tmp_path):
    files = chunks(tmp_path / "in")
    for path, stop_s in zip(files, (1003, 1010.5, 1012.2), strict=True):
        os.utime(path, ns=(0, round(stop_s * NS)))
    table = join(tmp_path / "modified", files, starts="modified").frames()
    assert [int(table.time_ns[k]) for k in (0, 30, 55)] == [0, 8 * NS, 105 * NS // 10]
    given = {"c1.mov": 100, "c2.mov": 107.5, "c10.mov": 130}
    table = join(tmp_path / "given", files, starts="given", starts_s=given).frames()
    assert [int(table.time_ns[k]) for k in (0, 30, 55)] == [0, 75 * NS // 10, 30 * NS]


def test_sound_stays_beside_its_pictures_and_a_gap_is_silence(tmp_path):
    files = chunks(tmp_path / "in", sound=True)
    given = {"c1.mov": 0, "c2.mov": 5, "c10.mov": 7.5}
    made = join(tmp_path / "out", files, sound=True, starts="given", starts_s=given)
    samples, clock = made.sound()[:, 0], made.clock()
    assert clock.samples == len(samples) == round(9.2 * RATE_HZ)
    assert [(s.start_sample, s.start_ns) for s in clock.segments] == [
        (0, 0),
        (5 * RATE_HZ, 5 * NS),
        (round(7.5 * RATE_HZ), 75 * NS // 10),
    ]
    assert [(g.start_sample, g.stop_sample) for g in clock.gaps] == [(3 * RATE_HZ, 5 * RATE_HZ)]
    for at_s, wanted in ((1, 1), (4, 0), (6, 31), (8, 56)):
        assert samples[round(at_s * RATE_HZ)] == wanted


def test_chunks_of_another_size_or_codec_are_reported_and_other_cameras_go_on(tmp_path):
    files = chunks(tmp_path / "in")
    odd = write_media(tmp_path / "in" / "odd.mov", Pictures([0, Fraction(1, 10)], draw=lambda k: numbered(k, 192, 120)))
    cameras = {"front": {"files": [0, 3]}, "side": {"files": [0, 1, 2]}}
    made = join(tmp_path / "out", [*files, odd], cameras=cameras)
    assert made.outcomes == {"front": ("failed", "chunk_codec"), "side": ("written", 72.0)}
    message = next(row.message for row in made.rows if row.item == "front")
    assert message == "c1.mov and odd.mov differ (size 160x120 and 192x120): their packets cannot stand in one video"
    assert made.video("front").stat().st_size == 0
    other = chunk(tmp_path / "in" / "z.mov", 0, 5, codec="mjpeg", pix_fmt="yuvj420p", options={"qscale": "3"})
    with pytest.raises(InputError, match="differ"):
        join(tmp_path / "codec", [files[0], other])


def test_a_chunk_that_cannot_be_read_is_a_gap_where_its_time_is_known(tmp_path):
    files = chunks(tmp_path / "in")
    files[1].write_bytes(b"nothing")
    given = {"c1.mov": 0, "c2.mov": 3, "c10.mov": 5.5}
    made = join(tmp_path / "out", files, starts="given", starts_s=given)
    assert numbers_in(made.video()) == [*range(30), *range(55, 72)]
    assert made.frames().gap_before_ns[30] == 25 * NS // 10
    assert [(row.item, row.outcome, row.reason) for row in made.rows] == [
        ("front", "written", ""),
        ("front/c2.mov", "failed", "unreadable"),
    ]
    with pytest.raises(InputError, match="nothing says when the next one begins"):
        join(tmp_path / "follow", files)


def test_what_is_wrong_with_chunks_stands_in_the_row_of_their_stream(tmp_path):
    files = [chunk(tmp_path / f"c{k}.avi", 0, 10) for k in range(5)]
    made = join(tmp_path / "out", files)
    said = "c0.avi does not say when its pictures are shown; in their order"
    assert f"c0.avi: front: {said}" in made.manifest["warnings"]
    assert made.rows[0].message.startswith(f"c0.avi: {said}")
    assert made.rows[0].message.endswith("; and 2 more, see its manifest")


def test_a_preview_takes_the_beginning_across_chunks(tmp_path):
    files = chunks(tmp_path / "in")
    assert numbers_in(join(tmp_path / "one", files, stop_s=2.0).video()) == list(range(20))
    assert numbers_in(join(tmp_path / "two", files, stop_s=4.0).video()) == list(range(40))


def test_two_cameras_share_the_clock_of_the_first_chunk(tmp_path):
    names = ("a20190404_100000.mov", "a20190404_100003.mov", "b20190404_100007.mov")
    files = chunks(tmp_path / "in", names)
    cameras = {"left": {"files": [0, 1]}, "right": {"files": [2]}}
    made = join(tmp_path / "out", files, cameras=cameras, starts="names")
    assert (made.frames("left").start_ns, made.frames("right").start_ns) == (0, 7 * NS)


def test_the_same_chunks_give_the_same_bytes(tmp_path):
    files = chunks(tmp_path / "in", sound=True)
    for name in ("one", "two"):
        join(tmp_path / name, files, sound=True)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(0, 100)), min_size=1, max_size=8), st.integers(0, 20))
def test_no_chunk_begins_before_the_one_before_ends_and_gaps_beyond_the_tolerance_stay(pieces, tolerance):
    starts, at = [], 0
    for length, pause in pieces:
        starts.append(at)
        at += length + pause
    found = place([length for length, _ in pieces], starts, tolerance)
    for (one, two), (length, _) in zip(pairwise(found), pieces, strict=False):
        assert two.start_ns - one.start_ns - length == two.gap_ns >= 0
        assert two.gap_ns == 0 or two.gap_ns > tolerance
    assert place([length for length, _ in pieces], None, tolerance)[-1].start_ns == sum(p[0] for p in pieces[:-1])


def test_what_tells_no_time_is_one_line(tmp_path):
    path = tmp_path / "clip.mov"
    path.touch()
    with pytest.raises(InputError, match="the name `clip` tells no time by the pattern"):
        declared([path], [1], rule(starts="names"))
    with pytest.raises(InputError, match=r"clip.mov has no start in chunks.starts_s"):
        declared([path], [1], rule(starts="given"))
    assert sorted(["c10.mov", "C2.mov", "c1.mov"], key=natural) == ["c1.mov", "C2.mov", "c10.mov"]


def pictures(folder, numbers, name="S1C2{:06d}.jpg", **size):
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        cv2.imwrite(str(folder / name.format(number)), numbered(number, **size))


def import_pictures(folder, source, pattern=r"S1C2(\d+)\.jpg", **settings):
    folder.mkdir(parents=True, exist_ok=True)
    outs = ([folder / "front.mp4"], [folder / "front.frames.parquet"], [], [])
    files = (folder / "manifest.json", folder / "export.ledger.parquet")
    cameras = {"front": {"pattern": pattern}}
    numbers = {"fps": "30000/1001", "first": 1}
    import_frames(source, *outs, *files, recording="take", cameras=cameras, numbers=numbers, **settings)
    rows = ledger.rows(ledger.read([files[1]]))
    return Imported(folder, rows, json.loads(files[0].read_text()))


def test_a_folder_of_pictures_is_a_video_of_their_bytes_at_the_times_of_their_numbers(tmp_path):
    pictures(tmp_path / "in", [3, 4, 5, 9, 10])
    pictures(tmp_path / "in", [7], name="S1C3{:06d}.jpg")
    made = import_pictures(tmp_path / "out", tmp_path / "in")
    table = made.frames()
    assert numbers_in(made.video()) == [3, 4, 5, 9, 10]
    assert table.source_frame.tolist() == [2, 3, 4, 8, 9]
    assert table.time_ns.tolist() == [round(k * Fraction(1001, 30000) * NS) for k in (2, 3, 4, 8, 9)]
    assert np.flatnonzero(table.gap_before_ns).tolist() == [3]
    assert made.manifest["timeline"]["start_ns"] == 0
    assert packets_of(made.video()) == [
        hashlib.md5((tmp_path / "in" / f"S1C2{n:06d}.jpg").read_bytes()).hexdigest() for n in (3, 4, 5, 9, 10)
    ]


def test_a_quality_that_drifts_along_a_folder_of_pictures_is_said(tmp_path):
    (tmp_path / "in").mkdir()
    for number, quality in enumerate((95, 90, 70), 1):
        rgb = np.full((120, 160, 3), 60 * number, np.uint8)
        (tmp_path / "in" / f"S1C2{number:06d}.jpg").write_bytes(jpeg.encode_pixels(rgb, quality))
    made = import_pictures(tmp_path / "out", tmp_path / "in")
    assert made.manifest["streams"]["front"]["jpeg_quality"] == [70, 95]
    assert made.manifest["warnings"] == ["front: the JPEG quality drifts, from 70 to 95; it tells a network the time"]
    assert made.rows[0].message == "the JPEG quality drifts, from 70 to 95; it tells a network the time"
    (tmp_path / "in" / "S1C2000003.jpg").unlink()
    (tmp_path / "in" / "S1C2000002.jpg").unlink()
    assert import_pictures(tmp_path / "even", tmp_path / "in").manifest["warnings"] == []


def test_pictures_that_cannot_be_one_video_are_one_line(tmp_path):
    pictures(tmp_path / "in", [1, 2])
    pictures(tmp_path / "in", [3], width=192)
    with pytest.raises(InputError, match=r"S1C2000003.jpg is mjpeg 192x120 \S+, but S1C2000001.jpg is mjpeg 160x120"):
        import_pictures(tmp_path / "out", tmp_path / "in")
    for number in (2, 3):
        (tmp_path / "in" / f"S1C200000{number}.jpg").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"2 of 3 pictures are left out: S1C2000002.jpg is no picture"):
        import_pictures(tmp_path / "bad", tmp_path / "in")
    for number in (1, 2, 3):
        (tmp_path / "in" / f"S1C200000{number}.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"3 of 3 pictures are left out: S1C2000001.jpg is empty"):
        import_pictures(tmp_path / "empty", tmp_path / "in")
    with pytest.raises(InputError, match="no picture of in fits"):
        import_pictures(tmp_path / "none", tmp_path / "in", pattern=r"x(\d+)")


def test_pictures_that_cannot_be_read_are_gaps_and_are_said(tmp_path):
    pictures(tmp_path / "in", range(1, 10))
    pictures(tmp_path / "in", [4], name="{}.png")
    (tmp_path / "in" / "S1C2000001.jpg").write_bytes(b"")
    (tmp_path / "in" / "S1C2000003.jpg").write_bytes(b"nothing")
    (tmp_path / "in" / "4.png").rename(tmp_path / "in" / "S1C2000004.jpg")
    made = import_pictures(tmp_path / "out", tmp_path / "in")
    table = made.frames()
    assert numbers_in(made.video()) == [2, 5, 6, 7, 8, 9]
    assert table.source_frame.tolist() == [1, 4, 5, 6, 7, 8]
    assert table.pts_us[0] == 0
    assert np.flatnonzero(table.gap_before_ns).tolist() == [1]
    (row,) = made.rows
    assert row.outcome == "written"
    assert row.message.startswith("3 of 9 pictures are left out: S1C2000001.jpg is empty, S1C2000003.jpg is no picture")
    assert row.message.endswith("S1C2000004.jpg is a png, which is not what its name says")
    assert made.manifest["warnings"] == [f"front: {row.message}"]
    assert made.manifest["streams"]["front"]["left_out"] == 3


@pytest.mark.parametrize("number", [10**12, 10**20])
def test_a_number_that_no_camera_counts_to_is_one_line(tmp_path, number):
    pictures(tmp_path / "in", [1, 2], name="S1C2{}.jpg")
    (tmp_path / "in" / "S1C22.jpg").rename(tmp_path / "in" / f"S1C2{number}.jpg")
    with pytest.raises(InputError, match=f"S1C2{number}.jpg is number {number}, more than 2,147,483,647 from"):
        import_pictures(tmp_path / "out", tmp_path / "in")


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=5, unique=True))
def test_instants_of_numbers_are_exact_to_half_a_nanosecond(numbers):
    fps = Fraction(30000, 1001)
    found = times_ns(np.array(numbers), fps, 1)
    assert all(abs(int(t) - (n - 1) * NS / fps) <= Fraction(1, 2) for t, n in zip(found, numbers, strict=True))


def test_the_sheet_finds_every_chunk_and_the_pictures_of_a_subject(tmp_path, monkeypatch):
    from scripts.planning.plan import load

    monkeypatch.chdir(tmp_path)
    house = House(tmp_path)
    house.files_of_sources("raw/one/a.MP4", "raw/one/b.MP4", "raw/one/notes.txt", "frames/S5C2000001.jpg")
    house.rigs = {
        "theatre": {"source": "chunks", "cameras": {"c2": "{source}/*.MP4"}, "microphones": {"m": "{source}/*.MP4"}},
        "seed": {"source": "frames", "cameras": {"c2": "{source}/S{subject}C2{frame}.jpg"}},
    }
    rows = [["one", "theatre", "raw/one", "5"], ["two", "seed", "frames", "5"]]
    house.sheet(["recording", "rig", "source", "subject"], rows)
    plan = load(house.config())
    one, two = plan.recordings["one"], plan.recordings["two"]
    assert one.files == ("raw/one/a.MP4", "raw/one/b.MP4")
    assert one.cameras["c2"]["files"] == one.microphones["m"]["files"] == [0, 1]
    assert two.files == ("frames",)
    assert two.cameras["c2"]["pattern"] == r"S5C2(\d+)\.jpg"
    house.rigs["seed"]["cameras"]["c2"] = "{source}/S{subject}C2.jpg"
    with pytest.raises(ConfigError, match=r"with one \{frame\}"):
        load(house.config())
