"""The shards of a lot: the clips of each in the order of their keys, with an index and a table of metadata."""

import json
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from scripts.common import annotation_table, table_file
from scripts.common import clips as clip_tables
from scripts.common.clips import ClipRow
from scripts.common.job import run
from scripts.common.sample_columns import as_tables
from scripts.datasets.shard_formats import FORMATS, Part, Sample, record_table, text_part, write_parquet

INDEX = pa.schema(
    [
        ("key", pa.string()),
        ("shard", pa.string()),
        ("file", pa.string()),
        ("ending", pa.string()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("sha256", pa.string()),
    ]
)


def record_of(clip: ClipRow, shard: str, taken: Collection[str] = ()) -> dict[str, Any]:
    """What the json of a sample says. taken: columns of annotations, which none of the table's hides."""
    own = {"key": clip.key, "shard": shard, "caption": clip.caption, "start_s": clip.start_s, "stop_s": clip.stop_s}
    meta = {as_tables(name) if name in taken else name: value for name, value in clip.meta.items()}
    return {**meta, **own, "duration_s": round(clip.stop_s - clip.start_s, 6)}


class Found(NamedTuple):
    """What an annotation found out about the clips of a lot, and the tar with its files."""

    files: Path
    by_key: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]]


def sample_of(
    clip: ClipRow, shard: str, media: Path, cut: Path, annotations: Sequence[Found] = (), taken: Collection[str] = ()
) -> Sample:
    """A clip as a sample: its media, its caption as txt, its json, and what annotations added to them."""
    record = record_of(clip, shard, taken)
    found = [(one.files, *one.by_key[clip.key]) for one in annotations if clip.key in one.by_key]
    for _, values, _ in found:
        record |= values
    parts = [text_part("json", json.dumps(record, ensure_ascii=False, sort_keys=True, indent=None))]
    if clip.caption:
        parts.append(text_part("txt", clip.caption))
    for part in clip.parts:
        place = Path(part["path"]) if part["path"] else (media if part["from_item"] else cut)
        parts.append(Part(part["ending"], place, part["offset"], part["size"], part["sha256"]))
    for files, _, members in found:
        parts += [Part(m["ending"], files, m["offset"], m["size"], m["sha256"]) for m in members]
    return Sample(clip.key, sorted(parts, key=lambda part: part.ending), record)


def shards_of(rows: list[ClipRow], first: int, count: int) -> Iterator[tuple[int, list[ClipRow]]]:
    """Number and clips of every shard of a lot, empty ones too."""
    for number in range(first, first + count):
        yield number, sorted((row for row in rows if row.shard == number), key=lambda row: row.key)


def write_shard(
    media: Path,
    cut: Path,
    clips: Path,
    annotation_files: list[Path],
    annotation_values: list[Path],
    out_folder: Path,
    out_index: Path,
    out_metadata: Path,
    *,
    first_shard: int,
    shards: int,
    digits: int,
    output: str,
    classes: list[str],
    annotated: list[str],
) -> None:
    """Write `shards` shards from number `first_shard` on.

    media, cut: the tars of the lot's items and of its clips.  classes: of the column `label`, for parquet.
    annotated: the columns of annotations, in samples that they found nothing about, too.
    """
    rows = clip_tables.read(clips)
    found = [Found(*pair) for pair in zip(annotation_files, map(annotation_table.read, annotation_values), strict=True)]
    out_folder.mkdir()
    entries: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    for number, members in shards_of(rows, first_shard, shards):
        name = f"{number:0{digits}d}"
        samples = [sample_of(clip, name, media, cut, found, annotated) for clip in members]
        if samples:
            write = partial(write_parquet, classes=classes) if output == "parquet" else FORMATS[output]
            entries += write(out_folder, name, samples)
        records += [sample.record for sample in samples]
    table_file.write(out_index, pa.Table.from_pylist(entries, schema=INDEX))
    table_file.write(out_metadata, record_table(records))


if __name__ == "__main__":
    run(write_shard)
