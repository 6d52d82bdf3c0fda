"""Webdataset tars as tables: samples whose media are read where they stand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from scripts.common import tar_file
from scripts.sources.table_text import decoded
from scripts.sources.url_rows import NOT_UTF8, SCHEMA, Batches, clips_text, json_of, object_of, text_of

MEDIA_ENDINGS = ("mp4", "m4a", "webm", "mkv", "mov", "avi", "wav", "mp3", "flac", "ogg", "m4v", "ts", "mpg")


def read_tar(file: str, columns: Mapping[str, str]) -> Batches:
    """Samples of a webdataset tar: each medium is read where it stands; json and txt are its metadata."""
    if "://" in file and not file.startswith("file://"):
        raise ValueError("a tar on a store is to be copied here first; its members are read in place")
    path = Path(file.removeprefix("file://"))
    samples: dict[str, dict[str, tuple[int, int]]] = {}
    for name, offset, size in tar_file.members(path):
        # As webdataset reads names: samples of two folders are two samples, and endings have small letters.
        folder, slash, file_name = name.rpartition("/")
        stem, _, ending = file_name.partition(".")
        samples.setdefault(f"{folder}{slash}{stem}", {})[ending.lower()] = (offset, size)
    rows = []
    for stem, parts in samples.items():
        media = next((ending for ending in MEDIA_ENDINGS if ending in parts), "")
        content = tar_file.read_part(path, *parts["json"]) if "json" in parts else b"{}"
        meta = object_of(content, f"the json of its sample {stem!r}")
        caption = text_of(meta.get("caption") or "")
        own: dict[str, Any] = {"source_key": stem}
        if "txt" in parts:
            caption, odd = decoded(tar_file.read_part(path, *parts["txt"]))
            own |= {NOT_UTF8: f"{path.name}/{stem}.txt ({odd})"} if odd else {}
        offset, size = parts.get(media, (0, 0))
        rows.append(
            {
                "url": text_of(meta.get("url") or "") or f"{path.name}/{stem}",
                "caption": caption,
                "clips": clips_text(_cuts_of(meta)),
                "seconds": None,
                "bytes": float(size),
                "path": str(path),
                "offset": offset,
                "size": size,
                "extra": json_of({**meta, **own}),
            }
        )
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def _cuts_of(meta: dict[str, Any]) -> Any:
    """Cuts that an earlier program has found, in frames, as seconds; others stay as they are, for their row to fail."""
    cuts = meta.get("cuts")
    if not isinstance(cuts, dict) or not cuts.get("original_fps"):
        return meta.get("cuts_s")
    try:
        rate = float(cuts["original_fps"])
        return [[start / rate, stop / rate] for start, stop in cuts.get("cuts_original_fps", [])]
    except (TypeError, ValueError):
        return str(cuts)
