"""Requests that are made again for a while: to a render service, or to an engine."""

import logging
import time
from typing import Any

import requests
import urllib3

from scripts.common.errors import InputError

# Seconds before the first repetition; doubled each time.
PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
LARGEST_ANSWER_BYTES = 2**30
BLOCK = 2**20

log = logging.getLogger("rushes")


class Answer:
    """What a server said. status: of HTTP; content: its bytes; kind: the content's type."""

    def __init__(self, status: int, content: bytes, kind: str) -> None:
        self.status, self.content, self.kind = status, content, kind


def post(url: str, *, timeout_s: float, retries: int, **what: Any) -> Answer:
    """POST `what` (json=…, or data= and headers=, and params=), see `ask`."""
    return ask("POST", url, timeout_s=timeout_s, retries=retries, **what)


def ask(method: str, url: str, *, timeout_s: float, retries: int, **what: Any) -> Answer:
    """A request of HTTP; `what` as the library requests takes it.

    Time-outs, broken connections, 429 and 5xx are tried again. Raises InputError where no try ends well.
    """
    for attempt in range(retries + 1):
        if attempt:
            time.sleep(min(PAUSE_S * 2 ** (attempt - 1), LONGEST_PAUSE_S))
        try:
            answer = _once(method, url, timeout_s, what)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            failure = InputError("no_answer", f"{url} does not answer: {type(error).__name__}")
            continue
        if answer.status < 300:
            return answer
        said = " ".join(answer.content[:200].decode("utf-8", errors="replace").split())
        failure = InputError("refused", f"{url} answers {answer.status}: {said}", value=answer.status)
        if answer.status < 500 and answer.status != 429:
            break
    raise failure


def _once(method: str, url: str, timeout_s: float, what: dict[str, Any]) -> Answer:
    stop = time.monotonic() + timeout_s
    # A redirect could lead anywhere: the URL is what a person has named.
    with requests.request(method, url, timeout=timeout_s, stream=True, allow_redirects=False, **what) as response:
        content = bytearray()
        # What there is, and not a whole block: an answer that trickles is looked at as it comes.
        while block := response.raw.read1(BLOCK, decode_content=True):
            content += block
            if time.monotonic() > stop or len(content) > LARGEST_ANSWER_BYTES:
                raise requests.Timeout("the answer is too slow, or too long")
        status = response.status_code if response.status_code < 300 or response.status_code >= 400 else 400
        return Answer(status, bytes(content), response.headers.get("content-type", ""))
