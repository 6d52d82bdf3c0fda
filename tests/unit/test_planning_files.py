"""What makes a plan's files cheap must give Snakemake's own answers."""

import asyncio
import importlib
import json
import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.io import IOFile, flag
from snakemake.iocontainers import InputFiles, Namedlist, Wildcards

from scripts.planning import planning_files

TIME = 1_700_000_000.25


@pytest.fixture(scope="module", autouse=True)
def _lowered():
    importlib.import_module("snakemake.api")  # Snakemake's modules import each other, and only in this order
    planning_files.lower()


@pytest.fixture
def cache():
    return importlib.import_module("snakemake.io").IOCache(max_wait_time=0)


@pytest.fixture
def store(tmp_path):
    """A store of records as Snakemake keeps it, in `tmp_path`."""
    kind = importlib.import_module("snakemake.persistence.file").FilePersistence
    made = object.__new__(kind)
    made._metadata_path, made._incomplete_path = str(tmp_path / "metadata"), str(tmp_path / "incomplete")
    made._max_len, made._incomplete_cache = None, None
    for folder in (made._metadata_path, made._incomplete_path):
        Path(folder).mkdir()
    return made


@pytest.fixture
def record():
    kind = importlib.import_module("snakemake.persistence").MetadataRecord
    return kind(
        rule="copy", input=["a", "b"], params=["'25'"], record_format_version=6, input_checksums={"a": "sha256:0"}
    )


def planned(path: str | Path, cache) -> IOFile:
    """A file of a rule in a workflow that remembers what it has seen."""
    rule = SimpleNamespace(workflow=SimpleNamespace(iocache=cache), pathvars=SimpleNamespace(apply=lambda text: text))
    return IOFile(str(path), rule=rule)


def test_a_file_without_flags_is_plain_text_until_its_flags_are_asked_for():
    file = IOFile("{name}.txt", rule=None).apply_wildcards({"name": "a"})
    assert type(file._file) is str
    assert not file.is_flagged("temp")
    assert file == "a.txt"
    assert hash(file) == hash("a.txt")


def test_a_flag_that_is_set_later_stays():
    file = IOFile("{name}.txt", rule=None).apply_wildcards({"name": "a"})
    file.flags["report"] = 7
    assert file.is_flagged("report")
    assert file.flags == {"report": 7}


def test_a_flag_goes_with_the_file_that_is_made_of_a_pattern():
    pattern = IOFile(flag("{name}.txt", "temp"), rule=None)
    first, second = (pattern.apply_wildcards({"name": name}) for name in "ab")
    first.flags["first"] = True
    assert first.is_flagged("temp")
    assert second.flags == {"temp": True}
    assert pattern.flags == {"temp": True}


@given(st.text(st.characters(exclude_characters="{}/\0", codec="utf-8"), min_size=1), st.sampled_from(["", "temp"]))
def test_a_file_is_its_text_whatever_its_flags(name, flagged):
    file = IOFile(flag(name, flagged) if flagged else name, rule=None)
    assert file == name
    assert name == file
    assert hash(file) == hash(name)
    assert {file: 1} == {name: 1}
    assert IOFile(name, rule=None) in {file}
    assert file != name + "x"


def test_a_list_of_files_still_guards_its_names_and_can_be_sent_to_a_job():
    files = pickle.loads(pickle.dumps(InputFiles(toclone=["a"], plainstr=True)))
    with pytest.raises(AttributeError, match="sort"):
        files.sort()
    with pytest.raises(AttributeError, match="index"):
        files.index("a")
    assert list(files) == ["a"]


def test_a_list_keeps_the_names_of_what_it_is_made_of():
    named = InputFiles(toclone=[IOFile(name, rule=None) for name in "abc"])
    named._set_name("first", 0)
    named._set_name("rest", 1, end=3)
    plain = named._plainstrings()
    assert (plain.first, list(plain.rest)) == ("a", ["b", "c"])
    assert [type(item) for item in plain] == [str] * 3
    assert type(plain) is InputFiles
    assert list(Wildcards(fromdict={"name": "a", "index": "1"}).items()) == [("name", "a"), ("index", "1")]
    assert list(Namedlist(toclone=["{a,[0-9]}"], strip_constraints=True)) == ["{a}"]
    assert list(Namedlist(toclone=["1", "2"], custom_map=int)) == [1, 2]


