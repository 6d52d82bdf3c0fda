"""Sounds of a folder or a zip, one after the other, each with the text that lies beside it."""

import io
import lzma
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
import soundfile

from scripts.common.errors import InputError
from scripts.common.inference_plan import LARGEST_MB, OTHER_SOUNDS, SOUNDS, TEXT
from scripts.common.resample import Line, nominal_ratio, resample
from scripts.common.sample_rate import check_rate

# Of one file in a zip, unpacked, and of all of them.
LARGEST_BYTES = LARGEST_MB * 2**20
LARGEST_ZIP_BYTES = 2**35

# What is read at once, over all channels; and what no sound has, but one that does not say its length.
BLOCK_SAMPLES = 2**20
UNKNOWN_FRAMES = 2**60
# The end of the largest scale in which floats are written, that of whole numbers of 32 bits; full scale is 1.
LOUDEST = 2.0**31
DRIVE = re.compile(r"[A-Za-z]:")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Reason of a sound in a form that the reader does not know.
OTHER_FORMAT = "other_format"
# What the packers of a zip raise at damage, a password, or a method that Python lacks.
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, OSError, EOFError, ValueError)

# A file, or an entry of a zip.
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Item:
    """A sound. name: its path below the folder, see `named`; content: its bytes; text: those of its text, if any."""

    name: str
    content: bytes
    text: bytes | None


def items_of(audio_dir: Path, files: list[Path]) -> Iterator[tuple[str, Item | InputError]]:
    """The sounds in the order of their names, each under its name; an error in the place of what cannot be read.

    Then what is a sound in another form, as errors with the reason OTHER_FORMAT.

    Raises InputError for a zip that is none, or that holds a name outside itself: then nothing of it is taken.
    """
    if len(files) == 1 and files[0].suffix.lower() == ".zip":
        yield from _of_zip(files[0])
        return
    by_name = {file.relative_to(audio_dir).as_posix(): file for file in files}
    texts = _texts(by_name)
    for name, short in named(by_name).items():
        try:
            yield name, Item(short, by_name[name].read_bytes(), _text(texts, name, lambda file: file.read_bytes()))
        except OSError as error:
            yield name, InputError("unreadable", f"{name} cannot be read: {error.strerror}")
    yield from _of_other_format(by_name)


def _of_other_format(names: Iterable[str]) -> Iterator[tuple[str, InputError]]:
    for name in sorted(name for name in names if name.lower().endswith(OTHER_SOUNDS)):
        yield name, InputError(OTHER_FORMAT, f"{name} is in a form that is not read here: turn it into FLAC by ffmpeg")


def _of_zip(path: Path) -> Iterator[tuple[str, Item | InputError]]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError("bad_zip", f"{path.name} is no zip: {error}") from error
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        for entry in entries:
            _check_name(path, entry)
        if sum(entry.file_size for entry in entries) > LARGEST_ZIP_BYTES:
            raise InputError("too_large", f"{path.name} unpacks to more than {LARGEST_ZIP_BYTES >> 30} GB")
        by_name = {entry.filename: entry for entry in entries if not entry.filename.startswith("__MACOSX/")}
        texts = _texts(by_name)
        count = Counter(entry.filename for entry in entries)
        for name, short in named(by_name).items():
            try:
                if count[name] > 1:
                    raise InputError("same_name", f"{name} stands {count[name]} times in {path.name}: which one?")
                if CONTROL.search(name):
                    raise InputError("bad_name", f"the name {name!r} holds a character that is no text: rename it")
                content = _unpack(archive, by_name[name])
                text = _text(texts, name, lambda entry: _unpack(archive, entry))
            except InputError as error:
                yield name, error
            else:
                yield name, Item(short, content, text)
        yield from _of_other_format(by_name)


