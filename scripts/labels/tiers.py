"""ELAN and Praat: tiers of annotations, read by pympi and praatio."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

import pympi
from praatio import textgrid

from scripts.common.errors import InputError, is_machine_fault
from scripts.common.text_file import MOST_BYTES, text_of
from scripts.labels.marks import REASON, Mark
from scripts.labels.own_part import Own, own_parts

MS = 1000
# The other units of the format are frames.
UNITS = "milliseconds"


def no_entities(path: Path) -> None:
    """Raise InputError for XML that defines entities: a few of them can fill any memory."""
    if path.stat().st_size > MOST_BYTES:
        raise InputError("labels", f"{path.name} has more than {MOST_BYTES:,} bytes; it is no file of labels")
    if b"<!ENTITY" in path.read_bytes():
        raise InputError("labels", f"{path.name} defines entities; no annotation tool writes such")


def read_elan(path: Path, own: Own, *, as_written: bool = False) -> list[Mark]:
    """Every annotation of every tier with its times in the recording's media; what refers to another has that one's.

    A slot without a time divides the stretch between its neighbours with times evenly, as ELAN shows it. as_written:
    times as ELAN shows them, where these are to be tied to the recording by events.
    """
    no_entities(path)
    try:
        document = pympi.Elan.Eaf(str(path))
        tiers: dict[str, Any] = dict(document.tiers)
        slots = dict(document.timeslots)
    # pympi raises whatever its parser meets.
    except Exception as error:
        if is_machine_fault(error):
            raise
        raise InputError("labels", f"{path.name} cannot be read as ELAN's .eaf ({type(error).__name__})") from None
    units = document.header.get("TIME_UNITS", UNITS)
    if units != UNITS:
        raise InputError(
            "labels", f"{path.name}: its times are {units}; save it with a version of ELAN that has {UNITS}"
        )
    origin = Fraction(0) if as_written else media_offset(path, document.media_descriptors, own)
    spans: dict[str, tuple[Fraction, Fraction]] = {}
    for aligned, *_ in tiers.values():
        times = timed({begin: end for begin, end, *_ in aligned.values()}, slots)
        for name, (begin, end, *_) in aligned.items():
            if begin not in times or end not in times:
                raise InputError(
                    "labels", f"{path.name}: annotation {name} has no time, and neither have its neighbours"
                )
            spans[name] = ((times[begin] + origin) / MS, (times[end] + origin) / MS)
    parents = {name: ref for _, refs, *_ in tiers.values() for name, (ref, *_) in refs.items()}
    marks: list[Mark] = []
    for tier, (aligned, refs, attributes, *_) in tiers.items():
        texts = [(name, entry[2]) for name, entry in aligned.items()]
        texts += [(name, entry[1]) for name, entry in refs.items()]
        for name, label in texts:
            start, stop = spans[root_of(path, name, parents, spans)]
            subject = attributes.get("PARTICIPANT", "")
            marks.append(Mark((label or "").strip(), start, stop, len(marks) + 1, subject=subject, tier=tier))
    return marks


def media_offset(path: Path, descriptors: Sequence[Mapping[str, str]], own: Own) -> Fraction:
    """The time of the recording's media, in ms, that ELAN shows as 0; people set it to synchronise several.

    Raises InputError where media have several, and it is not plain which the recording's is.
    """
    origins: dict[str, set[Fraction]] = {}
    called: dict[str, list[str]] = {}
    for one in descriptors:
        name = unquote(one.get("MEDIA_URL", ""))
        origins.setdefault(name, set()).add(Fraction(one.get("TIME_ORIGIN") or 0))
        called.setdefault(name, []).extend([name, unquote(one.get("RELATIVE_MEDIA_URL", ""))])
    found = set().union(*origins.values())
    if len(found) > 1:
        chosen = own_parts(path, replace(own, together=True), called, "media with unlike offsets")
        found = set().union(*(origins[name] for name in chosen))
    if len(found) > 1:
        said = ", ".join(f"{float(one):g}" for one in sorted(found))
        message = "set them alike in ELAN, or tie the times to the recording by labels.sync or labels.fit"
        raise InputError("labels", f"{path.name}: the recording's media have offsets of {said} ms; {message}")
    return next(iter(found), Fraction(0))


def timed(following: dict[str, str], slots: dict[str, int | None]) -> dict[str, Fraction]:
    """Times of slots in ms: those that have one, and those between them in the chain of a tier's annotations.

    following: end of the annotation that begins at each slot.
    """
    times = {name: Fraction(value) for name, value in slots.items() if value is not None}
    for begin in following:
        if slots.get(begin) is None:
            continue
        chain = [begin]
        while chain[-1] in following and (len(chain) == 1 or slots.get(chain[-1]) is None):
            chain.append(following[chain[-1]])
        if len(chain) > 2 and slots.get(chain[-1]) is not None:
            step = (times[chain[-1]] - times[begin]) / (len(chain) - 1)
            times |= {name: times[begin] + step * place for place, name in enumerate(chain[1:-1], 1)}
    return times


def root_of(path: Path, name: str, parents: dict[str, str], spans: dict[str, tuple[Fraction, Fraction]]) -> str:
    """The annotation with times to which another one refers, by however many steps. Raises InputError for none."""
    seen = set()
    while name not in spans:
        if name in seen or name not in parents:
            raise InputError("labels", f"{path.name}: annotation {name} refers to none that has times")
        seen.add(name)
        name = parents[name]
    return name


def _grid_of(text: str) -> textgrid.Textgrid:
    """praatio reads files alone, and of the ways to write letters not all that a label file may have."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.TextGrid"
        copy.write_text(text, encoding="utf-8")
        return textgrid.openTextgrid(
            str(copy), includeEmptyIntervals=False, reportingMode="silence", duplicateNamesMode="rename"
        )


def read_textgrid(path: Path) -> list[Mark]:
    """Intervals and points of every tier; an empty text is no label."""
    text = text_of(path, REASON)
    try:
        grid = _grid_of(text)
    # praatio raises whatever its parser meets.
    except Exception as error:
        raise InputError("labels", f"{path.name} cannot be read as a TextGrid ({type(error).__name__})") from None
    marks, entry = [], 0
    for tier in grid.tierNames:
        for found in grid.getTier(tier).entries:
            entry += 1
            times = found[:-1]
            start, stop = (Fraction(str(times[0])), Fraction(str(times[-1])))
            marks.append(Mark(found[-1].strip(), start, stop, entry, tier=tier.strip('"')))
    return [mark for mark in marks if mark.label]
