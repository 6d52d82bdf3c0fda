"""Reads chosen fields straight out of serialised ROS messages, by the definition that the bag embeds.

A reader is compiled once a connection: fields of fixed size that follow each other are one `struct`, texts and
sequences are cut out without a copy, and reading stops after the last field that is wanted.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

# Field descriptions as rosbags parses them: type name -> (constants, [(field name, description)]).
Types = dict[str, Any]
Read = Callable[[bytes | memoryview], tuple[Any, ...]]

# rosbags' Nodetype.
_BASE, _NAME, _ARRAY, _SEQUENCE = 1, 2, 3, 4
_CODES = {
    "bool": "?",
    "byte": "B",
    "char": "B",
    "octet": "B",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
_NANOSEC = ("nanosec", (_BASE, ("uint32", 0)))
# Definitions of ROS1 use these without saying what they are.
_BUILTIN: Types = {
    "builtin_interfaces/msg/Time": ([], [("sec", (_BASE, ("uint32", 0))), _NANOSEC]),
    "builtin_interfaces/msg/Duration": ([], [("sec", (_BASE, ("int32", 0))), _NANOSEC]),
}


class CorruptMessageError(ValueError):
    """The bytes do not fit the definition."""


@dataclass(frozen=True)
class Leaf:
    """A field of a plain type by its dotted path. kind: e.g. "uint8"; count: 1 for a scalar, 0 for a sequence."""

    path: str
    kind: str
    count: int = 1

    @property
    def is_text(self) -> bool:
        """Whether it is a string."""
        return self.kind == "string"

    def __str__(self) -> str:
        return self.kind if self.count == 1 else f"{self.kind}[{self.count or ''}]"


def list_leaves(types: Types, root: str) -> list[Leaf]:
    """The plain fields of message type `root` in their order, up to the first one that no reader could pass."""
    found: list[Leaf] = []
    _walk({**_BUILTIN, **types}, root, "", found)
    return found


def compile_reader(fields: list[Leaf], wanted: tuple[str, ...], *, cdr: bool) -> Read:
    """A function from the bytes of a message to its `wanted` fields, all of them in `fields`, in that order.

    Scalars come as numbers, texts and sequences as memoryview of their bytes; it raises CorruptMessageError.
    cdr: ROS2's serialisation, else ROS1's.
    """
    paths = [leaf.path for leaf in fields]
    last = max(paths.index(path) for path in wanted)
    groups = _groups(fields[: last + 1])
    names = [name for group in groups for leaf in group for name in [leaf.path] * (leaf.count or 1)]
    choose = itemgetter(*[names.index(path) for path in wanted])
    little = [_step(group, "<", cdr) for group in groups]
    if not cdr:
        return lambda raw: _as_tuple(choose(_cut(memoryview(raw), little, align=0)[0]))
    big = [_step(group, ">", cdr) for group in groups]
    # Their bytes would come in the wrong order.
    wide = any(leaf.count == 0 and leaf.kind[-1] in "246" for leaf in fields if leaf.path in wanted)

    def read(raw: bytes | memoryview) -> tuple[Any, ...]:
        if raw[:2] == b"\0\1":
            return _as_tuple(choose(_cut(memoryview(raw)[4:], little, align=3)[0]))
        if raw[:2] == b"\0\0" and not wide:
            return _as_tuple(choose(_cut(memoryview(raw)[4:], big, align=3)[0]))
        raise CorruptMessageError("not a CDR that is known here")

    return read


def fits(fields: list[Leaf], raw: bytes | memoryview) -> bool:
    """Whether a message of ROS2 ends where its `fields` do, but for what fills it up to a multiple of 4 bytes."""
    if raw[:2] != b"\0\1":
        return False
    try:
        _, end = _cut(memoryview(raw)[4:], [_step(group, "<", True) for group in _groups(fields)], align=3)
    except CorruptMessageError:
        return False
    return 0 <= len(raw) - 4 - end < 4


def text(value: memoryview) -> str:
    """A text field as str."""
    return bytes(value).rstrip(b"\0").decode("utf-8", "replace")


# For a run of fixed fields: their struct at each of the 8 offsets. For a text or sequence: width of an element and
# the struct of its length.
_Step = tuple[list[struct.Struct] | None, int, struct.Struct | None]


def _walk(types: Types, name: str, prefix: str, found: list[Leaf]) -> bool:
    """Append the leaves of `name`; False at a field that cannot be passed."""
    if name not in types:
        return False
    for field, (node, detail) in types[name][1]:
        path = f"{prefix}{field}"
        count = 1
        if node in (_ARRAY, _SEQUENCE):
            (inner, detail), size = detail
            count = size if node == _ARRAY else 0
            if inner != _BASE or detail[0] not in _CODES:
                return False
        elif node == _NAME:
            if not _walk(types, detail, f"{path}.", found):
                return False
            continue
        if detail[0] != "string" and detail[0] not in _CODES:
            return False
        found.append(Leaf(path, detail[0], count))
    return True


def _groups(fields: list[Leaf]) -> list[list[Leaf]]:
    """Runs of fields of fixed size; texts and sequences alone."""
    groups: list[list[Leaf]] = []
    open_run = False
    for leaf in fields:
        fixed = not leaf.is_text and leaf.count > 0
        if fixed and open_run:
            groups[-1].append(leaf)
        else:
            groups.append([leaf])
        open_run = fixed
    return groups


def _step(group: list[Leaf], order: str, aligned: bool) -> _Step:
    leaf = group[0]
    if leaf.is_text or leaf.count == 0:
        width = 1 if leaf.is_text else struct.calcsize(_CODES[leaf.kind])
        return None, width, struct.Struct(f"{order}I")
    return [struct.Struct(order + _format(group, start, aligned)) for start in range(8)], 0, None


def _format(group: list[Leaf], start: int, aligned: bool) -> str:
    """Codes of a run that begins at `start` modulo 8, with the padding that CDR puts between."""
    codes, position = "", start
    for leaf in group:
        width = struct.calcsize(_CODES[leaf.kind])
        padding = -position % width if aligned else 0
        codes += "x" * padding + f"{leaf.count}{_CODES[leaf.kind]}"
        position += padding + leaf.count * width
    return codes


def _cut(view: memoryview, steps: list[_Step], align: int) -> tuple[list[Any], int]:
    """All values of the steps, and where they end. align: 3 in CDR, where lengths stand at multiples of 4, else 0."""
    values: list[Any] = []
    position = 0
    try:
        for runs, width, length in steps:
            if length is None:
                run = runs[position & 7]  # type: ignore[index]
                values += run.unpack_from(view, position)
                position += run.size
                continue
            position = (position + align) & ~align
            (count,) = length.unpack_from(view, position)
            position += 4
            if align and width > 4 and count:
                position = (position + width - 1) & -width
            stop = position + count * width
            if stop > len(view):
                raise CorruptMessageError("shorter than its own length fields say")
            values.append(view[position:stop])
            position = stop
    except struct.error:
        raise CorruptMessageError("shorter than its definition") from None
    return values, position


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