def _check_name(path: Path, entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    outside = ".." in PurePosixPath(name.replace("\\", "/")).parts or name.startswith(("/", "\\")) or DRIVE.match(name)
    if outside:
        raise InputError("zip_name", f"{path.name} holds the name {name!r}, which leads out of it: nothing is taken")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise InputError("zip_name", f"{path.name} holds the link {name!r}: nothing of it is taken")


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.file_size > LARGEST_BYTES:
        raise InputError("too_large", f"{entry.filename} is larger than {LARGEST_BYTES >> 30} GB")
    try:
        with archive.open(entry) as file:
            # What a zip says of its sizes need not be true.
            content = file.read(entry.file_size + 1)
    except DAMAGED as error:
        raise InputError("bad_zip", f"{entry.filename} cannot be unpacked: {error}") from error
    if len(content) > entry.file_size:
        raise InputError("bad_zip", f"{entry.filename} is larger than the zip says")
    return content


def named(names: Iterable[str]) -> dict[str, str]:
    """What the result of each sound is called, in the order of the sounds: without the ending, unless two are alike."""
    sounds = sorted(name for name in names if name.lower().endswith(SOUNDS))
    alike = Counter(map(_stem, sounds))
    return {name: _stem(name) if alike[_stem(name)] == 1 else name for name in sounds}


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _texts(by_name: Mapping[str, Entry]) -> dict[str, Entry]:
    """The texts by what stands before their ending; of a.txt and a.TXT the former, which sorts last."""
    return {_stem(name): by_name[name] for name in sorted(by_name) if name.lower().endswith(TEXT)}


def _text(texts: Mapping[str, Entry], name: str, read: Callable[[Entry], bytes]) -> bytes | None:
    beside = texts.get(_stem(name))
    return None if beside is None else read(beside)


class _InOrder(soundfile.SoundFile):
    """A sound that is read from its begin to its end: the library seeks after every block where it can, and fails so in
    a FLAC that was written to a pipe."""

    def seekable(self) -> bool:
        return False


def read_sound(content: bytes, name: str, *, max_s: float) -> tuple[np.ndarray, int]:
    """Float32 (N,), the mean of the channels, and the sample rate; an hour of any sound takes a gigabyte or less.

    Raises InputError for what is no sound, is empty, has a rate or values that no sound has, or lasts longer than
    `max_s`.
    """
    blocks: list[np.ndarray] = []
    try:
        with _InOrder(io.BytesIO(content)) as file:
            rate = int(file.samplerate)
            check_rate(rate, name)
            if file.frames < UNKNOWN_FRAMES:
                _check_length(file.frames, rate, name, max_s)
            each, count = max(1, BLOCK_SAMPLES // file.channels), 0
            while len(block := file.read(each, dtype="float32", always_2d=True)):
                count += len(block)
                # A stream does not say how long it is.
                _check_length(count, rate, name, max_s)
                blocks.append(block.mean(axis=1))
    except (soundfile.LibsndfileError, ValueError) as error:
        # The library's own words name an object of Python in the place of the file.
        said = getattr(error, "error_string", error)
        raise InputError("no_sound", f"{name} cannot be read as a sound: {said}") from error
    if not blocks:
        raise InputError("no_sound", f"{name} holds no samples")
    signal = np.concatenate(blocks)
    if not np.isfinite(signal).all():
        raise InputError("no_sound", f"{name} holds values that are no numbers")
    peak = float(np.abs(signal).max())
    if peak > LOUDEST:
        message = f"{name} holds values of {peak:.3g}, and full scale is 1: write its samples anew"
        raise InputError("no_sound", message, value=peak, limit=LOUDEST)
    return signal, rate


def _check_length(frames: int, rate: int, name: str, max_s: float) -> None:
    if frames > max_s * rate:
        seconds = frames / rate
        raise InputError(
            "too_long", f"{name} lasts {seconds:.1f} s or more, longer than {max_s:g}", value=seconds, limit=max_s
        )


def at_rate(signal: np.ndarray, rate_hz: int, wanted_hz: int) -> np.ndarray:
    """The signal at another sample rate, float32."""
    if rate_hz == wanted_hz:
        return signal.astype(np.float32)
    ratio = nominal_ratio(rate_hz, wanted_hz)
    line = Line(Fraction(0), ratio, len(signal), ratio)
    count = -(-len(signal) * wanted_hz // rate_hz)
    chunks = resample(lambda first, stop: signal[first:stop], line, 0, count)
    return np.concatenate([chunk.astype(np.float32) for chunk in chunks])
