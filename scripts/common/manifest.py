"""The manifest of a recording's import: what the source held, what was taken, what is wrong with it.

`streams` has one entry a declared camera or microphone, made by `picture_entry`, `sound_entry` or `failed_entry`.
`topics` lists what the source offers: {name, type, messages, taken, why}. No path, no date: the same bytes always.
"""

from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import json_file
from scripts.common.clock import Clock
from scripts.common.frame_table import FrameTable

# Lists of gaps end here; their count does not.
MAX_LISTED = 1_000


def picture_entry(frames: FrameTable, **facts: Any) -> dict[str, Any]:
    """Entry of a camera; `frames` must not be empty. facts: topic or file, codec, width, height, …"""
    gaps = np.flatnonzero(frames.gap_before_ns)
    return {
        "kind": "video",
        "frames": len(frames),
        "start_ns": frames.start_ns,
        "stop_ns": frames.stop_ns,
        "gaps": len(gaps),
        "gap_list": [{"frame": int(k), "missing_ns": int(frames.gap_before_ns[k])} for k in gaps[:MAX_LISTED]],
        "tainted": int(np.count_nonzero(frames.tainted)),
        **facts,
    }


def sound_entry(clock: Clock, **facts: Any) -> dict[str, Any]:
    """Entry of a microphone; `clock` must not be empty. facts: topic or file, sample_format, residuals, …"""
    return {
        "kind": "sound",
        "samples": clock.samples,
        "channels": clock.channels,
        "rate_hz": clock.rate_hz,
        "nominal_rate_hz": clock.nominal_rate_hz,
        "drift_ppm": clock.drift_ppm,
        "start_ns": clock.start_ns,
        "stop_ns": clock.stop_ns,
        "segments": len(clock.segments),
        "gaps": len(clock.gaps),
        "gap_list": [
            {"start_sample": gap.start_sample, "samples": gap.stop_sample - gap.start_sample, "reason": gap.reason}
            for gap in clock.gaps[:MAX_LISTED]
        ],
        **facts,
    }


def failed_entry(kind: str, reason: str, message: str, **facts: Any) -> dict[str, Any]:
    """Entry of a stream that could not be had; kind: video or sound."""
    return {"kind": kind, "failed": reason, "message": message, **facts}


def timeline(streams: dict[str, dict[str, Any]]) -> dict[str, int]:
    """From the earliest start of any stream to the latest end of any picture; of any sound, if there is no picture."""
    whole = [entry for entry in streams.values() if "start_ns" in entry]
    pictures = [entry for entry in whole if entry["kind"] == "video"]
    return {
        "start_ns": min((entry["start_ns"] for entry in whole), default=0),
        "stop_ns": max((entry["stop_ns"] for entry in pictures or whole), default=0),
    }


def write(
    path: Path,
    *,
    recording: str,
    source: list[Path],
    streams: dict[str, dict[str, Any]],
    topics: list[dict[str, Any]] | None = None,
    warnings: list[str] | None = None,
) -> None:
    """Write the manifest of `recording`; of the files in `source` only the names are kept."""
    content = {
        "recording": recording,
        "source": [file.name for file in source],
        "timeline": timeline(streams),
        "streams": streams,
        "topics": topics or [],
        "warnings": warnings or [],
    }
    json_file.write(path, content)


def read(path: Path) -> dict[str, Any]:
    """Read a manifest; that of a failed import has only `failed`."""
    manifest: dict[str, Any] = json_file.read(path)
    return manifest
