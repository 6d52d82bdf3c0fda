"""A smaller copy of a camera's file, whose frames are counted and compared with the original's, one by one.

The original stays where it is: `python -m rushes.remove_originals` is a command of its own.
"""

import logging
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from scripts.common import json_file, ledger
from scripts.common.checksum import sha256_of
from scripts.common.encoder import THREADS
from scripts.common.errors import InputError, RunError
from scripts.common.ffmpeg_program import FULL, program
from scripts.common.job import progress, run
from scripts.common.packets import instant_of
from scripts.common.video import VideoReader, upright

STEP = "compress_video"
# Of a stretched picture of so many pixels a side; a copy that shows something else is far below.
SAMPLE_PX = 32
LEAST_DB = 25.0
# Ticks of MP4 and of other containers do not fall on each other.
TIME_TOLERANCE_S = Fraction(1, 1000)

log = logging.getLogger("rushes")


class Compared(NamedTuple):
    """frames: how many both have.  worst_db: the least likeness (PSNR) of a picture and its copy, in dB."""

    frames: int
    worst_db: float


def compress_video(
    source: Path,
    out_video: Path,
    out_card: Path,
    out_ledger: Path,
    *,
    recording: str,
    camera: str,
    stream: int,
    crf: int,
    preset: str,
) -> None:
    """Write h264 (yuv420p) with the original's times and sound, and a card with sizes, sha256 and frames.

    stream: index of the video in the file, -1: the first. Raises InputError if the original cannot be decoded, or the
    copy has other frames: another number, other times, or pictures that show something else.
    """
    encode(source, out_video, stream, crf, preset)
    compared = compare(source, out_video, stream, f"{recording}, {camera}")
    sizes = source.stat().st_size, out_video.stat().st_size
    card = {
        "name": source.name,
        "bytes": sizes[0],
        "sha256": sha256_of(source),
        "copy_bytes": sizes[1],
        "copy_sha256": sha256_of(out_video),
        "frames": compared.frames,
        "worst_db": round(compared.worst_db, 2),
    }
    json_file.write(out_card, card)
    message = (
        f"{compared.frames} frames as in the original, {sizes[1] / max(sizes[0], 1):.1%} of its size,"
        f" no picture below {compared.worst_db:.1f} dB"
    )
    log.info("%s, %s: %s", recording, camera, message)
    row = ledger.Row(STEP, recording, camera, "written", value=float(compared.frames), message=message)
    ledger.write(out_ledger, [row])


def encode(source: Path, target: Path, stream: int, crf: int, preset: str) -> None:
    """Encode by the ffmpeg program. Raises InputError if it cannot read the source, OSError for a full disk."""
    picture = f"0:{stream}" if stream >= 0 else "0:v:0"
    command = [program(), "-v", "error", "-nostdin", "-y", "-i", f"file:{source}", "-map", picture, "-map", "0:a?"]
    command += ["-c:a", "copy", "-c:v", "libx264", "-crf", str(crf), "-preset", preset, "-pix_fmt", "yuv420p"]
    command += ["-x264-params", "cpu-independent=1", "-threads", str(THREADS), "-fps_mode", "passthrough"]
    command += ["-enc_time_base", "demux", "-sws_flags", "accurate_rnd+bitexact", "-fflags", "+bitexact"]
    # The part has an ending of its own.
    command += ["-flags", "+bitexact", "-map_metadata", "-1", "-f", "mp4", f"file:{target}"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if not done.returncode:
        return
    said = done.stderr.decode(errors="replace").strip().splitlines()
    why = said[-1] if said else "no reason given"
    if any(FULL in line for line in said):
        raise OSError(FULL)
    if done.returncode < 0:
        raise RunError(f"ffmpeg was stopped by signal {-done.returncode} at {source.name}")
    raise InputError("unreadable", f"{source.name}: ffmpeg cannot make a copy of it: {why}")


def compare(source: Path, target: Path, stream: int, name: str) -> Compared:
    """Decode original and copy side by side. Raises InputError at the first frame that differs."""
    worst, frames = float("inf"), 0
    originals, copies = _samples(source, stream), _samples(target, -1)
    start: tuple[Fraction, Fraction] | None = None
    while True:
        original, copy = next(originals, None), next(copies, None)
        if original is None and copy is None:
            break
        if original is None or copy is None:
            more = "copy" if original is None else "original"
            frames += 1 + sum(1 for _ in (copies if original is None else originals))
            raise InputError("frame_count", f"{name}: the {more} has more frames, {frames}", value=frames)
        start = start or (original[0], copy[0])
        apart = abs((original[0] - start[0]) - (copy[0] - start[1]))
        if apart > TIME_TOLERANCE_S:
            raise InputError("frame_times", f"{name}: frame {frames} of the copy is {float(apart):.4f} s off")
        worst = min(worst, likeness_db(original[1], copy[1]))
        if worst < LEAST_DB:
            message = f"{name}: frame {frames} of the copy is not the original's ({worst:.1f} dB, limit {LEAST_DB:g})"
            raise InputError("pictures_differ", message, value=worst, limit=LEAST_DB)
        frames += 1
        progress(frames)
    if not frames:
        raise InputError("unreadable", f"{name}: no frame decodes")
    return Compared(frames, worst)


def likeness_db(one: np.ndarray, other: np.ndarray) -> float:
    """PSNR of two pictures, uint8 of the same shape; 100 where they are the same."""
    apart = float(((one.astype(np.float64) - other) ** 2).mean())
    return 100.0 if apart == 0 else min(100.0, 10 * float(np.log10(255**2 / apart)))


def _samples(path: Path, stream: int) -> Iterator[tuple[Fraction, np.ndarray]]:
    """Time, and the upright picture made small, of every frame that decodes; ends where nothing more does."""
    with VideoReader(path, None if stream < 0 else stream) as reader:
        pictures = iter(reader)
        while True:
            try:
                picture = next(pictures)
            except (StopIteration, av.error.FFmpegError):
                return
            small = upright(picture).reformat(SAMPLE_PX, SAMPLE_PX, "gray", interpolation="AREA", threads=1)
            yield instant_of(picture) or Fraction(0), small.to_ndarray()


if __name__ == "__main__":
    run(compress_video)
