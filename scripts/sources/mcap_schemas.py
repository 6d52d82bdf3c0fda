"""What the messages of an mcap channel hold, and how their fields are read, by encoding: cdr, ros1, protobuf, json.

Fields have the names and kinds that ROS would give them, so that what a topic carries is decided in one place. A time
is `….sec` and `….nanosec`, whatever its encoding calls them.
"""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from rosbags.typesys import get_types_from_idl, get_types_from_msg
from rosbags.typesys.msg import normalize_msgtype

from scripts.sources.message_layout import CorruptMessageError, Leaf, Read, compile_reader, list_leaves

# Fields of a message in their order, and what makes a reader of chosen ones.
Fields = tuple[list[Leaf], Callable[[tuple[str, ...]], Read]]

_TIME = {"sec": "seconds", "nanosec": "nanos"}
# Foxglove's messages in JSON, where the schema does not list their properties.
_STAMP = [("timestamp.sec", "uint32"), ("timestamp.nanosec", "uint32")]
_FOXGLOVE = {
    "CompressedVideo": [*_STAMP, ("frame_id", "string"), ("data", "uint8[]"), ("format", "string")],
    "CompressedImage": [*_STAMP, ("frame_id", "string"), ("data", "uint8[]"), ("format", "string")],
    "RawImage": [
        *_STAMP, ("frame_id", "string"), ("width", "uint32"), ("height", "uint32"), ("encoding", "string"),
        ("step", "uint32"), ("data", "uint8[]"),
    ],
    "RawAudio": [
        *_STAMP, ("data", "uint8[]"), ("format", "string"), ("sample_rate", "uint32"), ("number_of_channels", "uint32"),
    ],
    "CompressedAudio": [*_STAMP, ("data", "uint8[]"), ("format", "string")],
}  # fmt: skip
# google.protobuf.FieldDescriptor types: kinds of integers, and those that are read at all.
_INTEGERS = {3: "int64", 4: "uint64", 5: "int32", 6: "uint64", 7: "uint32", 13: "uint32", 15: "int32", 16: "int64"}
_BOOL, _STRING, _MESSAGE, _BYTES, _ENUM = 8, 9, 11, 12, 14
_DEEPEST = 4


def fields_of(schema_name: str, schema_encoding: str, schema: bytes, message_encoding: str) -> Fields:
    """Fields and readers of a channel; no field where its encoding or its schema is not understood."""
    try:
        if message_encoding in ("cdr", "ros1"):
            return _ros(schema_name, schema_encoding, schema, cdr=message_encoding == "cdr")
        if message_encoding == "protobuf" and schema_encoding == "protobuf":
            return _protobuf(schema_name, schema)
        if message_encoding == "json":
            return _json(schema_name, schema)
    except Exception:
        # Whatever a schema's parser cannot take is a topic that cannot be taken.
        return _UNKNOWN
    return _UNKNOWN


def _nothing(raw: bytes | memoryview) -> tuple[Any, ...]:
    raise CorruptMessageError("its schema is not known")


_UNKNOWN: Fields = ([], lambda wanted: _nothing)


def _ros(name: str, encoding: str, schema: bytes, *, cdr: bool) -> Fields:
    kind = normalize_msgtype(name)
    text = schema.decode("utf-8")
    types = get_types_from_idl(text) if encoding == "ros2idl" else get_types_from_msg(text, kind)
    leaves = list_leaves(dict(types), kind)
    return leaves, lambda wanted: compile_reader(leaves, wanted, cdr=cdr)


def _leaf(path: str, kind: str) -> Leaf:
    return Leaf(path, kind.removesuffix("[]"), 0 if kind.endswith("[]") else 1)


def _protobuf(name: str, schema: bytes) -> Fields:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    from google.protobuf.message import DecodeError

    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(schema).file:
        pool.Add(file)
    descriptor = pool.FindMessageTypeByName(name)
    kind = message_factory.GetMessageClass(descriptor)
    leaves: list[Leaf] = []
    _walk_protobuf(descriptor, "", leaves, 0)

    def make(wanted: tuple[str, ...]) -> Read:
        paths = [[_TIME.get(part, part) for part in path.split(".")] for path in wanted]

        def read(raw: bytes | memoryview) -> tuple[Any, ...]:
            try:
                message = kind.FromString(bytes(raw))
            except DecodeError:
                raise CorruptMessageError("no such protobuf") from None
            return tuple(_as_value(_inside(message, path)) for path in paths)

        return read

    return leaves, make


def _walk_protobuf(descriptor: Any, prefix: str, found: list[Leaf], depth: int) -> None:
    for field in descriptor.fields:
        path = f"{prefix}{field.name}"
        if field.is_repeated or depth > _DEEPEST:
            continue
        if field.type == _MESSAGE and field.message_type.full_name == "google.protobuf.Timestamp":
            found += [_leaf(f"{path}.sec", "uint32"), _leaf(f"{path}.nanosec", "uint32")]
        elif field.type == _MESSAGE:
            _walk_protobuf(field.message_type, f"{path}.", found, depth + 1)
        elif field.type in _INTEGERS:
            found.append(_leaf(path, _INTEGERS[field.type]))
        elif field.type in (_BOOL, _ENUM):
            found.append(_leaf(path, "uint8"))
        elif field.type in (_STRING, _BYTES):
            found.append(_leaf(path, "string" if field.type == _STRING else "uint8[]"))


def _inside(message: Any, path: list[str]) -> Any:
    for part in path:
        message = getattr(message, part)
    return message


def _as_value(value: Any) -> Any:
    if isinstance(value, str):
        return memoryview(value.encode())
    return memoryview(value) if isinstance(value, bytes) else value


def _json(name: str, schema: bytes) -> Fields:
    properties = json.loads(schema).get("properties", {}) if schema.strip() else {}
    leaves: list[Leaf] = []
    _walk_json(properties, "", leaves, 0)
    if not leaves:
        leaves = [_leaf(*pair) for pair in _FOXGLOVE.get(name.replace("/", ".").rpartition(".")[2], [])]
    kinds = {leaf.path: str(leaf) for leaf in leaves}

    def make(wanted: tuple[str, ...]) -> Read:
        def read(raw: bytes | memoryview) -> tuple[Any, ...]:
            try:
                message = json.loads(bytes(raw))
                return tuple(_json_value(message, path, kinds[path]) for path in wanted)
            except (ValueError, KeyError, TypeError, binascii.Error):
                raise CorruptMessageError("no such json") from None

        return read

    return leaves, make


def _walk_json(properties: dict[str, Any], prefix: str, found: list[Leaf], depth: int) -> None:
    for name, rule in properties.items():
        path, kind = f"{prefix}{name}", rule.get("type")
        inner = rule.get("properties", {})
        if kind == "object" and {"sec", "nsec"} <= set(inner):
            found += [_leaf(f"{path}.sec", "uint32"), _leaf(f"{path}.nanosec", "uint32")]
        elif kind == "object" and depth < _DEEPEST:
            _walk_json(inner, f"{path}.", found, depth + 1)
        elif kind == "string":
            found.append(_leaf(path, "uint8[]" if rule.get("contentEncoding") == "base64" else "string"))
        elif kind == "integer":
            found.append(_leaf(path, "uint32"))


def _json_value(message: Any, path: str, kind: str) -> Any:
    for part in path.split("."):
        message = message["nsec"] if part == "nanosec" and "nanosec" not in message else message[part]
    if kind == "uint8[]":
        return memoryview(base64.b64decode(message, validate=True))
    return memoryview(str(message).encode()) if kind == "string" else int(message)
