"""A folder of numbered pictures becomes a video a camera: the files' bytes as its packets, the numbers as its times.

Frame number n stands at (n - first) / fps seconds on the recording's clock; numbers that are missing are gaps.
"""

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream

from scripts.common import ledger, manifest
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress, run
from scripts.common.jpeg_quality import jpeg_quality
from scripts.common.packet_writer import PacketWriter
from scripts.common.timeline import NS
from scripts.sources.imported import Imported, refuse_all_failed

log = logging.getLogger("rushes")
STEP = "import_frames"
# Numbers of frames are kept in 32 bits, and nanoseconds in 64.
LAST_NUMBER = 2**31 - 1
LONGEST_S = 10**9
# How the bytes of pictures begin, whatever their names say.
BEGINS = {b"\xff\xd8": ("jpg", "jpeg"), b"\x89PNG": ("png",)}
# So many of the pictures that are left out are named.
NAMED = 3


@dataclass(frozen=True)
class Picture:
    """A file of a folder. stream: with its codec, None if it is no picture.  form: codec, size, pixels."""

    time_ns: int
    name: str
    payload: bytes = b""
    stream: VideoStream | None = None
    form: str = ""
    why_not: str = ""


def numbered(folder: Path, pattern: str) -> list[tuple[int, str]]:
    """(number, name) of the files whose names fit `pattern`, a regular expression with one group, by number.

    Raises InputError if two files have one number.
    """
    expression = re.compile(pattern)
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_file()]
    found = sorted((int(match[1]), name) for name in names if (match := expression.fullmatch(name)))
    for (number, name), (other, twin) in pairwise(found):
        if number == other:
            raise InputError(
                "frame_number", f"{name} and {twin} are both number {number}; name one of them in the pattern"
            )
    return found


def check_reach(found: list[tuple[int, str]], fps: Fraction, first: int) -> None:
    """Raises InputError for a picture whose number is too far from the first frame's to stand on any clock."""
    most = min(LAST_NUMBER, int(LONGEST_S * fps))
    for number, name in found[:1] + found[-1:]:
        if abs(number - first) > most:
            message = f"{name} is number {number}, more than {most:,} from `frames.first`; name it otherwise"
            raise InputError("frame_number", message, value=float(number), limit=float(most))


