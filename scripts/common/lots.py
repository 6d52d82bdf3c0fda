"""A lot: many small items that travel together, one job a step.

`{lot}.tar` holds the media that were fetched; `{lot}.items.parquet` says where each item is (in the tar, or in a file
of its own that stayed where it was); frame tables and clocks of all items stand in one table each, with a column
`key`. Whoever works on the items of a lot reads them by `read_items` and `media_url`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scripts.common import table_file
from scripts.common.clock import Clock, Gap, Segment
from scripts.common.frame_table import SCHEMA as FRAMES
from scripts.common.frame_table import FrameTable

ITEMS = pa.schema(
    [
        ("key", pa.string()),
        ("shard", pa.int32()),
        ("url", pa.string()),
        ("caption", pa.string()),
        ("clips", pa.string()),
        ("extra", pa.string()),
        ("path", pa.string()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("sha256", pa.string()),
        ("sound", pa.string()),
        ("subtitles", pa.string()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("message", pa.string()),
    ]
)
# What a small picture of each frame says: change of content and motion against the frame before, mean luma, sharpness.
SCORES = ("change", "motion", "luma", "sharpness")
KEYED_FRAMES = pa.schema([("key", pa.string()), *FRAMES, *((name, pa.float32()) for name in SCORES)])
# facts: JSON, codec data of the item; hashes: perceptual hashes of some pictures; thumbnail: jpg, empty for none.
SCANS = pa.schema(
    [
        ("key", pa.string()),
        ("facts", pa.string()),
        ("hashes", pa.list_(pa.uint64())),
        ("thumbnail", pa.binary()),
    ]
)
KEYED_SPEECH = pa.schema([(name, pa.string()) for name in ("key", "speech", "reason", "message")])
KEYED_CLOCKS = pa.schema([("key", pa.string()), ("clock", pa.string())])


@dataclass(frozen=True)
class Item:
    """A row of the table, after it was fetched.

    key: unique in the dataset, without dots.  clips: [[start_s, stop_s], …].  extra: the table's other columns.
    path: the file that holds it, "" for the lot's own tar, from byte `offset` on, `size` bytes.
    sound: a file of its own with the sound, "" where it is in the same file.  subtitles: [[start_s, stop_s, text], …].
    outcome: written, or failed with a reason and a message.
    """

    key: str
    shard: int
    url: str
    caption: str = ""
    clips: list[list[float]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    path: str = ""
    offset: int = 0
    size: int = 0
    sha256: str = ""
    sound: str = ""
    subtitles: list[list[Any]] = field(default_factory=list)
    outcome: str = "written"
    reason: str = ""
    message: str = ""

    @property
    def is_there(self) -> bool:
        """Whether there is anything to work on."""
        return self.outcome == "written"


def write_items(path: Path, items: Iterable[Item]) -> None:
    """Write the items of a lot, in their order."""
    rows = [vars(item) | {name: _packed(getattr(item, name)) for name in _PACKED} for item in items]
    table_file.write(path, pa.Table.from_pylist(rows, schema=ITEMS))


def read_items(path: Path) -> list[Item]:
    """Read what `write_items` wrote."""
    rows = table_file.read(path, ITEMS).to_pylist()
    return [Item(**(row | {name: json.loads(row[name]) for name in _PACKED})) for row in rows]


_PACKED = ("clips", "extra", "subtitles")


def _packed(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def media_url(item: Item, tar: Path) -> str:
    """What ffmpeg opens to read an item: a part of a file is read in place."""
    if not item.path or item.offset:
        return part_url(item.path or str(tar), item.offset, item.size)
    return f"file:{item.path}"


def part_url(file: str, offset: int, size: int) -> str:
    """What ffmpeg opens to read a part of a file in place."""
    return f"subfile,,start,{offset},end,{offset + size},,:{Path(file).absolute()}"


def write_frames(path: Path, tables: Mapping[str, tuple[FrameTable, Mapping[str, np.ndarray]]]) -> None:
    """Write the frame tables of a lot's items by key, each with its SCORES, float32 (N,)."""
    columns = [pa.array([key for key, (table, _) in tables.items() for _ in range(len(table))], pa.string())]
    for name in FRAMES.names:
        columns.append(_joined([getattr(table, name) for table, _ in tables.values()], FRAMES.field(name).type))
    for name in SCORES:
        columns.append(_joined([scores[name] for _, scores in tables.values()], pa.float32()))
    table_file.write(path, pa.Table.from_arrays(columns, schema=KEYED_FRAMES))


