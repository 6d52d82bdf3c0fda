"""The times of a table of clips: seconds after the recording's start, ROS seconds, UTC, or local time of day."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as time_of_day
from fractions import Fraction
from zoneinfo import ZoneInfo

from scripts.common.timeline import LAST_S, NS, Timeline

# Plain numbers from here on are ROS seconds, below they count from the recording's start: three years.
EPOCH_SECONDS = 10**8
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?|[+-]?\.\d+")
CLOCK = re.compile(
    r"(?:(\d{4}-\d\d-\d\d)[T ])?(\d{1,2}):(\d\d)(?::(\d\d)([.,]\d+)?)?\s*(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def instant_of(text: str, kind: str, zone: ZoneInfo, timeline: Timeline) -> int:
    """The instant that `text` names, ns on the recording's clock. Raises ValueError, which says what is wrong.

    kind: auto, relative, ros, utc or local. A time of day is looked for inside of the recording.
    """
    if not text:
        raise ValueError("a time is missing")
    instant_ns = _instant_of(text, kind, zone, timeline)
    if abs(instant_ns) > LAST_S * NS:
        raise ValueError(f"`{text}` lies beyond all times, whose limit is {LAST_S} s after 1970-01-01")
    return instant_ns


def _instant_of(text: str, kind: str, zone: ZoneInfo, timeline: Timeline) -> int:
    if NUMBER.fullmatch(text):
        if kind in ("utc", "local"):
            raise ValueError(f"`{text}` is no time of day; write 14:05:30.5 or 2024-05-01T14:05:30.5")
        seconds = Fraction(text)
        if abs(seconds) > LAST_S:
            raise ValueError(f"`{text}` is not in seconds, whose limit is {LAST_S}")
        if kind == "relative" or (kind == "auto" and seconds < EPOCH_SECONDS):
            return timeline.start_ns + round(seconds * NS)
        return round(seconds * NS)
    match = CLOCK.fullmatch(text)
    if match is None or kind in ("relative", "ros"):
        wanted = "seconds" if kind in ("relative", "ros") else "seconds, a date and time, or a time of day"
        raise ValueError(f"`{text}` is no time; write {wanted}")
    day, hour, minute, second, part, offset = match.groups()
    try:
        clock = time_of_day(int(hour), int(minute), int(second or 0))
        days = [date.fromisoformat(day)] if day else _days_of(timeline)
        place = _offset(offset) if offset else UTC if kind == "utc" else zone
        found = {ns for d in days for ns in _instants(datetime.combine(d, clock), place)}
    except (ValueError, OverflowError) as error:
        raise ValueError(f"`{text}`: {error}") from None
    if not found:
        raise ValueError(f"`{text}` does not exist in {zone.key}: the clock was put forward")
    return _inside({ns + _nanoseconds(part) for ns in found}, text, timeline)


def _days_of(timeline: Timeline) -> list[date]:
    """The days that a recording may touch in any zone."""
    first, last = (EPOCH + timedelta(seconds=ns // NS) for ns in (timeline.start_ns, timeline.stop_ns))
    return [first.date() + DAY * k for k in range(-1, (last.date() - first.date()).days + 2)]


def _offset(text: str) -> timezone:
    if text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    delta = timedelta(hours=hours, minutes=minutes)
    return timezone(-delta if text[0] == "-" else delta)


def _instants(local: datetime, place: timezone | ZoneInfo) -> Iterator[int]:
    """The instants, ns, that a local time names: none in the hour that spring leaves out, two that autumn repeats."""
    for fold in (0, 1):
        instant = local.replace(tzinfo=place, fold=fold).astimezone(UTC)
        if instant.astimezone(place).replace(tzinfo=None) == local:
            since = instant - EPOCH
            yield (since.days * 86_400 + since.seconds) * NS


def _nanoseconds(part: str | None) -> int:
    return round(Fraction("0." + part[1:]) * NS) if part else 0


def _inside(found: set[int], text: str, timeline: Timeline) -> int:
    inside = [ns for ns in found if timeline.start_ns <= ns <= timeline.stop_ns]
    if len(inside) > 1:
        raise ValueError(f"`{text}` comes {len(inside)} times in the recording; write the date, or an offset as +02:00")
    if inside:
        return inside[0]
    return min(found, key=lambda ns: (max(timeline.start_ns - ns, ns - timeline.stop_ns), ns))
