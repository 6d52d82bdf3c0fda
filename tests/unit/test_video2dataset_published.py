"""What a run has made stands where video2dataset puts it, with an end of every row of the table."""

import json
import shutil
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq

import rushes
from rushes.video2dataset import write_run
from rushes.video2dataset_ends import ends_by_shard, lost_record
from rushes.video2dataset_published import publish
from scripts.common import ledger
from scripts.common.ledger import Row
from scripts.sources.plan_shards import ROWS
from tests.unit.shard_maker import FOUR, scene_video, write_table


def test_what_left_the_table_leaves_the_folder_and_nothing_else_does(tmp_path):
    write_run(tmp_path, {"output": "files"})
    made = tmp_path / "_rushes" / "results" / "datasets" / "dataset" / "shards"
    rows = tmp_path / "_rushes" / "results" / "lots" / "dataset" / "rows.parquet"
    rows.parent.mkdir(parents=True)

    def published(*shards: str) -> list[str]:
        shutil.rmtree(made, ignore_errors=True)
        for shard in shards:
            (made / "data" / shard).mkdir(parents=True)
            (made / "data" / shard / f"{shard}0000.mp4").touch()
        table = [{"shard": int(shard), "key": f"{shard}0000", "url": "a.mp4"} for shard in shards]
        pq.write_table(pa.Table.from_pylist(table, schema=ROWS), rows)
        ledger.write(made / "ledger.parquet", [Row("write_shard", "dataset", row["key"], "written") for row in table])
        pq.write_table(pa.table({"shard": pa.array(shards, pa.string())}), made / "metadata.parquet")
        (made / "card.json").write_text('{"settings": {"shard_digits": 5}}')
        publish(tmp_path)
        paths = [path.relative_to(tmp_path) for path in tmp_path.rglob("*")]
        return sorted(str(path) for path in paths if path.parts[0] not in ("_rushes", "card.json"))

    def of_shard(shard: str) -> list[str]:
        return [shard, f"{shard}.parquet", f"{shard}/{shard}0000.mp4", f"{shard}_stats.json"]

    assert published("00000", "00001", "00002") == of_shard("00000") + of_shard("00001") + of_shard("00002")
    (tmp_path / "00002" / "notes.txt").touch()
    (tmp_path / "thesis.txt").touch()
    assert published("00000") == [*of_shard("00000"), "00002", "00002/notes.txt", "thesis.txt"]


def test_every_row_counts_once_under_what_became_of_it(tmp_path):
    """Two shards: of the first, one row each that is written, unreadable, filtered, and of whose clips one failed."""
    keys = ["000000000", "000000001", "000000002", "000000003", "000010000"]
    table = [{"shard": int(key[:5]), "key": key, "url": f"{key}.mp4", "extra": '{"url": 3, "id": 7}'} for key in keys]
    pq.write_table(pa.Table.from_pylist(table, schema=ROWS), tmp_path / "rows.parquet")
    written, scanned, filtered, clipped, timed_out = keys
    said = [
        *(("fetch_shard", key, "written", "", 10.0) for key in keys[:4]),
        ("scan_shard", scanned, "failed", "unreadable"),
        ("cut_shard", f"{written}_00000", "written"),
        ("cut_shard", f"{written}_00001", "filtered", "min_s", 0.5, 1.0),
        ("cut_shard", f"{filtered}_00000", "filtered", "min_s", 0.25, 1.0),
        ("cut_shard", f"{clipped}_00000", "filtered", "min_s", 0.5, 1.0),
        ("cut_shard", f"{clipped}_00001", "failed", "undecoded", None, None, "nothing of it"),
        ("write_shard", written, "written", "", 1.0),
        ("write_shard", scanned, "failed", "upstream"),
        ("write_shard", filtered, "filtered", "min_s"),
        ("write_shard", clipped, "failed", "upstream"),
        ("fetch_shard", timed_out, "failed", "timeout", None, None, "a.mp4: too slow"),
        ("scan_shard", timed_out, "failed", "upstream", None, None, "a.mp4: it was not fetched"),
        ("write_shard", timed_out, "failed", "upstream"),
        ("compute_flow", f"{written}_00000.flow", "failed", "no_pictures"),
    ]
    ledger.write(tmp_path / "ledger.parquet", [Row(step, "dataset", *rest) for step, *rest in said])
    one, other = ends_by_shard(tmp_path / "rows.parquet", tmp_path / "ledger.parquet")
    assert [(end.key, end.status, end.message) for _, end in [*one.lost, *other.lost]] == [
        (scanned, "failed_to_subsample", "unreadable"),
        (filtered, "filtered", "min_s: 0.25, limit 1"),
        (clipped, "failed_to_subsample", "undecoded: nothing of it"),
        (timed_out, "failed_to_download", "timeout: a.mp4: too slow"),
    ]
    stats = one.stats()
    assert stats["count"] == sum(stats[name] for name in ("successes", "failed_to_subsample", "filtered")) == 4
    assert stats["bytes_downloaded"] == 40
    assert stats["status_dict"] == {"success": 1, "unreadable": 1, "min_s": 1, "undecoded": 1}
    assert lost_record(one.lost[0][0], "00000")["table_url"] == 3


def test_a_table_becomes_shards_where_that_program_puts_them(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", "/dev/null")
    monkeypatch.chdir(tmp_path)
    scene_video(tmp_path / "a.mp4", FOUR)
    none = tmp_path / "none.mp4"
    table = write_table(tmp_path / "t.csv", "url,caption,duration,bytes", "a.mp4,a caption,7,8", f"{none},b,9,")
    cuts = {"CutDetectionSubsampler": {"cuts_are_clips": True, "args": {"cut_detection_mode": "all"}}}
    out = tmp_path / "out"
    rushes.video2dataset(
        table.name,
        output_folder="out",
        save_additional_columns=["duration"],
        output_format="webdataset",
        caption_col="caption",
        config={"subsampling": {**cuts, "FrameSubsampler": {"args": {"frame_rate": 5}}}},
    )
    with tarfile.open(out / "00000.tar") as tar:
        assert [name for name in tar.getnames() if name.endswith("mp4")] == [f"000000000_0000{k}.mp4" for k in range(4)]
        record = json.loads(tar.extractfile("000000000_00000.json").read())
    assert (record["caption"], record["duration"], "bytes" in record) == ("a caption", "7", False)
    *clips, lost = pq.read_table(out / "00000.parquet").to_pylist()
    assert [(row["key"], row["status"], row["error_message"]) for row in clips] == [
        (f"000000000_0000{k}", "success", None) for k in range(4)
    ]
    assert (lost["key"], lost["url"], lost["caption"], lost["duration"]) == ("000000001", str(none), "b", "9")
    assert (lost["status"], lost["error_message"]) == ("failed_to_download", f"not_found: {none}: {none} is no file")
    assert json.loads((out / "00000_stats.json").read_text()) == {
        "count": 2,
        "successes": 1,
        "failed_to_download": 1,
        "failed_to_subsample": 0,
        "filtered": 0,
        "bytes_downloaded": (tmp_path / "a.mp4").stat().st_size,
        "status_dict": {"success": 1, "not_found": 1},
    }
    before = (out / "00000.tar").stat().st_ino
    publish(out)
    assert (out / "00000.tar").stat().st_ino == before
