"""The chunks of a recording as one video a camera and one sound a microphone, by stream copy; gaps stay gaps.

The recording's clock begins with the first chunk. Each chunk is imported as a file of its own, and its packets are
appended; so every camera has one frame table that is continuous across its chunks.
"""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import ledger, manifest
from scripts.common.clock import Clock
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable, frame_period_ns
from scripts.common.job import progress, run
from scripts.common.timeline import NS
from scripts.sources.chunk_times import Placed, declared, natural, place
from scripts.sources.chunk_writer import JoinedSound, JoinedVideo
from scripts.sources.container import open_media, rescale
from scripts.sources.file_tracks import Track, find_tracks, in_ns
from scripts.sources.import_video import import_video
from scripts.sources.imported import Imported, refuse_all_failed

log = logging.getLogger("rushes")
STEP = "join_chunks"
# So many of a stream's notes stand in its row of the ledger; the manifest has all.
NOTED = 3


@dataclass(frozen=True)
class Chunk:
    """A file of a recording. start_ns, length_ns: its earliest stream and its length on its own clock; None if it
    cannot be read."""

    path: Path
    start_ns: int
    length_ns: int | None


@dataclass
class Stream(Imported):
    """A camera or microphone that chunks become. chunks: what the manifest says of each.  lost: rows of those lost."""

    joined: JoinedVideo | JoinedSound
    files: list[Path]
    chunks: list[dict[str, Any]] = field(default_factory=list)
    lost: list[ledger.Row] = field(default_factory=list)


def measure(path: Path, streams: Sequence[Stream]) -> Chunk:
    """When the earliest of the wanted streams of a file begins, and how long its pictures last (or its sound)."""
    tracks = [Track(s.name, s.kind, {**s.setting, "file": 0}, path, path) for s in streams]
    find_tracks([path], tracks, 0.0)
    usable = [track for track in tracks if track.error is None]
    if not usable:
        return Chunk(path, 0, None)
    start_ns = min(track.start_ns for track in usable)
    ends = []
    for track in usable:
        if track.packets is not None and len(track.packets):
            table = track.packets
            times = np.sort(rescale(table.pts[table.shown], table.time_base, NS))
            ends.append(int(times[-1]) + frame_period_ns(times))
    if not ends:
        with open_media(path) as container:
            ends = [in_ns(s, (s.start_time or 0) + (s.duration or 0)) for s in container.streams.audio]
    return Chunk(path, start_ns, max(ends, default=start_ns) - start_ns)


def join_chunks(
    source: list[Path],
    out_videos: list[Path],
    out_frames: list[Path],
    out_sounds: list[Path],
    out_clocks: list[Path],
    out_manifest: Path,
    out_ledger: Path,
    *,
    recording: str,
    cameras: dict[str, dict[str, Any]],
    microphones: dict[str, dict[str, Any]],
    chunks: dict[str, Any],
    tmpdir: Path,
    start_s: float = 0.0,
    stop_s: float = 0.0,
) -> None:
    """Join the chunks that `cameras` and `microphones` name by `files`, indexes into `source`.

    chunks: starts (follow, names, modified, given), pattern, starts_s, tolerance_s.  start_s, stop_s: the wanted part
    on the recording's clock, 0: all.  A stream whose chunks do not fit together is a `failed` row with empty outputs;
    a chunk that cannot be read is a `failed` row and a gap, if its time is known. Raises InputError if no stream is
    left.
    """
    streams = [
        *(
            Stream(n, "video", cameras[n], video, table, JoinedVideo(video), _files(cameras[n], source))
            for n, video, table in zip(cameras, out_videos, out_frames, strict=True)
        ),
        *(
            Stream(n, "sound", microphones[n], sound, clock, JoinedSound(sound), _files(microphones[n], source))
            for n, sound, clock in zip(microphones, out_sounds, out_clocks, strict=True)
        ),
    ]
    warnings: list[str] = []
    by_files: dict[tuple[Path, ...], list[Stream]] = {}
    for stream in streams:
        if stream.files:
            by_files.setdefault(tuple(sorted(stream.files, key=lambda path: natural(path.name))), []).append(stream)
        else:
            stream.error = InputError("no_chunk", f"{stream.name}: no file fits what its rig names; add one")
    placed = _placed(by_files, chunks)
    for files, own in by_files.items():
        for number, (chunk, where) in enumerate(placed.get(files, []), start=1):
            _append(chunk, where, own, recording, tmpdir, (start_s, stop_s), warnings)
            progress(number, len(files), "chunks")
    for stream in streams:
        _finish(stream)
    refuse_all_failed(streams)
    entries = {stream.name: stream.entry() for stream in streams}
    manifest.write(out_manifest, recording=recording, source=source, streams=entries, warnings=warnings)
    ledger.write(out_ledger, [row for stream in streams for row in _rows(stream, recording)])
    for line in warnings:
        log.warning("%s: %s", recording, line)


def _files(setting: dict[str, Any], source: Sequence[Path]) -> list[Path]:
    return [source[index] for index in setting["files"]]


def _placed(
    by_files: dict[tuple[Path, ...], list[Stream]], settings: dict[str, Any]
) -> dict[tuple[Path, ...], list[tuple[Chunk, Placed]]]:
    """Every group of chunks on one clock, which begins with the first chunk of any."""
    found: dict[tuple[Path, ...], list[tuple[Chunk, Placed]]] = {}
    origins: dict[tuple[Path, ...], int] = {}
    for files, own in by_files.items():
        measured = [measure(path, own) for path in files]
        try:
            said = declared(files, [chunk.length_ns for chunk in measured], settings)
            order = sorted(range(len(files)), key=lambda k: said[k]) if said else list(range(len(files)))
            measured = [measured[k] for k in order]
            times = [said[k] for k in order] if said else None
            where = place([chunk.length_ns for chunk in measured], times, round(settings["tolerance_s"] * NS))
        except InputError as error:
            for stream in own:
                stream.error = error
            continue
        origins[files] = times[0] if times else 0
        found[files] = list(zip(measured, where, strict=True))
    earliest = min(origins.values(), default=0)
    return {
        files: [(c, replace(w, start_ns=w.start_ns + origins[files] - earliest)) for c, w in pairs]
        for files, pairs in found.items()
    }


