"""One item of a table: a URL, a file or an object of a store is checked, and brought here whole or not at all."""

import errno
import hashlib
import http
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3

from scripts.common.cut_short import breaks_off
from scripts.common.errors import InputError, is_machine_fault
from scripts.sources import partial_file
from scripts.sources.containers import HEAD_BYTES, container_of, looks_like
from scripts.sources.web_answers import PASSING, ItemTime, PassingError, WebAnswers, short

CHUNK_BYTES = 2**18
MAX_PAUSE_S = 60.0
# Stores that have nothing of this machine's files in them, however their addresses are written.
STORES = ("s3", "s3a", "gs", "gcs", "abfs", "az", "oss", "memory")


@dataclass(frozen=True)
class Fetched:
    """path: the file that holds it; offset, size: where in it; sha256 of those bytes.

    page: what a page says of it, `subtitles` and `metadata`, where it was found behind one.
    """

    path: Path
    offset: int
    size: int
    sha256: str
    page: dict[str, Any] = field(default_factory=dict)


class Fetcher:
    """Brings items by the settings of `datasets.<name>.fetch`. One for all threads of a job."""

    def __init__(self, settings: dict[str, Any], pause: Callable[[float], None] = time.sleep) -> None:
        self.settings = settings
        self._pause = pause
        self._web = WebAnswers(settings)
        self._roots = [Path(root).resolve() for root in settings["allowed_roots"]]

    def fetch(self, url: str, target: Path) -> Fetched:
        """Bring `url` to `target`; a local file stays where it is. Raises InputError with the reason."""
        url = url.strip() if "://" in url else url
        scheme = urlsplit(url).scheme.lower() if "://" in url else ""
        if not url or "\x00" in url:
            raise InputError("no_url", "the row names no URL")
        if scheme in ("http", "https"):
            return self._from_web(url, target)
        if scheme in ("", "file"):
            return self._local(Path(unquote(urlsplit(url).path)) if scheme else Path(url))
        if scheme not in STORES or "::" in url:
            raise InputError("scheme", f"{url[:80]!r} is none of http, https, file, {', '.join(STORES)}")
        return self._write(_object_of(url), target, 0, None, ItemTime(math.inf))

    def member(self, path: Path, offset: int, size: int) -> Fetched:
        """A member of a tar, where it stands."""
        if not size:
            raise InputError("no_medium", "its sample in the tar has no medium")
        return self._checked(path, offset, size)

    def local(self, path: str) -> Fetched:
        """A local file, which stays where it is. Raises InputError if it may not be read, or is none."""
        return self._local(Path(path))

    def _local(self, path: Path) -> Fetched:
        path = Path(self.settings["folder"], path)
        resolved = path.resolve()
        if not any(resolved.is_relative_to(root) for root in self._roots):
            raise InputError("outside_roots", f"{path} lies outside of `allowed_roots`")
        if not resolved.is_file():
            raise InputError("not_found", f"{path} is no file")
        # As the user wrote it, so that what is noted of it does not depend on where the run stands.
        return replace(self._checked(resolved, 0, resolved.stat().st_size), path=path)

    def _checked(self, path: Path, offset: int, size: int) -> Fetched:
        self._check_size(size)
        digest = hashlib.sha256()
        with path.open("rb") as file:
            file.seek(offset)
            head = file.read(min(HEAD_BYTES, size))
            check_head(head)
            digest.update(head)
            left = size - len(head)
            while left and (chunk := file.read(min(CHUNK_BYTES, left))):
                digest.update(chunk)
                left -= len(chunk)
        return Fetched(path, offset, size, digest.hexdigest())

    def _from_web(self, url: str, target: Path) -> Fetched:
        try:
            return self._with_attempts(url, target)
        except InputError as error:
            if not self.settings["sites"]["extract"] or error.reason not in ("content_type", "no_medium"):
                raise
        from scripts.sources.page_medium import medium_behind

        found = medium_behind(url, target, self.settings)
        return replace(self._checked(target, 0, target.stat().st_size), page=found)

    def _with_attempts(self, url: str, target: Path) -> Fetched:
        left = ItemTime(self.settings["item_s"])
        for attempt in range(1, self.settings["attempts"] + 1):
            try:
                return self._get(url, target, left)
            except PassingError as error:
                last = error
            if attempt < self.settings["attempts"]:
                wait = max(self.settings["backoff_s"] * 2 ** (attempt - 1), last.pause_s)
                self._pause(min(wait, MAX_PAUSE_S, left.left_s))
        raise InputError(last.reason, f"{last.message} ({self.settings['attempts']} attempts)")

    def _get(self, url: str, target: Path, left: ItemTime) -> Fetched:
        """One attempt; what an earlier one brought is not asked for again."""
        have = target.stat().st_size if target.exists() else 0
        headers = {"Accept-Encoding": "identity"} | partial_file.asking(target, have)
        with self._web.answer(url, headers, left) as answer:
            try:
                start, total = self._judge(answer, target, have)
                found = self._write(_chunks(answer), target, start, total, left)
            except urllib3.exceptions.TimeoutError:
                raise PassingError("timeout", "the server fell silent") from None
            except urllib3.exceptions.HTTPError as error:
                raise PassingError("broken_off", f"the connection broke: {short(error)}") from None
            # Nothing but the file itself tells such an answer from one that broke off.
            if total is None and "Transfer-Encoding" not in answer.headers and breaks_off(target):
                target.unlink()
                raise PassingError("broken_off", "the server said no length, and the file ends before it should")
            return found

    def _judge(self, answer: urllib3.BaseHTTPResponse, target: Path, have: int) -> tuple[int, int | None]:
        """First byte that comes, and size of the whole. Raises InputError for what is no medium.

        have: bytes of `target` that an earlier attempt brought; it goes where the server cannot go on from there.
        """
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        start = 0
        if answer.status == http.HTTPStatus.PARTIAL_CONTENT:
            given = answer.headers.get("Content-Range", "")
            span, _, whole = given.removeprefix("bytes ").partition("/")
            start = int(span.partition("-")[0]) if span.partition("-")[0].isdecimal() else -1
            total = int(whole) if whole.isdecimal() else None
            if start != have or not partial_file.is_of(answer, target):
                target.unlink(missing_ok=True)
                raise PassingError("broken_off", "the server gave a part of another file, or another part")
        elif answer.status in PASSING or answer.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            if answer.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                target.unlink(missing_ok=True)
            pause = answer.headers.get("Retry-After", "")
            raise PassingError(
                "status", f"the server answers {answer.status}", float(pause) if pause.isdecimal() else 0
            )
        elif answer.status != http.HTTPStatus.OK:
            raise InputError("status", f"the server answers {answer.status}", value=answer.status)
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind in ("text/html", "application/json", "application/xhtml+xml"):
            raise InputError("content_type", f"it is {kind}, no medium")
        if answer.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
            raise InputError("content_type", "it comes packed, though that was declined")
        if total is not None:
            self._check_size(total)
        if not start:
            partial_file.note(target, answer)
        return start, total

    def _check_size(self, size: int) -> None:
        limit = self.settings["max_bytes"]
        if size > limit:
            raise InputError("too_large", f"it has {size:,} bytes (limit {limit:,})", value=size, limit=limit)
        if size == 0:
            raise InputError("empty", "it has no bytes")

    def _write(self, chunks: Iterable[bytes], target: Path, start: int, total: int | None, left: ItemTime) -> Fetched:
        digest = hashlib.sha256()
        if start:
            with target.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256")
        limit = self.settings["max_bytes"]
        size = start
        try:
            with target.open("ab" if start else "wb") as file:
                head = b""
                for chunk in chunks:
                    if len(head) < HEAD_BYTES and not start:
                        head += chunk[:HEAD_BYTES]
                        if len(head) >= HEAD_BYTES:
                            check_head(head)
                    file.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
                    if size > limit:
                        message = f"it does not end within {limit:,} bytes"
                        raise InputError("too_large", message, value=size, limit=limit)
                    left.check()
        except InputError:
            target.unlink(missing_ok=True)
            raise
        if total is not None and size < total:
            raise PassingError("broken_off", f"the connection broke after {size} of {total} bytes")
        if size < HEAD_BYTES or start:
            with target.open("rb") as file:
                check_head(file.read(HEAD_BYTES))
        partial_file.forget(target)
        return Fetched(target, 0, size, digest.hexdigest())


def check_head(head: bytes) -> None:
    """Raise InputError unless a medium may begin like this."""
    if not container_of(head):
        raise InputError("no_medium", f"it is {looks_like(head)}")


def _object_of(url: str) -> Iterator[bytes]:
    """The bytes of an object of a store. Raises InputError for what the store says, and for nothing of its reader's."""
    # Only here: who asks the web alone does not wait for its import.
    import fsspec

    try:
        with fsspec.open(url, "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except Exception as error:  # each store's library has errors of its own
        # EIO is what s3fs makes of any answer that it does not know.
        if isinstance(error, MemoryError) or (is_machine_fault(error) and getattr(error, "errno", None) != errno.EIO):
            raise
        reason = "not_found" if isinstance(error, FileNotFoundError) else "store"
        raise InputError(reason, f"{url}: {type(error).__name__}: {error}") from None


def _chunks(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    # What there is, and not a whole chunk: a trickle would fill one in days, and its time would be looked at then.
    while chunk := answer.read1(CHUNK_BYTES, decode_content=False):
        yield chunk