def times_ns(numbers: np.ndarray, fps: Fraction, first: int) -> np.ndarray:
    """Instants of frame numbers on the recording's clock, int64 (N,), rounded to nanoseconds."""
    period = NS / fps
    twice = 2 * (numbers.astype(object) - first) * period.numerator + period.denominator
    times: np.ndarray = (twice // (2 * period.denominator)).astype(np.int64)
    return times


def frame_numbers(time_ns: np.ndarray, fps: Fraction) -> np.ndarray:
    """The numbers, from 0, that stand at these instants. int32 (N,)."""
    twice = 2 * time_ns.astype(object) * fps.numerator + NS * fps.denominator
    found: np.ndarray = (twice // (2 * NS * fps.denominator)).astype(np.int32)
    return found


def import_frames(
    source: Path,
    out_videos: list[Path],
    out_frames: list[Path],
    out_sounds: list[Path],
    out_clocks: list[Path],
    out_manifest: Path,
    out_ledger: Path,
    *,
    recording: str,
    cameras: dict[str, dict[str, Any]],
    numbers: dict[str, Any],
    start_s: float = 0.0,
    stop_s: float = 0.0,
) -> None:
    """Import the pictures of `source` that fit the cameras' patterns. numbers: fps and first.

    start_s, stop_s: the part that is wanted, on the recording's clock, 0: all. A picture that cannot be read is left
    out like one that is missing, and named in the camera's row and the manifest. A camera whose pictures cannot be one
    video is a `failed` row and has empty outputs. Raises InputError if that holds for all, for the same cause.
    """
    fps = Fraction(str(numbers["fps"]))
    streams = [
        Imported(name, "video", cameras[name], video, table)
        for name, video, table in zip(cameras, out_videos, out_frames, strict=True)
    ]
    for stream in streams:
        try:
            import_camera(stream, source, fps, numbers["first"], (start_s, stop_s))
        except InputError as error:
            stream.error = error
            stream.write_empty()
    refuse_all_failed(streams)
    warnings = [f"{stream.name}: {note}" for stream in streams for note in stream.notes]
    for line in warnings:
        log.warning("%s: %s", recording, line)
    entries = {stream.name: stream.entry() for stream in streams}
    manifest.write(out_manifest, recording=recording, source=[source], streams=entries, warnings=warnings)
    ledger.write(out_ledger, [stream.row(STEP, recording) for stream in streams])


def import_camera(stream: Imported, source: Path, fps: Fraction, first: int, wanted_s: tuple[float, float]) -> None:
    """Write the video and the frame table of a camera. Raises InputError if its pictures cannot be one video.

    first: number of the picture at 0.  wanted_s: see `import_frames`.
    """
    start_s, stop_s = wanted_s
    found = numbered(source, stream.setting["pattern"])
    check_reach(found, fps, first)
    times = times_ns(np.array([number for number, _ in found], np.int64), fps, first)
    wanted = [
        (int(time), file)
        for time, (_, file) in zip(times, found, strict=True)
        if time >= start_s * NS and (not stop_s or time < stop_s * NS)
    ]
    if not wanted:
        raise InputError("no_picture", f"{stream.name}: no picture of {source.name} fits what its rig names; add some")
    frames, facts, stream.notes = write_video(stream.media, source, wanted, fps)
    frames = replace(frames, source_frame=frame_numbers(frames.time_ns, fps))
    frames.write(stream.table)
    # The clock begins with number `first`, also where its picture is missing.
    stream.facts = manifest.picture_entry(frames, **facts, start_ns=round(start_s * NS))
    stream.count = len(frames)
    lowest, highest = facts.get("jpeg_quality", (0, 0))
    if lowest != highest:
        stream.notes.append(f"the JPEG quality drifts, from {lowest} to {highest}; it tells a network the time")


def write_video(
    video: Path, folder: Path, wanted: list[tuple[int, str]], fps: Fraction
) -> tuple[FrameTable, dict[str, Any], list[str]]:
    """The files of `wanted`, (instant in ns, name), as the packets of a video. Returns its table, facts and notes.

    Files that are no pictures are left out. Raises InputError if they are more than half of all, and for a picture of
    another kind or size than the first.
    """
    period_ns = round(NS / fps)
    times: list[int] = []
    writer: PacketWriter | None = None
    qualities: set[int] = set()
    broken: list[str] = []
    try:
        for number, one in enumerate(pictures(folder, wanted), start=1):
            progress(number, len(wanted), "pictures")
            if one.stream is None:
                broken.append(one.why_not)
                continue
            if writer is None:
                first, writer = one, PacketWriter(video, one.stream)
                facts = {"codec": one.form.split(" ")[0], "width": one.stream.codec_context.width}
                facts["height"] = one.stream.codec_context.height
            if one.form != first.form:
                message = f"{one.name} is {one.form}, but {first.name} is {first.form}: make two recordings of them"
                raise InputError("frame_form", message)
            times.append(one.time_ns)
            writer.write(one.payload, (one.time_ns - first.time_ns + 500) // 1000, keyframe=True)
            qualities.update(filter(None, [jpeg_quality(one.payload)]))
    finally:
        if writer is not None:
            writer.close()
    notes = left_out(broken, len(wanted))
    instants = np.array(times, np.int64)
    steps = np.diff(instants, prepend=instants[0])
    gaps = np.where(steps > 1.5 * period_ns, steps - period_ns, 0)
    pts_us = (instants - instants[0] + 500) // 1000
    table = FrameTable.make(pts_us, instants, keyframe=np.ones(len(times), bool), gap_before_ns=gaps)
    facts |= {"jpeg_quality": [min(qualities), max(qualities)]} if qualities else {}
    facts |= {"left_out": len(broken)} if broken else {}
    return table, {**facts, "copied": True, "stop_ns": times[-1] + period_ns}, notes


def left_out(broken: list[str], count: int) -> list[str]:
    """What to say of the pictures that cannot be read, of `count`. Raises InputError if they are more than half."""
    if not broken:
        return []
    more = f", and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
    said = f"{len(broken)} of {count} pictures are left out: {', '.join(broken[:NAMED])}{more}"
    if 2 * len(broken) > count:
        raise InputError("frame_form", said, value=float(len(broken)), limit=count / 2)
    return [said]


def pictures(folder: Path, wanted: list[tuple[int, str]]) -> Iterator[Picture]:
    """Every file of `wanted`; a stream is open until the next one is asked for."""
    for time_ns, name in wanted:
        payload = (folder / name).read_bytes()
        try:
            with av.open(str(folder / name), format="image2", options={"pattern_type": "none"}) as container:
                stream = container.streams.video[0]
                next(container.decode(stream))
                context = stream.codec_context
                form = f"{context.codec.canonical_name} {context.width}x{context.height} {context.pix_fmt}"
                yield Picture(time_ns, name, payload, stream, form)
        except (av.error.FFmpegError, StopIteration, IndexError) as error:
            yield Picture(time_ns, name, why_not=f"{name} {_cause(name, payload, error)}")


def _cause(name: str, payload: bytes, error: Exception) -> str:
    """Why a file is no picture, for a person."""
    if not payload:
        return "is empty"
    own = next((kind for begin, kind in BEGINS.items() if payload.startswith(begin)), "")
    if own and not name.lower().endswith(own):
        return f"is a {own[0]}, which is not what its name says"
    return f"is no picture ({error})"


if __name__ == "__main__":
    run(import_frames)
