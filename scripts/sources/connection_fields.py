"""The fields of a connection's messages, by the definition that the bag embeds, or by the known ones."""

from collections.abc import Callable
from typing import Any

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.typesys import get_types_from_idl, get_types_from_msg
from rosbags.typesys.msg import normalize_msgtype

from scripts.sources.known_types import known_types
from scripts.sources.message_layout import Leaf, fits, list_leaves

_IDL_LINE = "=" * 80 + "\n"


def list_fields(connection: Connection, first: Callable[[], bytes | memoryview | None]) -> list[Leaf]:
    """Fields of a connection's type; none where its definition cannot be understood.

    first: the first message of the connection, None for none. Where the bag embeds no definition and several packages
    have a type of this name, the one is taken whose fields end where the message does.
    """
    kind = normalize_msgtype(connection.msgtype)
    definition = connection.msgdef
    if definition.format == MessageDefinitionFormat.NONE:
        return _fitting([list_leaves(known, kind) for known in known_types(kind)], first)
    try:
        if definition.format == MessageDefinitionFormat.MSG:
            types = get_types_from_msg(definition.data, kind)
        else:
            types = _parse_idl(definition.data)
    except Exception:
        # Whatever rosbags cannot parse is a topic that cannot be taken.
        return []
    return list_leaves(types, kind)


def _fitting(layouts: list[list[Leaf]], first: Callable[[], bytes | memoryview | None]) -> list[Leaf]:
    if len(layouts) < 2:
        return layouts[0] if layouts else []
    raw = first()
    return next((layout for layout in layouts if raw and fits(layout, raw)), layouts[0])


def _parse_idl(definition: str) -> dict[str, Any]:
    if not definition.startswith(f"{_IDL_LINE}IDL: "):
        return dict(get_types_from_idl(definition))
    types: dict[str, Any] = {}
    for part in definition.split(_IDL_LINE)[1:]:
        types |= get_types_from_idl(part.split("\n", 1)[1])
    return types
