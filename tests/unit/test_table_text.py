"""Rows that are not UTF-8 fail alone, with their line, and none of their letters is guessed; NaN is no text."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.common.errors import RunError
from scripts.sources import url_table
from tests.unit.examples import tar_of
from tests.unit.shard_maker import Made, fetch, plan, settings_of
from tests.unit.test_plan_shards import rows_of

LATIN = "caf\u00e9".encode("latin-1")
GOOD = "caf\u00e9".encode()


def odd_of(row):
    return json.loads(row["extra"]).get("_not_utf8")


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("t.txt", b"a.mp4\n\n%s.mp4\nb.mp4\n", [None, "line 3", None]),
        ("t.csv", b'url,caption\na.mp4,"two\nlines"\nb.mp4,"two\n%s"\nc.mp4,\n', [None, "line 5", None]),
        ("t.tsv", b"url\tnote\na.mp4\tx\nb.mp4\t%s\n", [None, "line 3"]),
        ("t.jsonl", b'{"url": "a.mp4"}\n\n{"url": "b.mp4", "caption": "%s"}\n', [None, "line 3"]),
        ("t.json", b'{"url": "%s"}\n{"url": "b.mp4", "caption": "x"}\n', ["line 1", None]),
    ],
)
def test_a_line_that_is_not_utf8_is_one_odd_row_of_its_table(tmp_path, monkeypatch, name, content, wanted):
    monkeypatch.setattr(url_table, "BATCH_ROWS", 2)
    for ending, write in (("", bytes), (".gz", gzip.compress)):
        path = tmp_path / f"{name}{ending}"
        path.write_bytes(write(content % LATIN))
        said = [odd_of(row) for row in rows_of(path)]
        assert [odd and odd.split(" of ")[0] for odd in said] == wanted
        (one,) = filter(None, said)
        assert f"of {path.name} (b'" in one
        assert "caf\\xe9" in one
        path.write_bytes(write(content % GOOD))
        assert not any(map(odd_of, rows_of(path)))


def test_texts_of_parquet_that_are_not_utf8_are_odd_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(url_table, "BATCH_ROWS", 2)
    texts = pa.array([b"a", b"b", LATIN, None])
    # As a writer that does not look at what it is given.
    broken = pa.Array.from_buffers(pa.string(), len(texts), texts.buffers())
    columns = {
        "url": ["a.mp4"] * 4,
        "caption": pa.array([LATIN, b"x", b"y", b"z"]),
        "note": broken,
        "thumb": pa.array([b"\xff"] * 4),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    found = rows_of(tmp_path / "t.parquet")
    places = [odd and odd.split(" (")[0] for odd in map(odd_of, found)]
    assert places == ["row 1 of t.parquet", None, "row 3 of t.parquet", None]
    assert [json.loads(row["extra"])["note"] for row in found][1::2] == ["b", None]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"url,%s\na.mp4,x\n", "line 1 of t.csv .* is not UTF-8; save it as UTF-8"),
        ("t.json", b'[{"url": "a"},\n{"url": "%s"}]', "line 2 is not UTF-8 .*; save it as UTF-8"),
    ],
)
def test_what_is_no_rows_own_ends_the_plan_with_its_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content % LATIN)
    with pytest.raises(RunError, match=message):
        rows_of(tmp_path / name)


def test_a_caption_of_a_tar_that_is_not_utf8_makes_its_sample_odd(tmp_path):
    (row,) = rows_of(tar_of(tmp_path / "0.tar", mp4=b"m", txt=LATIN))
    assert odd_of(row) == "0.tar/000.txt (b'caf\\xe9')"


def test_an_odd_row_fails_as_encoding_and_a_row_without_the_mark_does_not(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"url,caption,_not_utf8\n/a.mp4,%s,\n/a.mp4,x,\n" % LATIN)
    made = Made(tmp_path / "lots", settings_of(path))
    fetch(made, plan(made.root, path, made.settings)["lots"][0])
    first, second = made.rows("fetch")
    assert (first.outcome, first.reason) == ("failed", "encoding")
    assert first.message == "/a.mp4: line 2 of t.csv (b'/a.mp4,caf\\xe9,\\n') is not UTF-8; save it as UTF-8"
    assert second.reason == "outside_roots"


def test_nan_is_neither_a_caption_nor_a_url(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"url": "a", "caption": NaN}\n{"url": NaN, "caption": 0.5}\n')
    columns = {"url": pa.array(["a", None]), "caption": pa.array([float("nan"), 0.5])}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    for table in ("t.jsonl", "t.parquet"):
        assert [(row["url"], row["caption"]) for row in rows_of(tmp_path / table)] == [("a", ""), ("", "0.5")]
    meta = b'{"url": NaN, "caption": NaN}'
    (row,) = rows_of(tar_of(tmp_path / "0.tar", mp4=b"m", json=meta))
    assert (row["url"], row["caption"]) == ("0.tar/000", "")
