"""A microphone's sound without loss in less space: FLAC or WavPack, in groups of at most eight channels.

More than eight channels fit no FLAC, and one WavPack file of 24 is not read alike by all programs. Every file is
decoded again and compared sample by sample before it counts: by ffmpeg and, for WavPack, by the program
wvunpack where there is one.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from scripts.common import json_file, ledger
from scripts.common.clock import Clock
from scripts.common.errors import InputError, RunError, UpstreamError
from scripts.common.ffmpeg_program import SoundEncoder, decode_sound, output_of
from scripts.common.job import progress, run

GROUP = 8
BLOCK = 1 << 16
# What FLAC holds, by the form of the WAV.
FLAC_FORMS = {"PCM_U8": "PCM_S8", "PCM_16": "PCM_16", "PCM_24": "PCM_24"}
# The samples that WavPack is given: numpy's type, ffmpeg's name, and how far below the top bit they end.
WAVPACK_FORMS = {
    "PCM_U8": ("<i2", "s16le", 16),
    "PCM_16": ("<i2", "s16le", 16),
    "PCM_24": ("<i4", "s32le", 0),
    "PCM_32": ("<i4", "s32le", 0),
    "FLOAT": ("<f4", "f32le", 0),
}
ENDINGS = {"flac": "flac", "wavpack": "wv"}

log = logging.getLogger("rushes")


class Packer(Protocol):
    """Writes a group of channels."""

    def write(self, block: np.ndarray) -> None:
        """Append samples, (N, channels)."""

    def close(self) -> None:
        """Finish the file."""


class Flac:
    """A FLAC file."""

    def __init__(self, path: Path, rate_hz: int, channels: int, form: str) -> None:
        self._file = soundfile.SoundFile(path, "w", rate_hz, channels, FLAC_FORMS[form], format="FLAC")

    def write(self, block: np.ndarray) -> None:
        """Append samples, int32 (N, channels), full scale at the top bit."""
        self._file.write(block)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


class WavPack:
    """A WavPack file."""

    def __init__(self, path: Path, rate_hz: int, channels: int, form: str) -> None:
        self._dtype, name, self._shift = WAVPACK_FORMS[form]
        codec = ["-c:a", "wavpack"]
        self._file = SoundEncoder(path, sample_format=name, rate_hz=rate_hz, channels=channels, options=codec)

    def write(self, block: np.ndarray) -> None:
        """Append samples, int32 or float32 (N, channels), full scale at the top bit."""
        self._file.write((block >> self._shift if self._shift else block).astype(self._dtype).tobytes())

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def compress_audio(
    sound: Path,
    clock: Path,
    out_folder: Path,
    out_ledger: Path,
    *,
    recording: str,
    product: str,
    microphone: str,
    coding: str,
) -> None:
    """Write `sound` as `coding` (flac or wavpack) into a folder, with channels.json, which says what stands where.

    Raises InputError if the import of the microphone failed, or FLAC cannot hold its samples; RunError if a file does
    not decode to the samples that went in.
    """
    heard = Clock.read(clock)
    if not heard.samples:
        raise UpstreamError(f"{recording}, {microphone}")
    out_folder.mkdir()
    with soundfile.SoundFile(sound) as source:
        form = str(source.subtype)
        if coding == "flac" and form not in FLAC_FORMS:
            raise InputError(
                "sample_format",
                f"{recording}, {microphone}: FLAC holds whole numbers of at most 24 bits, not {form}; ask for wavpack",
            )
        groups = [list(range(first, min(first + GROUP, source.channels))) for first in range(0, source.channels, GROUP)]
        names = [file_name(microphone, group, source.channels, ENDINGS[coding]) for group in groups]
        maker = Flac if coding == "flac" else WavPack
        with ExitStack() as stack:
            packers: list[Packer] = []
            for name, group in zip(names, groups, strict=True):
                packers.append(maker(out_folder / name, source.samplerate, len(group), form))
                stack.callback(packers[-1].close)
            for block in blocks(source):
                for packer, group in zip(packers, groups, strict=True):
                    packer.write(np.ascontiguousarray(block[:, group]))
                progress(source.tell(), heard.samples, "samples")
        for name, group in zip(names, groups, strict=True):
            verify(out_folder / name, source, group)
    content = {
        "microphone": microphone,
        "rate_hz": heard.nominal_rate_hz,
        "samples": heard.samples,
        "groups": [{"file": name, "channels": group} for name, group in zip(names, groups, strict=True)],
    }
    json_file.write(out_folder / "channels.json", content)
    ledger.write(out_ledger, [ledger.Row("compress_audio", recording, product, "written", value=heard.samples)])


def file_name(microphone: str, group: list[int], channels: int, ending: str) -> str:
    """array.flac, or array.ch00-07.flac where there are several groups."""
    part = f".ch{group[0]:02d}-{group[-1]:02d}" if channels > GROUP else ""
    return f"{microphone}{part}.{ending}"


def blocks(source: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """The whole sound, (N, channels): int32 with full scale at the top bit, or float32."""
    source.seek(0)
    dtype = "float32" if source.subtype in ("FLOAT", "DOUBLE") else "int32"
    while len(block := source.read(BLOCK, dtype=dtype, always_2d=True)):
        yield block


def verify(path: Path, source: soundfile.SoundFile, group: list[int]) -> None:
    """Decode `path` and compare. Raises RunError."""
    dtype, form, shift = WAVPACK_FORMS[str(source.subtype)]
    told = (dtype, shift, len(group))
    decoders = [("ffmpeg", samples_of(decode_sound(path, form), *told))]
    if path.suffix == ".wv":
        if program := shutil.which("wvunpack"):
            command = [program, "-q", "--raw", str(path.absolute()), "-o", "-"]
            decoders.append(("wvunpack", samples_of(output_of(command), *told)))
        else:
            log.info("wvunpack is not installed: %s is verified by ffmpeg alone", path.name)
    for name, pieces in decoders:
        if not same(pieces, (block[:, group] for block in blocks(source))):
            raise RunError(f"{path.name}: {name} decodes other samples than went in; the sound is kept as WAV alone")


def same(pieces: Iterator[np.ndarray], wanted: Iterator[np.ndarray]) -> bool:
    """Whether two sounds, (N, channels) in pieces of any length, are the same."""
    left: np.ndarray | None = None
    for block in wanted:
        have = [] if left is None else [left]
        while sum(map(len, have)) < len(block):
            piece = next(pieces, None)
            if piece is None:
                return False
            have.append(piece)
        whole = np.concatenate(have)
        if not np.array_equal(whole[: len(block)], block):
            return False
        left = whole[len(block) :]
    return not (left is not None and len(left)) and next(pieces, None) is None


def samples_of(pieces: Iterator[bytes], dtype: str, shift: int, channels: int) -> Iterator[np.ndarray]:
    """Bytes of interleaved samples as (N, channels): int32 with full scale at the top bit, or float32."""
    size = np.dtype(dtype).itemsize * channels
    left = b""
    for piece in pieces:
        whole = left + piece
        count = len(whole) // size * size
        samples = np.frombuffer(whole[:count], dtype).reshape(-1, channels)
        yield samples if samples.dtype.kind == "f" else samples.astype(np.int32) << shift
        left = whole[count:]


if __name__ == "__main__":
    run(compress_audio)
