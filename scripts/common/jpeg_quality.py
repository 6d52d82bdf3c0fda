"""The quality of a JPEG, as its tables tell it, without decoding it."""

import numpy as np

# The luminance table of the JPEG standard's annex K in zigzag order, which libjpeg scales by its quality.
STANDARD = np.frombuffer(
    bytes.fromhex(
        "100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c3933"
        "383740485c4e404457453738506d51575f626768673e4d71797064785c656763"
    ),
    np.uint8,
).astype(int)
DQT = b"\xff\xdb"


def _table(quality: int) -> bytes:
    """The luminance table that libjpeg writes at `quality`, 1 … 100."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return bytes(np.clip((STANDARD * scale + 50) // 100, 1, 255).astype(np.uint8))


QUALITIES = {_table(quality): quality for quality in range(1, 101)}
SUMS = np.array([sum(table) for table in QUALITIES])


def jpeg_quality(payload: bytes) -> int | None:
    """The quality, 1 … 100, by which libjpeg scales the standard's luminance table to that of the picture.

    Of another table, as ffmpeg's, the quality whose table is as coarse in the mean. None if it is no JPEG.
    """
    at = payload.find(DQT)
    if not payload.startswith(b"\xff\xd8") or at < 0 or len(payload) < at + 69 or payload[at + 4] >> 4:
        return None
    own = payload[at + 5 : at + 69]
    known = QUALITIES.get(own)
    return known if known is not None else list(QUALITIES.values())[int(np.abs(SUMS - sum(own)).argmin())]
