"""Sounds of a folder or a zip, one after the other, each with the text that lies beside it."""

import io
import lzma
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile

from scripts.common.errors import InputError
from scripts.common.file_endings import LARGEST_MB, OTHER_SOUNDS, SOUNDS, TEXT
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

# The bytes of a file or of an entry, by its name. Raises InputError.
Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Item:
    """A sound. name: its path below the folder, see `named`; content: its bytes; text: those of its text, if any."""

    name: str
    content: bytes
    text: bytes | None


@dataclass(frozen=True)
class Text:
    """A text that belongs to no sound: its bytes."""

    content: bytes


def items_of(audio_dir: Path, files: list[Path]) -> Iterator[tuple[str, Item | Text | InputError]]:
    """The sounds in the order of their names, each under its name; an error in the place of what cannot be read.

    Then what is a sound in another form, as errors with the reason OTHER_FORMAT, and the texts that belong to no sound.

    Raises InputError for a zip that is none, or that holds a name outside itself: then nothing of it is taken.
    """
    if len(files) == 1 and files[0].suffix.lower() == ".zip":
        yield from _of_zip(files[0])
        return
    by_name = {file.relative_to(audio_dir).as_posix(): file for file in files}

    def read(name: str) -> bytes:
        try:
            return by_name[name].read_bytes()
        except OSError as error:
            raise InputError("unreadable", f"{name} cannot be read: {error.strerror}") from error

    yield from _items(by_name, read)


def _items(names: Iterable[str], read: Read) -> Iterator[tuple[str, Item | Text | InputError]]:
    names = sorted(names)
    # Of a.txt and a.TXT the former, which sorts last.
    texts = {_stem(name): name for name in names if name.lower().endswith(TEXT)}
    sounds = named(names)
    for name, short in sounds.items():
        yield name, _item(short, name, texts.get(_stem(name)), read)
    for name in names:
        if name.lower().endswith(OTHER_SOUNDS):
            message = f"{name} is in a form that is not read here: turn it into FLAC by ffmpeg"
            yield name, InputError(OTHER_FORMAT, message)
    of_sounds = {texts.get(_stem(name)) for name in sounds}
    for name in names:
        if name.lower().endswith(TEXT) and name not in of_sounds:
            yield name, _text(name, read)


def _item(short: str, name: str, beside: str | None, read: Read) -> Item | InputError:
    try:
        return Item(short, read(name), None if beside is None else read(beside))
    except InputError as error:
        return error


def _text(name: str, read: Read) -> Text | InputError:
    try:
        return Text(read(name))
    except InputError as error:
        return error


def _of_zip(path: Path) -> Iterator[tuple[str, Item | Text | InputError]]:
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
        count = Counter(entry.filename for entry in entries)

        def read(name: str) -> bytes:
            if count[name] > 1:
                raise InputError("same_name", f"{name} stands {count[name]} times in {path.name}: which one?")
            if CONTROL.search(name):
                raise InputError("bad_name", f"the name {name!r} holds a character that is no text: rename it")
            return _unpack(archive, by_name[name])

        yield from _items(by_name, read)


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
