"""Whether a file ends before its header says: Matroska and wav, which ffmpeg reads as if nothing were missing; and MP4,
of which it reads what is there if the index stands at the front."""

from pathlib import Path

# Less is no loss: some programs count their header or a padding byte wrongly.
SLACK_BYTES = 4096
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
# What programs that could not go back write for the size of the sound: nothing, or about the largest number.
UNKNOWN_SIZES = (range(1), range(0x7FFF_0000, 0x8001_0000), range(0xFFFF_0000, 0x1_0000_0000))
HEAD_BYTES = 65_536
# What stands on the first floor of an MP4; anything else there is what a program has left behind.
BOXES = (b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"sidx", b"free", b"skip", b"wide", b"udta", b"meta", b"uuid")


def cut_short(path: Path) -> str:
    """What to say of a file that was cut off; "" for one that is whole, or whose header does not say its size."""
    with path.open("rb") as file:
        return said_of(path.name, file.read(HEAD_BYTES), path.stat().st_size)


def said_of(name: str, content: bytes, held: int) -> str:
    """The same of a file that holds so many bytes; content: its begin, HEAD_BYTES or more."""
    head = content[:HEAD_BYTES]
    promised = _matroska_bytes(head) if head.startswith(EBML) else _wav_bytes(head)
    if promised is None or promised - held <= SLACK_BYTES:
        return ""
    return f"{name} promises {promised:,} bytes and holds {held:,}: it was cut off; what is there is taken"


def breaks_off(path: Path) -> bool:
    """Whether a file, also an MP4, ends before it says; False for one that does not say where it ends."""
    return _mp4_bytes(path) > path.stat().st_size or bool(cut_short(path))


def _mp4_bytes(path: Path) -> int:
    """Where the last box of an MP4 ends, as far as boxes follow each other; 0 if it is none."""
    place = 0
    with path.open("rb") as file:
        while len(head := file.read(16)) >= 8 and head[4:8] in BOXES:
            size = int.from_bytes(head[:4])
            size = int.from_bytes(head[8:]) if size == 1 else size
            # None, or nonsense: the last box goes as far as the file does.
            if size < 8:
                return place
            place += size
            file.seek(place)
    return place


def _matroska_bytes(head: bytes) -> int | None:
    """Where the segment ends that holds everything; None if it was never finished."""
    header = _vint(head, len(EBML))
    if header is None:
        return None
    size, place = header
    place += size
    if not head.startswith(SEGMENT, place):
        return None
    segment = _vint(head, place + len(SEGMENT))
    return None if segment is None else sum(segment)


def _vint(data: bytes, place: int) -> tuple[int, int] | None:
    """A number of EBML's variable length, and where it ends; None for one that means `unknown`, or is cut off."""
    if place >= len(data) or not data[place]:
        return None
    length = 9 - data[place].bit_length()
    mask = (1 << 7 * length) - 1
    number = int.from_bytes(data[place : place + length]) & mask
    return None if number == mask or place + length > len(data) else (number, place + length)


def _wav_bytes(head: bytes) -> int | None:
    """Where the samples of a RIFF or RF64 wav end; None if it is none, or its size was not known."""
    if head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        return None
    place, long_size = 12, None
    while place + 8 <= len(head):
        name, size = head[place : place + 4], int.from_bytes(head[place + 4 : place + 8], "little")
        place += 8
        if name == b"ds64":
            long_size = int.from_bytes(head[place + 8 : place + 16], "little")
        if name == b"data":
            if long_size is not None and size == 0xFFFF_FFFF:
                return place + long_size if long_size else None
            return None if any(size in sizes for sizes in UNKNOWN_SIZES) else place + size
        place += size + size % 2
    return None
