"""What the settings of a product's sound must be: its sides, their parts, its rate."""

from typing import Any

from scripts.common.aac_rates import AAC_RATES_HZ
from scripts.common.errors import ConfigError
from scripts.common.names import nearest
from scripts.planning.rigs import Rig


def check_sound(rig: Rig, settings: dict[str, Any], place: str) -> None:
    """Raise ConfigError for sides, or a rate, that no product can have."""
    if settings["right"] and not settings["left"]:
        raise ConfigError(f"{place}: `right` without `left`; a mono sound is `left` alone")
    rate_hz = settings["rate_hz"]
    if settings["sound_codec"] == "aac" and rate_hz not in AAC_RATES_HZ:
        near = min(AAC_RATES_HZ, key=lambda known: abs(known - rate_hz))
        raise ConfigError(f"{place}.rate_hz: aac has no {rate_hz}; set {near}, the nearest, or sound_codec: pcm")
    for part in [*settings["left"], *settings["right"]]:
        check_part(rig, part, place)


def check_part(rig: Rig, part: str, place: str) -> None:
    """Raise ConfigError unless `part` is a microphone of the rig, or a channel of one."""
    name, colon, channel = part.partition(":")
    if name not in rig.microphone_settings:
        raise ConfigError(f"{place}: the rig has no microphone `{name}`{nearest(name, rig.microphone_settings)}")
    if colon and not (channel.isascii() and channel.isdecimal()):
        raise ConfigError(f"{place}: `{part}` is neither a microphone nor one with a channel, as `{name}:0`")
