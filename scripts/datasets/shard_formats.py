"""Samples into one shard: webdataset, files, parquet for Hugging Face, tfrecord; or nothing at all."""

import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.tar_file import TarWriter, read_part

# Rows of a row group: a reader of one sample reads so many.
ROW_GROUP = 100
FEATURES = {"mp4": "Video", "m4a": "Audio", "jpg": "Image", "png": "Image"}


class Part(NamedTuple):
    """One member of a sample: `size` bytes of a file, or the bytes themselves."""

    ending: str
    path: Path | None
    offset: int
    size: int
    sha256: str
    payload: bytes = b""

    def read(self) -> bytes:
        """The bytes."""
        return self.payload if self.path is None else read_part(self.path, self.offset, self.size)


class Sample(NamedTuple):
    """key: without dots; parts: sorted by ending; record: what its json says."""

    key: str
    parts: list[Part]
    record: dict[str, Any]


# key, shard, file, ending, offset, size, sha256.
Index = Iterator[dict[str, Any]]


def text_part(ending: str, text: str) -> Part:
    """A member that is text."""
    payload = text.encode("utf-8", "surrogatepass")
    return Part(ending, None, 0, len(payload), hashlib.sha256(payload).hexdigest(), payload)


def write_webdataset(folder: Path, name: str, samples: list[Sample]) -> Index:
    """`{name}.tar`, USTAR, members in the order of keys and endings."""
    path = folder / f"{name}.tar"
    with TarWriter(path) as tar:
        for sample in samples:
            for part in sample.parts:
                member_name = f"{sample.key}.{part.ending}"
                if part.path is None:
                    member = tar.add(member_name, part.payload)
                else:
                    member = tar.copy(member_name, part.path, part.offset, part.size, part.sha256)
                yield _entry(sample, name, path.name, part, member.offset)


def write_files(folder: Path, name: str, samples: list[Sample]) -> Index:
    """`{name}/{key}.{ending}`."""
    (folder / name).mkdir()
    for sample in samples:
        for part in sample.parts:
            file = f"{name}/{sample.key}.{part.ending}"
            (folder / file).write_bytes(part.read())
            yield _entry(sample, name, file, part, 0)


def write_parquet(
    folder: Path,
    name: str,
    samples: list[Sample],
    classes: Sequence[str] = (),
    names: Mapping[str, str] = MappingProxyType({}),
) -> Index:
    """`{name}.parquet`: media as {bytes, path}, which `datasets` shows as Video, Audio, Image; and all of the json.

    classes: values of the column `label` in the order of their numbers, the same for all shards.  names: ending ->
    column, where it is not the ending's own.
    """
    endings = sorted({part.ending for sample in samples for part in sample.parts} - {"json"})
    columns: dict[str, pa.Array] = {"key": pa.array([sample.key for sample in samples], pa.string())}
    features: dict[str, Any] = {"key": {"dtype": "string", "_type": "Value"}}
    for ending in endings:
        found = [next((part for part in sample.parts if part.ending == ending), None) for sample in samples]
        if ending == "txt":
            columns["txt"] = pa.array([part.payload.decode("utf-8", "replace") if part else None for part in found])
            continue
        values = [
            {"bytes": part.read(), "path": f"{sample.key}.{ending}"} if part else None
            for sample, part in zip(samples, found, strict=True)
        ]
        column = names.get(ending, ending)
        columns[column] = pa.array(values, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
        features[column] = {"_type": FEATURES[ending]} if ending in FEATURES else None
    table = record_table([sample.record for sample in samples])
    for column in table.column_names:
        if column not in columns:
            columns[column] = table[column].combine_chunks()
    whole = pa.table(columns)
    described = {
        column: features.get(column) or feature_of(whole.schema.field(column).type) for column in whole.column_names
    }
    if classes and "label" in whole.column_names:
        # A value that is no class has no number, and keeps its sample.
        numbers = [classes.index(v) if v in classes else None for v in map(str, whole["label"].to_pylist())]
        whole = whole.set_column(whole.schema.get_field_index("label"), "label", pa.array(numbers, pa.int64()))
        described["label"] = {"names": list(classes), "_type": "ClassLabel"}
    meta = json.dumps({"info": {"features": described}}, sort_keys=True)
    whole = whole.replace_schema_metadata({"huggingface": meta})
    path = folder / f"{name}.parquet"
    pq.write_table(whole, path, row_group_size=ROW_GROUP, compression="zstd")
    for sample in samples:
        for part in sample.parts:
            yield _entry(sample, name, path.name, part, -1)


def write_tfrecord(folder: Path, name: str, samples: list[Sample]) -> Index:
    """`{name}.tfrecord`: a tf.train.Example a sample, each feature a list of bytes, with the format's checksums."""
    path = folder / f"{name}.tfrecord"
    with path.open("wb") as file:
        for sample in samples:
            entries = [("key", sample.key.encode()), *((part.ending, part.read()) for part in sample.parts)]
            payload = example(entries)
            start = file.tell()
            length = struct.pack("<Q", len(payload))
            file.write(length + struct.pack("<I", masked_crc(length)))
            file.write(payload + struct.pack("<I", masked_crc(payload)))
            for part in sample.parts:
                yield _entry(sample, name, path.name, part, start)


def write_dummy(folder: Path, name: str, samples: list[Sample]) -> Index:
    """Nothing: to measure what comes before."""
    return iter(())


FORMATS: dict[str, Callable[[Path, str, list[Sample]], Index]] = {
    "webdataset": write_webdataset,
    "files": write_files,
    "parquet": write_parquet,
    "tfrecord": write_tfrecord,
    "dummy": write_dummy,
}


def _entry(sample: Sample, shard: str, file: str, part: Part, offset: int) -> dict[str, Any]:
    found = {"key": sample.key, "shard": shard, "file": file, "ending": part.ending}
    return found | {"offset": offset, "size": part.size, "sha256": part.sha256}


def record_table(records: list[dict[str, Any]]) -> pa.Table:
    """Everything that the records hold, a column a name; what has no one type becomes JSON text."""
    names = list(dict.fromkeys(name for record in records for name in record))
    columns = {}
    for name in names:
        values = [record.get(name) for record in records]
        try:
            column = pa.array(values)
        except (pa.ArrowException, OverflowError):
            column = None
        if column is None or (pa.types.is_nested(column.type) and not pa.types.is_list(column.type)):
            packed = [
                None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True) for value in values
            ]
            column = pa.array(packed, pa.string())
        columns[name] = column.cast(pa.string()) if pa.types.is_null(column.type) else column
    return pa.table(columns)


def feature_of(kind: pa.DataType) -> Any:
    """What `datasets` of Hugging Face calls a type."""
    if pa.types.is_list(kind):
        return {"feature": feature_of(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: feature_of(field.type) for field in kind}
    names = {"double": "float64", "float": "float32", "halffloat": "float16"}
    return {"dtype": names.get(str(kind), str(kind)), "_type": "Value"}


def example(entries: list[tuple[str, bytes]]) -> bytes:
    """A tf.train.Example by protocol buffers' wire format: features.feature[name].bytes_list.value."""
    features = b"".join(_field(1, _field(1, name.encode()) + _field(2, _field(1, _field(1, v)))) for name, v in entries)
    return _field(1, features)


def _field(number: int, payload: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def masked_crc(payload: bytes) -> int:
    """The masked CRC-32C of TFRecord files."""
    import google_crc32c

    crc = google_crc32c.value(payload)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
