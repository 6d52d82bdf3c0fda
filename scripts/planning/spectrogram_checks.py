"""What the settings of the exports `spectrogram` and `latency` must be."""

import os
from math import prod
from typing import Any

from scripts.common.errors import ConfigError
from scripts.common.location_volume import volume_corners
from scripts.common.names import nearest
from scripts.planning.rigs import Rig
from scripts.planning.sound_checks import check_part

Settings = dict[str, Any]
# Cells of the grid on which sound is located; those of 24 microphones take 0.3 GB.
MOST_CELLS = 100_000


def check_spectrogram(rig: Rig, settings: Settings, place: str) -> None:
    """Raise ConfigError for a spectrogram that cannot be made."""
    if not rig.cameras or not rig.microphones:
        raise ConfigError(f"{place}: the rig needs a camera and a microphone")
    for part in settings["listen"]:
        check_part(rig, part, f"{place}.listen")
    for key in ("band_hz", "range_db"):
        _check_rising(settings[key], f"{place}.{key}")
    location = settings.get("location")
    if not location:
        return
    where = f"{place}.location"
    location.setdefault("microphone", next(iter(rig.microphone_settings)))
    _check_microphone(rig, location["microphone"], f"{where}.microphone")
    _check_rising(location["band_hz"], f"{where}.band_hz")
    _check_volume(location, where)
    calibration = rig.entry.get("calibration")
    if calibration and not os.path.isfile(calibration):
        raise ConfigError(f"rigs.{rig.name}.calibration: there is no file {calibration!r}")


def check_band(band_hz: list[float], rate_hz: int, place: str) -> None:
    """Raise ConfigError for a band of which a sound of this rate holds nothing: the strip would be empty."""
    if band_hz[0] >= rate_hz / 2:
        raise ConfigError(
            f"{place}: a sound of {rate_hz} Hz, the mosaic's rate_hz, ends at {rate_hz / 2:g} Hz, and the band begins "
            f"at {band_hz[0]:g}; raise mosaic.rate_hz, or lower the band"
        )


def check_latency(rig: Rig, settings: Settings, place: str) -> None:
    """Raise ConfigError for a latency that cannot be measured; the first camera and microphone are the default."""
    if not rig.cameras or not rig.microphones:
        raise ConfigError(f"{place}: the rig needs a camera and a microphone")
    settings.setdefault("camera", next(iter(rig.camera_settings)))
    settings.setdefault("microphone", next(iter(rig.microphone_settings)))
    if settings["camera"] not in rig.camera_settings:
        hint = nearest(settings["camera"], rig.camera_settings)
        raise ConfigError(f"{place}.camera: the rig has no camera `{settings['camera']}`{hint}")
    _check_microphone(rig, settings["microphone"], f"{place}.microphone")


def _check_microphone(rig: Rig, name: str, place: str) -> None:
    if name not in rig.microphone_settings:
        raise ConfigError(f"{place}: the rig has no microphone `{name}`{nearest(name, rig.microphone_settings)}")


def _check_volume(location: Settings, where: str) -> None:
    """The grid must be one, and fit into memory."""
    if location["volume_m"]:
        if len(location["volume_m"]) != 2:
            raise ConfigError(
                f"{where}.volume_m: {len(location['volume_m'])} corners; give the lower and the upper one"
            )
        if not all(a < b for a, b in zip(*location["volume_m"], strict=True)):
            raise ConfigError(f"{where}.volume_m: the first corner must be the lower one in x, y and z")
    low, high = volume_corners(location["positions_m"], location["volume_m"])
    cells = prod((b - a) / location["step_m"] + 1 for a, b in zip(low, high, strict=True))
    if not cells <= MOST_CELLS:
        raise ConfigError(f"{where}.step_m: a grid of {cells:.3g} cells, the limit is {MOST_CELLS:,}; make it coarser")


def _check_rising(pair: list[float], place: str) -> None:
    if pair[0] >= pair[1]:
        raise ConfigError(f"{place}: {pair[0]:g} is not below {pair[1]:g}")
