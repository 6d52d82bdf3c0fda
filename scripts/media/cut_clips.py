"""Time ranges from a table, cut out of every camera and microphone: each clip a folder like that of a recording."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from scripts.common import atomic, ledger
from scripts.common import manifest as manifests
from scripts.common.clip_table import WantedClip, read_table
from scripts.common.clock import Clock
from scripts.common.cut_clock import cut_clock
from scripts.common.cut_video import COPIED, codec_of, copy_packets, cut_table, encode_frames
from scripts.common.encoder import Coding, usable
from scripts.common.errors import UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress, run
from scripts.common.lost_frames import listed
from scripts.common.lot_work import failure, logged
from scripts.common.names import folded, instead_of, is_recording_name
from scripts.common.timeline import NS, Timeline
from scripts.media.clip_instants import instant_of
from scripts.media.cut_sound import cut_sound

STEP = "cut_clips"


class ClipError(Exception):
    """A row of the table asks for what is no clip: one line that says why."""


class OtherRecordingError(Exception):
    """A row that names no recording lies outside of this one: where."""


@dataclass(frozen=True)
class Camera:
    """A camera's video and its frames."""

    name: str
    video: Path
    frames: FrameTable


@dataclass(frozen=True)
class Microphone:
    """A microphone's sound and its clock."""

    name: str
    sound: Path
    clock: Clock


def cut_clips(
    videos: list[Path],
    frames: list[Path],
    sounds: list[Path],
    clocks: list[Path],
    manifest: Path,
    table: Path,
    out_folder: Path,
    out_ledger: Path,
    *,
    recording: str,
    product: str,
    cameras: list[str],
    microphones: list[str],
    time: str,
    zone: str,
    mode: str,
    coding: dict[str, Any],
) -> None:
    """Cut the clips of `table` that name this recording, or none: start <= time of a frame < end.

    time: auto, relative, ros, utc or local; mode: copy or exact, then with `coding` (codec, crf, preset, encoder).
    A row that cannot be cut is a `failed` row of the ledger, and nothing of its clip is there; one that names no
    recording and lies outside of this one is a `filtered` row. Raises InputError if the table cannot be read, or every
    stream of the recording failed.
    """
    seen = [Camera(n, v, FrameTable.read(f)) for n, v, f in zip(cameras, videos, frames, strict=True)]
    heard = [Microphone(n, s, Clock.read(c)) for n, s, c in zip(microphones, sounds, clocks, strict=True)]
    seen = [camera for camera in seen if len(camera.frames)]
    heard = [microphone for microphone in heard if microphone.clock.samples]
    if not seen and not heard:
        raise UpstreamError(recording)
    timeline = Timeline.of(manifests.read(manifest))
    wanted = [row for row in read_table(table) if row.recording in ("", recording)]
    encoding = usable(Coding(**coding)) if mode == "exact" else Coding(**coding).on_cpu
    out_folder.mkdir()
    rows: list[ledger.Row] = []
    names: set[str] = set()
    for number, row in enumerate(wanted):
        name = row.name or f"clip_{row.number:04d}"
        unmade = partial(ledger.Row, STEP, recording, f"{product}/line {row.line}")
        place = f"{table.name}, line {row.line}"
        try:
            check_name(name, names)
            start_ns, stop_ns = span_of(row, time, ZoneInfo(zone), timeline)
            names.add(folded(name))
            message = cut(out_folder / name, seen, heard, start_ns, stop_ns, mode, encoding)
            made = ledger.Row(
                STEP, recording, f"{product}/{name}", "written", message=message, start_ns=start_ns, stop_ns=stop_ns
            )
        except OtherRecordingError as error:
            made = unmade("filtered", "outside", message=str(error))
        except ClipError as error:
            made = unmade("failed", "bad_clip", message=f"{place}: {error}")
        except Exception as error:  # a damaged file, or what nobody foresaw: the other clips are cut
            atomic.remove(out_folder / name)
            status = logged(failure(f"{recording}, clip {name}", error))
            made = unmade("failed", status["reason"], message=f"{place}: {status['message']}")
        rows.append(made)
        progress(number, len(wanted), "clips")
    ledger.write(out_ledger, rows)


