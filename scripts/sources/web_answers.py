"""Answers of the web: few connections to each host, redirects followed, and an item's time counted while it has one."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import urllib3

from scripts.common.errors import InputError
from scripts.sources.safe_http import PrivateHostError, make_pool

MAX_REDIRECTS = 5
# Too many requests, time-outs, faults of the server: they may pass.
PASSING = {408, 425, 429, 500, 502, 503, 504}
MOVED = {301, 302, 303, 307, 308}
AGENT = "rushes"
Host = tuple[str, str | None, int | None]


class PassingError(Exception):
    """Another attempt may end better."""

    def __init__(self, reason: str, message: str, pause_s: float = 0.0) -> None:
        super().__init__(message)
        self.reason, self.message, self.pause_s = reason, message, pause_s


class ItemTime:
    """How long an item may still take."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s, self._until = limit_s, time.monotonic() + limit_s

    @property
    def left_s(self) -> float:
        """What is left of it, or 0."""
        return max(0.0, self._until - time.monotonic())

    def check(self) -> None:
        """Raise InputError if nothing is left."""
        if time.monotonic() > self._until:
            raise InputError("timeout", f"it takes longer than {self._limit_s:g} s")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The block takes none of it."""
        began = time.monotonic()
        yield
        self._until += time.monotonic() - began


class WebAnswers:
    """Asks hosts by the settings of `datasets.<name>.fetch`. One for all threads of a job."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._pool = make_pool(connections=settings["per_host"], allow_private_hosts=settings["allow_private_hosts"])
        self._timeout = urllib3.Timeout(connect=settings["connect_s"], read=settings["silence_s"])
        self._per_host = settings["per_host"]
        self._turns: dict[Host, threading.Semaphore] = {}
        self._lock = threading.Lock()

    @contextmanager
    def answer(self, url: str, headers: dict[str, str], left: ItemTime) -> Iterator[urllib3.BaseHTTPResponse]:
        """What `url` answers, or where it redirects to, whose connection is kept until the block ends.

        Raises InputError, or PassingError for what may pass.
        """
        permit: dict[str, str] = {}
        with ExitStack() as held:
            for _ in range(MAX_REDIRECTS + 1):
                if urlsplit(url).scheme.lower() not in ("http", "https"):
                    raise InputError("redirect", f"it redirects to {url[:80]!r}, which is neither http nor https")
                permit = _permit(url) or permit
                held.enter_context(self._turn(_host(url), left))
                answer = self._ask(url, headers | permit | {"User-Agent": AGENT})
                held.callback(_leave, answer)
                if answer.status not in MOVED or "Location" not in answer.headers:
                    yield answer
                    return
                # Before the next host is waited for: items that redirect to each other's would wait for ever.
                held.close()
                left.check()
                here, url = url, urljoin(url, _as_sent(answer.headers["Location"]))
                # Another host has nothing to do with the name and the word for this one.
                permit = permit if _host(here) == _host(url) else {}
        raise InputError("redirect", f"it redirects more than {MAX_REDIRECTS} times")

    @contextmanager
    def _turn(self, host: Host, left: ItemTime) -> Iterator[None]:
        """One of the few connections to a host. The items before it are no fault of the one that waits for them."""
        with self._lock:
            turns = self._turns.setdefault(host, threading.Semaphore(self._per_host))
        with left.stopped():
            turns.acquire()
        try:
            yield
        finally:
            turns.release()

    def _ask(self, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request(
                "GET",
                url,
                headers=headers,
                timeout=self._timeout,
                redirect=False,
                retries=False,
                preload_content=False,
            )
        except PrivateHostError as error:
            raise InputError("private_host", str(error)) from None
        except urllib3.exceptions.NewConnectionError as error:  # a kind of time-out to urllib3
            raise PassingError("no_connection", f"no connection: {short(error)}") from None
        except urllib3.exceptions.TimeoutError:
            raise PassingError("timeout", "the server does not answer in time") from None
        except urllib3.exceptions.LocationValueError:
            raise InputError("no_url", f"{url[:80]!r} names no host that can be asked") from None
        except urllib3.exceptions.HTTPError as error:
            raise PassingError("no_connection", f"no connection: {short(error)}") from None


def short(error: BaseException) -> str:
    """The last part of what urllib3 says, without addresses of objects."""
    text = " ".join(str(getattr(error, "reason", None) or error).split())
    return text.rpartition("/" if text.startswith("/") else ": ")[2] or type(error).__name__


def _leave(answer: urllib3.BaseHTTPResponse) -> None:
    """Give the connection back; one whose body was not read to its end cannot serve another request."""
    if answer.length_remaining == 0:
        answer.drain_conn()
    else:
        answer.close()
    answer.release_conn()


def _as_sent(location: str) -> str:
    """A header's address with its bytes as the server has sent them; they come as Latin-1, whatever they are."""
    sent = location.encode("latin-1")
    try:
        return sent.decode("utf-8")
    except UnicodeError:
        return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in sent)


def _permit(url: str) -> dict[str, str]:
    """The header for a name and a word in the URL, `https://name:word@host/…`."""
    parts = urlsplit(url)
    if parts.username is None:
        return {}
    return dict(urllib3.make_headers(basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}"))


def _host(url: str) -> Host:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.hostname, parts.port
