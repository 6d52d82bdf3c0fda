"""Shards that other programs read: the same bytes on every run, an index, all metadata, and counts that add up."""

import io
import json
import struct
import subprocess
import tarfile
import wave
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import ledger
from scripts.common.errors import RunError
from scripts.common.tar_file import TarWriter, header, members, read_part
from scripts.datasets.index_shards import end_of_rows, say_end
from scripts.datasets.shard_formats import example, masked_crc, record_table
from tests.unit.shard_maker import FOUR, Made, make, scene_video, write_table


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Two videos with captions, one that is none, and one that is missing."""
    root = tmp_path_factory.mktemp("table")
    one, two = (scene_video(root / f"{name}.mp4", FOUR, seed=k) for k, name in enumerate(("one", "two")))
    (root / "page.mp4").write_text("<html></html>")
    rows = [
        {"url": str(one), "caption": 'a "red, round"\nthing', "licence": "CC0", "n": 1, "tags": ["x", "y"]},
        {"url": str(root / "page.mp4"), "caption": "no video"},
        {"url": str(two), "caption": "日本", "licence": "CC-BY", "n": 2.5, "more": {"deep": [1, {"er": None}]}},
        {"url": str(root / "missing.mp4")},
    ]
    return write_table(root / "t.jsonl", *map(json.dumps, rows))


@pytest.fixture(scope="module")
def made(table, tmp_path_factory) -> Made:
    return make(
        tmp_path_factory.mktemp("made") / "web", table, clips="cuts", video={"fps": 5, "height": 60}, licence="licence",
        shard_rows=2, lot_shards=1,
    )  # fmt: skip


def samples_in(path) -> dict[str, dict[str, bytes]]:
    found: dict[str, dict[str, bytes]] = {}
    with tarfile.open(path) as tar:
        for entry in tar:
            key, _, ending = entry.name.partition(".")
            found.setdefault(key, {})[ending] = tar.extractfile(entry).read()
    return found


def test_samples_made_of_tars_are_joined_with_those_by_their_source_key(made, tmp_path):
    """One of them was none in the middle, so that numbers of the two are not the same."""
    again = make(tmp_path / "again", made.root / "data", clips="whole", shard_rows=100)
    first, second = (pq.read_table(one.root / "metadata.parquet").to_pylist() for one in (made, again))
    source = {row["key"]: row for row in first}
    assert [row["source_key"] for row in second] == list(source)
    assert {row["key"] for row in second} != set(source)
    for row in second:
        same = source[row["source_key"]]
        assert (row["caption"], row["url"]) == (same["caption"], same["url"])
    payloads = [
        {
            key: sample["mp4"]
            for path in sorted((one.root / "data").glob("*.tar"))
            for key, sample in samples_in(path).items()
        }
        for one in (made, again)
    ]
    assert {row["source_key"]: payloads[1][row["key"]] for row in second} == payloads[0]


def test_a_shard_is_a_plain_tar_whose_keys_hold_no_dot(made):
    shards = sorted((made.root / "data").glob("*.tar"))
    assert [path.name for path in shards] == ["00000.tar", "00001.tar"]
    with tarfile.open(shards[0]) as tar:
        entries = tar.getmembers()
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {(entry.mtime, entry.uid, entry.uname, entry.mode, entry.type) for entry in entries} == {
        (0, 0, "", 0o644, b"0")
    }
    assert all(entry.name.count(".") == 1 for entry in entries)
    assert set(samples_in(shards[0])) == {f"000000000_0000{k}" for k in range(4)}
    listed = subprocess.run(["tar", "tf", shards[0]], capture_output=True, text=True, check=True).stdout.split()
    assert listed == [entry.name for entry in entries]


def test_webdataset_reads_the_shards(made):
    webdataset = pytest.importorskip("webdataset")
    urls = [str(path) for path in sorted((made.root / "data").glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False).decode())
    assert len(samples) == 8
    assert samples[0]["txt"] == 'a "red, round"\nthing'
    assert samples[4]["json"]["start_s"] == 0.0
    assert {"mp4", "json", "txt", "__key__"} <= set(samples[0])


def test_the_index_finds_every_member_by_offset_and_its_sum_holds(made):
    import hashlib

    rows = pq.read_table(made.root / "index.parquet").to_pylist()
    whole = {path.name: samples_in(path) for path in (made.root / "data").glob("*.tar")}
    assert len(rows) == sum(len(parts) for sample in whole.values() for parts in sample.values())
    for row in rows:
        payload = read_part(made.root / "data" / row["file"], row["offset"], row["size"])
        assert payload == whole[row["file"]][row["key"]][row["ending"]]
        assert hashlib.sha256(payload).hexdigest() == row["sha256"]


def test_the_index_names_files_below_its_folder_wherever_that_is_written(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    from scripts.datasets.write_shard import write_shard

    write_shard(
        *(made.lot(what) for what in ("tar", "clips.tar", "clips.parquet")),
        *([], []),
        *(Path(name) for name in (".part.shards", "index.parquet", "metadata.parquet")),
        first_shard=0,
        shards=1,
        digits=5,
        output="webdataset",
        classes=[],
        annotated=[],
    )
    assert set(pq.read_table("index.parquet")["file"].to_pylist()) == {"00000.tar"}


def test_the_metadata_has_all_that_the_json_says(made):
    rows = {row["key"]: row for row in pq.read_table(made.root / "metadata.parquet").to_pylist()}
    samples = {key: parts for path in (made.root / "data").glob("*.tar") for key, parts in samples_in(path).items()}
    assert rows.keys() == samples.keys() != set()
    for key, parts in samples.items():
        for name, value in json.loads(parts["json"]).items():
            kept = rows[key][name]
            assert (json.loads(kept) if isinstance(value, dict) else kept) == value, name


def test_columns_that_are_called_as_ours_are_kept_beside_them(table, tmp_path):
    video = table.parent / "one.mp4"
    row = {"url": str(video), "text": "red", "caption": "old", "key": "mine", "start_s": 99, "source_fps": 1, "n": 3}
    written = write_table(table.parent / "own.jsonl", json.dumps(row))
    made = make(tmp_path / "made", written, columns={"caption": "text"})
    (said,) = pq.read_table(made.root / "metadata.parquet").to_pylist()
    assert (said["key"], said["caption"], said["start_s"], said["source_fps"]) == ("000000000", "red", 0.0, "25")
    names = ("table_key", "table_caption", "table_start_s", "table_source_fps", "n")
    assert [said[name] for name in names] == ["mine", "old", 99, 1, 3]


def test_every_row_ends_once_and_the_card_says_so(made):
    card = json.loads((made.root / "card.json").read_text())
    assert card["rows"] == {"written": 2, "failed upstream": 2}
    assert card["steps"]["fetch_shard"] == {"written": 2, "failed no_medium": 1, "failed not_found": 1}
    assert (card["samples"], card["shards"]) == (8, 2)
    assert card["hours"] == pytest.approx(8 / 3600, rel=1e-3)
    assert card["licences"] == {"CC-BY": 4, "CC0": 4}
    assert card["bytes"] == sum(pq.read_table(made.root / "index.parquet")["size"].to_pylist())
    rows = ledger.rows(ledger.read([made.root / "ledger.parquet"]))
    ends = [row for row in rows if row.step == "write_shard"]
    assert [row.item for row in ends] == ["000000000", "000000001", "000010000", "000010001"]
    assert [row.outcome for row in ends] == ["written", "failed", "written", "failed"]


def test_a_row_that_got_lost_ends_the_run(made, table, tmp_path, monkeypatch):
    from scripts.datasets import index_shards as module

    monkeypatch.setattr(module, "end_of_rows", lambda *arguments: list(end_of_rows(*arguments))[1:])
    with pytest.raises(RunError, match="4 rows, but 2 have ended"):
        make(tmp_path / "lost", table, shard_rows=2, lot_shards=1)


def test_too_many_failures_end_the_run(table, tmp_path):
    with pytest.raises(RunError, match=r"2 of 4 rows failed, more than failed_share = 0\.4"):
        make(tmp_path / "made", table, failed_share=0.4)


COUNTS = Counter(
    {
        ("write_shard", "written", ""): 4,
        ("cut_shard", "written", ""): 4,
        ("compute_flow", "written", ""): 1,
        ("compute_flow", "failed", "crashed"): 2,
        ("compute_flow", "failed", "undecodable"): 1,
        ("embed_clips", "written", ""): 4,
    }
)


def test_what_annotations_lack_stands_in_the_last_lines(caplog):
    say_end("web", COUNTS, {"samples": 4, "shards": 1}, 1.0)
    assert caplog.messages == [
        "web: 4 rows = 4 written, 0 filtered, 0 failed; 4 samples in 1 shards",
        "web: 4 clips of compute_flow = 1 written, 0 filtered, 3 failed (crashed 2, undecodable 1)",
    ]


def test_too_many_failures_of_an_annotation_end_the_run():
    with pytest.raises(RunError, match=r"web: 3 of 4 clips of compute_flow failed, more than failed_share = 0\.5"):
        say_end("web", COUNTS, {"samples": 4, "shards": 1}, 0.5)


def test_a_second_run_gives_the_same_bytes(made, table, tmp_path):
    again = make(
        tmp_path / "web", table, clips="cuts", video={"fps": 5, "height": 60}, licence="licence", shard_rows=2,
        lot_shards=1,
    )  # fmt: skip
    for path in sorted(made.root.rglob("*")):
        if path.is_file() and "working" not in path.parts:
            assert path.read_bytes() == (again.root / path.relative_to(made.root)).read_bytes(), path.name


def test_a_row_all_of_whose_clips_are_filtered_is_filtered(table, tmp_path):
    made = make(tmp_path / "made", table, clips="cuts", filters={"min_brightness": 254})
    card = json.loads((made.root / "card.json").read_text())
    assert card["rows"] == {"filtered min_brightness": 2, "failed upstream": 2}
    assert list((made.root / "data").iterdir()) == []


def test_files_are_files(table, tmp_path):
    made = make(tmp_path / "made", table, output="files", clips="cuts")
    index = pq.read_table(made.root / "index.parquet").to_pylist()
    assert len(index) == 8 * 3
    for row in index:
        assert (made.root / "data" / row["file"]).stat().st_size == row["size"]


def test_dummy_writes_nothing_but_the_tables(table, tmp_path):
    made = make(tmp_path / "made", table, output="dummy", clips="cuts")
    assert list((made.root / "data").iterdir()) == []
    assert pq.read_table(made.root / "metadata.parquet").num_rows == 8


def test_parquet_holds_media_and_says_what_they_are(table, tmp_path):
    made = make(tmp_path / "made", table, output="parquet", clips="cuts")
    path = made.root / "data" / "00000.parquet"
    rows = pq.read_table(path).to_pylist()
    features = json.loads(pq.read_schema(path).metadata[b"huggingface"])["info"]["features"]
    assert features["mp4"] == {"_type": "Video"}
    assert set(features) == set(pq.read_schema(path).names)
    assert [row["key"] for row in rows] == [row["mp4"]["path"].partition(".")[0] for row in rows]
    assert rows[0]["mp4"]["bytes"][4:8] == b"ftyp"
    assert rows[0]["txt"] == 'a "red, round"\nthing'


def test_datasets_of_hugging_face_reads_our_parquet_as_media_with_classes(tmp_path, table, monkeypatch):
    from tests.unit.shard_maker import FOUR, scene_video

    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    from datasets import ClassLabel, Dataset, Image, Value, Video

    videos = [scene_video(tmp_path / f"{number}.mp4", FOUR[:1], seed=number) for number in range(3)]
    rows = [{"url": str(path), "label": label} for path, label in zip(videos, ("walk", "run", "fly"), strict=True)]
    written = write_table(tmp_path / "l.jsonl", *map(json.dumps, rows))
    formats = {"video": "mp4", "frames": "jpg"}
    settings = {"output": "parquet", "classes": ["run", "walk"], "shard_rows": 1, "encode_formats": formats}
    made = make(tmp_path / "made", written, **settings)
    shards = sorted((made.root / "data").glob("*.parquet"))
    assert len(shards) == 3
    read = [Dataset.from_parquet(str(path), cache_dir=str(tmp_path / "cache")) for path in shards]
    features = read[0].features
    assert features["label"] == ClassLabel(names=["run", "walk"])
    assert (features["mp4"], features["jpg"], features["url"]) == (Video(), Image(), Value("string"))
    # The same number in every shard, and a value that is no class keeps its sample.
    plain = [part.cast_column("mp4", Video(decode=False)) for part in read]
    assert [part[0]["label"] for part in plain] == [1, 0, None]
    assert plain[0][0]["jpg"].size == (160, 120)


@pytest.mark.parametrize("turned", [False, True])
def test_shards_whose_columns_differ_are_read_as_one_dataset(tmp_path, monkeypatch, turned):
    """A caption here and none there, whole numbers and fractions, nothing and something, a film and a sound."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    from datasets import List, Value, Video, load_dataset

    film = scene_video(tmp_path / "film.mp4", FOUR[:1])
    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 16_000, 16_000, "NONE", ""))
        file.writeframes(bytes(32_000))
    rows = [
        {"url": str(film), "caption": "a film", "n": 1, "late": None, "tags": [], "any": 1},
        {"url": str(film), "n": 1.5, "late": 2.5, "tags": [1, 2], "any": "x"},
        {"url": str(sound), "more": {"deep": 1}},
    ]
    rows = rows[::-1] if turned else rows
    written = write_table(tmp_path / "t.jsonl", *map(json.dumps, rows))
    made = make(tmp_path / "made", written, output="parquet", shard_rows=1)
    files = sorted(map(str, (made.root / "data").glob("*.parquet")))
    whole = load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert whole.features["mp4"] == Video()
    kinds = [whole.features[name] for name in ("n", "late", "tags", "any", "more")]
    assert kinds == [Value("float64"), Value("float64"), List(Value("int64")), Value("string"), Value("string")]
    plain = whole.remove_columns("mp4").to_dict()
    read = {name: values[::-1] if turned else values for name, values in plain.items()}
    assert read["txt"] == ["a film", None, None]
    assert (read["n"], read["late"]) == ([1.0, 1.5, None], [None, 2.5, None])
    assert (read["tags"], read["any"]) == ([[], [1, 2], None], ["1", "x", None])
    metadata = pq.read_table(made.root / "metadata.parquet")
    assert sorted(filter(None, metadata["late"].to_pylist())) == [2.5]


