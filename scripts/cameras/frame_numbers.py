"""Which frames of several cameras belong together, by the numbers and tables that the cameras' software wrote."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.common.aligned_frames import MISSING, AlignedFrames
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable, frame_period_ns
from scripts.common.text_file import rows_of

NUMBERS = ("frame_id", "trigger", "trigger_number", "frame")
STAMPS = ("frame_timestamp", "timestamp", "line_status_timestamp", "time")
# Counters are of so many bits; one that falls has come round, by at most this part of its range.
COUNTER_BITS = (8, 16, 24, 32)
COMES_ROUND_BY = 1 / 16
# No counter of so many numbers comes round.
UNKNOWN = 2**62
# Beyond it a number of the file is no longer exact.
MOST = 2**53
MISSING_WORDS = ("", "nan", "none", "-1")


@dataclass(frozen=True)
class Triggers:
    """What a camera's table says: number of the trigger of each frame, int64 (N,); stamps float64 (N,) or None;
    corrected: how many lost frames the stamps showed that the counter had not counted."""

    numbers: np.ndarray
    stamps: np.ndarray | None
    corrected: int


def read_triggers(path: Path) -> Triggers:
    """A table with a row a frame: a counter of triggers, and stamps if it has them.

    A counter that comes round goes on. A step of the stamps of more periods than the counter says is a loss, too:
    cameras stop their counter with the frames that they drop.
    """
    rows = _rows(path)
    number = next((name for name in NUMBERS if name in rows[0]), None)
    stamp = next((name for name in STAMPS if name in rows[0]), None)
    if number is None:
        raise InputError("bad_table", f"{path.name}: none of its columns is called {', '.join(NUMBERS)}")
    numbers = unrolled(_whole(path, number, _column(path, rows, number)), path.name)
    if stamp is None or len(rows) < 3:
        return Triggers(numbers, None, 0)
    stamps = _column(path, rows, stamp)
    if (np.diff(stamps) <= 0).any():
        raise InputError("bad_table", f"{path.name}: `{stamp}` does not rise at row {_fall(stamps) + 2}")
    steps = np.diff(numbers)
    periods = np.rint(np.diff(stamps) / np.median(np.diff(stamps) / np.maximum(steps, 1))).astype(np.int64)
    lost = np.maximum(periods - steps, 0)
    numbers = numbers[0] + np.concatenate([[0], np.cumsum(steps + lost)])
    return Triggers(numbers, stamps, int(lost.sum()))


def unrolled(numbers: np.ndarray, name: str = "") -> np.ndarray:
    """A counter without its roll-overs, int64 (N,), strictly increasing.

    Raises InputError where it stands still, or falls elsewhere than from the top of its range to the bottom.
    """
    if not len(numbers):
        return numbers
    limit = next((2**bits for bits in COUNTER_BITS if numbers.max() < 2**bits), UNKNOWN)
    steps = np.diff(numbers)
    if (steps == 0).any():
        raise InputError("bad_table", f"{name}: the number {numbers[np.argmin(steps != 0)]} stands there twice")
    falls = steps < 0
    if (wrong := np.flatnonzero(falls & (steps + limit > limit * COMES_ROUND_BY))).size:
        row = int(wrong[0])
        raise InputError(
            "bad_table",
            f"{name}: the number falls from {numbers[row]} to {numbers[row + 1]} at row {row + 2}, "
            "which is not how a counter comes round; keep the rows of one run of it",
        )
    steps = np.where(falls, steps + limit, steps)
    out: np.ndarray = numbers[0] + np.concatenate([[0], np.cumsum(steps)])
    return out


def align_triggers(triggers: Mapping[str, Triggers], frames: Mapping[str, FrameTable]) -> AlignedFrames:
    """Frames with the same number of trigger belong together; every trigger that some camera has is a row."""
    for name, mine in triggers.items():
        if len(mine.numbers) != len(frames[name]):
            raise InputError(
                "bad_table",
                f"{name}: its table has {len(mine.numbers)} rows, its video {len(frames[name])} frames",
                value=len(mine.numbers),
                limit=len(frames[name]),
            )
    all_numbers = np.unique(np.concatenate([mine.numbers for mine in triggers.values()]))
    shown = np.full((len(all_numbers), len(triggers)), MISSING, np.int32)
    for column, mine in enumerate(triggers.values()):
        shown[np.searchsorted(all_numbers, mine.numbers), column] = np.arange(len(mine.numbers))
    leader = max(triggers, key=lambda name: len(triggers[name].numbers))
    times = _times_ns(triggers[leader], frames[leader])
    slope = float(np.median(np.diff(times) / np.diff(triggers[leader].numbers))) if len(times) > 1 else 0.0
    return AlignedFrames(tuple(triggers), _extended(all_numbers, triggers[leader].numbers, times, slope), shown)


def _times_ns(mine: Triggers, frames: FrameTable) -> np.ndarray:
    """Instants of a camera's frames: its stamps, in whatever power of ten of a second, from its first frame on."""
    if mine.stamps is None:
        return frames.start_ns + (mine.numbers - mine.numbers[0]) * frames.period_ns
    since = mine.stamps - mine.stamps[0]
    period = float(np.median(np.diff(mine.stamps)))
    power = round(math.log10(frames.period_ns / period)) if frames.period_ns else 0
    times: np.ndarray = frames.start_ns + np.rint(since * 10.0**power).astype(np.int64)
    return times


