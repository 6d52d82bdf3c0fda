"""Times of a clock on the wall, as people write them."""

import math
import re
from datetime import UTC, datetime
from fractions import Fraction

# 2019-04-04 09:21:58:740439: a colon, a point or a comma before the fraction; the date may be missing.
WALL = re.compile(r"(?:(\d{4})-(\d\d?)-(\d\d?)[ T])?(\d\d?):(\d\d):(\d\d)(?:[:.,](\d{1,9}))?")
DAY_S = 86_400
# A time that seems to lie so far before the one it follows lies on the next day.
BACK_S = DAY_S // 2


def wall_seconds(text: str) -> Fraction | None:
    """Seconds since 1970 as that clock shows them, without a zone; since midnight where there is no date."""
    found = WALL.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, *clock, fraction = found.groups()
    hours, minutes, seconds = map(int, clock)
    base = 0
    if year:
        try:
            base = int(datetime(int(year), int(month), int(day), tzinfo=UTC).timestamp())
        except ValueError:
            return None
    whole = Fraction(base + hours * 3600 + minutes * 60 + seconds)
    return whole + (Fraction(int(fraction), 10 ** len(fraction)) if fraction else 0)


def day_of(text: str) -> tuple[str, ...] | None:
    """Year, month and day; None for a time without a date."""
    found = WALL.fullmatch(text.strip())
    return tuple(part.zfill(2) for part in found.groups()[:3]) if found and found[1] else None


def after(instant: Fraction, before: Fraction | None) -> Fraction:
    """A time that goes back by more than half a day, so many days later that it does not."""
    days = 0 if before is None else math.ceil((before - instant - BACK_S) / DAY_S)
    return instant + max(days, 0) * DAY_S
