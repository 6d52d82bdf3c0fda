"""The constant latency of a microphone, from events that a camera sees and the microphone hears.

A stamp says when sound arrived, never how long it was on its way. An event (a flash with a beep, or a clap whose frame
a person has noted) that frame k is the first to show happened between the stamps of frames k - 1 and k, so each gives
an interval for the latency; what most of them share is far narrower than a frame.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from scripts.common import ledger
from scripts.common.clock import Clock
from scripts.common.errors import InputError, UpstreamError
from scripts.common.frame_table import FrameTable
from scripts.common.job import run
from scripts.common.timeline import NS
from scripts.media.brightness import flash_frames, mean_luma
from scripts.media.sound_onsets import onset_samples

# A sound further from its picture than this belongs to something else.
FARTHEST_NS = NS // 2
MS = 1_000_000
# How well the beginning of a sound is found.
ACCURACY_MS = 0.5
COLUMNS = ["event", "frame", "picture_ns", "sound_ns", "least_ms", "most_ms"]


@dataclass(frozen=True)
class Latency:
    """What the events say together: the latency, how far it may be off, and how many of the events agree."""

    value_ms: float
    half_width_ms: float
    agreeing: int


def bounds_ms(
    times_ns: np.ndarray, frames: np.ndarray, heard_ns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds of the latency from each event that was also heard.

    times_ns: int64 (N,), the stamps of all frames.  frames: int (E,), the first that shows each event.  heard_ns:
    int64 (H,).  Returns indices of the events, int (K,), and least and most latency, float64 (K, 2), and the sounds,
    int64 (K,).
    """
    events, bounds, sounds = [], [], []
    for event, frame in enumerate(frames.tolist()):
        if frame == 0 or not len(heard_ns):
            continue
        nearest = int(heard_ns[np.abs(heard_ns - times_ns[frame]).argmin()])
        if abs(nearest - int(times_ns[frame])) <= FARTHEST_NS:
            events.append(event)
            sounds.append(nearest)
            bounds.append([(nearest - int(times_ns[frame])) / MS, (nearest - int(times_ns[frame - 1])) / MS])
    return np.array(events, int), np.array(bounds, float).reshape(-1, 2), np.array(sounds, np.int64)


def common_interval(bounds: np.ndarray) -> Latency:
    """The interval that most bounds, float64 (K, 2), share; K must not be 0."""
    edges = np.unique(bounds)
    # Between two edges the number of bounds does not change; at an edge two of them may touch.
    points = np.sort(np.concatenate([edges, (edges[1:] + edges[:-1]) / 2]))
    shared = ((bounds[:, :1] <= points) & (points <= bounds[:, 1:])).sum(axis=0)
    best = np.flatnonzero(shared == shared.max())
    apart = np.flatnonzero(np.diff(best) > 1)
    low, high = points[best[0]], points[best[apart[0] if len(apart) else -1]]
    return Latency(float((low + high) / 2), float((high - low) / 2), int(shared.max()))


def advice(found: Latency, corrected_ms: float, microphone: str) -> str:
    """What to do about a latency, of which the clock has taken off `corrected_ms` already."""
    if abs(found.value_ms) <= found.half_width_ms + ACCURACY_MS:
        return "that may be none at all: keep latency_ms as it is, or record more events at odd times"
    return f"set latency_ms: {corrected_ms + found.value_ms:.3f} of {microphone}"


def measure_latency(
    video: Path,
    frames: Path,
    sound: Path,
    clock: Path,
    out_events: Path,
    out_ledger: Path,
    *,
    recording: str,
    product: str,
    camera: str,
    microphone: str,
    latency: dict[str, Any],
) -> None:
    """Write a row an event and, in the ledger, the latency and the line for the config.

    latency: events ("flash", or the frames of the camera at which a clap is first closed).
    A recording without an event that was both seen and heard is filtered. Raises InputError for frames that are not
    there.
    """
    table, times = FrameTable.read(frames), Clock.read(clock)
    if not len(table) or not times.samples:
        raise UpstreamError(recording, f"the import of {camera} or {microphone} failed")
    given = latency["events"]
    seen = flash_frames(mean_luma(video, table)) if given == "flash" else np.array(given, int)
    if len(seen) and not 0 <= seen.min() <= seen.max() < len(table):
        raise InputError("no_frame", f"{recording}: {camera} has {len(table)} frames, not a frame {seen.max()}")
    with soundfile.SoundFile(sound) as source:
        heard_ns = times.time_ns(onset_samples(source))
    events, bounds, sounds = bounds_ms(table.time_ns, seen, heard_ns)
    if not len(events):
        message = (
            f"{len(seen)} events in {camera}, {len(heard_ns)} sounds in {microphone}, and no two within "
            f"{FARTHEST_NS / NS:g} s; record a few flashes with beeps, or name the frames of claps in `events`"
        )
        _write_events(out_events, [])
        row = ledger.Row("measure_latency", recording, product, "filtered", "no_event", message=message)
        ledger.write(out_ledger, [row])
        return
    found = common_interval(bounds)
    rows = []
    for event, (least, most), sound_ns in zip(events.tolist(), bounds.tolist(), sounds.tolist(), strict=True):
        frame = int(seen[event])
        rows.append([event, frame, int(table.time_ns[frame]), sound_ns, f"{least:.4f}", f"{most:.4f}"])
    _write_events(out_events, rows)
    message = (
        f"{microphone} against {camera}: {found.value_ms:.3f} ms ± {found.half_width_ms:.3f} by {found.agreeing} of "
        f"{len(events)} events; {advice(found, times.latency_ms, microphone)}"
    )
    row = ledger.Row("measure_latency", recording, product, "written", value=found.value_ms, message=message)
    ledger.write(out_ledger, [row])


def _write_events(path: Path, rows: list[list[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


if __name__ == "__main__":
    run(measure_latency)
