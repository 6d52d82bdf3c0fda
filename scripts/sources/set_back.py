"""Where the clock of a recording machine was set back: log times of all topics run back in the order of storage.

That order alone says so: by log time, what was recorded after the step lies among what was recorded before it.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

# Clocks that are off by less are slewed, not set (ntpd: 128 ms, chrony: 100 ms).
LEAST_NS = 100_000_000
# So many messages of a topic on both sides of a step say how far it goes.
AROUND = 10
# Messages are regular of which most are no further apart than so many times the usual; one may be missing at a seam.
_MOST, _REGULAR, _SEAM = 0.9, 2, 3


class SetBack(NamedTuple):
    """From message `message` on, counted from 0 in the order of storage, `shift_ns` makes log times go on."""

    message: int
    shift_ns: int


class _Return(NamedTuple):
    """A channel's log times run back from its message `before` to `message`. rank: of the latter in its channel."""

    message: int
    before: int
    channel: int
    rank: int


class LatestLogTimes:
    """Sees whether log times run back as messages come in the order of storage."""

    def __init__(self) -> None:
        self.ran_back = False
        self._latest_ns: dict[int, int] = {}

    def add(self, channel: int, log_ns: int) -> None:
        """See the next message."""
        self.ran_back |= log_ns <= self._latest_ns.get(channel, log_ns) - LEAST_NS
        self._latest_ns[channel] = log_ns


def is_long(span: tuple[int, int]) -> bool:
    """Whether log times can run back within a chunk: (first, last) of them."""
    return span[1] - span[0] >= LEAST_NS


def reach_back(spans: Iterable[tuple[int, int]]) -> bool:
    """Whether log times run back between chunks: (first, last) of each, in the order of storage."""
    top_ns = 0
    for first_ns, last_ns in spans:
        if first_ns <= top_ns - LEAST_NS:
            return True
        top_ns = max(top_ns, last_ns)
    return False


def runs_back(log_ns: np.ndarray) -> bool:
    """Whether any log time, int64 (N,), lies LEAST_NS before one in front of it."""
    return bool(np.any(np.maximum.accumulate(log_ns)[:-1] - log_ns[1:] >= LEAST_NS))


def find_set_back(log_ns: np.ndarray, channel: np.ndarray) -> tuple[list[SetBack], set[int]]:
    """Steps back of the machine's clock, and the channels whose log times run back while those of others go on.

    log_ns, channel: int64 (N,), of all messages in the order of storage. Files may store one channel behind the other:
    so it is the channels themselves that must run back, each by more than the distance of its messages.
    """
    ranked = {int(key): np.flatnonzero(channel == key) for key in np.unique(channel)}
    returns = sorted(one for key, places in ranked.items() for one in _returns(log_ns[places], places, key))
    found: list[SetBack] = []
    doubted: set[int] = set()
    settled = 0
    for one in returns:
        if one.channel in doubted or one.before < settled:
            continue
        top_ns, middle_ns = int(log_ns[one.before]), int(log_ns[one.before] + log_ns[one.message]) // 2
        places = ranked[one.channel][one.rank :]
        stop = _first_from(top_ns, log_ns, places)
        if np.any(log_ns[one.message : stop] >= top_ns + (top_ns - middle_ns)):
            doubted.add(one.channel)
            continue
        begin = one.before + int(np.flatnonzero(log_ns[one.before : one.message] > middle_ns)[-1]) + 1
        settled = max(begin, _first_from(middle_ns, log_ns, places))
        fellows = [other for other in returns if other.before < begin <= other.message]
        shift_ns = min(_step(log_ns[ranked[other.channel]], other.rank) for other in fellows)[1]
        found.append(SetBack(begin, shift_ns + (found[-1].shift_ns if found else 0)))
    return found, doubted


def find_seams(log_ns: np.ndarray, channel: np.ndarray) -> list[int]:
    """Log times at which parts meet that are stored in another order than they were recorded in; none where log times
    run back for another reason.

    By log time no part of a topic that comes regularly lies over another, and they fit together to the distance of its
    messages. A clock that was set back does so by chance only.
    """
    topics = [log_ns[channel == key] for key in np.unique(channel)]
    said = [seams for topic in sorted(topics, key=len) if (seams := _seams(topic)) is not None]
    return said[-1] if said and all(said) else []


def _seams(log_ns: np.ndarray) -> list[int] | None:
    """Where the parts of a topic fit together in another order; none: they do not; None: it does not say."""
    steps = np.diff(log_ns)
    usual_ns = np.median(np.abs(steps)) if len(steps) else 0
    cuts = np.flatnonzero((steps <= -LEAST_NS) | (steps >= max(LEAST_NS, _REGULAR * usual_ns))) + 1
    if len(steps) - len(cuts) < AROUND or np.quantile(np.abs(steps), _MOST) > _REGULAR * usual_ns:
        return None
    spans = np.array([(part.min(), part.max()) for part in np.split(log_ns, cuts)])
    order = np.argsort(spans[:, 0])
    ends_ns, begins_ns = spans[order[:-1], 1], spans[order[1:], 0]
    at = np.diff(order) != 1
    if np.any(begins_ns < ends_ns) or np.any((begins_ns - ends_ns)[at] > _SEAM * usual_ns):
        return []
    found: list[int] = (ends_ns + (begins_ns - ends_ns + 1) // 2)[at].tolist()
    return found or None


def _first_from(time_ns: int, log_ns: np.ndarray, places: np.ndarray) -> int:
    """The first of `places` that was logged at `time_ns` or later; the last one where none was."""
    reached = np.flatnonzero(log_ns[places] >= time_ns)
    return int(places[reached[0] if len(reached) else -1])


def _returns(log_ns: np.ndarray, places: np.ndarray, channel: int) -> list[_Return]:
    """Where a channel runs back: two messages behind each such place lie before the two in front of it, up to which
    none did (where pictures are logged by their own times, B-frames do)."""
    ranks = np.flatnonzero(np.diff(log_ns) <= -LEAST_NS) + 1
    return [
        _Return(int(places[rank]), int(places[rank - 1]), channel, rank)
        for rank in ranks.tolist()
        if 2 <= rank <= len(log_ns) - 2
        and log_ns[rank - 2 : rank].min() > log_ns[rank : rank + 2].max()
        and log_ns[rank - 1] == log_ns[max(0, rank - AROUND) : rank].max()
    ]


def _step(log_ns: np.ndarray, rank: int) -> tuple[int, int]:
    """Distance of a channel's messages, and what makes those from `rank` on follow those before it, ns."""
    before, after = log_ns[max(0, rank - AROUND) : rank], log_ns[rank : rank + AROUND]
    period_ns = float(np.median(np.concatenate([np.diff(before), np.diff(after)])))
    origin_ns = int(before[-1])
    ends_ns = np.median(before - origin_ns + period_ns * np.arange(len(before), 0, -1))
    begins_ns = np.median(after - origin_ns - period_ns * np.arange(len(after)))
    return round(period_ns), round(float(ends_ns - begins_ns))
