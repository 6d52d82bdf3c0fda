"""What kind of file the first bytes say it is. Playlists and scripts, which would make a reader open other files, are
none of the known kinds."""

HEAD_BYTES = 64
_LISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<!DOCTYPE", b"<html", b"<!doctype")


def container_of(head: bytes) -> str:
    """The container of a file that begins with `head`, "" for what is no medium."""
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp"):
        return "mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    if head[:4] == b"RIFF":
        return {b"AVI ": "avi", b"WAVE": "wav"}.get(head[8:12], "")
    if head[:4] == b"OggS":
        return "ogg"
    if head[:3] == b"FLV":
        return "flv"
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] in (b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"):
        return "mpeg"
    if head[:1] == b"\x47" or head[4:5] == b"\x47":
        return "mpegts"
    if head[:16] == b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c":
        return "asf"
    if head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        return "mp3"
    return ""


def looks_like(head: bytes) -> str:
    """In two words what it is instead, for a message."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head:
        return "an empty file"
    if text.lower().startswith(tuple(start.lower() for start in _LISTS)):
        return "a web page or a playlist"
    if head[:2] in (b"PK", b"\x1f\x8b", b"BZ") or head[:4] == b"\x28\xb5\x2f\xfd":
        return "a packed archive"
    return "no known media file"