def check_name(name: str, taken: Collection[str]) -> None:
    """Raise ClipError for a name of a clip that cannot be a folder, or is one already."""
    if not is_recording_name(name):
        raise ClipError(f"{name!r} cannot name a folder; {instead_of(name, '._+=@-')}")
    if folded(name) in taken:
        raise ClipError(f"there is another clip `{name}`")


def span_of(row: WantedClip, kind: str, zone: ZoneInfo, timeline: Timeline) -> tuple[int, int]:
    """Start and end of a clip that has something of the recording, ns. Raises OtherRecordingError or ClipError."""
    start_ns, stop_ns = bounds(row, kind, zone, timeline)
    outside = outside_by(start_ns, stop_ns, timeline)
    if outside:
        # A table of a whole season holds the clips of other recordings, too.
        raise (ClipError if row.recording else OtherRecordingError)(outside)
    return start_ns, stop_ns


def bounds(row: WantedClip, kind: str, zone: ZoneInfo, timeline: Timeline) -> tuple[int, int]:
    """Start and end of a clip, ns. Raises ClipError."""
    try:
        start_ns, stop_ns = (instant_of(text, kind, zone, timeline) for text in (row.start, row.end))
    except ValueError as error:
        raise ClipError(str(error)) from None
    if stop_ns <= start_ns:
        raise ClipError(f"the end {row.end} is not after the start {row.start}")
    return start_ns, stop_ns


def outside_by(start_ns: int, stop_ns: int, timeline: Timeline) -> str:
    """Where a clip lies that has nothing of the recording; "" if it has."""
    if stop_ns > timeline.start_ns and start_ns < timeline.stop_ns:
        return ""
    length_s, begins_s = (timeline.stop_ns - timeline.start_ns) / NS, (start_ns - timeline.start_ns) / NS
    return f"it lies outside of the recording: it would begin at {begins_s:.3f} s of {length_s:.3f} s"


def cut(
    folder: Path,
    cameras: list[Camera],
    microphones: list[Microphone],
    start_ns: int,
    stop_ns: int,
    mode: str,
    coding: Coding,
) -> str:
    """Cut one clip into `folder`. Returns what it lacks. Raises ClipError if there is nothing in it."""
    parts = []
    for camera in cameras:
        first, stop = np.searchsorted(camera.frames.time_ns, [start_ns, stop_ns]).tolist()
        parts.append((camera, first, stop))
    cut_clocks = [(microphone, *cut_clock(microphone.clock, start_ns, stop_ns)) for microphone in microphones]
    if not any(first < stop for _, first, stop in parts) and not any(ranges for _, _, ranges in cut_clocks):
        raise ClipError("no camera has a frame in it, and no microphone a sample")
    folder.mkdir()
    notes = []
    for camera, first, stop in parts:
        if first == stop:
            notes.append(f"{camera.name} has no frame in it")
            continue
        video = folder / f"{camera.name}.mp4"
        codec = codec_of(camera.video)
        if mode == "copy" and codec in COPIED:
            copy_packets(camera.video, camera.frames, first, stop, video)
            table = cut_table(camera.frames, np.arange(first, stop))
        else:
            encoded = encode_frames(camera.video, camera.frames, first, stop, video, coding)
            notes += [f"{camera.name}: {listed(encoded.lost)}"] if len(encoded.lost) else []
            notes += [f"{camera.name} is encoded anew: {codec} cannot be cut by an edit list"] if mode == "copy" else []
            if not len(encoded.rows):
                continue
            table = encoded.table(camera.frames)
        table.write(folder / f"{camera.name}.frames.parquet")
    for microphone, clock, ranges in cut_clocks:
        if not ranges:
            notes.append(f"{microphone.name} has no sample in it")
            continue
        cut_sound(microphone.sound, clock, ranges, folder / f"{microphone.name}.wav")
        clock.write(folder / f"{microphone.name}.clock.json")
    if not any(folder.iterdir()):
        folder.rmdir()
        raise ClipError("; ".join(notes))
    return "; ".join(notes)


if __name__ == "__main__":
    run(cut_clips)
