"""What a dataset of shards says in the config, checked beyond its schema."""

from fractions import Fraction
from typing import Any

from scripts.common.clip_form import OF_COPIES, changes_pictures
from scripts.common.errors import ConfigError
from scripts.planning.config import rational


def check_shards(entry: dict[str, Any], place: str) -> None:
    """Raises ConfigError for what contradicts itself; a frame rate becomes a rational."""
    _check_pictures(entry["video"], f"{place}.video")
    if entry["max_s"] and entry["min_s"] > entry["max_s"]:
        raise ConfigError(f"{place}.min_s: {entry['min_s']:g} is more than max_s, {entry['max_s']:g}: no clip is left")
    _check_filters(entry["filters"], f"{place}.filters")
    if entry["precision"] == "smart":
        _check_smart(entry, f"{place}.precision")
    coding = entry["video"]
    if coding["codec"] != "av1" and coding["crf"] > 51:
        raise ConfigError(f"{place}.video.crf: {coding['codec'] or 'h264'} goes to 51")
    if not entry["encode_formats"]:
        raise ConfigError(f"{place}.encode_formats: it is empty; name one of video, audio, frames")


def _check_pictures(video: dict[str, Any], place: str) -> None:
    if video["fps"]:
        video["fps"] = rational(video["fps"], f"{place}.fps")
        if Fraction(video["fps"]) > 240:
            raise ConfigError(f"{place}.fps: {video['fps']} frames a second are more than 240")
    for side in ("width", "height"):
        if video[side] % 2:
            raise ConfigError(f"{place}.{side}: {video[side]} is odd; h264 wants even sides")


def _check_filters(filters: dict[str, Any], place: str) -> None:
    for name in (key.removeprefix("min_") for key in filters if key.startswith("min_")):
        least, most = filters[f"min_{name}"], filters.get(f"max_{name}", 0)
        if most and least > most:
            raise ConfigError(f"{place}.min_{name}: {least:g} is more than max_{name}, {most:g}: no clip is left")


def _check_smart(entry: dict[str, Any], place: str) -> None:
    """GOPs that are copied as they are neither change nor are encoded otherwise."""
    if changes_pictures(entry["video"]):
        raise ConfigError(f"{place}: smart copies what is there; to change it, set exact")
    if entry["encode_formats"] != OF_COPIES:
        raise ConfigError(f"{place}: smart gives mp4 alone; for other formats, set exact")
    codec = entry["video"]["codec"]
    if codec not in ("", "h264"):
        raise ConfigError(f"{place}: smart encodes edges of h264 alone; for {codec}, set exact")
