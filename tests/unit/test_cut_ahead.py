"""Clips that are cut while their item is scanned are those that would be cut of another decode."""

import json
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import working
from scripts.common.frame_table import FrameTable
from scripts.common.scene_cuts import CutRule, find_cuts
from scripts.common.versions import LOT_METHODS
from scripts.common.working import Working
from scripts.datasets import scan_shard as scan_shard_module
from scripts.datasets.clip_choice import cut_mark
from scripts.datasets.clip_picture import grid
from scripts.datasets.clip_times import divided, wanted
from scripts.datasets.kept_pictures import KeptPictures
from tests.unit.shard_maker import (
    BLUE,
    FOUR,
    GREEN,
    RED,
    Made,
    cut,
    fetch,
    hear,
    plan,
    scan,
    scene_video,
    settings_of,
    write_table,
)

MADE = ("clips.tar", "clips.parquet", "cut.ledger.parquet")
# Scenes that are shorter than the shortest, so that their cuts are merged.
FLASHES = [(RED, 40), (GREEN, 6), (BLUE, 5), (RED, 6), (GREEN, 40), (BLUE, 30)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("videos")
    uneven = folder / "uneven.mp4"
    random = np.random.default_rng(3)
    with av.open(str(uneven), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        at = 0
        for number in range(120):
            picture = av.VideoFrame.from_ndarray(
                np.full((120, 160, 3), (number // 40 * 80, 30, 200 - number // 40 * 70), np.uint8), format="rgb24"
            )
            picture.pts, picture.time_base = at, Fraction(1, 1000)
            at += int(random.integers(8, 90))
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return [
        scene_video(folder / "four.mp4", FOUR),
        scene_video(folder / "flashes.mp4", FLASHES, sound=False, pixel=Fraction(4, 3)),
        scene_video(folder / "odd.mp4", FOUR, size=(162, 122), fps=30),
        uneven,
    ]


def lot_of(root: Path, videos: list[Path], **changes) -> Made:
    rows = [json.dumps({"url": str(video), "clips": [[0.5, 1.5], [1.02, 2.9], [2.0, 9.0]]}) for video in videos]
    table = write_table(root / "t.jsonl", *rows)
    made = Made(root / "lots", settings_of(table, fetch={"allowed_roots": [str(videos[0].parent)]}, **changes))
    fetch(made, plan(made.root, table, made.settings)["lots"][0])
    return made


def remembered(made: Made) -> dict:
    """What the job that cuts finds of each item."""
    mark = cut_mark([made.lot("items.parquet"), made.lot("frames.parquet")], made.settings)
    return Working(made.root / "working" / "cut0", mark).ended()


@pytest.mark.parametrize(
    "changes",
    [
        {"clips": "cuts", "video": {"fps": 5, "height": 60, "width": 60}},
        {"clips": "cuts", "video": {"height": 60}, "audio": {"rate_hz": 22050}},
        {"clips": "cuts", "video": {"fps": 12}, "max_s": 0.7, "min_s": 0.3},
        {"clips": "longest_cut", "video": {"fps": 30}, "encode_formats": {"video": "mp4", "audio": "m4a"}},
        {"clips": "table", "video": {"fps": 7.5}},
        {"clips": "table"},
        {"clips": "whole", "video": {"fps": 3}, "max_s": 2, "strategy": "first"},
        {"clips": "cuts", "video": {"fps": 4}, "encode_formats": {"frames": "npy"}, "filters": {"min_motion": 0.4}},
    ],
    ids=lambda changes: " ".join(f"{value}" for value in changes.values()),
)
def test_clips_have_the_same_bytes_without_a_second_decode(tmp_path, videos, changes):
    made = lot_of(tmp_path, videos, **changes)
    scan(made)
    cut(made)
    expected = [made.lot(name).read_bytes() for name in MADE]
    scan(made, ahead=True)
    assert set(remembered(made)) == {row.item.partition("_")[0] for row in made.rows("cut") if not row.reason}
    # There is nothing to decode any more.
    made.lot("tar").write_bytes(b"")
    for video in videos:
        video.rename(video.with_suffix(".away"))
    try:
        cut(made)
    finally:
        for video in videos:
            video.with_suffix(".away").rename(video)
    assert [made.lot(name).read_bytes() for name in MADE] == expected
    assert not list((made.root / "working").glob("*0"))


def test_another_threshold_is_cut_of_a_decode_of_its_own(tmp_path, videos):
    made = lot_of(tmp_path, videos[:1], clips="cuts", video={"fps": 5})
    scan(made, ahead=True)
    made.settings["scan"]["threshold"] = 250.0
    cut(made)
    assert [(clip.start_s, clip.stop_s) for clip in made.clips.values()] == [(0, 4)]


def test_what_a_killed_job_left_is_void_when_its_method_has_changed(tmp_path, videos, monkeypatch):
    """The clips that a scan cuts by the way are those of the method that cuts."""
    monkeypatch.setattr(Working, "remove", lambda self: None)
    made = lot_of(tmp_path, videos[:1], clips="speech")

    def marks() -> dict[str, str]:
        return {step: (made.root / "working" / f"{step}0" / "mark").read_text() for step in ("scan", "speech", "cut")}

    def work() -> dict[str, str]:
        scan(made, ahead=True)
        hear(made)
        cut(made)
        return marks()

    before = work()
    assert work() == before
    for method, void in (("scan_shard", {"scan"}), ("detect_lot_speech", {"speech"}), ("cut_shard", {"scan", "cut"})):
        with monkeypatch.context() as patch:
            patch.setitem(LOT_METHODS, method, LOT_METHODS[method] + 1)
            after = work()
        assert {step for step in before if after[step] != before[step]} == void


class Killed(BaseException):
    """What no job can catch."""


def dies_while_it_removes(ending: str):
    """A removal of folders that is killed after the first file with such a name, the others not yet gone."""

    def rmtree(folder, ignore_errors=False):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name) if os.path.isdir(folder) else []:
            if entry.name.endswith(ending):
                os.unlink(entry.path)
                raise Killed

    return rmtree


@pytest.mark.parametrize(("work", "ending"), [(cut, ".mp4"), (scan, ".jpg")], ids=["cut", "scan"])
def test_a_job_killed_while_it_removes_what_it_was_gone_on_with_is_done_anew(
    tmp_path, videos, monkeypatch, work, ending
):
    made = lot_of(tmp_path, videos[:1], clips="cuts", video={"fps": 5})
    scan(made)
    cut(made)
    names = (*MADE, "scans.parquet")
    expected = [made.lot(name).read_bytes() for name in names]
    with monkeypatch.context() as patch:
        patch.setattr(working.shutil, "rmtree", dies_while_it_removes(ending))
        with pytest.raises(Killed):
            work(made)
    work(made)
    assert [made.lot(name).read_bytes() for name in names] == expected


def test_a_job_killed_while_it_hands_clips_over_hands_over_the_others(tmp_path, videos, monkeypatch):
    made = lot_of(tmp_path, videos, clips="cuts", video={"fps": 5})
    scan(made, ahead=True)
    cut(made)
    expected = [made.lot(name).read_bytes() for name in MADE]
    for moved in (1, 3, 7):
        moves = iter([True] * moved)

        def dies(source, target, moves=moves, replace=os.replace):
            if Path(target).parent.name == "cut0" and not next(moves, False):
                raise Killed
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(scan_shard_module.os, "replace", dies)
            with pytest.raises(Killed):
                scan(made, ahead=True)
        scan(made, ahead=True)
        cut(made)
        assert [made.lot(name).read_bytes() for name in MADE] == expected


def test_pictures_that_do_not_fit_into_memory_are_decoded_again(tmp_path, videos, monkeypatch):
    made = lot_of(tmp_path, videos[:1], clips="cuts", video={"fps": 5})
    kept = KeptPictures(made.settings, [])
    monkeypatch.setattr("scripts.datasets.kept_pictures.MAX_BYTES", 100_000)
    picture = av.VideoFrame(160, 120, "yuv420p")
    for number in range(40):
        kept.see(picture, Fraction(number, 25), number * 40_000_000, 0.0)
    kept.end()
    assert not kept.hold({2})
    assert kept.hold(set())


def test_an_item_that_cannot_be_scanned_leaves_nothing_to_the_cut(tmp_path, videos):
    broken = videos[0].parent / "broken.mp4"
    broken.write_bytes(videos[0].read_bytes()[:3000])
    made = lot_of(tmp_path, [broken, videos[0]], clips="cuts", video={"fps": 5})
    scan(made, ahead=True)
    assert list(remembered(made)) == ["000000001"]
    cut(made)
    assert len(made.clips) == 4


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.integers(15, 60), st.booleans()), min_size=2, max_size=80),
    st.sampled_from([0, 5, 7.5, 24, 30000 / 1001]),
    st.sampled_from([0.0, 0.5, 1.3]),
    st.integers(0, 20),
    st.sampled_from(["cuts", "table", "whole"]),
)
def test_what_is_kept_holds_what_clips_show(steps, fps, max_s, shortest, source):
    """But for scenes that merged cuts or the end leave shorter than a frame of the grid."""
    times_ns = np.cumsum([0, *(step for step, _ in steps[:-1])]).astype(np.int64) * 1_000_000
    change = np.array([0.0] + [40.0 * high for _, high in steps[1:]], np.float32)
    table = FrameTable.make(times_ns // 1000, times_ns)
    clips = [[0.05, 0.6], [0.3, 2.0]]
    asked = {
        "video": {"fps": fps, "width": 0, "height": 0, "resize": []},
        "scan": {"threshold": 27.0, "min_scene_frames": shortest},
        "clips": source,
        "max_s": max_s,
    }
    kept = KeptPictures(asked, clips)
    for time_ns, score in zip(times_ns.tolist(), change.tolist(), strict=True):
        kept.see(av.VideoFrame(16, 16, "yuv420p"), Fraction(time_ns, 10**9), time_ns, score)
    kept.end()
    found = wanted(
        source, duration_s=table.stop_ns / 1e9, table=clips, subtitles=[], speech=[], frames=table, change=change,
        threshold=27.0, min_scene_frames=shortest,
    )  # fmt: skip
    rate = Fraction(str(fps)) if fps else None
    for clip in divided(found, max_s=max_s, strategy="all"):
        long_enough = clip.seconds > 0 and (not fps or clip.seconds > 1 / fps)
        ends_with_item = clip.stop_s * 1e9 >= table.stop_ns - 1000
        if long_enough and (not ends_with_item or source != "table"):
            assert kept.hold(set(grid(table, clip.start_s, clip.stop_s, rate)[0].tolist()))


@given(st.lists(st.booleans(), max_size=80), st.integers(1, 12))
def test_a_cut_that_comes_late_was_doubtful_before(above, shortest):
    rule = CutRule(shortest)
    doubtful, cuts = None, []
    for number, high in enumerate(above):
        cut_at = rule.see(high)
        if cut_at is not None:
            cuts.append(cut_at)
            assert cut_at in (number, doubtful)
        doubtful = rule.doubtful
    assert cuts == find_cuts(np.array(above, float) * 30, 27, shortest)