def _append(
    chunk: Chunk,
    where: Placed,
    streams: Sequence[Stream],
    recording: str,
    tmpdir: Path,
    wanted_s: tuple[float, float],
    warnings: list[str],
) -> None:
    """Import a chunk and append what it holds of each stream."""
    start_s, stop_s = wanted_s
    begin_s = where.start_ns / NS
    length_s = (chunk.length_ns or 0) / NS
    if (stop_s and begin_s >= stop_s) or (start_s and begin_s + length_s <= start_s):
        return
    own = [stream for stream in streams if stream.error is None]
    with tempfile.TemporaryDirectory(dir=tmpdir, prefix="rushes_chunk_") as name:
        folder = Path(name)
        seen, heard = ([s for s in own if s.kind == kind] for kind in ("video", "sound"))
        try:
            import_video(
                [chunk.path],
                [folder / f"{s.name}.mp4" for s in seen],
                [folder / f"{s.name}.frames.parquet" for s in seen],
                [folder / f"{s.name}.wav" for s in heard],
                [folder / f"{s.name}.clock.json" for s in heard],
                folder / "manifest.json",
                folder / "export.ledger.parquet",
                recording=recording,
                cameras={s.name: {**s.setting, "file": 0} for s in seen},
                microphones={s.name: {**s.setting, "file": 0} for s in heard},
                start_s=max(0.0, start_s - begin_s),
                stop_s=max(0.0, stop_s - begin_s) if stop_s and stop_s < begin_s + length_s else 0.0,
            )
            entries = manifest.read(folder / "manifest.json")
            said = _said(folder / "export.ledger.parquet")
        except InputError as error:
            entries = {"streams": {s.name: manifest.failed_entry(s.kind, error.reason, error.message) for s in own}}
            said = {}
        warnings += [f"{chunk.path.name}: {line}" for line in [*entries.get("warnings", []), *where.notes]]
        for stream in own:
            stream.notes += [f"{chunk.path.name}: {note}" for note in [*where.notes, *said.get(stream.name, [])]]
            _take(stream, entries["streams"][stream.name], chunk, where, folder, recording)


def _said(path: Path) -> dict[str, list[str]]:
    """What the ledger of a chunk's import says of each stream that was written."""
    rows = ledger.rows(ledger.read([path]))
    return {row.item: [row.message] for row in rows if row.outcome == "written" and row.message}


def _take(stream: Stream, entry: dict[str, Any], chunk: Chunk, where: Placed, folder: Path, recording: str) -> None:
    """Append a stream's part of an imported chunk, or note that it is lost."""
    name = chunk.path.name
    if "failed" in entry:
        stream.lost.append(
            ledger.Row(STEP, recording, f"{stream.name}/{name}", "failed", entry["failed"], message=entry["message"])
        )
        return
    offset_ns = where.start_ns - chunk.start_ns
    try:
        if isinstance(stream.joined, JoinedVideo):
            table = FrameTable.read(folder / f"{stream.name}.frames.parquet")
            stream.joined.append(folder / f"{stream.name}.mp4", table, offset_ns, name)
            start_ns, stop_ns = table.start_ns, int(entry["stop_ns"])
        else:
            clock = Clock.read(folder / f"{stream.name}.clock.json")
            stream.joined.append(folder / f"{stream.name}.wav", clock, offset_ns, name, entry["sample_format"])
            start_ns, stop_ns = clock.start_ns, clock.stop_ns
    except InputError as error:
        stream.error = error
        return
    stream.chunks.append({"file": name, "start_ns": start_ns + offset_ns, "stop_ns": stop_ns + offset_ns})
    kept = ("codec", "width", "height", "copied", "why_encoded", "sample_format", "stream", "choice", "rotation")
    stream.facts = stream.facts or {key: entry[key] for key in kept if key in entry}


def _finish(stream: Stream) -> None:
    """Close a stream's outputs and make its entry of the manifest; or its empty outputs."""
    if stream.error is None and not stream.chunks:
        first = stream.lost[0] if stream.lost else None
        stream.error = InputError(
            first.reason if first else "no_chunk", first.message if first else f"{stream.name}: no chunk holds anything"
        )
    if stream.error is not None:
        stream.joined.discard()
        stream.write_empty()
        return
    facts = {**stream.facts, "chunks": stream.chunks, "stop_ns": max(chunk["stop_ns"] for chunk in stream.chunks)}
    if isinstance(stream.joined, JoinedVideo):
        frames = stream.joined.close()
        frames.write(stream.table)
        stream.facts = manifest.picture_entry(frames, **facts)
    else:
        clock = stream.joined.close()
        clock.write(stream.table)
        stream.facts = manifest.sound_entry(clock, **facts)


def _rows(stream: Stream, recording: str) -> list[ledger.Row]:
    """The row of a stream, and one for each chunk that is lost."""
    if stream.error is not None:
        return [stream.row(STEP, recording)]
    stream.count = stream.facts.get("frames", stream.facts.get("samples", 0))
    if len(stream.notes) > NOTED:
        stream.notes = [*stream.notes[:NOTED], f"and {len(stream.notes) - NOTED} more, see its manifest"]
    return [stream.row(STEP, recording), *stream.lost]


if __name__ == "__main__":
    run(join_chunks)
