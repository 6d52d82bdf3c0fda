"""One small decode says where cuts are, as PySceneDetect does, and what pictures look like; bad files fail alone."""

import errno
import json
import os
from fractions import Fraction

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import lots
from scripts.common.errors import InputError, RunError
from scripts.common.lot_work import failed, work_on
from scripts.common.scene_cuts import find_cuts, scenes
from scripts.common.video_item import read_sound
from scripts.common.working import Working
from scripts.datasets.find_duplicates import near, same_bytes
from scripts.datasets.scan_item import list_packets, scan_item
from tests.unit.shard_maker import FOUR, RED, Made, fetch, plan, scan, scene_video, settings_of, write_table

scenedetect = pytest.importorskip("scenedetect")


def of_library(path, threshold=27.0, min_scene_len=15) -> list[int]:
    detector = scenedetect.ContentDetector(threshold=threshold, min_scene_len=min_scene_len)
    found = scenedetect.detect(str(path), detector)
    return [start.frame_num for start, _ in found[1:]]


def test_cuts_are_those_of_the_library_on_twenty_clips(tmp_path):
    random = np.random.default_rng(5)
    for number in range(20):
        # Few and many, close and far, strong and weak.
        count = int(random.integers(1, 7))
        colours = [tuple(int(v) for v in random.integers(20, 230, 3)) for _ in range(count)]
        frames = [int(n) for n in random.integers(4, 30, count)]
        size = [(160, 120), (320, 180), (640, 360), (358, 202), (180, 320)][number % 5]
        path = scene_video(
            tmp_path / f"{number}.mp4", list(zip(colours, frames, strict=True)), size=size, sound=False, seed=number
        )
        scan = scan_item(f"file:{path}")
        assert find_cuts(scan.scores["change"]) == of_library(path), number
        assert find_cuts(scan.scores["change"], 12, 5) == of_library(path, 12, 5), number


def test_cuts_of_real_footage_are_those_of_the_library(data):
    for name in ("video/mmaction2/demo.mp4", "video/mmaction2/test.mp4", "faces/misc/short_hamilton_clip.mp4"):
        scan = scan_item(f"file:{data / name}")
        assert find_cuts(scan.scores["change"]) == of_library(data / name), name


@given(st.lists(st.booleans(), max_size=80), st.integers(0, 12))
def test_cuts_are_merged_as_the_library_merges_them(above, shortest):
    from scenedetect.common import FrameTimecode
    from scenedetect.detector import FlashFilter

    judge = FlashFilter(FlashFilter.Mode.MERGE, shortest)
    expected = [cut.frame_num for k, high in enumerate(above) for cut in judge.filter(FrameTimecode(k, 25.0), high)]
    assert find_cuts(np.array(above, float) * 30, 27, shortest) == expected


def test_scenes_cover_every_frame_once():
    assert scenes(100, [25, 50]) == [(0, 25), (25, 50), (50, 100)]
    assert scenes(10, []) == [(0, 10)]
    assert scenes(0, []) == []


def test_scores_say_what_the_pictures_are(tmp_path):
    black = scan_item(f"file:{scene_video(tmp_path / 'black.mp4', [((0, 0, 0), 20)], sound=False)}")
    bright = scan_item(f"file:{scene_video(tmp_path / 'bright.mp4', [((240, 240, 240), 20)], sound=False)}")
    assert black.scores["luma"].mean() < 40 < 180 < bright.scores["luma"].mean()
    assert black.scores["motion"][1:].min() > 0.3  # the square moves
    assert black.frames.keyframe[0]
    assert black.facts["keyframes_s"][:2] == [0.0, 0.48]
    assert (black.facts["width"], black.facts["height"], black.facts["video_codec"]) == (160, 120, "h264")
    assert black.thumbnail[:2] == b"\xff\xd8"


def test_times_begin_at_the_earlier_of_picture_and_sound(data):
    """The picture of this file starts at 0.852 s, its sound at 0.008 s."""
    scan = scan_item(f"file:{data / 'faces/misc/short_hamilton_clip.mp4'}")
    assert scan.frames.time_ns[0] == pytest.approx(0.844e9, abs=2e6)
    assert scan.clock is not None
    assert scan.clock.rate_hz == scan.facts["rate_hz"]


