"""ELAN and Praat: tiers of annotations, read by pympi and praatio."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pympi
from praatio import textgrid

from scripts.common.errors import InputError
from scripts.common.text_file import MOST_BYTES
from scripts.labels.marks import Mark

MS = 1000


def no_entities(path: Path) -> None:
    """Raise InputError for XML that defines entities: a few of them can fill any memory."""
    if path.stat().st_size > MOST_BYTES:
        raise InputError("labels", f"{path.name} has more than {MOST_BYTES:,} bytes; it is no file of labels")
    if b"<!ENTITY" in path.read_bytes():
        raise InputError("labels", f"{path.name} defines entities; no annotation tool writes such")


def read_elan(path: Path) -> list[Mark]:
    """Every annotation of every tier with its times; one that refers to another has that one's.

    A slot without a time divides the stretch between its neighbours with times evenly, as ELAN shows it.
    """
    no_entities(path)
    try:
        document = pympi.Elan.Eaf(str(path))
        tiers: dict[str, Any] = dict(document.tiers)
        slots = dict(document.timeslots)
    # pympi raises whatever its parser meets.
    except Exception as error:
        raise InputError("labels", f"{path.name} cannot be read as ELAN's .eaf ({type(error).__name__})") from None
    spans: dict[str, tuple[Fraction, Fraction]] = {}
    for aligned, *_ in tiers.values():
        times = timed({begin: end for begin, end, *_ in aligned.values()}, slots)
        for name, (begin, end, *_) in aligned.items():
            if begin not in times or end not in times:
                raise InputError(
                    "labels", f"{path.name}: annotation {name} has no time, and neither have its neighbours"
                )
            spans[name] = (times[begin] / MS, times[end] / MS)
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


def read_textgrid(path: Path) -> list[Mark]:
    """Intervals and points of every tier; an empty text is no label."""
    try:
        grid = textgrid.openTextgrid(
            str(path), includeEmptyIntervals=False, reportingMode="silence", duplicateNamesMode="rename"
        )
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