def test_a_tfrecord_has_the_checksums_of_its_format(table, tmp_path):
    import google_crc32c

    made = make(tmp_path / "made", table, output="tfrecord", clips="cuts")
    content = io.BytesIO((made.root / "data" / "00000.tfrecord").read_bytes())
    index = pq.read_table(made.root / "index.parquet").to_pylist()
    records = 0
    while header := content.read(12):
        length, crc = struct.unpack("<QI", header)
        payload = content.read(length)
        assert crc == masked_crc(header[:8])
        assert struct.unpack("<I", content.read(4))[0] == masked_crc(payload)
        assert index[3 * records]["key"].encode() in payload
        records += 1
    assert records == 8
    # RFC 3720: 32 bytes of zeros have this checksum.
    assert google_crc32c.value(bytes(32)) == 0x8A9136AA


def test_an_example_is_a_protocol_buffer():
    """Read back by the runtime of protocol buffers, from the published description of tf.train.Example."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="t", syntax="proto3")
    bytes_list = file.message_type.add(name="BytesList")
    bytes_list.field.add(name="value", number=1, type=12, label=3)
    feature = file.message_type.add(name="Feature")
    feature.field.add(name="bytes_list", number=1, type=11, label=1, type_name=".t.BytesList")
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=9, label=1)
    entry.field.add(name="value", number=2, type=11, label=1, type_name=".t.Feature")
    features.field.add(name="feature", number=1, type=11, label=3, type_name=".t.Features.FeatureEntry")
    whole = file.message_type.add(name="Example")
    whole.field.add(name="features", number=1, type=11, label=1, type_name=".t.Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Example"))
    read = kind.FromString(example([("key", b"a"), ("mp4", bytes(300))]))
    assert {name: list(value.bytes_list.value) for name, value in read.features.feature.items()} == {
        "key": [b"a"],
        "mp4": [bytes(300)],
    }


VALUES = st.none() | st.integers() | st.text() | st.lists(st.integers(0, 9))


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=6))
def test_any_record_fits_into_a_table(records):
    table = record_table(records)
    assert table.num_rows == (len(records) if any(records) else 0)


@given(st.lists(st.binary(max_size=1500), max_size=6))
def test_a_tar_of_any_payloads_is_read_by_another_program(tmp_path_factory, payloads):
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    with TarWriter(path) as tar:
        added = [tar.add(f"{number:03d}.bin", payload) for number, payload in enumerate(payloads)]
    with tarfile.open(path) as archive:
        assert [archive.extractfile(entry).read() for entry in archive] == payloads
    assert [(name, offset, size) for name, offset, size in members(path)] == [tuple(member[:3]) for member in added]
    assert path.stat().st_size % tarfile.RECORDSIZE == 0


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=25), st.integers(0, 8**11 - 1))
def test_a_header_is_the_one_that_tarfile_writes(name, size):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = size, 0
    assert header(name.encode(), size) == entry.tobuf(tarfile.USTAR_FORMAT, "utf-8")


def test_names_that_no_tar_holds_are_refused(tmp_path):
    with TarWriter(tmp_path / "a.tar") as tar, pytest.raises(ValueError, match="cannot be called"):
        tar.add("x" * 101, b"")


def test_pictures_of_a_shard_decode(made, tmp_path):
    import av

    sample = samples_in(made.root / "data" / "00001.tar")["000010000_00003"]
    path = tmp_path / "a.mp4"
    path.write_bytes(sample["mp4"])
    with av.open(str(path)) as container:
        shapes = {picture.to_ndarray(format="rgb24").shape for picture in container.decode(video=0)}
    assert shapes == {(60, 60, 3)}
    assert np.isclose(json.loads(sample["json"])["stop_s"], 4.0)