def test_packets_alone_tell_the_same_times(tmp_path, data):
    path = scene_video(tmp_path / "a.mp4", FOUR)
    for file in (path, data / "faces/misc/short_hamilton_clip.mp4", data / "video/mmaction2/demo.mp4"):
        looked, listed = scan_item(f"file:{file}"), list_packets(f"file:{file}")
        assert looked.frames.pts_us.tolist() == listed.frames.pts_us.tolist()
        assert looked.frames.time_ns.tolist() == listed.frames.time_ns.tolist()
        assert np.isnan(listed.scores["change"]).all()


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory):
    """Files that begin as media do, and how they end."""
    folder = tmp_path_factory.mktemp("bad")
    good = scene_video(folder / "good.mp4", FOUR).read_bytes()
    moov = good.index(b"moov") - 4
    files = {
        "good": good,
        "truncated": good[: len(good) // 2],
        "no_moov": good[:moov],
        "garbage": good[:32] + os.urandom(20_000),
        "zero_seconds": good[:moov] + good[moov:].replace(b"stts", b"sttX"),
    }
    for name, content in files.items():
        (folder / f"{name}.mp4").write_bytes(content)
    sound = folder / "sound_only.mp4"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        block = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), format="fltp", layout="mono")
        block.sample_rate = 16_000
        container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    scene_video(folder / "one_frame.mp4", [(RED, 1)], sound=False)
    scene_video(folder / "odd.mp4", FOUR, size=(162, 122), sound=False)
    # An 8K header over a small stream: width and height of the sample entry.
    small = (folder / "odd.mp4").read_bytes()
    entry = small.index(b"avc1", small.index(b"stsd")) + 28
    claims = small[:entry] + (7680).to_bytes(2, "big") + (4320).to_bytes(2, "big") + small[entry + 4 :]
    (folder / "eight_k.mp4").write_bytes(claims)
    return folder


def test_bad_files_fail_alone_and_the_rest_goes_on(tmp_path, bad_files):
    names = sorted(path.stem for path in bad_files.glob("*.mp4"))
    table = write_table(tmp_path / "t.txt", *(str(bad_files / f"{name}.mp4") for name in names))
    made = Made(tmp_path / "lots", settings_of(table, fetch={"allowed_roots": [str(bad_files)]}))
    lot = plan(made.root, table, made.settings)["lots"][0]
    fetch(made, lot)
    scan(made)
    ended = dict(zip(names, made.outcomes("scan").values(), strict=True))
    assert {name for name, reason in ended.items() if not reason} >= {"good", "one_frame", "odd", "sound_only"}
    assert {ended[name] for name in ("truncated", "no_moov", "garbage")} == {"unreadable"}
    assert all("\n" not in row.message for row in made.rows("scan"))
    frames = lots.read_frames(made.lot("frames.parquet"))
    assert len(frames[f"00000{names.index('good'):04d}"][0]) == 100
    assert len(frames[f"00000{names.index('one_frame'):04d}"][0]) == 1
    assert not list((made.root / "working").glob("scan*"))
    clocks = {row["key"]: lots.clock_of(row["clock"]) for row in pq.read_table(made.lot("clocks.parquet")).to_pylist()}
    assert set(clocks) >= {f"00000{names.index(name):04d}" for name in ("good", "sound_only")}


def test_a_cut_off_stream_says_how_much_of_it_was_seen(tmp_path):
    """With its index in front, a truncated file decodes up to where it breaks."""
    path = tmp_path / "a.mkv"
    path.write_bytes(scene_video(tmp_path / "whole.mkv", FOUR).read_bytes())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    scan = scan_item(f"file:{path}")
    assert 20 < scan.facts["frames"] < 80


def test_a_lot_scanned_twice_has_the_same_bytes(tmp_path):
    video = scene_video(tmp_path / "a.mp4", FOUR)
    table = write_table(tmp_path / "t.txt", *[str(video)] * 3)
    made = Made(tmp_path / "lots", settings_of(table))
    fetch(made, plan(made.root, table, made.settings)["lots"][0])
    scan(made)
    names = ("scans.parquet", "frames.parquet", "clocks.parquet", "scan.ledger.parquet")
    before = [made.lot(name).read_bytes() for name in names]
    scan(made)
    assert [made.lot(name).read_bytes() for name in names] == before


def crash(task):
    if task == "bad":
        os.kill(os.getpid(), 9)
    if task == "wrong":
        raise InputError("odd", "it is odd")
    if task == "unforeseen":
        raise KeyError("thumb\nnail")
    if task == "disk":
        raise OSError(errno.ENOSPC, "no space left")
    return {"value": task}


