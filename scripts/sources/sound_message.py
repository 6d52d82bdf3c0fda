"""What a message of sound holds, whatever its type: its bytes, and what it says of them."""

from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from statistics import median
from typing import Any

from scripts.common.errors import InputError
from scripts.sources.carriers import CODED_SOUND, MULTI_FORMATS, MULTI_PCM, Carrier
from scripts.sources.message_layout import text
from scripts.sources.sound_form import Form, format_named, format_of_depth


def block_of(carrier: Carrier, value: dict[str, Any]) -> tuple[memoryview, list[Any]]:
    """Samples of a message that is PCM, and what it says of their form. value: its fields by their roles."""
    if carrier.kind == MULTI_PCM:
        kind, data = max(((k, value[k]) for k in MULTI_FORMATS), key=lambda pair: len(pair[1]))
        return data, [MULTI_FORMATS[kind], value.get("rate", 0), value.get("channels", 0)]
    return value["data"], [value.get(role) for role in ("format", "depth", "rate", "channels")]


def said_form(carrier: Carrier, value: dict[str, Any], said: list[Any]) -> Form:
    """The form that a message itself says; `said`: see block_of. Raises InputError for an unknown sample format."""
    if carrier.kind == MULTI_PCM:
        return Form(said[1], said[2], said[0])
    form: str | None = ""
    if "format" in value:
        form = format_named(text(value["format"]))
    elif "depth" in value:
        form = format_of_depth(value["depth"])
    if form is None:
        what = text(value["format"]) if "format" in value else f"of {value['depth']} bits"
        raise InputError("unsupported", f"its sample format {what} cannot be exported yet")
    return Form(value.get("rate", 0), value.get("channels", 0), form)


def usual_block_ns(messages: Iterable[tuple[Carrier, dict[str, Any]]]) -> int:
    """The usual length of blocks of sound, ns: as they say themselves, else the usual distance of their stamps.

    messages: the carrier and the fields of each by their roles; 0 where there are too few.
    """
    lengths_ns, stamps_ns = [], []
    for carrier, value in messages:
        stamp_ns = value.get("sec", 0) * 10**9 + value.get("nanosec", 0)
        stamps_ns += [stamp_ns] if stamp_ns else []
        with suppress(InputError):
            length_ns = _length_ns(carrier, value)
            lengths_ns += [length_ns] if length_ns else []
    steps_ns = [after - before for before, after in pairwise(stamps_ns)]
    return round(median(lengths_ns or steps_ns or [0]))


def _length_ns(carrier: Carrier, value: dict[str, Any]) -> float:
    """Length of a block by its own form; 0 where that does not say it."""
    if carrier.kind == CODED_SOUND:
        return 0.0
    data, said = block_of(carrier, value)
    form = said_form(carrier, value, said)
    return len(data) * 1e9 / (form.rate_hz * form.frame_bytes) if form.rate_hz and form.frame_bytes else 0.0
