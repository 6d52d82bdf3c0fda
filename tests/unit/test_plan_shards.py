"""Tables of every kind become the same rows; rows become shards and lots that stay when rows are appended."""

import csv
import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.braces import expand_braces
from scripts.common.errors import ConfigError, RunError
from scripts.common.table_kinds import ENDINGS
from scripts.planning.config import checked, schema
from scripts.planning.shards_plan import make_shards
from scripts.sources import url_table
from scripts.sources.plan_shards import fill_shards
from scripts.sources.url_rows import clips_text, seconds_of
from scripts.sources.url_table import count_rows, read_rows
from tests.unit.examples import tar_of
from tests.unit.shard_maker import plan, settings_of, write_table

COLUMNS = {"url": "url", "caption": "caption", "clips": "clips", "seconds": "duration", "bytes": "bytes"}
CLIPS = [[0.5, 1.25], [2.0, 3723.5]]


def rows_of(*tables: object, **columns: str) -> list[dict[str, object]]:
    named = {**COLUMNS, **columns}
    return [row for batch in read_rows(map(str, tables), named) for row in batch.to_pylist()]


def check(rows: list[dict[str, object]]) -> None:
    assert [row["url"] for row in rows] == ["http://a/1.mp4", "http://a/2.mp4"]
    assert rows[0]["caption"] == 'it\'s, "quoted"\nand two lines'
    assert json.loads(str(rows[0]["clips"])) == CLIPS
    assert json.loads(str(rows[0]["extra"]))["licence"] == "CC-BY"
    assert rows[1]["clips"] == ""


RECORDS = [
    {"url": "http://a/1.mp4", "caption": 'it\'s, "quoted"\nand two lines', "clips": CLIPS, "licence": "CC-BY"},
    {"url": "http://a/2.mp4", "caption": "", "clips": None, "licence": "CC0"},
]


