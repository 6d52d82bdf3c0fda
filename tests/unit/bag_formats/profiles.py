"""mcap of other profiles: foxglove's messages in three encodings."""

import base64
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mcap.writer import Writer

from tests.unit.bag_formats.register import FRAMES, RATE_HZ, form, is_whole
from tests.unit.bag_formats.sounds import beeping, hears
from tests.unit.bag_maker import (
    MS,
    PERIOD_NS,
    RAW_AUDIO,
    START_NS,
    VIDEO,
    encode,
    export,
)


def foxglove_protobuf() -> tuple[bytes, Callable[[str, dict[str, Any]], bytes]]:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

    kinds = {"string": 9, "bytes": 12, "fixed32": 7}
    file = descriptor_pb2.FileDescriptorProto(name="foxglove.proto", package="foxglove", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    messages = {
        "CompressedVideo": ["frame_id:string", "data:bytes", "format:string"],
        "RawAudio": ["data:bytes", "format:string", "sample_rate:fixed32", "number_of_channels:fixed32"],
    }
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        message.field.add(name="timestamp", number=1, label=1, type=11, type_name=".google.protobuf.Timestamp")
        for number, field in enumerate(fields, 2):
            title, kind = field.split(":")
            message.field.add(name=title, number=number, label=1, type=kinds[kind])
    stamp = descriptor_pb2.FileDescriptorProto.FromString(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(stamp)
    pool.Add(file)

    def make(name: str, fields: dict[str, Any]) -> bytes:
        kind = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"foxglove.{name}"))
        time_ns = fields["time_ns"]
        stamp = {"seconds": time_ns // 10**9, "nanos": time_ns % 10**9}
        return kind(timestamp=stamp, **{k: v for k, v in fields.items() if k != "time_ns"}).SerializeToString()

    return descriptor_pb2.FileDescriptorSet(file=[stamp, file]).SerializeToString(), make


def as_json(name: str, fields: dict[str, Any]) -> bytes:
    time_ns = fields["time_ns"]
    plain = {
        k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in fields.items() if k != "time_ns"
    }
    return json.dumps({"timestamp": {"sec": time_ns // 10**9, "nsec": time_ns % 10**9}, **plain}).encode()


def ros1_schema(text: str) -> bytes:
    return text.replace("builtin_interfaces/Time", "time").encode()


def as_ros1(name: str, fields: dict[str, Any]) -> bytes:
    time_ns = fields["time_ns"]
    parts = [struct.pack("<II", time_ns // 10**9, time_ns % 10**9)]
    for key, value in fields.items():
        if key == "time_ns":
            continue
        if isinstance(value, int):
            parts.append(struct.pack("<I", value))
        else:
            data = value.encode() if isinstance(value, str) else value
            parts.append(struct.pack("<I", len(data)) + data)
    return b"".join(parts)


for encoding in ("protobuf", "json", "json-without-schema", "ros1"):

    @form(f"mcap-{encoding}")
    def _other_profile(folder: Path, encoding: str = encoding) -> None:
        schema, make = foxglove_protobuf()
        schemas = {
            "protobuf": ("protobuf", {"CompressedVideo": schema, "RawAudio": schema}),
            "json": ("jsonschema", {name: json.dumps(JSON_SCHEMAS[name]).encode() for name in JSON_SCHEMAS}),
            "json-without-schema": ("jsonschema", {"CompressedVideo": b"{}", "RawAudio": b"{}"}),
            "ros1": ("ros1msg", {"CompressedVideo": ros1_schema(VIDEO), "RawAudio": ros1_schema(RAW_AUDIO)}),
        }[encoding]
        make = {"protobuf": make, "ros1": as_ros1}.get(encoding, as_json)
        dot = "/" if encoding == "ros1" else "."
        package = "foxglove_msgs" if encoding == "ros1" else "foxglove"
        with (folder / "a.mcap").open("wb") as file:
            writer = Writer(file)
            writer.start("ros1" if encoding == "ros1" else "", "test")
            channels = {}
            for topic, name in (("/cam", "CompressedVideo"), ("/mic", "RawAudio")):
                made = writer.register_schema(f"{package}{dot}{name}", schemas[0], schemas[1][name])
                channels[topic] = writer.register_channel(topic, encoding.partition("-")[0], made)
            for data, number, _ in encode("h264", FRAMES):
                time_ns = START_NS + number * PERIOD_NS
                fields = {"time_ns": time_ns, "frame_id": "f", "data": data, "format": "h264"}
                writer.add_message(channels["/cam"], time_ns + MS, make("CompressedVideo", fields), time_ns)
            sound = beeping()
            for first in range(0, len(sound), 480):
                time_ns = START_NS + first * 10**9 // RATE_HZ
                data = sound[first : first + 480].tobytes()
                known = {"format": "pcm-s16", "sample_rate": RATE_HZ, "number_of_channels": 1}
                content = make("RawAudio", {"time_ns": time_ns, "data": data, **known})
                writer.add_message(channels["/mic"], time_ns + MS, content, time_ns)
            writer.finish()
        made = export(folder / "a.mcap", folder / "out", {"cam": "/cam"}, {"mic": "/mic"})
        is_whole(made)
        hears(made, 0)


STAMP_SCHEMA = {"type": "object", "properties": {"sec": {"type": "integer"}, "nsec": {"type": "integer"}}}
BYTES_SCHEMA = {"type": "string", "contentEncoding": "base64"}
JSON_SCHEMAS: dict[str, Any] = {
    "CompressedVideo": {
        "properties": {
            "timestamp": STAMP_SCHEMA, "frame_id": {"type": "string"}, "data": BYTES_SCHEMA,
            "format": {"type": "string"},
        }
    },
    "RawAudio": {
        "properties": {
            "timestamp": STAMP_SCHEMA, "data": BYTES_SCHEMA, "format": {"type": "string"},
            "sample_rate": {"type": "integer"}, "number_of_channels": {"type": "integer"},
        }
    },
}  # fmt: skip
