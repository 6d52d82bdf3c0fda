"""Names for what was found, fit for a sheet and for files: short, clean, and no two alike."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from scripts.common.names import MAX_NAME_BYTES, folded

_NO_RECORDING = re.compile(r"[^\w.+=@-]+")
_NO_STREAM = re.compile(r"[^\w+=@-]+")
# Room for a number at the end of a name.
_ROOM_BYTES = 8


def recording_name(text: str) -> str:
    """`text` as a name of a recording; "" if nothing is left of it."""
    return _clean(text, _NO_RECORDING)


def stream_name(text: str) -> str:
    """`text` as a name of a camera or microphone; "" if nothing is left of it."""
    return _clean(text, _NO_STREAM)


def short_names(paths: Sequence[Sequence[str]], clean: Callable[[str], str], taken: Iterable[str] = ()) -> list[str]:
    """A name for each path: its shortest ending that no other has, numbered where whole paths are equal."""
    depths = [1] * len(paths)
    while True:
        endings = [path[-depth:] for path, depth in zip(paths, depths, strict=True)]
        names = [clean("_".join(filter(None, map(clean, ending)))) for ending in endings]
        counts: dict[str, int] = {}
        for name in names:
            counts[folded(name)] = counts.get(folded(name), 0) + 1
        longer = [
            index
            for index, name in enumerate(names)
            if (counts[folded(name)] > 1 or not name) and depths[index] < len(paths[index])
        ]
        if not longer:
            break
        for index in longer:
            depths[index] += 1
    used = {folded(name) for name in taken}
    return [numbered(name or "unnamed", used) for name in names]


def why_unfit(path: str) -> str:
    """Why `path` would not come back from a sheet as it is, or could not be used; "" if it is fit."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is no UTF-8: rename it"
    if path != path.strip() or set("\t\r\n\0") & set(path):
        return "a sheet cannot hold its name (tabs, line breaks, spaces at an end): rename it"
    return "Snakemake reads { and } in its name as wildcards: rename it" if set("{}") & set(path) else ""


def printable(text: str) -> str:
    """`text` in one line, with escapes for what cannot be seen."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _clean(text: str, unwanted: re.Pattern[str]) -> str:
    name = unwanted.sub("_", unicodedata.normalize("NFC", text))
    name = re.sub(r"^[\W_]+|_+$", "", name)
    return name.encode()[: MAX_NAME_BYTES - _ROOM_BYTES].decode(errors="ignore")


def numbered(name: str, used: set[str]) -> str:
    """`name`, with a number where it is used already; it is used from then on."""
    number, whole = 1, name
    while folded(whole) in used:
        number += 1
        whole = f"{name}_{number}"
    used.add(folded(whole))
    return whole