def _extended(wanted: np.ndarray, known: np.ndarray, times: np.ndarray, slope: float) -> np.ndarray:
    """Instants of all numbers: between known ones by a line, beyond them by the usual step. int64."""
    start = int(times[0])
    out = np.interp(wanted, known, (times - start).astype(np.float64))
    out = np.where(wanted < known[0], (wanted - known[0]) * slope, out)
    out = np.where(wanted > known[-1], (times[-1] - start) + (wanted - known[-1]) * slope, out)
    instants: np.ndarray = start + np.rint(out).astype(np.int64)
    return instants


def align_given(path: Path, cameras: Sequence[str], frames: Mapping[str, FrameTable]) -> AlignedFrames:
    """A table made by hand: one column a camera, by its name, and a frame number or NaN in every row."""
    rows = _rows(path)
    if missing := [name for name in cameras if name not in rows[0]]:
        raise InputError("bad_table", f"{path.name}: it has no column `{missing[0]}`; it has {', '.join(rows[0])}")
    shown = np.full((len(rows), len(cameras)), MISSING, np.int32)
    for column, name in enumerate(cameras):
        for line, row in enumerate(rows):
            text = row[name]
            if text.lower() not in MISSING_WORDS:
                shown[line, column] = _frame(path, line + 2, name, text, len(frames[name]))
        seen = shown[:, column][shown[:, column] != MISSING]
        if (np.diff(seen) <= 0).any():
            raise InputError("bad_table", f"{path.name}: `{name}` does not rise after frame {seen[_fall(seen)]}")
    fullest = sorted(range(len(cameras)), key=lambda column: -int((shown[:, column] != MISSING).sum()))
    tables = [frames[cameras[column]].time_ns for column in fullest]
    return AlignedFrames(tuple(cameras), _instants(shown[:, fullest], tables), shown)


def _instants(shown: np.ndarray, times: Sequence[np.ndarray]) -> np.ndarray:
    """An instant a row, int64 (M,), on the clock of the first camera. shown: (M, C).  times: int64 (N,) each.

    Cameras started at different times, so only their steps are compared: from row to row that of the first camera with
    a frame in both counts. Where none has, the usual step does. Files leave no time where a frame was dropped, so the
    first camera's clock holds over its gaps only if it leaves what others show.
    """
    steps = np.zeros(max(len(shown) - 1, 0), np.int64)
    for column, mine in zip(shown.T, times, strict=True):
        both = (column[:-1] != MISSING) & (column[1:] != MISSING) & (steps == 0)
        steps[both] = mine[column[1:][both]] - mine[column[:-1][both]]
    known = steps[steps > 0]
    usual = round(float(np.median(known))) if len(known) else max(frame_period_ns(times[0]), 1)
    steps = np.where(steps > 0, steps, usual)
    seen = np.flatnonzero(shown[:, 0] != MISSING)
    if not len(seen):
        return np.append(0, np.cumsum(steps))
    own = times[0][shown[seen, 0]]
    since = np.append(0, np.cumsum(steps))[seen]
    off = np.diff(own - since)
    last = seen[1:] - 1
    holds = (np.abs(off) < usual / 2) & (steps[last] + off > 0)
    steps[last[holds]] += off[holds]
    since = np.append(0, np.cumsum(steps))
    instants: np.ndarray = since + own[0] - since[seen[0]]
    return instants


def _frame(path: Path, line: int, camera: str, text: str, count: int) -> int:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if number != int(number if math.isfinite(number) else -1) or not 0 <= number < count:
        raise InputError("bad_table", f"{path.name}, line {line}: `{text}` is no frame of {camera}, which has {count}")
    return int(number)


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a csv by the names of their columns; a row that ends early has empty cells."""
    head, *rows = rows_of(path, "bad_table") or [[]]
    if not rows:
        raise InputError("bad_table", f"{path.name}: it has no rows")
    empty = dict.fromkeys(head, "")
    return [{**empty, **dict(zip(head, row, strict=False))} for row in rows]


def _column(path: Path, rows: list[dict[str, str]], name: str) -> np.ndarray:
    try:
        values = np.array([float(row[name]) for row in rows])
    except ValueError:
        raise InputError("bad_table", f"{path.name}: the column `{name}` holds something that is no number") from None
    if not np.isfinite(values).all():
        raise InputError("bad_table", f"{path.name}: the column `{name}` has a gap")
    return values


def _whole(path: Path, name: str, values: np.ndarray) -> np.ndarray:
    """Numbers of frames or triggers, int64 (N,)."""
    odd = np.flatnonzero((values != np.rint(values)) | (np.abs(values) > MOST))
    if len(odd):
        raise InputError(
            "bad_table", f"{path.name}: `{name}` has {values[odd[0]]:g} in row {odd[0] + 1}, which is no whole number"
        )
    numbers: np.ndarray = values.astype(np.int64)
    return numbers


def _fall(values: np.ndarray) -> int:
    return int(np.flatnonzero(np.diff(values) <= 0)[0])
