"""Single pictures: one every so many seconds, and every synchronised frame."""

import tarfile

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from rushes.synthetic.bars import read_number
from scripts.common import jpeg, ledger, manifest
from scripts.common.empty import write_empty
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.media import extract_stills as module
from scripts.media.extract_all_frames import extract_all_frames
from scripts.media.extract_stills import extract_stills
from scripts.media.picture_stores import Shards
from tests.unit.folders import contents
from tests.unit.made_media import NS
from tests.unit.side_by_side import START_NS, stamps, write_camera

SCENE = {"rows": [["left", "right"]], "columns": 0, "explicit": False, "cell": [], "missing": "black", "fps": "own"}


def write_manifest(folder, *cameras):
    streams = {name: manifest.picture_entry(FrameTable.read(folder / f"{name}.frames.parquet")) for name in cameras}
    manifest.write(folder / "manifest.json", recording="take", source=[], streams=streams)


def stills(folder, camera, every_s, quality=90):
    extract_stills(
        folder / f"{camera}.mp4",
        folder / f"{camera}.frames.parquet",
        folder / "manifest.json",
        folder / f"{camera}.stills",
        folder / "stills.ledger.parquet",
        recording="take",
        product=f"frame/{camera}",
        camera=camera,
        every_s=every_s,
        quality=quality,
    )
    rows = ledger.rows(ledger.read([folder / "stills.ledger.parquet"]))
    return pq.read_table(folder / f"{camera}.stills" / "frames.parquet").to_pylist(), rows


def number_in(path):
    return read_number(cv2.imread(str(path)))


@pytest.mark.parametrize("b_frames", [0, 2])
def test_the_nearest_frame_to_every_instant_is_written(tmp_path, b_frames):
    write_camera(tmp_path, "left", stamps(25, 6), b_frames=b_frames, gop=12)
    write_manifest(tmp_path, "left")
    table, rows = stills(tmp_path, "left", 0.9)
    assert [row["source_frame"] for row in table] == [0, 22, 45, 67, 90, 112, 135]
    for row in table:
        assert number_in(tmp_path / "left.stills" / row["file"]) == row["source_frame"]
        assert abs(row["time_ns"] - row["instant_ns"]) <= 20_000_000
    assert [row.outcome for row in rows] == ["written"] * 7
    assert len({row.item for row in rows}) == 7


def test_only_what_is_needed_is_decoded(tmp_path, monkeypatch):
    write_camera(tmp_path, "left", stamps(25, 12), gop=5)
    write_manifest(tmp_path, "left")
    seen = []
    monkeypatch.setattr(module, "microseconds", lambda picture: seen.append(1) or original(picture))
    from scripts.common.camera_pictures import microseconds as original

    table, _ = stills(tmp_path, "left", 4)
    assert [row["source_frame"] for row in table] == [0, 100, 200]
    assert len(seen) <= 15


def test_cameras_are_seen_at_the_same_instants_and_what_lacks_is_in_the_ledger(tmp_path):
    write_camera(tmp_path, "left", stamps(25, 4))
    write_camera(tmp_path, "right", stamps(25, 4, start_s=0.01, without=range(45, 60)))
    write_manifest(tmp_path, "left", "right")
    left, _ = stills(tmp_path, "left", 1)
    right, rows = stills(tmp_path, "right", 1)
    assert [row["instant_ns"] - START_NS for row in left] == [0, NS, 2 * NS, 3 * NS]
    assert [row["instant_ns"] - START_NS for row in right] == [0, NS, 3 * NS]
    assert [(row.outcome, row.reason) for row in rows] == [("written", "")] * 3 + [("filtered", "no_frame")] * 2
    assert [row.start_ns - START_NS for row in rows[3:]] == [2 * NS, 4 * NS]


def test_a_picture_is_named_by_its_stamp():
    assert jpeg.file_name(1_636_727_340_005_000_000, "cam0") == "frame_1636727340.005000000_cam0.jpg"
    assert jpeg.file_name(-1_500_000_000) == "frame_-1.500000000.jpg"


def all_frames(folder, *, name="all", **changes):
    settings = {"views": ["cameras", "grid"], "form": "folder", "shard_mb": 500, "quality": 90, **changes}
    extract_all_frames(
        [folder / f"{camera}.mp4" for camera in ("left", "right")],
        [folder / f"{camera}.frames.parquet" for camera in ("left", "right")],
        folder / name,
        folder / "all.ledger.parquet",
        recording="take",
        product="allframes",
        cameras=["left", "right"],
        scene=SCENE,
        **settings,
    )
    return pq.read_table(folder / name / "frames.parquet").to_pylist()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    write_camera(folder, "left", stamps(20, 1, without=(7,)))
    write_camera(folder, "right", stamps(10, 1))
    return folder


