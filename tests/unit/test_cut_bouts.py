"""A clip of every bout: exactly its frames, in the folder of its split and its label."""

import csv
import json

import pytest

from scripts.common import label_intervals, ledger
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.datasets.cut_bouts import cut_bouts
from scripts.datasets.frame_classes import Membership, write_splits
from tests.unit.frame_dataset import interval, recorded, settings
from tests.unit.made_media import digests, numbers_in

CODING = {"codec": "h264", "crf": 10, "preset": "ultrafast"}
LABELS = [interval("walk", 1, 2, 1), interval("run/jump", 2, 2.55, 2), interval("walk", 2.3, 9, 3)]


def cut(folder, made, labels=LABELS, *, frames=None, min_frames=1, excluded=(), **changes):
    folder.mkdir(parents=True, exist_ok=True)
    label_intervals.write(folder / "take.labels.parquet", labels)
    write_splits(folder / "splits.tsv", {"take": Membership("ann", "val")})
    classes = {"classes": ["run/jump", "walk"], "limits": {}, "seed": 0}
    (folder / "classes.json").write_text(json.dumps(classes))
    cut_bouts(
        made.video(),
        frames or made.folder / "front.frames.parquet",
        folder / "take.labels.parquet",
        made.folder / "manifest.json",
        folder / "splits.tsv",
        folder / "classes.json",
        folder / "out",
        folder / "ledger.parquet",
        recording="take",
        camera="c1",
        subject="ann",
        settings=settings(**changes),
        coding=CODING,
        min_frames=min_frames,
        excluded=[list(stretch) for stretch in excluded],
    )
    with (folder / "out" / "clips.csv").open(newline="") as file:
        return list(csv.DictReader(file)), ledger.rows(ledger.read([folder / "ledger.parquet"]))


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return recorded(tmp_path_factory.mktemp("recording"))


def test_each_bout_is_a_clip_of_exactly_its_frames(recording, tmp_path):
    rows, outcomes = cut(tmp_path, recording, stride=3)
    assert [row["file_name"] for row in rows] == [
        "val/walk/take.c1.00000.mp4",
        "val/run_jump/take.c1.00001.mp4",
        "val/walk/take.c1.00002.mp4",
    ]
    wanted = [range(10, 20), range(20, 26), range(26, 60)]
    for row, numbers in zip(rows, wanted, strict=True):
        path = tmp_path / "out" / row["file_name"]
        assert numbers_in(path) == list(numbers)
        assert [float(time) for time, _ in digests(path)] == pytest.approx([k / 10 for k in range(len(numbers))])
        assert (int(row["first_frame"]), int(row["frames"])) == (numbers[0], len(numbers))
        assert (int(row["start_ns"]), int(row["stop_ns"])) == (numbers[0] * 10**8, (numbers[-1] + 1) * 10**8)
    assert [(row["label"], row["class"]) for row in rows] == [("walk", "1"), ("run/jump", "0"), ("walk", "1")]
    assert [(row.outcome, row.value) for row in outcomes] == [("written", 10), ("written", 6), ("written", 34)]


def test_what_is_ruled_out_divides_a_bout_and_short_ones_are_left_out(recording, tmp_path):
    rows, outcomes = cut(tmp_path, recording, LABELS[:1], excluded=[(1.25, 1.45, "")], min_frames=4)
    assert [numbers_in(tmp_path / "out" / row["file_name"]) for row in rows] == [list(range(15, 20))]
    assert [(row.outcome, row.reason, row.value) for row in outcomes] == [("filtered", "short", 3), ("written", "", 5)]


def test_a_camera_whose_import_failed_has_no_clips(recording, tmp_path):
    FrameTable.empty().write(tmp_path / "none.frames.parquet")
    with pytest.raises(InputError, match="its import failed"):
        cut(tmp_path / "out", recording, frames=tmp_path / "none.frames.parquet")


def test_a_camera_of_which_no_label_is_wanted_has_no_clips_and_has_not_failed(recording, tmp_path):
    assert cut(tmp_path, recording, []) == ([], [])
