"""Labels as a dataset wants them: mapped, joined, trimmed; every interval is kept, or left out with a reason."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scripts.common.errors import InputError
from scripts.common.label_intervals import LabelInterval
from scripts.common.timeline import NS, Timeline

# Labels that are as much alike are taken for two spellings of one.
ALIKE = 0.85
# Of an interval that no file holds.
NO_LINE = -1


@dataclass(frozen=True)
class Judged:
    """What became of an interval of the file. kept: as it goes on, or None with a reason."""

    source: LabelInterval
    kept: LabelInterval | None
    reason: str = ""
    message: str = ""


def tidy(label: str) -> str:
    """Without white space at its ends, and with single spaces."""
    return " ".join(label.split())


def spelled_alike(label: str) -> str:
    """The same for labels that a config need not tell apart, by case or white space."""
    return tidy(label).casefold()


def clean(intervals: Iterable[LabelInterval], settings: Mapping[str, Any], classes: Sequence[str]) -> list[Judged]:
    """Every interval, judged, in the order of the file's lines. settings: `labels` of a dataset of frames.

    Raises InputError where a setting says `error`.
    """
    ordered = sorted(intervals, key=lambda one: (one.source_line, one.start_ns))
    named = [_named(interval, settings, classes) for interval in ordered]
    joined = _joined(named, round(settings["join_s"] * NS))
    return [_trimmed(one, settings) for one in joined]


def background(
    intervals: Iterable[LabelInterval], settings: Mapping[str, Any], timeline: Timeline, like: LabelInterval
) -> list[LabelInterval]:
    """What no interval covers, if it has a class. intervals: all that the file has of the wanted tiers, untrimmed;
    there may be none.  like: any interval of the recording.
    """
    label = settings["background"]
    if not label:
        return []
    found, reached = [], timeline.start_ns
    for interval in sorted(intervals, key=lambda one: one.start_ns):
        if interval.start_ns > reached:
            found.append((reached, interval.start_ns))
        reached = max(reached, interval.stop_ns)
    if reached < timeline.stop_ns:
        found.append((reached, timeline.stop_ns))
    rests = [
        replace(like, label=label, tier="", camera="", start_ns=start, stop_ns=stop, source_line=NO_LINE)
        for start, stop in found
    ]
    trimmed = [_trimmed(Judged(rest, rest), settings).kept for rest in rests]
    return [rest for rest in trimmed if rest is not None]


def variants(labels: Collection[str]) -> list[tuple[str, str]]:
    """Pairs of labels that look like two spellings of one: another case, or a typo. Sorted."""
    known = sorted(set(labels))
    found = []
    for place, label in enumerate(known):
        for other in known[place + 1 :]:
            if label.casefold() == other.casefold() or _alike(label.casefold(), other.casefold()):
                found.append((label, other))
    return found


def _alike(label: str, other: str) -> bool:
    """Whether one is likely a typo of the other; labels that differ in a number are not."""
    digits = [[c for c in text if c.isdigit()] for text in (label, other)]
    longer = max(len(label), len(other))
    if digits[0] != digits[1] or longer < 4:
        return False
    return difflib.SequenceMatcher(None, label, other, autojunk=False).ratio() >= ALIKE


def _named(interval: LabelInterval, settings: Mapping[str, Any], classes: Sequence[str]) -> Judged:
    """The interval under the name of its class."""
    where = f"line {interval.source_line}: `{interval.label}`"
    if settings["tiers"] and interval.tier not in settings["tiers"]:
        return Judged(interval, None, "other_tier", f"{where} is of tier `{interval.tier}`")
    written = tidy(interval.label)
    mapped = {spelled_alike(name): tidy(to) for name, to in settings["map"].items()}
    ignored = {spelled_alike(name) for name in settings["ignore"]}
    plain = {"keep": written, "lower": written.lower(), "upper": written.upper()}[settings["case"]]
    label = mapped.get(written.casefold(), plain)
    if not label or written.casefold() in ignored or label.casefold() in ignored:
        return Judged(interval, None, "ignored", f"{where} is no class")
    if classes and label not in classes and settings["unknown"] != "keep":
        close = difflib.get_close_matches(label.casefold(), [c.casefold() for c in classes], n=1, cutoff=0.6)
        hint = next((f"; did you mean `{c}`? Add it to the map" for c in classes if [c.casefold()] == close), "")
        message = f"{where} is none of the classes{hint}"
        if settings["unknown"] == "error":
            raise InputError("unknown_label", message)
        return Judged(interval, None, "unknown_label", message)
    if interval.stop_ns == interval.start_ns:
        message = f"{where} stops where it starts"
        if settings["zero_length"] == "error":
            raise InputError("zero_length", message)
        return Judged(interval, None, "zero_length", message)
    return Judged(interval, replace(interval, label=label))


def _joined(judged: Sequence[Judged], gap_ns: int) -> list[Judged]:
    """Intervals of one label, tier, subject and camera with a shorter gap than `gap_ns` become one, the first."""
    if not gap_ns:
        return list(judged)
    last: dict[tuple[str, str, str, str], int] = {}
    found = list(judged)
    for place in sorted(range(len(found)), key=lambda k: (found[k].source.start_ns, k)):
        one = found[place].kept
        if one is None:
            continue
        key = (one.label, one.tier, one.subject, one.camera)
        before = found[last[key]].kept if key in last else None
        if before is None or one.start_ns - before.stop_ns >= gap_ns:
            last[key] = place
            continue
        found[last[key]] = replace(found[last[key]], kept=replace(before, stop_ns=max(before.stop_ns, one.stop_ns)))
        message = f"line {one.source_line}: part of that of line {before.source_line}"
        found[place] = Judged(found[place].source, None, "joined", message)
    return found


def _trimmed(judged: Judged, settings: Mapping[str, Any]) -> Judged:
    one = judged.kept
    if one is None:
        return judged
    margin_ns, least_ns = round(settings["margin_s"] * NS), round(settings["min_s"] * NS)
    start_ns, stop_ns = one.start_ns + margin_ns, one.stop_ns - margin_ns
    length_ns = max(stop_ns - start_ns, 0)
    if length_ns == 0 or length_ns < least_ns:
        between = " between its margins" if margin_ns else ""
        message = f"line {one.source_line}: `{one.label}` lasts {length_ns / NS:g} s{between}"
        return Judged(judged.source, None, "short", message)
    return replace(judged, kept=replace(one, start_ns=start_ns, stop_ns=stop_ns))
