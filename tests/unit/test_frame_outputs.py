"""What is written of a dataset of labelled frames is read by the programs that it is meant for."""

import csv
import hashlib
import json
import struct

import pyarrow.parquet as pq
import pytest

from scripts.common import ledger
from scripts.common.errors import RunError
from scripts.common.tar_file import read_part
from tests.unit.frame_dataset import dataset, gathered

LABELS = {"r0": ["walk"] * 7 + ["run a/b"] * 5, "r1": ["walk"] * 6, "r2": ["run a/b"] * 3}
LISTS = {"lists": {"train": ["r0"], "val": ["r1"], "test": ["r2"]}}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return dataset(tmp_path_factory.mktemp("acts"), LABELS, split=LISTS)


def bytes_of(whole):
    """Name -> bytes of every picture."""
    return {row["name"]: read_part(whole.folder / row["file"], row["offset"], row["size"]) for row in whole.rows}


def test_the_index_finds_every_picture_and_the_counts_add_up(whole):
    for row in whole.rows:
        assert (
            hashlib.sha256(read_part(whole.folder / row["file"], row["offset"], row["size"])).hexdigest()
            == row["sha256"]
        )
    rows = ledger.rows(ledger.read([whole.folder / "ledger.parquet"]))
    assert [(row.recording, row.outcome, row.value) for row in rows] == [
        ("r0", "written", 12),
        ("r1", "written", 6),
        ("r2", "written", 3),
    ]
    assert whole.card["pictures"] == 21
    assert whole.card["frames"]["train"] == {"run a/b": 5, "walk": 7}


def test_class_folders_are_those_of_the_old_system(whole):
    folder = whole.arrange("folders")
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.jpg")}
    assert found == {row["path"]: bytes_of(whole)[row["name"]] for row in whole.rows}
    assert "Training/run a_b/r0_c1_000007.jpg" in found
    assert {name.split("/")[0] for name in found} == {"Training", "Validation", "Test"}
    assert (folder / "classes.txt").read_text() == "run a/b\nwalk\n"


def test_two_labels_that_would_share_a_folder_are_one_line(tmp_path):
    made = dataset(tmp_path, {"r0": ["a/b", "a_b"], "r1": ["a/b"], "r2": ["a/b"]}, split=LISTS)
    with pytest.raises(RunError, match="`a/b` and `a_b` would be one folder"):
        made.arrange("folders")


