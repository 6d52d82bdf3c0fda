"""Finds lost packets of h264 by the stream itself: reference pictures are numbered by frame_num (H.264 7.4.3).

A lost picture that no other leans on leaves no hole in the numbers, and needs none. What is not seen: a loss after
which the numbers go on as they should: of about MaxFrameNum reference pictures in a row, or of a keyframe where the GOP
before it happens to end with the right number. Where the sequence allows gaps (of layers that were left out on
purpose), a hole is counted, but is no loss. An encoder that restarts the numbers without an IDR picture
(memory_management_control_operation 5) is taken for one whose IDR picture is lost.
"""

from dataclasses import dataclass
from functools import lru_cache

from scripts.sources import annex_b
from scripts.sources.bit_reader import BitReader, HeaderError

_IDR, _SEQUENCE_SET, _PICTURE_SET = 5, 7, 8
# Profiles whose sequence says its chroma, depth and scaling (7.3.2.1.1).
_HIGH = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
_YUV444 = 3
_SLICE_BYTES = 32
_MAX_FRAME_NUM_BITS = 16


@dataclass(frozen=True)
class SequenceSet:
    """What must be known of a sequence parameter set (7.3.2.1.1)."""

    number: int
    frame_num_bits: int
    gaps_allowed: bool
    separate_planes: bool


class H264Loss:
    """Watches the packets of an h264 stream, in the order of decoding, from a keyframe on.

    lost: packets that are missing, at least. holes_allowed: holes in the numbers that may be none of lost packets.
    """

    def __init__(self) -> None:
        self.lost = 0
        self.holes_allowed = 0
        self._sequences: dict[int, SequenceSet] = {}
        self._sequence_of: dict[int, int] = {}
        # frame_num of a picture that follows the last one.
        self._expected: int | None = None
        self._damaged = False

    def take(self, data: memoryview) -> bool:
        """Whether a packet is tainted: something is missing since the last IDR picture."""
        for kind, unit in annex_b.units_ahead(data, "h264"):
            try:
                if kind == _SEQUENCE_SET:
                    sequence = read_sequence(unit)
                    self._sequences[sequence.number] = sequence
                elif kind == _PICTURE_SET:
                    bits = BitReader(unit[1:_SLICE_BYTES])
                    self._sequence_of[bits.ue()] = bits.ue()
                elif kind in annex_b.SLICES["h264"]:
                    self._follow(kind, unit)
            except (HeaderError, KeyError):
                # What cannot be read is never called a loss.
                self._expected = None
        return self._damaged

    def _follow(self, kind: int, unit: bytes) -> None:
        """Compare a picture's number (slice_header, 7.3.3) with the one that follows the last picture's."""
        bits = BitReader(unit[1:_SLICE_BYTES])
        _first_macroblock, _slice_type = bits.ue(), bits.ue()
        sequence = self._sequences[self._sequence_of[bits.ue()]]
        if sequence.separate_planes:
            bits.skip(2)
        frame_num = bits.u(sequence.frame_num_bits)
        count = 1 << sequence.frame_num_bits
        if kind == _IDR:
            self._damaged = False
        elif self._expected is not None:
            missing = (frame_num - self._expected) % count
            # The second field of a picture, or another slice of it in a packet of its own, has its number.
            if missing not in (0, count - 1):
                self._note(missing, frame_num, allowed=sequence.gaps_allowed)
        is_reference = bool(unit[0] >> 5 & 3)
        self._expected = (frame_num + is_reference) % count

    def _note(self, missing: int, frame_num: int, *, allowed: bool) -> None:
        if allowed:
            self.holes_allowed += 1
            return
        self._damaged = True
        # If an IDR picture is among them, the numbers began anew: at least those from it on are missing.
        self.lost += min(missing, frame_num or missing)


@lru_cache(16)
def read_sequence(unit: bytes) -> SequenceSet:
    """A sequence parameter set (7.3.2.1.1). Raises HeaderError."""
    bits = BitReader(unit[1:])
    profile = bits.u(8)
    bits.skip(16)
    number, separate_planes = bits.ue(), False
    if profile in _HIGH:
        chroma = bits.ue()
        separate_planes = chroma == _YUV444 and bool(bits.u(1))
        _luma_depth, _chroma_depth = bits.ue(), bits.ue()
        bits.skip(1)
        if bits.u(1):
            _pass_scaling_matrix(bits, 12 if chroma == _YUV444 else 8)
    frame_num_bits = bits.ue() + 4
    if frame_num_bits > _MAX_FRAME_NUM_BITS:
        raise HeaderError
    _pass_order_count(bits)
    _max_reference_frames = bits.ue()
    return SequenceSet(number, frame_num_bits, bool(bits.u(1)), separate_planes)


def _pass_order_count(bits: BitReader) -> None:
    """How pictures are ordered for display (7.3.2.1.1, pic_order_cnt_type)."""
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.skip(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()


def _pass_scaling_matrix(bits: BitReader, lists: int) -> None:
    """Scaling lists (7.3.2.1.1.1)."""
    for index in range(lists):
        if not bits.u(1):
            continue
        last = following = 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + bits.se()) % 256
            last = following or last
