"""PCM into WAV, RF64 above 4 GB, in one pass and constant memory.

The payload is appended as it comes; rate, channels and format may be known only at the end. Zeros for what was
lost while recording are inserted at the end, too, when the clock has said how many.
"""

import os
import struct
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

# Name: bytes a sample, WAV format code (1: integer, 3: float), the byte of silence.
SAMPLE_FORMATS = {
    "u8": (1, 1, 0x80),
    "s16le": (2, 1, 0),
    "s24le": (3, 1, 0),
    "s32le": (4, 1, 0),
    "f32le": (4, 3, 0),
    "f64le": (8, 3, 0),
}

HEADER_BYTES = 104
CHUNK_BYTES = 12 * 2**20
BUFFER_BYTES = 2**20
_EXTENSIBLE = 0xFFFE
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


class SoundWriter:
    """Writes interleaved samples to `path`. `size`: bytes of payload so far."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb+", buffering=BUFFER_BYTES)
        self._file.write(bytes(HEADER_BYTES))
        self.size = 0

    def write(self, payload: bytes | memoryview) -> None:
        """Append samples, little endian, as they stand in the WAV."""
        self.size += self._file.write(payload)

    def insert(self, holes: list[tuple[int, int]], filling: int = 0) -> None:
        """Insert filling bytes: (offset in the payload so far, count), by ascending offset. The rest moves back."""
        self._file.flush()
        end = self.size
        shift = sum(count for _, count in holes)
        self.size += shift
        for offset, count in reversed(holes):
            self._move(offset, end, shift)
            shift -= count
            self._fill(offset + shift, count, filling)
            end = offset

    def keep(self, pieces: list[tuple[int, int]]) -> None:
        """Leave out of the payload so far what is in none of `pieces`: (offset, bytes), by ascending offset."""
        self._file.flush()
        end = 0
        for offset, count in pieces:
            if offset > end:
                for first in range(0, count, CHUNK_BYTES):
                    self._write_at(end + first, self._read(offset + first, min(CHUNK_BYTES, count - first)))
            end += count
        if end < self.size:
            self._file.truncate(HEADER_BYTES + end)
            self.size = end

    def reorder(self, offset: int, sizes: list[int], order: list[int]) -> None:
        """Put pieces that follow each other from `offset` on, of so many bytes, into another order."""
        self._file.flush()
        ends = list(accumulate(sizes))
        run = self._read(offset, ends[-1])
        self._write_at(offset, b"".join(run[ends[number] - sizes[number] : ends[number]] for number in order))

    def rewrite(self, change: Callable[[bytes], bytes]) -> None:
        """Replace the payload by `change` of it, piece by piece; pieces are whole samples, lengths stay."""
        self._file.flush()
        for offset in range(0, self.size, CHUNK_BYTES):
            piece = self._read(offset, min(CHUNK_BYTES, self.size - offset))
            self._write_at(offset, change(piece))

    def close(self, *, rate_hz: int, channels: int, sample_format: str) -> None:
        """Write the header and finish the file."""
        if self.size % 2:
            self._file.seek(HEADER_BYTES + self.size)
            self._file.write(b"\0")
        self._file.seek(0)
        self._file.write(_header(self.size, rate_hz, channels, sample_format))
        self._file.close()

    def discard(self) -> None:
        """Close the file unfinished."""
        self._file.close()

    def _move(self, start: int, stop: int, shift: int) -> None:
        while start < stop:
            first = max(start, stop - CHUNK_BYTES)
            self._write_at(first + shift, self._read(first, stop - first))
            stop = first

    def _fill(self, offset: int, count: int, filling: int) -> None:
        for first in range(offset, offset + count, CHUNK_BYTES):
            self._write_at(first, bytes([filling]) * min(CHUNK_BYTES, offset + count - first))

    def _read(self, offset: int, count: int) -> bytes:
        return os.pread(self._file.fileno(), count, HEADER_BYTES + offset)

    def _write_at(self, offset: int, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            written = os.pwrite(self._file.fileno(), view, HEADER_BYTES + offset)
            view, offset = view[written:], offset + written


def _header(size: int, rate_hz: int, channels: int, sample_format: str) -> bytes:
    """HEADER_BYTES up to the payload: RIFF, or RF64 where 32 bits do not hold the size."""
    width, code, _ = SAMPLE_FORMATS[sample_format]
    frame = width * channels
    large = size + HEADER_BYTES >= 2**32
    extensible = large or channels > 2 or width > 2
    form = struct.pack(
        "<HHIIHH", _EXTENSIBLE if extensible else code, channels, rate_hz, rate_hz * frame, frame, width * 8
    )
    if extensible:
        form += struct.pack("<HHIH", 22, width * 8, 0, code) + _GUID_TAIL
    fmt = _chunk(b"fmt ", form)
    unknown = 2**32 - 1
    riff_size = HEADER_BYTES - 8 + size + size % 2
    if large:
        sizes = _chunk(b"ds64", struct.pack("<QQQI", riff_size, size, size // frame, 0))
        return struct.pack("<4sI4s", b"RF64", unknown, b"WAVE") + sizes + fmt + struct.pack("<4sI", b"data", unknown)
    room = _chunk(b"JUNK", bytes(HEADER_BYTES - 12 - 8 - len(fmt) - 8))
    return struct.pack("<4sI4s", b"RIFF", riff_size, b"WAVE") + room + fmt + struct.pack("<4sI", b"data", size)


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body
