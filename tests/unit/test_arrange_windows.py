"""The folders that training code expects."""

import errno
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.datasets.arrange_windows import arrange_windows

ROWS = [("a", "Ann M.", "train"), ("b", "Bob", "train"), ("c", "Ann M.", "train"), ("d", "Cid", "val")]


@pytest.fixture
def windows(tmp_path, monkeypatch):
    """Two windows of each recording, and the table of them."""
    monkeypatch.chdir(tmp_path)
    samples = []
    for recording, subject, split in ROWS:
        folder = Path("npz") / recording
        folder.mkdir(parents=True)
        for first in (0, 32):
            name = f"{recording}_{first:06d}.npz"
            (folder / name).write_text(name)
            samples.append(
                {"recording": recording, "file": f"npz/{recording}/{name}", "subject": subject, "split": split}
            )
    pq.write_table(pa.Table.from_pylist(samples), "index.parquet")
    return [Path("npz") / recording for recording, _, _ in ROWS]


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.npz"))


def test_windows_stand_in_their_split_by_speaker(windows):
    arrange_windows(Path("index.parquet"), windows, Path("train"), split="train")
    assert tree(Path("train")) == [
        "Ann M./a_000000.npz", "Ann M./a_000032.npz", "Ann M./c_000000.npz", "Ann M./c_000032.npz",
        "Bob/b_000000.npz", "Bob/b_000032.npz",
    ]  # fmt: skip
    assert Path("train/Bob/b_000032.npz").read_text() == "b_000032.npz"


def test_windows_take_no_room_twice(windows):
    arrange_windows(Path("index.parquet"), windows, Path("val"), split="val")
    assert Path("val/Cid/d_000000.npz").samefile("npz/d/d_000000.npz")


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK])
def test_where_there_are_no_links_windows_are_copied(windows, monkeypatch, number):
    def refuse(*paths):
        raise OSError(number, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    arrange_windows(Path("index.parquet"), windows, Path("val"), split="val")
    assert Path("val/Cid/d_000000.npz").read_text() == "d_000000.npz"
    assert not Path("val/Cid/d_000000.npz").samefile("npz/d/d_000000.npz")


def test_a_full_disk_is_not_taken_for_a_missing_link(windows, monkeypatch):
    def refuse(*paths):
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(OSError, match="no room"):
        arrange_windows(Path("index.parquet"), windows, Path("val"), split="val")


def test_a_split_whose_windows_were_all_filtered_is_an_empty_folder(windows):
    arrange_windows(Path("index.parquet"), windows, Path("test"), split="test")
    assert list(Path("test").iterdir()) == []


def test_a_recording_that_looks_like_a_column_is_none(windows):
    """A folder named `split=val` in the path must not be read as the column `split`."""
    folder = Path("split=val")
    folder.mkdir()
    Path("index.parquet").rename(folder / "index.parquet")
    arrange_windows(folder / "index.parquet", windows, Path("train"), split="train")
    assert len(tree(Path("train"))) == 6