def test_every_frame_of_every_camera_is_written_once_and_the_grid_at_every_instant(pair):
    table = all_frames(pair)
    files = {path.name for path in (pair / "all").glob("*.jpg")}
    assert files == {row["file"] for row in table}
    left = [row for row in table if row["view"] == "left"]
    right = [row for row in table if row["view"] == "right"]
    grid = [row for row in table if row["view"] == "grid"]
    assert [row["source_frame"] for row in left] == list(range(19))
    assert len({row["file"] for row in right}) == 10
    assert len(grid) == len({row["file"] for row in grid}) == 19
    for row in [*left, *right]:
        assert number_in(pair / "all" / row["file"]) == row["source_frame"]
    for row, shown in zip(grid, left, strict=True):
        picture = cv2.imread(str(pair / "all" / row["file"]))
        assert picture.shape == (240, 640, 3)
        assert read_number(picture[:, :320]) == shown["source_frame"]
    assert grid[3]["file"] == jpeg.file_name(START_NS + 150_000_000)


def test_a_frame_that_does_not_decode_has_no_picture_of_another_in_its_place(tmp_path):
    write_camera(tmp_path, "left", stamps(20, 0.5), gop=1, lost=(3, 4))
    write_camera(tmp_path, "right", stamps(20, 0.5))
    table = all_frames(tmp_path)
    of_left = [row for row in table if row["view"] == "left"]
    assert [row["frame"] for row in of_left] == [row["source_frame"] for row in of_left] == [0, 1, 2, 5, 6, 7, 8, 9]
    grid = [cv2.imread(str(tmp_path / "all" / row["file"])) for row in table if row["view"] == "grid"]
    assert [read_number(picture[:, :320]) for picture in grid] == [0, 1, 2, None, None, 5, 6, 7, 8, 9]
    (row,) = ledger.rows(ledger.read([tmp_path / "all.ledger.parquet"]))
    assert row.message == "left: 2 frames do not decode (3-4)"


def test_shards_are_samples_of_one_instant_in_the_form_of_webdataset(pair):
    table = all_frames(pair, name="shards", form="shards", shard_mb=1)
    samples: dict[str, dict[str, bytes]] = {}
    for path in sorted((pair / "shards").glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")
                # The key of a sample ends at the first dot.
                key, _, view = member.name.partition(".")
                samples.setdefault(key, {})[view] = tar.extractfile(member).read()
    assert list(samples) == [f"{number:09d}" for number in range(19)]
    assert {view for sample in samples.values() for view in sample} == {"left.jpg", "right.jpg", "grid.jpg"}
    picture = cv2.imdecode(np.frombuffer(samples["000000005"]["left.jpg"], np.uint8), cv2.IMREAD_COLOR)
    assert read_number(picture) == 5
    assert {row["file"] for row in table} == {f"{key}.{view}" for key, sample in samples.items() for view in sample}


def test_a_shard_closes_when_it_is_full_and_keeps_an_instant_together(pair, monkeypatch):
    store = Shards(pair, 100)
    places = [store.add(frame, 0, view, bytes(80)) for frame in range(3) for view in ("a", "b")]
    store.close()
    assert [shard for shard, _ in places] == [f"frames-{k:06d}.tar" for k in (0, 0, 1, 1, 2, 2)]


def test_the_bytes_are_the_same_again(pair):
    all_frames(pair, name="once")
    all_frames(pair, name="twice")
    assert contents(pair / "once") == contents(pair / "twice")


def test_every_jpeg_has_the_quality_that_is_asked_for(pair):
    sizes = [
        sum(path.stat().st_size for path in (pair / name).glob("*.jpg"))
        for name, quality in (("low", 30), ("high", 95))
        if all_frames(pair, name=name, quality=quality, views=["cameras"])
    ]
    assert sizes[0] < 0.7 * sizes[1]


def test_a_recording_that_failed_is_named(tmp_path):
    for camera in ("left", "right"):
        for ending in ("mp4", "frames.parquet"):
            write_empty(tmp_path / f"{camera}.{ending}", f"{camera}.{ending}")
    manifest.write(tmp_path / "manifest.json", recording="take", source=[], streams={})
    for make in (lambda: all_frames(tmp_path), lambda: stills(tmp_path, "left", 1)):
        with pytest.raises(InputError) as error:
            make()
        assert error.value.reason == ledger.UPSTREAM
