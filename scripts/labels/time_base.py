"""Times of label files on the recording's clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from scripts.common.errors import InputError
from scripts.common.timeline import LAST_S, NS
from scripts.common.wall_clock import DAY_S, after, wall_seconds
from scripts.labels.marks import Mark

# Of what a message and a ledger show of a number that no float holds.
MOST = Fraction(10**300)
# So many frames more or less than a rate says are the length of the last one, and rounded times.
MOST_FRAMES_OFF = 2
# So far from 1 is no rate of a clock: pictures of 25 a second, played at 24, are 4 % off.
MOST_RATE_OFF = 0.05
# Times without a date count from midnight, and lie below, however many nights they pass.
YEAR_S = 365 * DAY_S


@dataclass(frozen=True)
class TimeBase:
    """How a file's times are to be read.

    fps: frames a second, for times in frames; None if it is not known.  sync: label of the event whose start is the
    recording's start, "" for the file's own zero.  fit: (time as the file has it, seconds after the recording's start)
    of two or more events, to which a line is fitted; text is of a clock on the wall.  unit: `milliseconds` or `frames`,
    where a format's seconds are these.
    """

    fps: Fraction | None = None
    sync: str = ""
    fit: tuple[tuple[Fraction | str, Fraction], ...] = ()
    unit: str = "auto"


def seconds_of(marks: Sequence[Mark], base: TimeBase) -> tuple[list[Mark], str]:
    """Marks in seconds after the recording's start, and what a person should know of the fit.

    Raises InputError where frames come without a rate, where times of a clock on the wall come without an event that
    ties them to the recording, or where that event is missing; for events of a fit whose times are not of the file's
    kind, or run at another rate.
    """
    plain = [_in_seconds(mark, base) for mark in marks]
    if base.fit:
        return _fitted(plain, _events(marks, base))
    if base.sync:
        named = [mark for mark in plain if mark.label.casefold() == base.sync.casefold()]
        if not named:
            raise InputError("labels", f"no event is called `{base.sync}`, which should tie the times to the recording")
        zero = named[0].start
        return [replace(mark, start=mark.start - zero, stop=mark.stop - zero) for mark in plain], ""
    if any(mark.unit == "wall" for mark in marks):
        raise InputError("labels", "its times are of a clock on the wall: set labels.sync (e.g. CLAP) or labels.fit")
    return plain, ""


def uneven(marks: Sequence[Mark], base: TimeBase, streams: Mapping[str, Mapping[str, Any]]) -> str:
    """What a person should know where times are frames of a rate that no camera of the recording has; "" elsewhere.

    streams: of its manifest. Numbers of pictures, and of what follows gaps between chunks, are no counts.
    """
    if base.fps is None or not any(_unit(mark, base) == "frames" for mark in marks):
        return ""
    said = []
    for name, stream in streams.items():
        if stream.get("kind") != "video" or not stream.get("frames") or "file" not in stream or "chunks" in stream:
            continue
        seconds = Fraction(stream["stop_ns"] - stream["start_ns"], NS)
        if abs(seconds * base.fps - stream["frames"]) <= MOST_FRAMES_OFF:
            return ""
        said.append(f"{name} has {stream['frames']} frames in {float(seconds):.3f} s")
    slips = "labels in frames slip; correct labels.fps, or label in seconds"
    return f"labels.fps is {base.fps}, but {', '.join(said)}: {slips}" if said else ""


def _unit(mark: Mark, base: TimeBase) -> str:
    return base.unit if mark.unit == "seconds" else mark.unit


def _in_seconds(mark: Mark, base: TimeBase) -> Mark:
    unit = _unit(mark, base)
    if unit == "milliseconds":
        return replace(mark, start=mark.start / 1000, stop=mark.stop / 1000)
    if unit != "frames":
        return mark
    if base.fps is None:
        raise InputError("labels", "its times are frames: set labels.fps in the rig, e.g. 30000/1001")
    return replace(mark, start=mark.start / base.fps, stop=mark.stop / base.fps)


def _events(marks: Sequence[Mark], base: TimeBase) -> list[tuple[Fraction, Fraction]]:
    """The events of a fit with their times as the marks have them: in seconds, from whatever the file counts in.

    Raises InputError where the marks are not all of one kind, or the events not of theirs.
    """
    units = sorted({mark.unit for mark in marks})
    if len(units) != 1:
        raise InputError("labels", f"labels.fit: the file's times are {' and '.join(units)}; one kind can be fitted")
    events: list[tuple[Fraction, Fraction]] = []
    for written, seconds in base.fit:
        time = wall_seconds(written) if isinstance(written, str) else written
        if time is None:
            raise InputError("labels", f"labels.fit: {written!r} is no time such as 2019-04-04 09:21:58:740439")
        if units == ["wall"]:
            time = _on_the_wall(written, time, marks[0].start, events[-1][0] if events else None)
        elif isinstance(written, str):
            raise InputError("labels", f"labels.fit: {written!r} is of a clock on the wall, the file's times are not")
        events.append((_in_seconds(Mark("", time, time, 0, units[0]), base).start, seconds))
    return events


def _on_the_wall(written: Fraction | str, time: Fraction, first: Fraction, before: Fraction | None) -> Fraction:
    """A time that has no date on the day that it must be of: the first event's is the nearest to the first label's.

    Raises InputError where the file's times have a date and this one has none, or the other way round.
    """
    if (abs(time) < YEAR_S) != (abs(first) < YEAR_S):
        which = "no date, the file's times have" if abs(time) < YEAR_S else "a date, the file's times have none"
        raise InputError("labels", f"labels.fit: {str(written)!r} has {which}; write both alike")
    if abs(first) >= YEAR_S:
        return time
    return time + round((first - time) / DAY_S) * DAY_S if before is None else after(time, before)


def _fitted(marks: Sequence[Mark], fit: Sequence[tuple[Fraction, Fraction]]) -> tuple[list[Mark], str]:
    """Least squares, about the first event, so that large times lose nothing."""
    origin = fit[0][0]
    x = np.array([float(time - origin) for time, _ in fit])
    y = np.array([float(seconds) for _, seconds in fit])
    if len(set(x.tolist())) < 2:
        raise InputError("labels", "labels.fit: two events at different times are wanted")
    slope, offset = np.polyfit(x, y, 1)
    if abs(slope - 1) > MOST_RATE_OFF:
        message = (
            f"labels.fit: {slope:.6g} s of the recording pass in a second of the file, which is no clock's drift; its "
            "pairs are [time in the file and in its unit, seconds after the recording's start]; see labels.unit, too"
        )
        raise InputError("labels", message, value=abs(float(slope) - 1), limit=MOST_RATE_OFF)
    residual_ms = float(np.abs(offset + slope * x - y).max() * 1000)
    rate, zero = Fraction(float(slope)), Fraction(float(offset))

    def moved(time: Fraction) -> Fraction:
        return zero + rate * (time - origin)

    said = f"fitted to {len(fit)} events: {(slope - 1) * 1e6:+.1f} ppm, residuals up to {residual_ms:.3f} ms"
    return [replace(mark, start=moved(mark.start), stop=moved(mark.stop)) for mark in marks], said


def to_ns(mark: Mark, start_ns: int) -> tuple[int, int]:
    """Start and stop in nanoseconds on the recording's clock, of a mark in seconds after its start.

    Raises InputError for what no int64 holds.
    """
    start, stop = (start_ns + round(seconds * NS) for seconds in (mark.start, mark.stop))
    for seconds, instant in ((mark.start, start), (mark.stop, stop)):
        if abs(instant) > LAST_S * NS:
            value = float(max(min(seconds, MOST), -MOST))
            message = (
                f"line {mark.line}: `{mark.label}` at {value:.6g} s lies beyond all times (the limit is "
                f"{LAST_S:,} s); set labels.unit if its times are no seconds, labels.sync or labels.fit if they do "
                "not count from the recording's start"
            )
            raise InputError("labels", message, value=value, limit=float(LAST_S))
    return start, stop