def test_an_image_folder_has_its_labels_in_its_metadata(whole):
    folder = whole.arrange("imagefolder")
    by_name = {row["name"]: row for row in whole.rows}
    seen = []
    for split in ("train", "val", "test"):
        with (folder / split / "metadata.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                known = by_name[row["file_name"].removesuffix(".jpg")]
                assert (row["label"], int(row["class"]), split) == (known["label"], known["class"], known["split"])
                assert (folder / split / row["file_name"]).is_file()
                seen.append(row["file_name"])
    assert len(seen) == len(set(seen)) == 21


def test_the_lists_of_mmaction2_name_folders_that_hold_so_many_frames(whole):
    folder = whole.arrange("mmaction2")
    lines = {split: (folder / f"{split}.txt").read_text().splitlines() for split in ("train", "val", "test")}
    # Bouts of five frames; the second of r0 has two labels.
    assert [len(found) for found in lines.values()] == [4, 2, 1]
    total = 0
    for line in (line for found in lines.values() for line in found):
        name, count, number = line.split(" ")
        names = sorted(path.name for path in (folder / "rawframes" / name).iterdir())
        assert names == [f"img_{k:05d}.jpg" for k in range(1, int(count) + 1)]
        assert int(number) in (0, 1)
        total += int(count)
    assert total == 21


def test_webdataset_reads_the_shards(whole):
    import webdataset

    shards = whole.shards("webdataset")
    assert [path.name for path in shards][:3] == [f"train-r0.c1-{k:05d}.tar" for k in range(3)]
    found = {}
    for sample in webdataset.WebDataset([str(path) for path in shards], shardshuffle=False):
        record = json.loads(sample["json"])
        found[sample["__key__"]] = (sample["jpg"], int(sample["cls"]), record["label"], record["split"])
    pictures = bytes_of(whole)
    assert found == {
        row["name"]: (pictures[row["name"]], row["class"], row["label"], row["split"]) for row in whole.rows
    }


def test_datasets_read_image_and_class_label_from_parquet(whole):
    import datasets

    for split, count in (("train", 12), ("val", 6), ("test", 3)):
        files = [str(path) for path in whole.shards_of("parquet", split)]
        table = datasets.Dataset.from_parquet(files, cache_dir=str(whole.folder / "cache"))
        assert isinstance(table.features["image"], datasets.Image)
        assert table.features["label"].names == ["run a/b", "walk"]
        assert table[0]["image"].size == (16, 16)
        assert len(table) == count


def test_tfrecord_holds_the_picture_its_class_and_its_json(whole):
    pictures = bytes_of(whole)
    seen = 0
    for path in whole.shards("tfrecord"):
        payload, place = path.read_bytes(), 0
        while place < len(payload):
            (length,) = struct.unpack_from("<Q", payload, place)
            record = payload[place + 12 : place + 12 + length]
            name = next(name for name in pictures if name.encode() in record)
            assert pictures[name] in record
            place += 16 + length
            seen += 1
    assert seen == 21


def test_classifiers_read_the_pictures_where_they_stand_in_their_tars(whole):
    from scripts.models.labelled_samples import read_picture, read_sequences

    pictures = bytes_of(whole)
    samples = read_sequences(whole.folder / "index.parquet", 1, 1)[0]
    assert [sample.files[0].read() for sample in samples] == [pictures[row["name"]] for row in whole.rows]
    assert read_picture(samples[0].files[0], 8).shape == (3, 8, 8)
    # Bouts of five frames, of which that with two labels has no three in a row of `run a/b`.
    clips = read_sequences(whole.folder / "index.parquet", 3, 1)[0]
    assert [sample.label for sample in clips] == ["walk", "run a/b", "walk", "run a/b"]


def test_the_same_labels_give_the_same_bytes(whole, tmp_path):
    again = dataset(tmp_path, LABELS, split=LISTS)
    for shape in ("webdataset", "parquet", "tfrecord"):
        ones, twos = ({p.name: p.read_bytes() for p in made.shards(shape)} for made in (whole, again))
        assert ones == twos
    for name in ("index.parquet", "card.json", "splits.tsv", "classes.json", "ledger.parquet"):
        assert (whole.folder / name).read_bytes() == (again.folder / name).read_bytes()


def test_what_leaves_the_dataset_takes_its_shards_and_clips_along_and_nothing_else(tmp_path):
    before = dataset(tmp_path, LABELS, split=LISTS)
    before.shards("webdataset")
    before.shards("parquet")
    for recording in LABELS:
        (tmp_path / "clips" / f"{recording}.c1" / "train").mkdir(parents=True)
        (tmp_path / "clips" / f"{recording}.c1.ledger.parquet").touch()
    (tmp_path / "webdataset" / "r1.c1 of mine").mkdir()
    shapes = ("webdataset", "parquet", "clips")
    names = {shape: {path.name for path in (tmp_path / shape).iterdir()} for shape in shapes}
    lists = {"lists": {"train": ["r2"], "test": ["r0"]}}
    after = gathered(
        tmp_path, {name: before.parts[name] for name in ("r0", "r2")}, {"r0": "r0", "r2": "r2"}, split=lists
    )
    assert {row["recording"] for row in after.rows} == {"r0", "r2"}
    for shape in shapes:
        left = {path.name for path in (tmp_path / shape).iterdir()}
        mark = "ledger.parquet" if shape == "clips" else "shards.json"
        assert names[shape] - left == {"r1.c1", f"r1.c1.{mark}"}
    assert all(path.is_file() for path in before.parts["r1"])


def test_pictures_that_no_ledger_counts_end_the_run(whole, tmp_path):
    from scripts.datasets.index_frames import index_frames

    files = whole.parts["r0"]
    ledger.write(tmp_path / "wrong.parquet", [ledger.Row("x", "r0", "c1/interval 0", "written", value=11.0)])
    outs = (tmp_path / "index.parquet", tmp_path / "card.json", tmp_path / "ledger.parquet")
    decided = (whole.folder / "splits.tsv", whole.folder / "classes.json")
    with pytest.raises(RunError, match="11 pictures of r0, c1 are written, but 12 are indexed"):
        index_frames(
            [files[1]],
            [tmp_path / "wrong.parquet"],
            [files[0]],
            *decided,
            *outs,
            dataset="acts",
            parts=[["r0", "c1"]],
            settings={},
        )
    assert pq.read_table(files[1]).num_rows == 12
