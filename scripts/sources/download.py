"""Downloads over http and https that go on where they broke off."""

import http
import logging
import re
import time
from pathlib import Path
from typing import BinaryIO

import requests
import urllib3

from scripts.common.job import progress
from scripts.sources.web_answers import PASSING

ATTEMPTS = 5
# Before the second attempt; doubled before each further one.
BACKOFF_S = 1.0
CONNECT_S, SILENCE_S = 15.0, 60.0
# No weight file is larger; a stream without an end is cut here.
MAX_BYTES = 4 * 10**9
# What a connection loses when it breaks is less than this.
CHUNK_BYTES = 2**14

log = logging.getLogger("rushes")


class DownloadError(Exception):
    """Why a file cannot be had, in a few words."""


class _BrokenOffError(Exception):
    """Another attempt may end better."""


def download(url: str, path: Path) -> bool:
    """Append to `path` what it lacks of the file at `url`; True if all of it came in one answer.

    A server that cannot give the rest gives the whole. Raises DownloadError when every attempt broke off
    (what has come stays), or when another attempt is of no use.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with path.open("ab") as file:
                return _fetch_rest(url, file)
        except _BrokenOffError as error:
            reason = str(error)
            log.info("attempt %d of %d: %s", attempt, ATTEMPTS, reason)
        if attempt < ATTEMPTS:
            time.sleep(BACKOFF_S * 2 ** (attempt - 1))
    raise DownloadError(f"{reason} ({ATTEMPTS} attempts)")


def _fetch_rest(url: str, file: BinaryIO) -> bool:
    """One attempt. `file` is open for appending."""
    present = file.tell()
    # Compressed on the way, a byte's place would not be its place in the file.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={present}-"} if present else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_S, SILENCE_S)) as answer:
            start, total = _span(answer, file)
            log.info("%s from byte %d of %s", answer.url, start, total or "unknown")
            _append(answer, file, total)
    except requests.exceptions.InvalidSchema:
        raise DownloadError("neither http nor https") from None
    except requests.Timeout:
        raise _BrokenOffError("the server does not answer in time") from None
    except requests.exceptions.ChunkedEncodingError:
        raise _BrokenOffError("the connection broke") from None
    except requests.ConnectionError as error:
        raise _BrokenOffError(f"no connection: {_cause(error)}") from None
    # requests lets some broken addresses through to urllib3 and to Python's own parser.
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
        raise DownloadError(_cause(error)) from None
    return start == 0


def _span(answer: requests.Response, file: BinaryIO) -> tuple[int, int | None]:
    """First byte that the answer gives, where `file` now ends, and the size of the whole, if it says so."""
    start = 0
    length = answer.headers.get("Content-Length", "")
    packed = answer.headers.get("Content-Encoding", "identity") != "identity"
    total = int(length) if length.isdecimal() and not packed else None
    if answer.status_code == http.HTTPStatus.PARTIAL_CONTENT:
        given = re.match(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        start = int(given[1]) if given else -1
        total = int(given[2]) if given and given[2] != "*" else None
    elif answer.status_code != http.HTTPStatus.OK:
        _refuse(answer, file)
    if start not in (0, file.tell()):
        file.truncate(0)
        raise _BrokenOffError("the server gave another part of the file than the one asked for")
    if start == 0:
        file.truncate(0)
        file.seek(0)
    if total is not None and total > MAX_BYTES:
        raise DownloadError(f"it has {total:,} bytes (limit {MAX_BYTES:,})")
    return start, total


def _refuse(answer: requests.Response, file: BinaryIO) -> None:
    if answer.status_code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and file.tell():
        file.truncate(0)
        raise _BrokenOffError("what was kept of an earlier download is not a part of the file")
    said = f"the server answers {answer.status_code} {answer.reason or ''}".strip()
    raise (_BrokenOffError if answer.status_code in PASSING else DownloadError)(said)


def _append(answer: requests.Response, file: BinaryIO, total: int | None) -> None:
    for chunk in answer.iter_content(CHUNK_BYTES):
        file.write(chunk)
        if file.tell() > MAX_BYTES:
            file.truncate(0)
            raise DownloadError(f"it does not end within {MAX_BYTES:,} bytes")
        progress(file.tell(), total, "bytes")
    if total is not None and file.tell() != total:
        raise _BrokenOffError(f"the connection broke after {file.tell()} of {total} bytes")


def _cause(error: BaseException) -> str:
    """The innermost reason of nested errors, in one line."""
    while True:
        inner = getattr(error, "reason", None) or next(iter(error.args[::-1]), None) or error.__cause__
        if not isinstance(inner, BaseException) or inner is error:
            break
        error = inner
    text = getattr(error, "strerror", None) or str(error)
    # urllib3 puts its connection object first.
    return re.sub(r"^.*?Connection(Pool)?\([^)]*\): ", "", " ".join(text.split())) or type(error).__name__
