"""What the samples of a sound are: rate, channels and sample format, by all the names that are in use for them."""

from dataclasses import dataclass

import numpy as np

from scripts.common.errors import InputError
from scripts.common.sound_writer import SAMPLE_FORMATS

# Sample format: what messages, drivers and people call it.
_NAMES = {
    "s16le": ("s16le", "s16", "pcm-s16", "pcm_s16le", "int16", "pcm16", "s16_le"),
    "s24le": ("s24le", "s24", "pcm-s24", "pcm_s24le", "s24_3le"),
    "s32le": ("s32le", "s32", "pcm-s32", "pcm_s32le", "int32", "s32_le"),
    "f32le": ("f32le", "f32", "pcm-f32", "pcm_f32le", "float32", "float", "f32_le", "float_le"),
    "f64le": ("f64le", "f64", "float64", "double"),
    "u8": ("u8", "pcm-u8", "uint8"),
    "s8": ("s8", "pcm-s8", "int8"),
    "s16be": ("s16be", "s16_be"),
    "s24be": ("s24be", "s24_3be"),
    "s32be": ("s32be", "s32_be"),
    "f32be": ("f32be", "f32_be"),
}
_BY_NAME = {name: form for form, names in _NAMES.items() for name in names}
# Bits of a sample, where that is all that is said.
_BY_DEPTH = {8: "u8", 16: "s16le", 24: "s24le", 32: "s32le"}


@dataclass(frozen=True)
class Form:
    """Rate, channels and sample format of a sound, as far as they are known (0, "")."""

    rate_hz: int = 0
    channels: int = 0
    sample_format: str = ""

    def or_else(self, other: "Form") -> "Form":
        """This one, with what is unknown taken from `other`."""
        return Form(
            self.rate_hz or other.rate_hz,
            self.channels or other.channels,
            self.sample_format or other.sample_format,
        )

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels; 0 as long as that is not known."""
        width = SAMPLE_FORMATS[stored_as(self.sample_format)][0] if self.sample_format else 0
        return width * self.channels


def format_named(name: str) -> str | None:
    """The sample format that a name means, e.g. "S16LE"; None for an unknown one."""
    return _BY_NAME.get(name.strip().lower())


def format_told(name: str, by_rig: str) -> str:
    """The sample format that a bag names, else that of the rig ("" for none). Raises InputError for a name alone."""
    form = format_named(name) or by_rig
    if name.strip() and not form:
        raise InputError(
            "unsupported",
            f"its samples are `{name.strip()}`, which cannot be exported yet; the rig's `sample_format` would tell",
        )
    return form


def format_of_depth(bits: int) -> str | None:
    """The sample format of samples of so many bits."""
    return _BY_DEPTH.get(bits)


def stored_as(sample_format: str) -> str:
    """The format under which such samples stand in a WAV."""
    return {"s8": "u8"}.get(sample_format, sample_format.replace("be", "le"))


def to_stored(sample_format: str, samples: bytes) -> bytes:
    """Samples as they stand in a WAV: little endian, 8 bit without sign."""
    array = np.frombuffer(samples, np.uint8)
    if sample_format == "s8":
        return (array ^ 0x80).tobytes()
    width = SAMPLE_FORMATS[stored_as(sample_format)][0]
    return array.reshape(-1, width)[:, ::-1].tobytes()


def is_mp3(block: memoryview) -> bool:
    """Whether a block begins with the header of an MPEG layer III frame."""
    if len(block) < 4 or block[0] != 0xFF or block[1] & 0xE6 != 0xE2:
        return False
    return block[2] >> 4 not in (0, 15) and block[2] >> 2 & 3 != 3
