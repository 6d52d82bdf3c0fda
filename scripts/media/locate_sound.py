"""Locate the strongest sound of each short block, in the room and in the picture of each calibrated camera."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from scripts.common import ledger
from scripts.common.calibration_file import Calibration
from scripts.common.clock import Clock, Segment
from scripts.common.errors import InputError, UpstreamError
from scripts.common.job import progress, run
from scripts.common.location_volume import volume_corners
from scripts.media.location_track import LocationTrack
from scripts.media.sound_location import Locator, Place, Volume, band_level_db, disagreeing

UNITS_PER_M = {"mm": 1000.0, "m": 1.0}

log = logging.getLogger("rushes")


def blocks_of(clock: Clock, block: int, hop: int) -> Iterator[int]:
    """First samples of the blocks: every `hop` samples, none across the border of two segments."""
    for segment in clock.segments or [Segment(0, clock.start_ns, clock.samples)]:
        yield from range(segment.start_sample, segment.start_sample + segment.samples - block + 1, hop)


def locate_sound(
    sound: Path,
    clock: Path,
    calibration: Path | None,
    out_track: Path,
    out_ledger: Path,
    *,
    recording: str,
    product: str,
    microphone: str,
    cameras: list[str],
    location: dict[str, Any],
) -> None:
    """Write the track of the loudest sound of `microphone`, whose channels stand at `location["positions_m"]`.

    location: positions_m, volume_m, step_m, band_hz, block_s, hop_s, speed_m_s, min_score, min_level_db, unit (of the
    calibration's world, whose origin and axes the positions share).
    Raises InputError if the sound could not be imported, or has another number of channels.
    """
    times = Clock.read(clock)
    if not times.samples:
        raise UpstreamError(recording, f"the import of {microphone} failed")
    positions = np.array(location["positions_m"], np.float64)
    if times.channels != len(positions):
        raise InputError(
            "no_channel",
            f"{recording}: {microphone} has {times.channels} channels, and the config {len(positions)} positions_m",
            value=times.channels,
            limit=len(positions),
        )
    block = max(64, round(location["block_s"] * times.nominal_rate_hz))
    starts = np.fromiter(blocks_of(times, block, max(1, round(location["hop_s"] * times.nominal_rate_hz))), np.int64)
    low, high = location["band_hz"]
    band = (float(low), min(float(high), 0.49 * times.nominal_rate_hz))
    if band[0] >= band[1]:
        raise InputError(
            "bad_band", f"{recording}: {microphone} at {times.nominal_rate_hz} Hz holds nothing of {low}-{high} Hz"
        )
    low_m, high_m = volume_corners(location["positions_m"], location["volume_m"])
    locator = Locator(
        positions,
        Volume((low_m[0], low_m[1], low_m[2]), (high_m[0], high_m[1], high_m[2]), location["step_m"]),
        rate_hz=times.rate_hz,
        block=block,
        band_hz=band,
        speed_m_s=location["speed_m_s"],
    )
    levels = np.full(len(starts), -200.0)
    places: list[Place | None] = []
    with soundfile.SoundFile(sound) as source:
        for index, start in enumerate(starts.tolist()):
            source.seek(start)
            samples = source.read(block, dtype="float32", always_2d=True).T
            levels[index] = band_level_db(samples, times.rate_hz, band)
            found = locator.locate(samples) if levels[index] >= location["min_level_db"] else None
            places.append(found if found and found.score >= location["min_score"] else None)
            progress(index + 1, len(starts), "blocks")
    heard = np.array([place is not None for place in places], bool)
    position = np.array([place.position_m if place else np.full(3, np.nan) for place in places]).reshape(-1, 3)
    track = LocationTrack(
        time_ns=times.time_ns(starts + block // 2),
        heard=heard,
        level_db=levels.astype(np.float32),
        score=np.array([place.score if place else np.nan for place in places], np.float32),
        position_m=position,
        pixels=_pixels(calibration, cameras, position, UNITS_PER_M[location["unit"]], recording),
    )
    track.write(out_track)
    odd = disagreeing(np.array([place.agreement for place in places if place]))
    message = f"heard in {int(heard.sum())} of {len(heard)} blocks"
    if odd:
        named = ", ".join(map(str, odd))
        message += f"; channels {named} do not agree with the others: swapped, dead, or not at their positions_m"
        log.warning("%s, %s: %s", recording, microphone, message)
    row = ledger.Row("locate_sound", recording, product, "written", value=float(heard.sum()), message=message)
    ledger.write(out_ledger, [row])


def _pixels(
    calibration: Path | None, cameras: list[str], position_m: np.ndarray, units_per_m: float, recording: str
) -> dict[str, np.ndarray]:
    """Where each calibrated camera of the rig sees the places, NaN outside of its picture; float32 (T, 2) each."""
    if calibration is None:
        return {}
    known = Calibration.read(calibration).cameras
    if not any(name in known for name in cameras):
        raise InputError("no_camera", f"{recording}: {calibration} knows none of the cameras {', '.join(cameras)}")
    pixels = {}
    for name in cameras:
        if name in known:
            seen = known[name].project(position_m * units_per_m)
            seen[~known[name].holds(seen)] = np.nan
            pixels[name] = seen.astype(np.float32)
    return pixels


if __name__ == "__main__":
    run(locate_sound)
