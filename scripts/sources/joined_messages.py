"""Messages of several files of one recording as one sequence by log time; what two of the files hold comes once.

Two recorders that hand over to each other log the same message a little apart, so it is known by its content.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from heapq import merge

# Key of the connection, log time, bytes; None for a message that is too large.
Message = tuple[int, int, bytes | memoryview | None]
# First and last log time of an overlap, and how far apart its messages may be logged.
Overlap = tuple[int, int, int]

# Two recorders log a message at most so far apart.
APART_NS = 1_000_000_000


class JoinedMessages:
    """Joins the messages of files. spans: first and last log time of each file. `twice`: left out so far.

    Only where files overlap is anything compared: up to as far apart as they overlap, so that blocks of silence on
    both sides of a seam stay two.
    """

    def __init__(self, spans: Sequence[tuple[int, int]]) -> None:
        self.twice = 0
        self._overlaps = _overlaps(spans)
        # Topic, content: log time of the latest such message, and the files that hold it.
        self._held: dict[tuple[str, bytes], tuple[int, set[int]]] = {}
        self._swept_ns = 0

    def join(self, parts: Sequence[Iterator[Message]], topics: dict[int, str]) -> Iterator[Message]:
        """All messages. parts: those of each file, by log time; topics: by the keys of the connections."""
        numbered = [_numbered(number, part) for number, part in enumerate(parts)]
        for number, message in merge(*numbered, key=lambda pair: pair[1][1]):
            key, log_ns, raw = message
            apart_ns = self._apart_ns(log_ns) if self._overlaps else -1
            if apart_ns >= 0 and self._is_held(number, topics[key], log_ns, raw, apart_ns):
                self.twice += 1
            else:
                yield message

    def _apart_ns(self, log_ns: int) -> int:
        """How far apart an equal message may be logged at this time; -1 where files do not overlap."""
        while self._overlaps and log_ns > self._overlaps[0][1] + self._overlaps[0][2]:
            self._overlaps.pop(0)
        widest_ns = -1
        for first_ns, last_ns, apart_ns in self._overlaps:
            if first_ns - APART_NS > log_ns:
                break
            if first_ns - apart_ns <= log_ns <= last_ns + apart_ns:
                widest_ns = max(widest_ns, apart_ns)
        return widest_ns

    def _is_held(self, number: int, topic: str, log_ns: int, raw: bytes | memoryview | None, apart_ns: int) -> bool:
        self._sweep(log_ns)
        content = (topic, b"" if raw is None else blake2b(raw, digest_size=16).digest())
        known_ns, files = self._held.get(content, (log_ns, {number}))
        if number in files or log_ns - known_ns > apart_ns:
            # One file may hold equal messages, too: of those the latest is the other recorder's.
            self._held[content] = (log_ns, {number})
            return False
        files.add(number)
        return True

    def _sweep(self, log_ns: int) -> None:
        """Forget what no message can equal any more."""
        if log_ns - self._swept_ns > APART_NS:
            self._held = {key: held for key, held in self._held.items() if log_ns - held[0] <= APART_NS}
            self._swept_ns = log_ns


def _overlaps(spans: Sequence[tuple[int, int]]) -> list[Overlap]:
    """Where two files or more have messages: first and last log time, and how far apart equal ones may be."""
    found: list[Overlap] = []
    latest_ns: int | None = None
    for first_ns, last_ns in sorted(spans):
        if latest_ns is not None and first_ns <= latest_ns:
            stop_ns = min(last_ns, latest_ns)
            found.append((first_ns, stop_ns, min(APART_NS, stop_ns - first_ns)))
        latest_ns = last_ns if latest_ns is None else max(latest_ns, last_ns)
    return found


def _numbered(number: int, part: Iterator[Message]) -> Iterator[tuple[int, Message]]:
    for message in part:
        yield number, message
