"""Results under a second name: hard links, copies where the disk has none, and a failed disk is said."""

import errno
import os
from pathlib import Path

import pytest

from scripts.datasets import index_shards
from scripts.media import link_aviary_names


def linked_shards(folder: Path) -> Path:
    """A shard under its second name."""
    index_shards.link_all([folder / "shards"], folder / "out")
    return folder / "out" / "000.tar"


def linked_export(folder: Path) -> Path:
    """An export under its second name."""
    link_aviary_names.link(folder / "shards" / "000.tar", folder / "out" / "view.tar")
    return folder / "out" / "view.tar"


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "000.tar").write_text("samples")
    return tmp_path / "shards" / "000.tar"


@pytest.fixture(params=[linked_shards, linked_export])
def make(request, shard, tmp_path):
    return lambda: request.param(tmp_path)


def failing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*paths):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)


def test_a_second_name_takes_no_room(make, shard):
    assert make().samefile(shard)


def test_where_there_are_no_links_there_is_a_copy(make, shard, monkeypatch):
    failing(monkeypatch, errno.EPERM)
    made = make()
    assert made.read_text() == "samples"
    assert not made.samefile(shard)


def test_a_failed_disk_is_not_taken_for_a_missing_link(make, monkeypatch):
    failing(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        make()
