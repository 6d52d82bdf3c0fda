"""The fields of a connection's messages, by the definition that the bag embeds, or by the known ones."""

from typing import Any

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.typesys import get_types_from_idl, get_types_from_msg
from rosbags.typesys.msg import normalize_msgtype

from scripts.sources.known_types import known_types
from scripts.sources.message_layout import Leaf, list_leaves

_IDL_LINE = "=" * 80 + "\n"


def list_fields(connection: Connection) -> list[Leaf]:
    """Fields of a connection's type; none where its definition cannot be understood."""
    kind = normalize_msgtype(connection.msgtype)
    definition = connection.msgdef
    try:
        if definition.format == MessageDefinitionFormat.MSG:
            types = get_types_from_msg(definition.data, kind)
        elif definition.format == MessageDefinitionFormat.IDL:
            types = _parse_idl(definition.data)
        else:
            types = known_types(kind)
    except Exception:
        # Whatever rosbags cannot parse is a topic that cannot be taken.
        return []
    return list_leaves(types, kind)


def _parse_idl(definition: str) -> dict[str, Any]:
    if not definition.startswith(f"{_IDL_LINE}IDL: "):
        return dict(get_types_from_idl(definition))
    types: dict[str, Any] = {}
    for part in definition.split(_IDL_LINE)[1:]:
        types |= get_types_from_idl(part.split("\n", 1)[1])
    return types
