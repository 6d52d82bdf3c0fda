"""Frames that do not decode: what is shown in their place, and what is said of them."""

import av
import numpy as np
import pytest

from rushes.synthetic.player import watch
from scripts.common import manifest
from scripts.common.empty import write_empty
from scripts.common.frame_table import FrameTable
from scripts.common.lost_frames import listed
from tests.unit.made_media import NS
from tests.unit.side_by_side import decoded, stamps, write_camera, write_microphone
from tests.unit.test_cut_clips import SIZE, clips
from tests.unit.test_render_mosaic import cells, numbers, render


def test_frames_are_named_by_their_stretches():
    assert listed(np.array([7])) == "1 frame does not decode (7)"
    assert listed(np.array([101, 102, 103, 120, 200, 201])) == "6 frames do not decode (101-103, 120, 200-201)"


def test_the_list_of_a_day_is_no_longer_than_a_line():
    said = listed(np.arange(0, 2_000_000, 2))
    assert said == "1000000 frames do not decode (0, 2, 4, 6, 8, 10, 12, 14, and 999992 more stretches)"


@pytest.fixture(scope="module")
def gappy(tmp_path_factory):
    """Two cameras; of one, frames stand in the table that no decoder shows, up to its end."""
    folder = tmp_path_factory.mktemp("gappy")
    write_camera(folder, "whole", stamps(25, 0.8), gop=1)
    write_camera(folder, "torn", stamps(25, 0.8), gop=1, lost=(5, 6, 7, 12, 18, 19))
    return folder


def test_a_frame_that_does_not_decode_is_missing_like_one_that_is_not_there(gappy):
    video, instants, row = render(gappy, ["whole", "torn"], name="black")
    whole, torn = cells(decoded(video, 640, 240), 2)
    wanted = [-1 if k in (5, 6, 7, 12, 18, 19) else k for k in range(20)]
    assert numbers(whole) == instants.of("whole").tolist() == list(range(20))
    assert instants.of("torn").tolist() == wanted
    assert numbers(torn) == [None if k < 0 else k for k in wanted]
    assert (torn[instants.of("torn") < 0] < 20).all()
    assert not instants.offset_ns.any()
    assert row.message == ("torn has no frame at 6 of 20 instants; torn: 6 frames do not decode (5-7, 12, 18-19)")


def test_the_table_of_a_held_cell_names_the_frame_that_is_held_and_how_old_it_is(gappy):
    video, instants, row = render(gappy, ["whole", "torn"], name="held", missing="held")
    _, torn = cells(decoded(video, 640, 240), 2)
    held = [0, 1, 2, 3, 4, 4, 4, 4, 8, 9, 10, 11, 11, 13, 14, 15, 16, 17, 17, 17]
    assert numbers(torn) == instants.of("torn").tolist() == held
    age_ns = (np.arange(20) - held) * NS // 25
    assert instants.offset_ns[:, instants.cameras.index("torn")].tolist() == (-age_ns).tolist()
    assert row.message.startswith("torn has no frame at 6 of 20 instants; ")


def test_a_camera_of_which_nothing_decodes_is_black_and_said(tmp_path):
    write_camera(tmp_path, "whole", stamps(25, 0.4), gop=1)
    write_camera(tmp_path, "torn", stamps(25, 0.4), gop=1, lost=range(10))
    _, instants, row = render(tmp_path, ["whole", "torn"])
    assert (instants.of("torn") == -1).all()
    assert row.message == "torn has no frame at 10 of 10 instants; torn: 10 frames do not decode (0-9)"


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Two cameras of which frames do not decode; of one, they cost those that lean on them, too."""
    folder = tmp_path_factory.mktemp("recording")
    plain = write_camera(folder, "plain", stamps(25, 2, without=(33,)), gop=1, lost=LOST)
    ordered = write_camera(folder, "ordered", stamps(25, 2), gop=10, lost=(15,))
    clock = write_microphone(folder, "array", 0.2, channels=1)
    streams = {"plain": manifest.picture_entry(plain), "ordered": manifest.picture_entry(ordered)}
    streams["array"] = manifest.sound_entry(clock)
    manifest.write(folder / "manifest.json", recording="take", source=[], streams=streams)
    return folder


LOST = (10, 11, 20, 21, 22, 30, 32)


def exact(recording, folder, start, stop):
    """Cut one clip by encoding it; returns its folder and the ledger's row."""
    rows = clips(recording, f"clip,start,end\na,{start},{stop}\n", folder, mode="exact")
    return folder / "clips" / "a", rows[0]


def test_every_row_of_a_clip_that_is_encoded_is_a_picture(recording, tmp_path):
    """The first frame of the clip is lost, and so are two stretches within, one of them beside a drop."""
    clip, row = exact(recording, tmp_path, 0.4, 1.6)
    source = FrameTable.read(recording / "plain.frames.parquet")
    kept = np.array([k for k in range(12, 39) if k not in LOST])
    table, seen = FrameTable.read(clip / "plain.frames.parquet"), watch(clip / "plain.mp4", *SIZE)
    assert seen.numbers.tolist() == table.source_frame.tolist() == kept.tolist()
    assert (table.time_ns == source.time_ns[kept]).all()
    assert np.abs(seen.pts_ns / 1000 - table.pts_us).max() <= 1
    assert table.pts_us[0] == 0
    missing = {23: 3, 31: 1, 33: 2}
    assert (table.gap_before_ns / (NS / 25)).tolist() == [missing.get(k, 0) for k in kept.tolist()]
    assert "plain: 7 frames do not decode (10-11, 20-22, 30, 32)" in row.message


def test_what_leans_on_a_frame_that_does_not_decode_is_tainted_and_keyframes_are_those_of_the_file(recording, tmp_path):
    clip, _ = exact(recording, tmp_path, 0.68, 0.96)
    table = FrameTable.read(clip / "ordered.frames.parquet")
    assert table.source_frame.tolist() == list(range(17, 24))
    assert table.tainted.tolist() == [k < 20 for k in range(17, 24)]
    with av.open(str(clip / "ordered.mp4")) as container:
        keyframe = {packet.pts: packet.is_keyframe for packet in container.demux(video=0) if packet.size}
    assert table.keyframe.tolist() == [keyframe[pts] for pts in sorted(keyframe)]


def test_a_clip_of_which_nothing_decodes_is_a_failed_row_and_leaves_nothing(recording, tmp_path):
    (tmp_path / "only").mkdir()
    for name in ("plain.mp4", "plain.frames.parquet", "manifest.json", "array.wav", "array.clock.json"):
        (tmp_path / "only" / name).write_bytes((recording / name).read_bytes())
    for name in ("ordered.mp4", "ordered.frames.parquet"):
        write_empty(tmp_path / "only" / name, name)
    clip, row = exact(tmp_path / "only", tmp_path, 0.8, 0.92)
    assert (row.outcome, row.reason) == ("failed", "bad_clip")
    assert row.message.startswith("clips.csv, line 2: plain: 3 frames do not decode (20-22)")
    assert not clip.exists()
