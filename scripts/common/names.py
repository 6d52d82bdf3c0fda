"""Names that become file names, and the nearest valid one for a message."""

import difflib
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping

# Streams stand before the first dot of a file name, so they hold none.
_RECORDING = re.compile(r"[\w][\w.+=@-]*")
_STREAM = re.compile(r"[\w][\w+=@-]*")
# A file name holds 255 bytes: two such names, an ending, and the mark of a part.
MAX_NAME_BYTES = 100


def is_recording_name(name: str) -> bool:
    """Whether a recording or rig may be called so: one path component, no leading dot, no space or quote."""
    return bool(_RECORDING.fullmatch(name)) and len(name.encode()) <= MAX_NAME_BYTES


def is_stream_name(name: str) -> bool:
    """Whether a camera, microphone or dataset may be called so: as a recording, without dots."""
    return bool(_STREAM.fullmatch(name)) and len(name.encode()) <= MAX_NAME_BYTES


def instead_of(name: str, others: str) -> str:
    """What to do about a name that is refused, to end a message with. others: what it may hold beside letters."""
    size = len(name.encode())
    if size > MAX_NAME_BYTES:
        return f"shorten it from {size} to {MAX_NAME_BYTES} bytes"
    return f"use letters, digits and {others}"


def is_folder_name(name: str) -> bool:
    """Whether a subject may be called so: one path component that is not hidden; spaces and quotes may be in it."""
    plain = name.isprintable() and "/" not in name and not name.startswith(".")
    return plain and 0 < len(name.encode()) <= MAX_NAME_BYTES


def folder_of(name: str) -> str:
    """`name` as one path component of at most MAX_NAME_BYTES, "" for one of dots alone: runs of anything but letters,
    digits and _.+=@- are an underscore."""
    plain = re.sub(r"[^\w.+=@-]+", "_", name).lstrip(".")
    return plain.encode()[:MAX_NAME_BYTES].decode(errors="ignore")


def folded(name: str) -> str:
    """`name` as some file systems compare it: two that differ in case, or in the form of accents, are one there."""
    return unicodedata.normalize("NFC", name).casefold()


def place_of(path: str) -> str:
    """The real path of a file or folder, from the working directory if it is below: a project can be moved."""
    here, real = os.path.realpath("."), os.path.realpath(path)
    return os.path.relpath(real, here) if real.startswith(f"{here}/") else real


def told_apart(name: str, source: str) -> str:
    """A folder's name that no other source has: `name`, with eight digits that only `source`, a path or URL, gives."""
    return f"{folder_of(name) or 'unnamed'}-{hashlib.sha256(os.fsencode(source)).hexdigest()[:8]}"


def picture_name(pattern: str, fields: Mapping[str, str], frame: int) -> str:
    """What a picture is called; dots, which end a key in webdataset, become underscores.

    fields: recording, subject, session, camera.  Raises ValueError for a format that a field does not take.
    """
    return pattern.format(**fields, frame=frame).replace(".", "_")


def one_of(names: Iterable[str]) -> str:
    """The pattern of a wildcard that is one of these names; one that matches nothing where there is none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` or the known names, to end a message with."""
    known = sorted(known)
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; known: {', '.join(known)}" if known else ""
