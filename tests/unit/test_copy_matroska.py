"""Cameras as Matroska: the packets of the MP4, the pictures that another program decodes, times to the millisecond."""

import hashlib
import subprocess

import av
import numpy as np
import pytest

from scripts.common import ledger
from scripts.common.empty import write_empty
from scripts.common.errors import InputError, RunError
from scripts.common.frame_table import FrameTable
from scripts.media import copy_matroska as module
from scripts.media.copy_matroska import copy_matroska
from tests.unit.bag_formats.images import fix_width
from tests.unit.bag_maker import Ros, export, send_image
from tests.unit.made_media import Pictures, numbers_in, run_import, write_media
from tests.unit.numbered_video import times_in
from tests.unit.side_by_side import FFMPEG, stamps, write_camera


def copy(folder, camera="left"):
    copy_matroska(
        folder / f"{camera}.mp4",
        folder / f"{camera}.frames.parquet",
        folder / f"{camera}.mkv",
        folder / "x.ledger.parquet",
        recording="take",
        product=f"separate/{camera}.mkv",
        camera=camera,
        tmpdir=folder,
    )
    return folder / f"{camera}.mkv"


def by_ffmpeg(path, form):
    command = [FFMPEG, "-v", "error", "-i", str(path), "-fps_mode", "passthrough", "-pix_fmt", form, "-f", "rawvideo"]
    return subprocess.run([*command, "-"], capture_output=True, check=True).stdout


@pytest.mark.parametrize("b_frames", [0, 2])
def test_every_picture_is_the_same_at_its_time(tmp_path, b_frames):
    table = write_camera(tmp_path, "left", stamps(30, 2, without=[7, 8]), b_frames=b_frames)
    path = copy(tmp_path)
    assert times_in(path) == pytest.approx(table.pts_us / 1e6, abs=0.000501)
    assert times_in(path)[0] == 0
    assert by_ffmpeg(path, "yuv420p") == by_ffmpeg(tmp_path / "left.mp4", "yuv420p")
    (row,) = ledger.rows(ledger.read([tmp_path / "x.ledger.parquet"]))
    assert (row.item, row.outcome, row.value) == ("separate/left.mkv", "written", 58)


@pytest.mark.parametrize("b_frames", [0, 2])
def test_what_an_edit_list_hides_is_not_shown_by_a_matroska(tmp_path, b_frames):
    """A recording that begins by the sheet's `start` within a GOP of ten: pictures from the keyframe on are hidden."""
    x264 = {"crf": "10", "preset": "ultrafast", "x264-params": f"bframes={b_frames}:b-adapt=0:keyint=10:scenecut=0"}
    source = write_media(tmp_path / "take.mp4", Pictures([k / 25 for k in range(50)], options=x264))
    run_import(tmp_path, source, microphones={}, start_s=1.0)
    path = copy(tmp_path, "front")
    assert numbers_in(path) == numbers_in(tmp_path / "front.mp4") == list(range(25, 50))
    assert times_in(path) == pytest.approx(np.arange(25) / 25, abs=0.000501)
    (row,) = ledger.rows(ledger.read([tmp_path / "x.ledger.parquet"]))
    assert (row.outcome, row.value) == ("written", 25)
    assert (
        row.message == "encoded anew: 5 of its packets are hidden by an edit list, which Matroska has not, or damaged"
    )


def test_a_file_with_a_packet_that_does_not_decode_has_its_matroska_too(tmp_path):
    """The camera's table has no row for it, and its packets are one more."""
    x264 = {"crf": "10", "preset": "ultrafast", "x264-params": "bframes=0:keyint=10:scenecut=0"}
    source = write_media(tmp_path / "take.mp4", Pictures([k / 25 for k in range(50)], options=x264))
    with av.open(str(source)) as container:
        place, size = next((p.pos, p.size) for p in container.demux(video=0) if p.pts and p.pts * p.time_base == 1)
    content = bytearray(source.read_bytes())
    content[place : place + size] = bytes(size)
    source.write_bytes(content)
    run_import(tmp_path, source, microphones={})
    rows = len(FrameTable.read(tmp_path / "front.frames.parquet"))
    assert rows == 49
    path = copy(tmp_path, "front")
    assert len(times_in(path)) == rows
    (row,) = ledger.rows(ledger.read([tmp_path / "x.ledger.parquet"]))
    assert (row.outcome, row.value) == ("written", rows)
    assert row.message.startswith("encoded anew: 1 of its packets")


def test_sixteen_bits_are_ffv1_in_a_matroska(tmp_path):
    ros, rng = Ros(1), np.random.default_rng(0)
    depths = rng.integers(0, 2**16, (12, 48, 64), dtype=np.uint16)
    for number, depth in enumerate(depths):
        send_image(ros, number, depth.view(np.uint8), "mono16")
        fix_width(ros, 64)
    export(ros.write(tmp_path / "a.bag"), tmp_path, {"left": "/cam"})
    path = copy(tmp_path)
    with av.open(str(path)) as container:
        assert (container.format.name, container.streams.video[0].codec_context.name) == ("matroska,webm", "ffv1")
    assert by_ffmpeg(path, "gray16le") == depths.tobytes()


def test_the_bytes_are_the_same_on_every_run(tmp_path):
    write_camera(tmp_path, "left", stamps(25, 1))
    assert len({hashlib.sha256(copy(tmp_path).read_bytes()).digest() for _ in range(2)}) == 1


def test_a_camera_whose_import_failed_is_said_so(tmp_path):
    for name in ("left.mp4", "left.frames.parquet"):
        write_empty(tmp_path / name, name)
    with pytest.raises(InputError, match="take, left: its import failed"):
        copy(tmp_path)


def test_a_copy_that_holds_something_else_does_not_count(tmp_path, monkeypatch):
    write_camera(tmp_path, "left", stamps(25, 1))
    whole = module._packets

    def one_less(container):
        packets = list(whole(container))
        return iter(packets if container.format.name.startswith("mov") else packets[:-1])

    monkeypatch.setattr(module, "_packets", one_less)
    with pytest.raises(RunError, match=r"left\.mkv: its picture 24 is another one"):
        copy(tmp_path)
    monkeypatch.undo()
    write_camera(tmp_path, "right", stamps(25, 0.8))
    (tmp_path / "left.frames.parquet").write_bytes((tmp_path / "right.frames.parquet").read_bytes())
    with pytest.raises(RunError, match="25 pictures, and the frame table has 20"):
        copy(tmp_path)
