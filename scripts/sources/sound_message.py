"""What a message of sound holds, whatever its type: its bytes, and what it says of them."""

from typing import Any

from scripts.common.errors import InputError
from scripts.sources.carriers import MULTI_FORMATS, MULTI_PCM, Carrier
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