def separated(separator: str) -> str:
    def cell(value: object) -> str:
        text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
        return '"' + text.replace('"', '""') + '"'

    lines = [separator.join(RECORDS[0]), *(separator.join(cell(value) for value in row.values()) for row in RECORDS)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("ending", ["csv", "tsv", "tsv.gz", "json", "jsonl", "parquet"])
def test_every_kind_of_table_gives_the_same_rows(tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    if ending == "csv":
        path.write_text("\ufeff" + separated(","), encoding="utf-8")
    elif ending == "tsv":
        path.write_text(separated("\t"))
    elif ending == "tsv.gz":
        path.write_bytes(gzip.compress(separated("\t").encode()))
    elif ending == "json":
        path.write_text(json.dumps(RECORDS, indent=1))
    elif ending == "jsonl":
        path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    else:
        pq.write_table(pa.Table.from_pylist(RECORDS), path)
    check(rows_of(path))
    assert count_rows([str(path)], COLUMNS) >= 2


def test_text_has_a_url_a_line(tmp_path):
    path = write_table(tmp_path / "table.txt", "http://a/1.mp4", "", "  http://a/ü.mp4  ")
    assert [row["url"] for row in rows_of(path)] == ["http://a/1.mp4", "http://a/ü.mp4"]


def test_column_wise_json_and_other_names_of_columns(tmp_path):
    path = tmp_path / "table.json"
    path.write_text(json.dumps({"link": {"0": "a.mp4", "1": "b.mp4"}, "text": {"0": "one", "1": "two"}}))
    rows = rows_of(path, url="link", caption="text")
    assert [(row["url"], row["caption"]) for row in rows] == [("a.mp4", "one"), ("b.mp4", "two")]


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_column_that_is_called_nothing_is_none_and_what_it_was_is_kept(tmp_path, ending):
    """Also where one is really called so, as the numbers of rows that pandas writes."""
    content = {"csv": ",url,duration\n3,a.mp4,7\n", "jsonl": '{"": "3", "url": "a.mp4", "duration": "7"}\n'}[ending]
    (tmp_path / f"t.{ending}").write_text(content)
    (row,) = rows_of(tmp_path / f"t.{ending}", seconds="")
    assert (row["url"], row["seconds"], json.loads(row["extra"])) == ("a.mp4", None, {"": "3", "duration": "7"})


def test_folders_and_braces_are_read_in_order(tmp_path):
    for number in range(3):
        write_table(tmp_path / f"part{number:02d}.txt", f"{number}.mp4")
    (tmp_path / "notes.md").write_text("no table")
    assert [row["url"] for row in rows_of(tmp_path)] == ["0.mp4", "1.mp4", "2.mp4"]
    assert [row["url"] for row in rows_of(f"{tmp_path}/part{{00..02}}.txt")] == ["0.mp4", "1.mp4", "2.mp4"]
    assert [row["url"] for row in rows_of(f"{tmp_path}/part{{02,00}}.txt")] == ["2.mp4", "0.mp4"]


def test_the_files_of_a_folder_are_watched_and_their_folder_is_the_root(tmp_path):
    """A row that is added to a file changes no folder, and Snakemake would see nothing to do."""
    folder = tmp_path / "tables"
    folder.mkdir()
    entry = {"kind": "shards", "table": str(folder)}
    with pytest.raises(ConfigError, match="holds no table"):
        make_shards("web", checked(dict(entry), schema("datasets.shards"), "datasets.web"))
    for name in ("b.CSV", "a.jsonl", "notes.md"):
        (folder / name).write_text("")
    dataset = make_shards("web", checked(dict(entry), schema("datasets.shards"), "datasets.web"))
    assert dataset.files == (str(folder / "a.jsonl"), str(folder / "b.CSV"))
    assert dataset.entry["fetch"]["allowed_roots"] == [str(folder)]


@pytest.mark.parametrize("name", ["motion", "brightness"])
def test_limits_between_which_no_clip_is_are_one_line(tmp_path, name):
    table = write_table(tmp_path / "t.txt", "a.mp4")
    said = f"datasets.web.filters.min_{name}: 5 is more than max_{name}, 1: no clip is left"
    with pytest.raises(ConfigError, match=said):
        settings_of(table, filters={f"min_{name}": 5, f"max_{name}": 1})
    # Without a largest one there is no limit; and a clip may be just as large as both.
    for most in (0, 5):
        assert settings_of(table, filters={f"min_{name}": 5, f"max_{name}": most})


def test_every_kind_of_table_has_a_reader():
    assert tuple(url_table.READERS) == ENDINGS


def test_braces_expand_as_in_a_shell():
    assert expand_braces("a{1..3}b{x,y}") == ["a1bx", "a1by", "a2bx", "a2by", "a3bx", "a3by"]
    assert expand_braces("{08..11}") == ["08", "09", "10", "11"]
    assert expand_braces("{a,b{1,2}}") == ["a", "b1", "b2"]
    assert expand_braces("plain{}") == ["plain{}"]


def test_tables_on_a_store_are_read(tmp_path):
    import fsspec

    with fsspec.open("memory://tables/t.csv", "w") as file:
        file.write("url,caption\nhttp://a/1.mp4,one\n")
    assert rows_of("memory://tables/t.csv")[0]["caption"] == "one"


def test_tars_of_another_program_are_read_in_place(tmp_path):
    """As video2dataset writes them: pax headers, cuts in frames, captions as txt."""
    path = tmp_path / "00000.tar"
    meta = {"url": "http://a/1.mp4", "cuts": {"cuts_original_fps": [[0, 50], [50, 100]], "original_fps": 25}}
    members = {
        "000": {"json": json.dumps(meta).encode(), "mp4": b"m" * 700, "txt": b"a caption"},
        "001": {"json": b"{}"},
    }
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for key, parts in members.items():
            for ending, payload in parts.items():
                entry = tarfile.TarInfo(f"{key}.{ending}")
                entry.size, entry.mtime = len(payload), 1.5
                tar.addfile(entry, io.BytesIO(payload))
    first, second = rows_of(path)
    assert (first["url"], first["caption"], first["clips"]) == (
        "http://a/1.mp4",
        "a caption",
        "[[0.0, 2.0], [2.0, 4.0]]",
    )
    assert path.read_bytes()[first["offset"] : first["offset"] + first["size"]] == b"m" * 700
    assert second["size"] == 0


def test_the_json_of_a_tar_that_is_none_is_named_and_odd_cuts_are_one_odd_row(tmp_path):
    for number, content in enumerate((b"{", b"5", b"[" * 100_000)):
        with pytest.raises(RunError, match="sample '000'"):
            rows_of(tar_of(tmp_path / f"{number}.tar", json=content))
    for cuts in ({"original_fps": "x"}, {"original_fps": 25, "cuts_original_fps": [5]}):
        (row,) = rows_of(tar_of(tmp_path / "cuts.tar", mp4=b"m", json=json.dumps({"cuts": cuts}).encode()))
        assert row["clips"] == str(cuts)


def test_samples_of_two_folders_of_a_tar_are_two(tmp_path):
    path = tmp_path / "00000.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("a/000.MP4", "a/000.json", "b/000.MP4", "b/000.json", "000.MP4"):
            payload = name.encode() if name.endswith("MP4") else json.dumps({"from": name}).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(payload)
            tar.addfile(entry, io.BytesIO(payload))
    content = path.read_bytes()
    found = {content[row["offset"] :][: row["size"]]: json.loads(str(row["extra"])) for row in rows_of(path)}
    assert found == {
        b"a/000.MP4": {"from": "a/000.json", "source_key": "a/000"},
        b"b/000.MP4": {"from": "b/000.json", "source_key": "b/000"},
        b"000.MP4": {"source_key": "000"},
    }


@pytest.mark.parametrize(
    ("value", "seconds"), [(1, 1.0), ("2.5", 2.5), ("00:00:01.500", 1.5), ("1:02:03.25", 3723.25), ("02:10", 130.0)]
)
def test_times_are_seconds_or_clock_times(value, seconds):
    assert seconds_of(value) == seconds


@pytest.mark.parametrize("value", ["a", "1:x", -1, "nan", "inf", None])
def test_what_is_no_time_is_refused(value):
    with pytest.raises((ValueError, TypeError)):
        seconds_of(value)


def test_clips_come_as_lists_or_text_and_stay_as_they_are_when_nobody_can_read_them():
    assert clips_text("[['00:00:01.000', '00:00:02.500']]") == "[[1.0, 2.5]]"
    assert clips_text([(0, 1)]) == "[[0.0, 1.0]]"
    assert clips_text("") == clips_text(None) == clips_text([]) == ""
    assert clips_text("from 3 to 4") == "from 3 to 4"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"link\nx\n", "no column `url`"),
        ("a.csv", b"url,x,x\na,b,c\n", "more than one of its columns is called `x`"),
        ("a.parquet", b"PAR1 garbage", "cannot be read"),
        ("a.json", b"[{]", "cannot be read"),
        ("a.json", b"[1, 2]", "no object"),
        ("a.tsv.gz", b"no gzip", "cannot be read"),
        ("a.tar", b"x" * 2000, "cannot be read"),
        ("a.csv", b"", "cannot be read"),
        ("a.csv", b"url,caption\na.mp4,b\na.mp4,b,c\n", "line 3 has 3 cells, where the header has 2"),
        ("a.xlsx", b"", "none of"),
    ],
)
def test_a_bad_table_is_one_line_that_names_it(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RunError, match=message) as error:
        rows_of(path)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("ending", ["txt.gz", "csv.gz", "tsv.gz", "jsonl.gz", "json.gz"])
