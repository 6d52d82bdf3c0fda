"""What is missing of a folder is seen by its entries, and without a look at those of a folder that did not change."""

import os
import time
from pathlib import Path

import pytest

from scripts.common import folder_entries, job


def build(out_folder: Path) -> None:
    """A folder of folders."""
    for name in ("a/1.npz", "a/2.npz", "b c/é.npz", "top.csv", ".hidden"):
        (out_folder / name).parent.mkdir(parents=True, exist_ok=True)
        (out_folder / name).touch()


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """As a job has left it a minute ago, and Snakemake after it."""
    job.execute(build, inputs={}, outputs={"folder": tmp_path / "made"}, settings={})
    (tmp_path / "made" / folder_entries.STAMP).touch()
    then = time.time() - 60
    for path in (tmp_path / "made", *tmp_path.rglob("*")):
        os.utime(path, (then, then))
    return tmp_path / "made"


def test_a_folder_is_whole_as_a_job_has_left_it(made: Path) -> None:
    assert folder_entries.is_whole(made)


@pytest.mark.parametrize("name", ["a/1.npz", "b c/é.npz", "top.csv"])
def test_a_file_that_is_gone_is_missed(made: Path, name: str) -> None:
    (made / name).unlink()
    assert not folder_entries.is_whole(made)


def test_a_folder_that_is_gone_is_missed(made: Path) -> None:
    (made / "b c" / "é.npz").unlink()
    (made / "b c").rmdir()
    assert not folder_entries.is_whole(made)


def test_a_folder_that_became_a_file_is_missed(made: Path) -> None:
    (made / "b c" / "é.npz").unlink()
    (made / "b c").rmdir()
    (made / "b c").touch()
    assert not folder_entries.is_whole(made)


def test_a_note_that_a_kill_cut_off_is_none_of_a_whole_folder(made: Path) -> None:
    made.with_name(".made.entries.json").write_text('{".": ')
    assert not folder_entries.is_whole(made)


def test_what_is_added_or_hidden_counts_for_nothing(made: Path) -> None:
    (made / ".hidden").unlink()
    (made / "a" / ".DS_Store").touch()
    assert folder_entries.is_whole(made)
    (made / "a" / "1.npz").unlink()
    assert not folder_entries.is_whole(made)


def test_a_folder_of_which_nothing_is_noted_is_whole(tmp_path: Path) -> None:
    build(tmp_path / "old")
    (tmp_path / "old" / "a" / "1.npz").unlink()
    assert folder_entries.is_whole(tmp_path / "old")


def test_nothing_is_noted_beside_a_copy_for_a_store(tmp_path: Path) -> None:
    copy = tmp_path / ".snakemake" / "storage" / "s3" / "made"
    job.execute(build, inputs={}, outputs={"folder": copy}, settings={})
    assert [path.name for path in copy.parent.iterdir()] == ["made"]


def test_folders_that_did_not_change_are_not_read(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(place: Path) -> list[str]:
        raise AssertionError(f"{place} was read")

    monkeypatch.setattr(os, "listdir", read)
    assert folder_entries.is_whole(made)


def test_a_folder_made_anew_is_counted_anew(made: Path, tmp_path: Path) -> None:
    def smaller(out_folder: Path) -> None:
        out_folder.mkdir()

    job.execute(smaller, inputs={}, outputs={"folder": made}, settings={})
    assert folder_entries.is_whole(made)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".made.entries.json", "made"]
