"""A first sheet of recordings, and the rigs for it, from whatever lies in a folder.

Nothing that exists is written over: beside a sheet, the proposal has a name of its own.
"""

import itertools
import logging
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.common import atomic
from scripts.common.errors import RunError
from scripts.common.job import run
from scripts.sources.find_sources import BagFound, CameraSet, LeftOut, VideoFound, find_sources
from scripts.sources.propose import Proposal, propose, rigs_text, sheet_text
from scripts.sources.proposed_names import printable

# So many of the sources left out are named on the terminal; the sheet names all.
SHOWN = 10
WORDS = {BagFound: "bag", VideoFound: "video", CameraSet: "set of cameras"}

log = logging.getLogger("rushes")


def scan(*, folder: str, sheet: str, results: str, rigs: Mapping[str, Any]) -> None:
    """Propose recordings for what lies below `folder`, in `sheet`, or beside it if it exists.

    results: a folder that is passed over.  rigs: the config's, used where they fit.
    """
    if not folder:
        raise RunError("which folder? Say it by: snakemake scan --cores 1 --config folder=PATH")
    folder = str(Path(folder).expanduser())
    if not os.path.isdir(folder):
        raise RunError(f"folder: {printable(folder)} is no folder")
    found = list(find_sources(folder, results))
    proposal = propose(found, folder, rigs)
    counts = Counter(type(source) for source in found)
    seen = [_count(counts[kind], word) for kind, word in WORDS.items() if counts[kind]]
    _say(f"Below {printable(folder)}: {', '.join(seen) or 'no bag and no video'}.")
    _say_left_out(proposal.left_out)
    if not proposal.rows:
        raise RunError(f"there is nothing to propose below {printable(folder)}")
    _say_next(proposal, Path(sheet), *_write(proposal, folder, Path(sheet)))


def _write(proposal: Proposal, folder: str, sheet: Path) -> tuple[Path, Path | None]:
    """Write the proposal under the first names that are free."""
    sheet.parent.mkdir(parents=True, exist_ok=True)
    for place in _places(sheet):
        rigs = place.with_suffix(".rigs.yaml")
        # Also without new rigs: the file of an older proposal must not look like this one's.
        if os.path.lexists(place) or os.path.lexists(rigs):
            continue
        try:
            if proposal.rigs:
                _create(rigs, rigs_text(proposal, place.name))
            try:
                _create(place, sheet_text(proposal, folder, rigs.name if proposal.rigs else ""))
            except FileExistsError:
                atomic.remove(rigs)
                raise
        except FileExistsError:
            continue
        return place, rigs if proposal.rigs else None
    raise AssertionError("names are endless")


def _places(sheet: Path) -> Iterator[Path]:
    yield sheet
    yield sheet.with_name(f"{sheet.stem}.proposed{sheet.suffix}")
    for number in itertools.count(2):
        yield sheet.with_name(f"{sheet.stem}.proposed.{number}{sheet.suffix}")


def _create(path: Path, text: str) -> None:
    """Write a new file, whole. Raises FileExistsError rather than replace one."""
    part = atomic.part_path(path)
    try:
        part.write_text(text, encoding="utf-8")
        try:
            os.link(part, path)
        except FileExistsError:
            raise
        except OSError:
            # A file system without hard links.
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    finally:
        atomic.remove(part)


def _say_left_out(left_out: list[LeftOut]) -> None:
    if not left_out:
        return
    _say(f"Left out, {_count(len(left_out), 'source')}:")
    for gone in left_out[:SHOWN]:
        _say(f"  {printable(gone.source)}: {printable(gone.reason)}")
    if len(left_out) > SHOWN:
        _say(f"  … and {len(left_out) - SHOWN} more")


def _say_next(proposal: Proposal, sheet: Path, written: Path, rigs: Path | None) -> None:
    _say("Written:")
    _say(f"  {written}  {_count(len(proposal.rows), 'recording')}")
    if rigs is not None:
        _say(f"  {rigs}  {_count(len(proposal.rigs), 'rig')}: {', '.join(proposal.rigs)}")
    steps = [f"Look through {'it' if rigs is None else 'both'}; name who is recorded in the column `subject`."]
    if rigs is not None:
        steps.append(f"Copy the rigs from {rigs} into the section `rigs` of your config.")
    if written != sheet:
        steps.append(f"Copy the rows that you want into {sheet}.")
    steps.append("See what would be made:  snakemake -n sources")
    _say("Next:")
    for number, step in enumerate(steps, start=1):
        _say(f"  {number}. {step}")
    extra = f" --configfile {shlex.quote(str(rigs))}" if rigs is not None else ""
    extra += f" --config {shlex.quote(f'recordings={written}')}"
    _say(f"Or before you copy anything:  snakemake -n sources{extra}")


def _count(number: int, word: str) -> str:
    plural = {"set of cameras": "sets of cameras"}.get(word, f"{word}s")
    return f"{number} {word if number == 1 else plural}"


def _say(line: str) -> None:
    """To the terminal, which is what the job is for, and to its log."""
    print(line, flush=True)
    log.info("%s", line)


if __name__ == "__main__":
    run(scan)