def test_an_error_that_nobody_foresaw_ends_its_item_alone_and_its_traceback_stands_in_the_log(tmp_path, caplog):
    working = Working(tmp_path / "w", "1")
    ended = work_on(crash, {"a": "one", "b": "unforeseen", "c": "two"}, working, 2, "items")
    assert {key: status["outcome"] for key, status in ended.items()} == {"a": "written", "b": "failed", "c": "written"}
    assert ended["b"] == failed("b", InputError("unexpected", "KeyError: 'thumb\\nnail'"))
    assert working.ended() == ended
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    # The terminal shows what `rushes` says, and nothing else.
    assert record.name == "root"
    assert record.getMessage().startswith("b\nTraceback")
    assert "in crash" in record.getMessage()


def test_a_full_disk_is_no_fault_of_an_item(tmp_path):
    with pytest.raises(OSError, match="no space"):
        work_on(crash, {"a": "disk"}, Working(tmp_path / "w", "1"), 1, "items")


def test_pictures_whose_codec_nothing_decodes_fail_alone(tmp_path):
    whole = scene_video(tmp_path / "a.mp4", FOUR).read_bytes()
    for name, code in (("pictures", b"avc1"), ("sound", b"mp4a")):
        (tmp_path / f"{name}.mp4").write_bytes(whole.replace(code, b"zz_9").replace(b"esds", b"zz_8"))
    with pytest.raises(InputError, match="decodes the codec"):
        scan_item(f"file:{tmp_path / 'pictures.mp4'}")
    scanned = scan_item(f"file:{tmp_path / 'sound.mp4'}")
    assert (scanned.facts["frames"], scanned.facts["audio_codec"], scanned.clock) == (100, "", None)
    assert read_sound(f"file:{tmp_path / 'sound.mp4'}", Fraction(0)) is None


def test_an_item_that_brings_its_process_down_fails_alone(tmp_path):
    working = Working(tmp_path / "w", "1")
    tasks = {"a": "one", "b": "bad", "c": "wrong", "d": "two"}
    ended = work_on(crash, tasks, working, 2, "items")
    assert {key: status["reason"] for key, status in ended.items()} == {"a": "", "b": "crashed", "c": "odd", "d": ""}
    # What ended is not done again.
    assert work_on(None, tasks, Working(tmp_path / "w", "1"), 2, "items") == ended
    assert Working(tmp_path / "w", "other").ended() == {}


class Fatal:
    """Ends the process that receives it."""

    def __reduce__(self):
        return os._exit, (3,)


def test_a_process_that_dies_before_it_began_is_no_fault_of_its_item(tmp_path):
    working = Working(tmp_path / "w", "1")
    with pytest.raises(RunError, match="died before it began with b"):
        work_on(crash, {"a": "one", "b": Fatal()}, working, 1, "items")
    assert "b" not in working.ended()


def test_a_function_of_a_rule_s_script_is_refused_for_no_process_would_find_it(tmp_path, monkeypatch):
    monkeypatch.setattr(crash, "__module__", "__main__")
    with pytest.raises(TypeError, match="crash stands in the script of its rule; move it"):
        work_on(crash, {"a": "one"}, Working(tmp_path / "w", "1"), 1, "items")


def test_duplicates_are_found_by_bytes_and_by_look(tmp_path, data):
    assert same_bytes(["a", "b", "c", "d"], ["1", "2", "1", ""]) == {"c": "a"}
    first, other = (data / "video" / "mmaction2" / name for name in ("demo.mp4", "test.mp4"))
    again = tmp_path / "smaller and worse.mp4"
    with av.open(str(first)) as source, av.open(str(again), "w") as target:
        stream = target.add_stream("libx264", rate=28, options={"crf": "33"})
        stream.width, stream.height, stream.pix_fmt = 212, 160, "yuv420p"
        for picture in source.decode(video=0):
            target.mux(stream.encode(picture.reformat(212, 160)))
        target.mux(stream.encode(None))
    hashes = [scan_item(f"file:{path}").hashes for path in (first, again, other)]
    assert near(["a", "b", "c"], hashes, 6) == {"b": "a"}


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30), st.integers(0, 8), st.integers(0, 63))
def test_near_duplicates_are_all_found_within_their_bits(values, bits, flip):
    flipped = [value ^ (1 << flip) if bits else value for value in values]
    keys = [str(number) for number in range(2 * len(values))]
    found = near(keys, [[value] for value in [*values, *flipped]], bits)
    for number, value in enumerate(flipped):
        plain = not 6 <= value.bit_count() <= 58 or not 6 <= values[number].bit_count() <= 58
        assert plain or str(number) in found or str(len(values) + number) in found


def test_facts_are_json(tmp_path):
    scan = scan_item(f"file:{scene_video(tmp_path / 'a.mp4', FOUR)}")
    assert json.loads(json.dumps(scan.facts)) == scan.facts