def test_a_file_of_a_store_stands_for_its_query_only_where_nobody_fetches_it():
    files = []
    for retrieve in (True, False):
        file = IOFile("local.txt", rule=None)
        file.flags["storage_object"] = SimpleNamespace(retrieve=retrieve, query="s3://bucket/far.txt")
        files.append(file)
    assert list(InputFiles(toclone=files, plainstr=True)) == ["local.txt", "s3://bucket/far.txt"]


def test_one_look_tells_that_a_file_is_there_and_since_when(tmp_path, cache, monkeypatch):
    (tmp_path / "a").write_text("x")
    os.utime(tmp_path / "a", (TIME, TIME))
    file = planned(tmp_path / "a", cache)
    assert asyncio.run(file.exists())
    monkeypatch.setattr(os, "stat", lambda *_, **__: pytest.fail("it was looked at a second time"))
    assert asyncio.run(file.mtime()).local() == TIME


@pytest.mark.parametrize("kind", ["folder", "link", "dangling link", "nothing", "below a file", "stamped folder"])
def test_what_is_no_plain_file_is_there_and_as_old_as_snakemake_finds(tmp_path, cache, kind):
    path = tmp_path / "a"
    (tmp_path / "b").write_text("x")
    os.utime(tmp_path / "b", (TIME, TIME))
    if "folder" in kind:
        path.mkdir()
    if kind == "stamped folder":
        (path / ".snakemake_timestamp").touch()
        os.utime(path / ".snakemake_timestamp", (TIME, TIME))
    if "link" in kind:
        path.symlink_to("nowhere" if kind == "dangling link" else "b")
    if kind == "below a file":
        path = tmp_path / "b" / "c"
    file = planned(path, cache)
    assert asyncio.run(file.exists()) == os.path.exists(path)
    if os.path.exists(path):
        found = asyncio.run(file.mtime())
        assert found.local(follow_symlinks=True) == asyncio.run(file.mtime_uncached()).local(follow_symlinks=True)


def test_what_is_not_remembered_is_looked_at_anew(tmp_path, cache):
    cache.deactivate()
    file = planned(tmp_path / "a", cache)
    assert not asyncio.run(file.exists())
    (tmp_path / "a").touch()
    assert asyncio.run(file.exists())
    os.utime(tmp_path / "a", (TIME, TIME))
    assert asyncio.run(file.mtime()).local() == TIME


def test_a_folder_that_a_store_has_listed_answers_for_its_files(cache):
    known = cache.exists_local
    known["seen/a"] = True
    assert planned("seen/a", cache) in known
    assert planned("seen/b", cache) not in known
    known.has_inventory.add("listed")
    assert planned("listed/b", cache) in known
    assert not known[planned("listed/b", cache)]
    assert planned("seen/b", cache) not in known


def test_a_record_is_read_as_snakemake_reads_it(store, record):
    store._write_record("out/é.txt", record)
    read = store._read_record("out/é.txt")
    assert read == record
    assert type(read) is type(record)
    assert dict(read.items()) == dict(record.items())
    assert read.starttime is None
    assert store._read_record("elsewhere") is None


def test_records_do_not_share_what_they_hold(store, record):
    for name in "ab":
        store._write_record(name, record)
    store._read_record("a").input_checksums["b"] = "sha256:1"
    assert store._read_record("b").input_checksums == {"a": "sha256:0"}


@pytest.mark.parametrize(
    "text",
    ["", "{", "{}", "null", "[]", "7", '{"rule": "copy"}', '{"record_format_version": 5, "rule": "copy"}'],
)
def test_a_record_of_another_version_or_none_at_all_is_left_to_snakemake(store, text):
    path = Path(store._record_path(store._metadata_path, "a"))
    path.write_text(text)
    carefully = store._io_read(store._metadata_path, "a")
    if carefully == 7:
        with pytest.raises(ValueError, match="MetadataRecord"):
            store._read_record("a")
    else:
        read = store._read_record("a")
        assert read == (type(read).model_validate(carefully) if carefully else None)


def test_a_record_of_the_same_version_with_other_fields_is_left_to_snakemake(store, record):
    path = Path(store._record_path(store._metadata_path, "a"))
    path.write_text(json.dumps({**dict(record.items()), "later": 1}))
    assert store._read_record("a") == record


def test_what_is_unfinished_is_found(store):
    assert store._filter_incomplete_keys(["a", "b"]) == set()
    assert store._filter_incomplete_keys(["a", "b"]) == set()
    store._mark_incomplete("b", None)
    assert store._filter_incomplete_keys(["a", "b"]) == {"b"}
