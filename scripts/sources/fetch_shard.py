"""The items of a lot, brought here: each one ends as fetched or as failed with a reason, and none twice.

Beside the outputs stands a folder in which a killed job finds what it had: one file an item, and a line of
`status.jsonl` for each that ended. A lot with failures leaves what it fetched there, so that `--config retry=failed`
asks for the failed items alone.
"""

import logging
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from scripts.common import ledger, lots
from scripts.common.errors import InputError, RunError, is_machine_fault, unexpected
from scripts.common.job import progress, run
from scripts.common.lots import Item
from scripts.common.tar_file import TarWriter
from scripts.common.working import Working
from scripts.sources.fetch_item import Fetcher
from scripts.sources.shard_rows import item_of
from scripts.sources.url_rows import NOT_UTF8

log = logging.getLogger("rushes")
STEP = "fetch_shard"


# What is remembered of an item.
REMEMBERED = ("key", "path", "offset", "size", "sha256", "sound", "outcome", "reason", "message")


def fetch_one(item: Item, member: tuple[str, int, int], fetcher: Fetcher, working: Working) -> Item:
    """Fetch an item and remember how it ended."""
    try:
        if item.extra.get(NOT_UTF8):
            raise InputError("encoding", f"{item.extra[NOT_UTF8]} is not UTF-8; save it as UTF-8")
        if "clips_not_read" in item.extra:
            raise InputError("clips", f"its clips are no list of times: {item.extra['clips_not_read'][:80]!r}")
        if member[0]:
            found = fetcher.member(Path(member[0]), member[1], member[2])
        else:
            found = fetcher.fetch(item.url, working.file(f"{item.key}.part"))
        ended = replace(item, size=found.size, sha256=found.sha256, **_of_page(item, found.page))
        if item.sound:
            # A file like any other: it must lie where files may be read.
            ended = replace(ended, sound=str(fetcher.local(item.sound).path))
        if found.path == working.file(f"{item.key}.part"):
            os.replace(found.path, working.file(f"{item.key}.media"))
        else:
            ended = replace(ended, path=str(found.path), offset=found.offset)
    except InputError as error:
        ended = replace(item, outcome="failed", reason=error.reason, message=error.message)
    except OSError as error:
        if is_machine_fault(error):
            raise
        ended = replace(item, outcome="failed", reason="unreadable", message=f"{error.strerror or error}")
    except (ValueError, UnicodeError) as error:
        ended = replace(item, outcome="failed", reason="no_url", message=" ".join(str(error).split()))
    except (RunError, ImportError):
        raise
    except Exception as error:
        # A library's, about what a server sent: it must not end the lot.
        logging.getLogger().exception("%s", item.key)
        failure = unexpected(error)
        ended = replace(item, outcome="failed", reason=failure.reason, message=failure.message)
    of_page = {
        name: getattr(ended, name) for name in ("extra", "subtitles") if getattr(ended, name) != getattr(item, name)
    }
    working.end({name: getattr(ended, name) for name in REMEMBERED} | of_page)
    return ended


def _of_page(item: Item, page: dict[str, Any]) -> dict[str, Any]:
    """What a page says of its medium; what the table says goes first."""
    if not page:
        return {}
    return {
        "extra": {"page_subtitles": len(page["subtitles"]), **page["metadata"], **item.extra},
        "subtitles": item.subtitles or page["subtitles"],
    }


def fetch_all(
    rows: list[tuple[Item, tuple[str, int, int]]], fetcher: Fetcher, working: Working, connections: int, retry: int
) -> Iterator[Item]:
    """Every item, in the order of `rows`; those that ended well before are taken as they are.

    retry: how many that failed before are tried again, at most: those first that were tried least.
    """
    before = {key: status for key, status in working.ended().items() if _is_kept(status, working)}
    times = working.times()
    failed = [item.key for item, _ in rows if before.get(item.key, {}).get("outcome") == "failed"]
    for key in sorted(failed, key=times.__getitem__)[: max(0, retry)]:
        del before[key]
    waiting: dict[str, Any] = {}
    with ThreadPoolExecutor(connections) as pool:
        ended: dict[str, Item] = {}
        for item, member in rows:
            if item.key in before:
                ended[item.key] = replace(item, **before[item.key])
            else:
                waiting[item.key] = pool.submit(fetch_one, item, member, fetcher, working)
        try:
            said = _Said()
            for done, future in enumerate(as_completed(waiting.values()), 1):
                said.add(future.result())
                progress(done, len(waiting), "items fetched", said.note())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        ended |= {key: future.result() for key, future in waiting.items()}
    for item, _ in rows:
        yield ended[item.key]


def _is_kept(status: dict[str, Any], working: Working) -> bool:
    """Whether what is remembered of an item still holds: its medium may have been cleared away."""
    fetched = status["outcome"] == "written" and not status["path"]
    return not fetched or working.file(f"{status['key']}.media").exists()


class _Said:
    """What progress says besides the count: how fast bytes come, and what failed by its reason."""

    def __init__(self) -> None:
        self._began, self._bytes = time.monotonic(), 0
        self._reasons: Counter[str] = Counter()

    def add(self, item: Item) -> None:
        self._bytes += item.size
        self._reasons[item.reason or "well"] += 1

    def note(self) -> str:
        speed = self._bytes / 1e6 / max(1e-3, time.monotonic() - self._began)
        ends = ", ".join(f"{count} {reason}" for reason, count in self._reasons.most_common(6))
        return f"{speed:.1f} MB/s; {ends}"


def fetch_shard(
    rows: Path,
    out_media: Path,
    out_contents: Path,
    out_ledger: Path,
    *,
    dataset: str,
    row_group: int,
    rows_sha256: str,
    settings: dict[str, Any],
    working: str,
) -> None:
    """Fetch the rows of a lot.

    rows: the planned rows, of which the lot is `row_group`.  working: the folder that outlives a kill.
    """
    with pq.ParquetFile(rows) as file:
        listed = [item_of(row) for row in file.read_row_group(row_group).to_pylist()]
    place = Working(Path(working), rows_sha256)
    items = list(fetch_all(listed, Fetcher(settings), place, settings["connections"], settings["retry_items"]))
    with TarWriter(out_media) as tar:
        for number, item in enumerate(items):
            if item.is_there and not item.path:
                member = tar.copy(item.key, place.file(f"{item.key}.media"), sha256=item.sha256)
                items[number] = replace(item, offset=member.offset)
    lots.write_items(out_contents, items)
    failed = [item for item in items if not item.is_there]
    megabytes = sum(item.size for item in items if item.is_there) / 1e6
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(Counter(i.reason for i in failed).items()))
    log.info("%d of %d items fetched, %.1f MB; failed: %s", len(items) - len(failed), len(items), megabytes, reasons)
    ledger.write(
        out_ledger,
        [
            ledger.Row(STEP, dataset, item.key, item.outcome, item.reason, message=f"{item.url[:200]}: {item.message}")
            if item.reason
            else ledger.Row(STEP, dataset, item.key, item.outcome, value=float(item.size))
            for item in items
        ],
    )
    if not failed:
        place.remove()


if __name__ == "__main__":
    run(fetch_shard)
