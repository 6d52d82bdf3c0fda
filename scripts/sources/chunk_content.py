"""The content of a bag's chunk of any size, in little memory.

A small chunk is read. A large one is mapped, or, if it is compressed, decompressed piece by piece into a file without a
name, which is mapped: there a message that is too large is a hole, which takes neither memory nor disk.
"""

import bz2
import io
import mmap
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO, cast

import lz4.frame

from scripts.common.errors import is_machine_fault

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LARGE_CHUNK = 32 * 2**20
PIECE = 2**20
# The header of a record, without its content; more than that is damage.
LONGEST_HEAD = 2**20
# What reading damaged content raises; an OSError may be the machine's fault as well (errors.is_machine_fault).
DAMAGE = (OSError, RuntimeError, ValueError, EOFError, zstd.ZstdError)

# Reads the head of the next record by the function given: (head, b"" at the end; how many bytes follow it; whether they
# are a message).
Head = Callable[[Callable[[int], bytes]], tuple[bytes, int, bool]]

UNCOMPRESSED = ("", "none")
_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "lz4": lz4.frame.decompress,
    "zstd": zstd.decompress,
    "bz2": bz2.decompress,
}
_OPEN: dict[str, Callable[[Any], Any]] = {
    "lz4": lz4.frame.LZ4FrameFile,
    "zstd": zstd.ZstdFile,
    "bz2": bz2.BZ2File,
}


class DamagedChunkError(ValueError):
    """A chunk that is not what it says."""


@dataclass(frozen=True)
class Chunk:
    """Where a chunk's content stands in its file, bytes. unpacked: what it is decompressed to, as the bag says; crc:
    of that, 0: none."""

    start: int
    size: int
    compression: str
    unpacked: int
    crc: int = 0

    @property
    def is_large(self) -> bool:
        """Whether it is not to be held in memory."""
        return max(self.size, self.unpacked) > LARGE_CHUNK


def content_of(file: BinaryIO, chunk: Chunk, head: Head, max_bytes: int, *, partly: bool = False) -> memoryview:
    """Content of a chunk; messages of more than `max_bytes` may come as zeros.

    partly: of a damaged chunk, take what is good; else it raises one of DAMAGE.
    """
    if chunk.compression not in UNCOMPRESSED and chunk.compression not in _OPEN:
        raise DamagedChunkError(f"Unsupported chunk compression {chunk.compression!r}.")
    if chunk.is_large:
        content, crc = _large(file, chunk, head, max_bytes, partly)
    else:
        content, crc = _small(file, chunk, partly)
    if not partly and chunk.unpacked != len(content):
        raise DamagedChunkError(f"Chunk size mismatch: expected {chunk.unpacked} bytes, got {len(content)}.")
    if not partly and chunk.crc and crc != chunk.crc:
        raise DamagedChunkError("Chunk checksum mismatch.")
    return content


class Taken:
    """Counts what is taken from a chunk, and lets go of its memory now and then.

    Of a mapped chunk only: what is looked at again comes back from the file.
    """

    def __init__(self) -> None:
        self._bytes = 0

    def add(self, size: int, content: memoryview) -> None:
        """So many bytes of `content` have been looked at."""
        self._bytes += size
        if self._bytes > LARGE_CHUNK:
            self._bytes = 0
            if isinstance(content.obj, mmap.mmap):
                content.obj.madvise(mmap.MADV_DONTNEED)


def _small(file: BinaryIO, chunk: Chunk, partly: bool) -> tuple[memoryview, int]:
    file.seek(chunk.start)
    packed = file.read(chunk.size)
    if chunk.compression in UNCOMPRESSED:
        content = packed
    elif partly:
        content = _good_part(_Pieces(_OPEN[chunk.compression](io.BytesIO(packed))))
    else:
        content = _DECOMPRESS[chunk.compression](packed)
    return memoryview(content), zlib.crc32(content) if chunk.crc and not partly else 0


def or_nothing(read: Callable[[], memoryview]) -> memoryview:
    """What `read` gives of a chunk, nothing where it meets damage; what the machine is to blame for is raised."""
    try:
        return read()
    except DAMAGE as error:
        if is_machine_fault(error):
            raise
        return memoryview(b"")


def _good_part(pieces: "_Pieces") -> bytes:
    content = bytearray()
    try:
        while piece := pieces.read(PIECE):
            content += piece
    except DAMAGE as error:
        if is_machine_fault(error):
            raise
    return bytes(content)


def _large(file: BinaryIO, chunk: Chunk, head: Head, max_bytes: int, partly: bool) -> tuple[memoryview, int]:
    span = _Pieces(_Span(file, chunk.start, chunk.size))
    if chunk.compression in UNCOMPRESSED:
        if chunk.crc and not partly:
            span.skip(chunk.size)
        return _map(file, chunk.start, chunk.size), span.crc
    with _OPEN[chunk.compression](_Span(file, chunk.start, chunk.size)) as opened, TemporaryFile() as unpacked:
        pieces = _Pieces(opened)
        try:
            _copy(pieces, cast(BinaryIO, unpacked), head, max_bytes)
        except DAMAGE as error:
            if not partly or is_machine_fault(error):
                raise
        length = unpacked.tell()
        unpacked.truncate(length)
        unpacked.flush()
        return _map(cast(BinaryIO, unpacked), 0, length), pieces.crc


def _copy(pieces: "_Pieces", to: BinaryIO, head: Head, max_bytes: int) -> None:
    """Copy record by record; a message that is too large is left out, but keeps its place."""
    while True:
        first, rest, is_message = head(pieces.read)
        to.write(first)
        if not first:
            return
        if is_message and rest > max_bytes:
            to.seek(pieces.skip(rest), io.SEEK_CUR)
            continue
        while rest and (piece := pieces.read(min(rest, PIECE))):
            to.write(piece)
            rest -= len(piece)


def _map(file: BinaryIO, start: int, size: int) -> memoryview:
    """A part of a file. It is let go of with the last view of it. Raises ValueError if the file ends before."""
    if size == 0:
        return memoryview(b"")
    before = start % mmap.ALLOCATIONGRANULARITY
    mapped = mmap.mmap(file.fileno(), before + size, offset=start - before, access=mmap.ACCESS_READ)
    return memoryview(mapped)[before:]


class _Pieces:
    """Reads a stream piece by piece, and sums what it has read. crc: CRC-32."""

    def __init__(self, stream: "IO[bytes] | _Span") -> None:
        self._stream = stream
        self.crc = 0

    def read(self, size: int) -> bytes:
        """So many bytes, fewer only at the end."""
        if size > LONGEST_HEAD:
            raise DamagedChunkError(f"A header of {size} bytes.")
        parts = b""
        while len(parts) < size and (part := self._stream.read(size - len(parts))):
            parts = parts + part if parts else part
        self.crc = zlib.crc32(parts, self.crc)
        return parts

    def skip(self, size: int) -> int:
        """Pass over so many bytes; returns how many there were."""
        left = size
        while left and (piece := self.read(min(left, PIECE))):
            left -= len(piece)
        return size - left


class _Span(io.RawIOBase):
    """A part of a file, as a file of its own."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._at, self._stop = file, start, start + size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        self._file.seek(self._at)
        part = self._file.read(min(len(view), self._stop - self._at))
        view[: len(part)] = part
        self._at += len(part)
        return len(part)