def test_a_zip_bomb_of_one_line_is_refused_before_it_fills_the_memory(tmp_path, ending, monkeypatch):
    monkeypatch.setattr(url_table, "JSON_BYTES", 2**24)
    path = tmp_path / f"t.{ending}"
    with gzip.open(path, "wb", 1) as file:
        file.write(b"url\n" if "json" not in ending else b'{"url": "' if ending == "jsonl.gz" else b'[{"url": "')
        for _ in range(256):
            file.write(b"a" * 2**20)
    with pytest.raises(RunError, match="more than"):
        list(read_rows([str(path)], COLUMNS))


@pytest.mark.parametrize(
    "text",
    [
        '{"url": "http://a/1.mp4", "meta": {"a": 1}}\n{"url": "http://a/2.mp4", "meta": {"a": 2}}\n',
        '{"url": ["http://a/1.mp4", "http://a/2.mp4"], "meta": [{"a": 1}, {"a": 2}]}',
        '{"url": {"0": "http://a/1.mp4", "1": "http://a/2.mp4"}, "meta": {"0": {"a": 1}, "1": {"a": 2}}}',
        '\ufeff[{"url": "http://a/1.mp4", "meta": {"a": 1}}, {"url": "http://a/2.mp4", "meta": {"a": 2}}]',
        '{\n"url": ["http://a/1.mp4", "http://a/2.mp4"],\n"meta": [{"a": 1}, {"a": 2}]\n}',
    ],
)
def test_json_is_read_by_line_by_list_and_by_column_whatever_its_cells_hold(tmp_path, text):
    path = tmp_path / "t.json"
    path.write_text(text, encoding="utf-8")
    rows = [(row["url"], json.loads(str(row["extra"]))) for row in rows_of(path)]
    assert rows == [("http://a/1.mp4", {"meta": {"a": 1}}), ("http://a/2.mp4", {"meta": {"a": 2}})]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"url": "a"}\n{"url": \n', "line 2 is no JSON"),
        ('{"url": "a"}\n"b"\n', "line 2 is no object"),
        ("5\n", "neither a list"),
        ('{"url": ["a", "b"], "caption": ["c"]}', "not of one length"),
        ('{"url": ["a"], "caption": 5}', "not of one length"),
        ("[" * 100_000, "too deep"),
    ],
)
@pytest.mark.parametrize("read", [rows_of, lambda path: count_rows([str(path)], COLUMNS)])
def test_json_that_is_no_table_says_where(tmp_path, text, message, read):
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(RunError, match=message):
        read(path)