def _joined(parts: list[np.ndarray], kind: pa.DataType) -> pa.Array:
    return pa.array(np.concatenate(parts) if parts else [], kind)


def read_frames(path: Path) -> dict[str, tuple[FrameTable, dict[str, np.ndarray]]]:
    """Frame table and scores by key."""
    table = table_file.read(path, KEYED_FRAMES).combine_chunks()
    if not table.num_rows:
        return {}
    # Only here: whoever reads no frames does not wait for its import.
    import pyarrow.compute as pc

    # Runs of equal keys, without a Python object a row.
    runs = pc.run_end_encode(table["key"].combine_chunks())
    keys, stops = runs.values.to_pylist(), runs.run_ends.to_pylist()
    columns = {name: table[name].to_numpy() for name in [*FRAMES.names, *SCORES]}
    found = {}
    for key, start, stop in zip(keys, [0, *stops[:-1]], stops, strict=True):
        part = {name: values[start:stop] for name, values in columns.items()}
        scores = {name: part.pop(name) for name in SCORES}
        found[str(key)] = (FrameTable(**part), scores)
    return found


def clock_text(clock: Clock) -> str:
    """A clock as one line of JSON."""
    return json.dumps(asdict(clock), sort_keys=True)


def clock_of(text: str) -> Clock:
    """The clock of a line that `clock_text` made."""
    fields = json.loads(text)
    fields["segments"] = [Segment(**segment) for segment in fields["segments"]]
    fields["gaps"] = [Gap(**gap) for gap in fields["gaps"]]
    return Clock(**fields)


def no_frames() -> tuple[FrameTable, dict[str, np.ndarray]]:
    """Frame table and scores of an item without pictures."""
    return FrameTable.empty(), {name: np.empty(0, np.float32) for name in SCORES}


def write_clocks(path: Path, clocks: Mapping[str, Clock]) -> None:
    """Write the clocks of the items that have a sound, by key."""
    rows = [{"key": key, "clock": clock_text(clock)} for key, clock in clocks.items()]
    table_file.write(path, pa.Table.from_pylist(rows, schema=KEYED_CLOCKS))


@dataclass(frozen=True)
class Speech:
    """Stretches of speech of an item, [[start_s, stop_s], …] on its clock; reason, message: why it was not heard."""

    stretches: list[list[float]] = field(default_factory=list)
    reason: str = ""
    message: str = ""


def write_speech(path: Path, speech: Mapping[str, Speech]) -> None:
    """Write the speech of a lot's items by key."""
    rows = [
        {"key": key, "speech": json.dumps(said.stretches), "reason": said.reason, "message": said.message}
        for key, said in speech.items()
    ]
    table_file.write(path, pa.Table.from_pylist(rows, schema=KEYED_SPEECH))


def read_speech(path: Path) -> dict[str, Speech]:
    """Speech by key."""
    rows = table_file.read(path, KEYED_SPEECH).to_pylist()
    return {row["key"]: Speech(json.loads(row["speech"]), row["reason"], row["message"]) for row in rows}


def write_scans(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the scans of a lot's items: key, facts (a dict), hashes, thumbnail."""
    packed = [row | {"facts": json.dumps(row["facts"], sort_keys=True)} for row in rows]
    table_file.write(path, pa.Table.from_pylist(packed, schema=SCANS))


def read_scans(path: Path) -> dict[str, dict[str, Any]]:
    """Scans by key, with `facts` as a dict."""
    rows = table_file.read(path, SCANS).to_pylist()
    return {row["key"]: row | {"facts": json.loads(row["facts"])} for row in rows}
