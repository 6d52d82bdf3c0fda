"""Objects of a store come like any other; what the store says is the item's, what this machine's disk says is not."""

import errno
import json
import os
import tracemalloc
from pathlib import Path

import fsspec
import pytest

from scripts.common.errors import is_machine_fault
from scripts.sources.fetch_item import Fetcher
from tests.unit.shard_maker import Made, fetch, plan, serve, settings_of, write_table

MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.EROFS)
ITEM = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ECONNRESET)


def planned(root: Path, *urls: str) -> tuple[Made, dict]:
    table = write_table(root / "table.jsonl", *(json.dumps({"url": url}) for url in urls))
    made = Made(root / "lots", settings_of(table))
    return made, plan(made.root, table, made.settings)["lots"][0]


def raiser(error):
    def function(*arguments):
        raise error

    return function


def test_an_object_of_a_store_is_fetched(tmp_path, video):
    with fsspec.open("memory://bucket/a.mp4", "wb") as file:
        file.write(video)
    made, lot = planned(tmp_path, "memory://bucket/a.mp4", "memory://bucket/none.mp4")
    fetch(made, lot)
    assert [item.reason for item in made.items.values()] == ["", "not_found"]


def test_a_disk_that_fills_while_a_store_is_read_is_the_machines_fault_and_the_stores_errors_are_the_items(
    tmp_path, video, monkeypatch
):
    with fsspec.open("memory://bucket/a.mp4", "wb") as file:
        file.write(video)
    folder = tmp_path / "lots" / "working" / "fetch0"
    folder.mkdir(parents=True)
    made, lot = planned(tmp_path, "memory://bucket/a.mp4")
    (folder / "mark").write_text(lot["sha256"])
    (folder / "000000000.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        fetch(made, lot)
    assert not made.lot("items.parquet").exists()

    class NoCredentialsError(Exception):
        """As botocore has it: no OSError."""

    (folder / "000000000.part").unlink()
    for error in (NoCredentialsError("who are you?"), OSError(errno.EIO, "SlowDown"), ValueError("bad")):
        monkeypatch.setattr(fsspec, "open", raiser(error))
        fetch(made, lot)
        (item,) = made.items.values()
        assert (item.outcome, item.reason) == ("failed", "store")
        assert item.message == f"memory://bucket/a.mp4: {type(error).__name__}: {error}"
        (folder / "status.jsonl").unlink()
    monkeypatch.setattr(fsspec, "open", raiser(OSError(errno.EMFILE, os.strerror(errno.EMFILE))))
    with pytest.raises(OSError, match="Too many open files"):
        fetch(made, lot)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        *(
            (OSError(number, "x"), True)
            for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.EROFS)
        ),
        *((OSError(number, "x"), False) for number in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.ECONNRESET)),
        (ValueError("x"), False),
    ],
)
def test_the_machine_is_to_blame_for_its_disk_and_files_and_nothing_else(error, fault):
    assert is_machine_fault(error) is fault


def test_what_came_of_a_big_file_is_not_read_into_memory_at_once(tmp_path, video):
    """Sixteen connections go on with files of gigabytes side by side."""
    whole = memoryview(video + bytes(64_000_000))

    def broken(request):
        start = int((request.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(whole) - start))
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        request.end_headers()
        request.wfile.write(whole[start:] if start else whole[:-1000])
        request.close_connection = True

    with serve() as site:
        site.pages["/a.mp4"] = broken
        table = write_table(tmp_path / "t.jsonl", json.dumps({"url": site.url("/a.mp4")}))
        fetcher = Fetcher(settings_of(table)["fetch"], pause=lambda seconds: None)
        tracemalloc.start()
        try:
            found = fetcher.fetch(site.url("/a.mp4"), tmp_path / "a.part")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert found.size == len(whole)
    assert (tmp_path / "a.part").read_bytes() == whole
    assert peak < 10_000_000