@pytest.mark.parametrize("ending", ["txt", "csv", "json"])
def test_a_byte_order_mark_is_no_part_of_the_first_url(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    text = {"txt": "http://a/1.mp4\n", "csv": "url\nhttp://a/1.mp4\n", "json": '{"url": "http://a/1.mp4"}\n'}[ending]
    path.write_text(text, encoding="utf-8-sig")
    assert [row["url"] for row in rows_of(path)] == ["http://a/1.mp4"]
    path.write_text(text, encoding="utf-16")
    if ending != "json":  # which its parser reads in any encoding
        with pytest.raises(RunError, match="UTF-16"):
            rows_of(path)


def test_a_length_that_is_no_number_is_none_and_ends_nothing(tmp_path):
    lengths = ["1.2.3", " 12.5 ", ".", "1e+03", "-4", "inf", "nan", "N/A", "", ".5", "7."]
    wanted = [None, 12.5, None, 1000.0, None, None, None, None, None, 0.5, 7.0]
    tables = [tmp_path / "t.csv", tmp_path / "t.parquet", tmp_path / "t.jsonl"]
    tables[0].write_text("url,duration\n" + "".join(f"a,{length}\n" for length in lengths))
    columns = {"url": ["a"] * len(lengths), "duration": pa.array(lengths, pa.large_string()).dictionary_encode()}
    pq.write_table(pa.table(columns), tables[1])
    write_table(tables[2], *(json.dumps({"url": "a", "duration": length}) for length in lengths))
    for table in tables:
        assert [row["seconds"] for row in rows_of(table)] == wanted, table


def test_what_is_no_number_is_null_in_the_json_that_any_reader_knows(tmp_path):
    pq.write_table(
        pa.table({"url": ["a"], "score": [float("nan")], "all": [[float("inf"), 1.0]]}), tmp_path / "t.parquet"
    )
    write_table(tmp_path / "t.jsonl", '{"url": "a", "score": NaN, "all": [Infinity, 1.0]}')
    for table in ("t.parquet", "t.jsonl"):
        assert rows_of(tmp_path / table)[0]["extra"] == '{"all": [null, 1.0], "score": null}'


def test_a_cell_of_another_kind_is_an_odd_row_and_no_lost_table(tmp_path):
    path = tmp_path / "t.parquet"
    columns = {"url": pa.array([b"a.mp4", b"\xff"]), "caption": pa.array([["x", "y"], None])}
    pq.write_table(pa.table(columns), path)
    assert [(row["url"], row["caption"]) for row in rows_of(path)] == [("a.mp4", "['x', 'y']"), ("\ufffd", "")]
    half = write_table(tmp_path / "t.jsonl", '{"url": "a", "caption": "\\ud800", "n": "\\udfff"}')
    assert [row["caption"] for row in rows_of(half)] == ["?"]


def test_a_quote_inside_a_cell_ends_no_row(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('url,caption\na.mp4,5" pipe\nb.mp4,"6"" pipe"\n\nc.mp4,it\'s 7"\n')
    assert [row["caption"] for row in rows_of(path)] == ['5" pipe', '6" pipe', "it's 7\""]


def test_rows_that_cross_the_blocks_of_a_table_are_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(url_table, "BATCH_ROWS", 7)
    rows = [{"url": f"http://a/{k}.mp4", "caption": f'line "one"\nline {k}', "n": str(k)} for k in range(50)]
    path = tmp_path / "t.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    found = rows_of(path)
    assert [row["caption"] for row in found] == [row["caption"] for row in rows]
    assert [json.loads(str(row["extra"]))["n"] for row in found] == [row["n"] for row in rows]


def test_rows_are_packed_by_count_and_lots_by_shards(tmp_path):
    table = write_table(tmp_path / "t.txt", *(f"{number}.mp4" for number in range(25)))
    planned = plan(tmp_path / "p", table, settings_of(table, shard_rows=4, lot_shards=3))
    assert [lot["shards"] for lot in planned["lots"]] == [[4, 4, 4], [4, 4, 4], [1]]
    rows = pq.read_table(tmp_path / "p" / "rows.parquet")
    assert rows["key"].to_pylist()[:5] == ["000000000", "000000001", "000000002", "000000003", "000010000"]
    assert pq.ParquetFile(tmp_path / "p" / "rows.parquet").num_row_groups == 3


def test_rows_are_packed_by_seconds_and_bytes(tmp_path):
    table = write_table(
        tmp_path / "t.csv", "url,duration,bytes", *(f"{k}.mp4,{10 if k % 2 else 50},7" for k in range(8))
    )
    by_seconds = plan(tmp_path / "p", table, settings_of(table, shard_seconds=60))
    assert by_seconds["lots"][0]["shards"] == [2] or [c for lot in by_seconds["lots"] for c in lot["shards"]] == [2] * 4
    by_bytes = plan(tmp_path / "q", table, settings_of(table, shard_bytes=21))
    assert [count for lot in by_bytes["lots"] for count in lot["shards"]] == [3, 3, 2]


def test_appended_rows_begin_their_own_shards_and_move_nobody(tmp_path):
    names = [f"{number}.mp4" for number in range(10)]
    table = write_table(tmp_path / "t.txt", *names)
    settings = settings_of(table, shard_rows=4, lot_shards=2)
    before = plan(tmp_path / "p", table, settings)
    write_table(table, *names, "new.mp4", "newer.mp4")
    after = plan(tmp_path / "p", table, settings)
    assert after["lots"][: len(before["lots"])] == before["lots"]
    assert [lot["shards"] for lot in after["lots"]] == [[4, 4], [2], [2]]


def test_other_lots_are_made_of_what_is_new_alone_until_the_plan_is_forgotten(tmp_path):
    def planned(rows: int, lot_shards: int) -> list[int]:
        table = write_table(tmp_path / "t.txt", *(f"http://a/{k}.mp4" for k in range(rows)))
        lots = plan(tmp_path / "p", table, settings_of(table, shard_rows=2, lot_shards=lot_shards))["lots"]
        return [len(lot["shards"]) for lot in lots]

    assert planned(6, 1) == planned(6, 3) == [1, 1, 1]
    assert planned(12, 3) == [1, 1, 1, 3]
    (tmp_path / "p" / "kept" / "plan.json").unlink()
    assert planned(12, 3) == [3, 3]


def test_a_row_that_changed_changes_its_own_lot(tmp_path):
    names = [f"{number}.mp4" for number in range(12)]
    table = write_table(tmp_path / "t.txt", *names)
    settings = settings_of(table, shard_rows=2, lot_shards=2)
    before = [lot["sha256"] for lot in plan(tmp_path / "p", table, settings)["lots"]]
    names[5] = "other.mp4"
    write_table(table, *names)
    after = [lot["sha256"] for lot in plan(tmp_path / "p", table, settings)["lots"]]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]


def test_a_lot_knows_whether_it_depends_on_where_its_paths_begin(tmp_path):
    rows = ["https://host/a.mp4", "/abs/b.mp4", "", "file:///c.mp4", "s3://bucket/d.mp4", "videos/e.mp4"]
    settings = settings_of(
        write_table(tmp_path / "t.jsonl", *(json.dumps({"url": url}) for url in rows)), shard_rows=1, lot_shards=1
    )
    lots = plan(tmp_path / "p", tmp_path / "t.jsonl", settings)["lots"]
    assert [lot["relative"] for lot in lots] == [False] * 5 + [True]


def test_a_large_table_gives_at_most_two_thousand_jobs(tmp_path):
    path = tmp_path / "t.parquet"
    urls = pa.array([f"http://host/{number}.mp4" for number in range(20_000)])
    pq.write_table(pa.table({"url": urls}), path)
    planned = plan(tmp_path / "p", path, settings_of(path, shard_rows=2))
    assert planned["rows"] == 20_000
    assert planned["shards"] == 10_000
    assert 4 * len(planned["lots"]) + 10 <= 2000


def test_the_same_table_gives_the_same_bytes(tmp_path):
    table = write_table(tmp_path / "t.txt", *(f"{number}.mp4" for number in range(30)))
    for name in ("p", "q"):
        plan(tmp_path / name, table, settings_of(table, shard_rows=7))
    for file in ("rows.parquet", "plan.json"):
        assert Path(tmp_path / "p" / file).read_bytes() == Path(tmp_path / "q" / file).read_bytes()


def test_an_empty_table_has_no_lots(tmp_path):
    table = write_table(tmp_path / "t.txt")
    assert plan(tmp_path / "p", table, settings_of(table))["lots"] == []


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(1, 9))
def test_shards_are_full_whatever_the_batches(batches, rows):
    used: list[float] = [0, 0.0, 0.0]
    starts, before = [0], 0
    for count in batches:
        found = fill_shards(np.zeros(count), np.zeros(count), used, rows=rows, max_seconds=0, max_bytes=0)
        starts += [before + start for start in found]
        before += count
    assert sorted({*starts}) == list(range(0, before, rows))
