"""The sound of a product that has pictures: as long as they are, and where they are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.common.clock import Clock
from scripts.common.errors import InputError
from scripts.common.placed_sound import MissingChannelError, Mix, Part
from scripts.common.timeline import NS


def mix_of(
    sound: Mapping[str, Any], sounds: Mapping[str, tuple[Path, Clock]], *, start_ns: int, stop_ns: int, where: str
) -> Mix | None:
    """The mix that `sound` describes (sides, rate_hz), from `start_ns` to `stop_ns`; None if it has no sides.

    A microphone that failed is left out. Raises InputError for a channel that is not there.
    """
    sides = [[Part.parse(text) for text in side] for side in sound.get("sides", [])]
    if not sides:
        return None
    rate_hz = int(sound["rate_hz"])
    heard = {name: pair for name, pair in sounds.items() if pair[1].samples}
    try:
        return Mix(sides, heard, start_ns=start_ns, samples=round((stop_ns - start_ns) * rate_hz / NS), rate_hz=rate_hz)
    except MissingChannelError as error:
        raise InputError("no_channel", f"{where}: {error}") from None
