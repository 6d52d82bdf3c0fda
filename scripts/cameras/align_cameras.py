"""Which frames of a recording's cameras show the same instant."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from scripts.cameras.frame_numbers import align_given, align_triggers, read_triggers
from scripts.common import ledger
from scripts.common.aligned_frames import AlignedFrames
from scripts.common.clock import Clock
from scripts.common.errors import InputError, UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.job import progress, run
from scripts.common.synchronised import synchronise

STEP = "align_cameras"
# A flash or a clap stands out from everything else by this factor.
STANDS_OUT = 3.0
CLAP_STEP_S = 0.001
# What rises in more than this share of the frames flickers.
MANY_FLASHES = 0.1
# Why cameras may have no frame in common, and what to do.
NOT_TOGETHER = {
    "stamps": "their times do not overlap: see whether their clocks agree, or align them otherwise",
    "triggers": "their counters have no number in common: did all begin at the same trigger, did all come round?",
    "flash": "nothing overlaps around the flashes: see whether each camera's brightest flash is the same one",
    "clap": "nothing overlaps around the claps: see whether each camera's loudest sound is the same one",
    "given": "no row of the table has a frame of two cameras",
}


def align_cameras(
    frames: list[Path],
    videos: list[Path],
    sounds: list[Path],
    clocks: list[Path],
    tables: list[Path],
    out_aligned: Path,
    out_ledger: Path,
    *,
    recording: str,
    cameras: list[str],
    by: str,
) -> None:
    """Write the table of common frames. by: stamps, triggers, flash, clap or given.

    tables: a csv a camera (triggers), or one for all (given).  videos: for flash alone.  sounds, clocks: for clap,
    one a camera. Raises InputError if a camera has no frames, what they are to be aligned by is not there, or no two
    cameras have a frame in common.
    """
    known = {name: FrameTable.read(path) for name, path in zip(cameras, frames, strict=True)}
    if empty := [name for name, table in known.items() if not len(table)]:
        raise UpstreamError(f"{recording}: {', '.join(empty)}")
    said = ""
    if by == "triggers":
        triggers = {name: read_triggers(path) for name, path in zip(cameras, tables, strict=True)}
        aligned = align_triggers(triggers, known)
        corrected = sum(mine.corrected for mine in triggers.values())
        said = f"; {corrected} losses that counters had not counted" if corrected else ""
    elif by == "given":
        aligned = align_given(tables[0], cameras, known)
    else:
        shifts = _shifts(by, known, videos, sounds, clocks)
        moved = {name: replace(table, time_ns=table.time_ns - shifts[name]) for name, table in known.items()}
        together = synchronise(moved, stand_still=False)
        aligned = AlignedFrames(together.cameras, together.time_ns, together.shown)
    if len(cameras) > 1 and not ((aligned.shown >= 0).sum(axis=1) > 1).any():
        raise InputError(
            "no_common_frame",
            f"{recording}: by {by}, no frame of a camera belongs to one of another; {NOT_TOGETHER[by]}",
        )
    aligned.write(out_aligned)
    whole = int((aligned.shown >= 0).all(axis=1).sum())
    lost = {name: int((column < 0).sum()) for name, column in zip(aligned.cameras, aligned.shown.T, strict=True)}
    gaps = ", ".join(f"{name} lacks {count}" for name, count in lost.items() if count)
    message = f"{whole} of {len(aligned)} frames are seen by all cameras{f'; {gaps}' if gaps else ''}{said}"
    ledger.write(out_ledger, [ledger.Row(STEP, recording, recording, "written", value=float(whole), message=message)])


def _shifts(
    by: str, known: dict[str, FrameTable], videos: list[Path], sounds: list[Path], clocks: list[Path]
) -> dict[str, int]:
    """How much later than the first camera's each camera's clock says that the event was, ns."""
    if by == "stamps":
        return dict.fromkeys(known, 0)
    if by == "flash":
        events = {n: flash_ns(brightness(v), t, n) for (n, t), v in zip(known.items(), videos, strict=True)}
    else:
        events = {n: clap_ns(s, Clock.read(c), n) for n, s, c in zip(known, sounds, clocks, strict=True)}
    first = next(iter(events.values()))
    return {name: event - first for name, event in events.items()}


def brightness(video: Path) -> np.ndarray:
    """Mean luma of every picture, float64 (N,)."""
    return np.fromiter(_lumas(video), np.float64)


def _lumas(video: Path) -> Iterator[float]:
    from scripts.common.video import VideoReader, as_yuv420p, plane_arrays

    with VideoReader(video) as reader:
        for number, picture in enumerate(reader):
            progress(number)
            yield float(plane_arrays(as_yuv420p(picture))[0].mean())


def flash_ns(luma: np.ndarray, frames: FrameTable, camera: str) -> int:
    """Instant of the first frame in which it suddenly becomes bright. Raises InputError if there is no such frame.

    Others that rise half as much are flashes, too; a flash may rise over two frames.
    """
    if len(luma) != len(frames):
        raise InputError("no_flash", f"{camera}: {len(luma)} of {len(frames)} frames decode; align it otherwise")
    rise = np.diff(luma, prepend=luma[:1])
    highest = float(rise.max(initial=0.0))
    flashes = np.flatnonzero(rise >= highest / 2)
    near = np.abs(np.arange(len(rise))[:, None] - flashes[None]).min(axis=1, initial=len(rise)) <= 1
    next_one = float(rise[~near].max(initial=0.0))
    if len(flashes) > max(2, MANY_FLASHES * len(rise)):
        next_one = highest
    if highest < 5 or highest < STANDS_OUT * max(next_one, 1e-9):
        raise InputError(
            "no_flash", f"{camera}: no frame is suddenly bright (rises {highest:.1f} and {next_one:.1f} levels)"
        )
    return int(frames.time_ns[flashes[0]])


def clap_ns(sound: Path, clock: Clock, camera: str) -> int:
    """Instant at which the loudest sound begins. Raises InputError if nothing stands out."""
    if not clock.samples:
        raise UpstreamError(camera, "its sound was not imported")
    with soundfile.SoundFile(sound) as source:
        step = max(1, round(CLAP_STEP_S * source.samplerate))
        blocks = source.blocks(step, dtype="float64", always_2d=True)
        peaks = np.array([float(np.abs(block.mean(axis=1)).max(initial=0.0)) for block in blocks])
    rise = np.diff(peaks, prepend=0.0)
    first = int(np.argmax(rise))
    far = np.abs(np.arange(len(rise)) - first) * CLAP_STEP_S > 0.5
    if rise[first] < STANDS_OUT * max(float(rise[far].max(initial=0.0)), 1e-6):
        raise InputError("no_clap", f"{camera}: no sound stands out from the others by {STANDS_OUT:g} times")
    return int(clock.start_ns + round(first * step / clock.rate_hz * 1e9))


if __name__ == "__main__":
    run(align_cameras)
