"""A folder of numbered pictures becomes a video a camera: the files' bytes as its packets, the numbers as its times.

Frame number n stands at (n - first) / fps seconds on the recording's clock; numbers that are missing are gaps.
"""

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream

from scripts.common import ledger, manifest
from scripts.common.empty import write_empty
from scripts.common.errors import InputError
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress, run
from scripts.common.jpeg_quality import jpeg_quality
from scripts.common.packet_writer import PacketWriter
from scripts.common.timeline import NS

log = logging.getLogger("rushes")
STEP = "import_frames"


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

    start_s, stop_s: the part that is wanted, on the recording's clock, 0: all. A camera whose pictures cannot be one
    video is a `failed` row and has empty outputs. Raises InputError if that holds for all, for the same cause.
    """
    fps = Fraction(str(numbers["fps"]))
    entries: dict[str, dict[str, Any]] = {}
    rows: list[ledger.Row] = []
    errors: list[InputError] = []
    warnings: list[str] = []
    for name, video, table in zip(cameras, out_videos, out_frames, strict=True):
        try:
            found = numbered(source, cameras[name]["pattern"])
            times = times_ns(np.array([number for number, _ in found], np.int64), fps, numbers["first"])
            wanted = [
                (int(time), file)
                for time, (_, file) in zip(times, found, strict=True)
                if time >= start_s * NS and (not stop_s or time < stop_s * NS)
            ]
            if not wanted:
                raise InputError("no_picture", f"{name}: no picture of {source.name} fits what its rig names; add some")
            frames, facts = write_video(video, source, wanted, fps)
            frames = replace(frames, source_frame=frame_numbers(frames.time_ns, fps))
            # The clock begins with number `first`, also where its picture is missing.
            facts["start_ns"] = round(start_s * NS)
        except InputError as error:
            errors.append(error)
            for path in (video, table):
                path.unlink(missing_ok=True)
                write_empty(path, path.name)
            entries[name] = manifest.failed_entry("video", error.reason, error.message)
            rows.append(ledger.Row(STEP, recording, name, "failed", error.reason, message=error.message))
            continue
        frames.write(table)
        lowest, highest = facts.get("jpeg_quality", (0, 0))
        if lowest != highest:
            warnings.append(f"{name}: the JPEG quality drifts, from {lowest} to {highest}; it tells a network the time")
        entries[name] = manifest.picture_entry(frames, **facts)
        rows.append(ledger.Row(STEP, recording, name, "written", value=float(len(frames))))
    if len(errors) == len(cameras) and len({error.message for error in errors}) == 1:
        raise errors[0]
    for line in warnings:
        log.warning("%s: %s", recording, line)
    manifest.write(out_manifest, recording=recording, source=[source], streams=entries, warnings=warnings)
    ledger.write(out_ledger, rows)


def write_video(
    video: Path, folder: Path, wanted: list[tuple[int, str]], fps: Fraction
) -> tuple[FrameTable, dict[str, Any]]:
    """The files of `wanted`, (instant in ns, name), as the packets of a video. Returns its table and facts.

    Raises InputError for a file that is no picture, or one of another kind or size than the first.
    """
    first_ns, period_ns = wanted[0][0], round(NS / fps)
    times = np.array([time for time, _ in wanted], np.int64)
    pts_us = (times - first_ns + 500) // 1000
    form, writer = "", None
    qualities: set[int] = set()
    try:
        for at, (packet, stream, own) in enumerate(pictures(folder, [name for _, name in wanted])):
            if writer is None:
                form, writer = own, PacketWriter(video, stream)
                facts = {"codec": own.split(" ")[0], "width": stream.codec_context.width}
                facts["height"] = stream.codec_context.height
            if own != form:
                message = f"{wanted[at][1]} is {own}, but {wanted[0][1]} is {form}: make two recordings of them"
                raise InputError("frame_form", message)
            writer.write(packet, int(pts_us[at]), keyframe=True)
            qualities.update(filter(None, [jpeg_quality(packet)]))
            progress(at + 1, len(wanted), "pictures")
    finally:
        if writer is not None:
            writer.close()
    steps = np.diff(times, prepend=times[0])
    gaps = np.where(steps > 1.5 * period_ns, steps - period_ns, 0)
    table = FrameTable.make(pts_us, times, keyframe=np.ones(len(times), bool), gap_before_ns=gaps)
    facts |= {"jpeg_quality": [min(qualities), max(qualities)]} if qualities else {}
    return table, {**facts, "copied": True, "stop_ns": int(times[-1]) + period_ns}


def pictures(folder: Path, names: list[str]) -> Iterator[tuple[bytes, VideoStream, str]]:
    """The bytes of each file, a stream with its codec, and what it is: codec, size, pixels."""
    for name in names:
        payload = (folder / name).read_bytes()
        try:
            with av.open(str(folder / name), format="image2", options={"pattern_type": "none"}) as container:
                stream = container.streams.video[0]
                next(container.decode(stream))
                context = stream.codec_context
                yield (
                    payload,
                    stream,
                    f"{context.codec.canonical_name} {context.width}x{context.height} {context.pix_fmt}",
                )
        except (av.error.FFmpegError, StopIteration, IndexError) as error:
            raise InputError("frame_form", f"{name} is no picture ({error})") from error


if __name__ == "__main__":
    run(import_frames)
