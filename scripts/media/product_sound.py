"""The sound of a product that has pictures: as long as they are, and where they are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.common.clock import Clock
from scripts.common.errors import InputError
from scripts.common.timeline import NS
from scripts.media.placed_sound import MissingChannelError, Mix, Part


def mix_of(
    sound: Mapping[str, Any], sounds: Mapping[str, tuple[Path, Clock]], *, start_ns: int, stop_ns: int, where: str
) -> Mix | None:
    """The mix that `sound` describes (sides, rate_hz), from `start_ns` to `stop_ns`; None if it has no sides.

    A microphone that failed is left out, see `lacking`. Raises InputError for a channel that is not there.
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


def lacking(sound: Mapping[str, Any], sounds: Mapping[str, tuple[Path, Clock]]) -> list[str]:
    """What the sides of `sound` miss because microphones failed, for the ledger's row."""
    sides = sound.get("sides", [])
    names = ["left", "right"] if len(sides) == 2 else ["the sound"]
    return [note for name, side in zip(names, sides, strict=False) for note in side_lacks(name, side, sounds)]


def side_lacks(name: str, side: Sequence[str], sounds: Mapping[str, tuple[Path, Clock]]) -> list[str]:
    """What one side, of these parts, misses because microphones failed; nothing if none did."""
    microphones = dict.fromkeys(Part.parse(text).microphone for text in side)
    failed = [microphone for microphone in microphones if not sounds[microphone][1].samples]
    if not failed:
        return []
    what = "is silent" if len(failed) == len(microphones) else "goes without a part of its mix"
    return [f"{name} {what}: the import of {', '.join(failed)} failed"]
