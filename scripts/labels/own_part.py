"""Which part of a label file speaks of a recording, where the file holds several observations, videos or tasks."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.common.errors import InputError
from scripts.common.names import folded

# So many names stand in a message.
MOST_NAMES = 12
# An ending is short and has a letter: `s1.2` is a name without one.
ENDING = re.compile(r"\.(?=\w*[a-z])\w{1,5}$")
# What Label Studio puts before the name of a file: its storage's question, or a mark of its upload.
STORED = re.compile(r"^\?d=|^[0-9a-f]{8}-")


@dataclass(frozen=True)
class Own:
    """What a label file may call a recording: its name, or one of the files that it was made from.

    together: several parts may be the recording's, because their times count from the file that each names.
    """

    recording: str
    sources: tuple[str, ...] = ()
    together: bool = False


def own_parts(
    path: Path, own: Own, parts: Mapping[str, Iterable[str]], what: str, *, in_a_row: bool = False
) -> list[str]:
    """The parts that speak of the recording: one, unless `own.together`; the only one, whatever it is called.

    parts: what else each is called by, e.g. its media. what: they are, e.g. observations. in_a_row: times go on from
    part to part, so that all are the recording's where all are called as its sources. Names are compared without
    folders, case and the form of accents, then without endings. Raises InputError, which lists the parts.
    """
    if len(parts) <= 1:
        return list(parts)
    for names in ({part: [part] for part in parts}, parts):
        for alike in (_is_recording, _is_source, _is_without_ending):
            found = [part for part in parts if any(alike(_plain(name), own) for name in names[part])]
            if len(found) == 1 or (found and own.together) or (in_a_row and len(found) == len(parts)):
                return found
            if found:
                said = f"{len(found)} of its {what} are called as the recording `{own.recording}` or its source"
                raise InputError("labels", f"{path.name}: {said} ({_listed(found)}); leave one of them in the file")
    called = f"as the recording `{own.recording}`" + (f" or its source {_listed(own.sources)}" if own.sources else "")
    todo = "call one so, or give the recording a file of its own"
    raise InputError("labels", f"{path.name} holds {len(parts)} {what}, none called {called}: {_listed(parts)}; {todo}")


def _plain(name: str) -> str:
    """A name without its folder, folded."""
    return STORED.sub("", folded(name.replace("\\", "/").rstrip("/").rpartition("/")[2]))


def _is_recording(name: str, own: Own) -> bool:
    return name == folded(own.recording)


def _is_source(name: str, own: Own) -> bool:
    return name in map(_plain, own.sources)


def _is_without_ending(name: str, own: Own) -> bool:
    wanted = {folded(own.recording), *(ENDING.sub("", _plain(source)) for source in own.sources)}
    return bool({name, ENDING.sub("", name)} & wanted)


def _listed(names: Collection[str]) -> str:
    shown = [name or "(no name)" for name in list(names)[:MOST_NAMES]]
    return ", ".join([*shown, *([f"and {len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else [])])
