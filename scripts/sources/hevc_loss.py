"""Finds lost packets of hevc by the stream itself: each picture names those that it leans on (H.265 8.3.2, 8.3.3).

They are named by their picture order count; its low bits are enough, for all that are held at once differ in them. A
lost picture that no later one leans on leaves no trace, and needs none. Long-term reference pictures are not looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from scripts.sources import annex_b
from scripts.sources.bit_reader import BitReader, HeaderError

# NAL unit types (table 7-1).
_LEADING, _RASL, _IDR, _BLA = range(6, 10), {8, 9}, {19, 20}, {16, 17, 18}
_IRAP = range(16, 24)
_SEQUENCE_SET, _PICTURE_SET = 33, 34
_YUV444 = 3
_SLICE_BYTES = 64
_MAX_SETS, _MAX_REFERENCES, _MAX_LSB_BITS = 64, 16, 16

# Distance in picture order count, whether the picture itself leans on it (else later ones do); near ones first, those
# shown before the picture in front of those shown after it.
ReferenceSet = tuple[tuple[int, bool], ...]


@dataclass(frozen=True)
class SequenceSet:
    """What must be known of a sequence parameter set (7.3.2.2.1)."""

    number: int
    lsb_bits: int
    separate_planes: bool
    sets: tuple[ReferenceSet, ...]


@dataclass(frozen=True)
class PictureSet:
    """What must be known of a picture parameter set (7.3.2.3.1)."""

    sequence: int
    has_output_flag: bool
    extra_bits: int


class HevcLoss:
    """Watches the packets of an hevc stream, in the order of decoding, from a keyframe on.

    lost: packets that are missing, at least.
    """

    holes_allowed = 0

    def __init__(self) -> None:
        self.lost = 0
        self._sequences: dict[int, SequenceSet] = {}
        self._pictures: dict[int, PictureSet] = {}
        # Low bits of the order counts of the pictures that a decoder holds; None: unknown.
        self._held: set[int] | None = None
        # Of those that are missing, the ones that are counted.
        self._missed: set[int] = set()
        self._damaged = False
        # What is shown before the last keyframe, but decoded after it, leans on damaged pictures, too.
        self._lead_damaged = False
        # Whether what is shown before the last keyframe, but decoded after it, can be judged: what it leans on was
        # never part of a stream that begins there, or is joined there to another (NoRaslOutputFlag, 8.1.3).
        self._lead_known = False
        self._begun = False

    def take(self, data: memoryview) -> bool:
        """Whether a packet is tainted: something is missing since the last keyframe."""
        leading = False
        for kind, unit in annex_b.units_ahead(data, "hevc"):
            if _layer(unit):
                continue
            leading = kind in _RASL
            try:
                if kind == _SEQUENCE_SET:
                    sequence = read_sequence(unit)
                    self._sequences[sequence.number] = sequence
                elif kind == _PICTURE_SET:
                    self._take_picture_set(unit)
                elif kind in annex_b.SLICES["hevc"]:
                    self._follow(kind, unit)
            except (HeaderError, KeyError, IndexError):
                # What cannot be read is never called a loss.
                self._held = None
        return self._lead_damaged if leading else self._damaged

    def _take_picture_set(self, unit: bytes) -> None:
        bits = BitReader(unit[2:_SLICE_BYTES])
        number, sequence = bits.ue(), bits.ue()
        bits.skip(1)
        self._pictures[number] = PictureSet(sequence, bool(bits.u(1)), bits.u(3))

    def _follow(self, kind: int, unit: bytes) -> None:
        """Compare what a picture leans on (slice_segment_header, 7.3.6.1) with what is held."""
        bits = BitReader(unit[2:_SLICE_BYTES])
        if not bits.u(1):
            # Another slice of the last picture, in a packet of its own.
            return
        if kind in _IRAP:
            begins = not self._begun or kind in _BLA
            self._begun = True
            self._lead_known = self._held is not None and not begins
            self._lead_damaged, self._damaged = self._damaged or begins, False
            bits.skip(1)
        elif kind not in _LEADING:
            # What leads comes before it: later ones belong to a keyframe that is lost.
            self._lead_known = True
        picture = self._pictures[bits.ue()]
        sequence = self._sequences[picture.sequence]
        if kind in _IDR:
            self._held, self._lead_known = {0}, True
            return
        bits.skip(picture.extra_bits)
        _slice_type = bits.ue()
        bits.skip(picture.has_output_flag + 2 * sequence.separate_planes)
        count = 1 << sequence.lsb_bits
        lsb = bits.u(sequence.lsb_bits)
        named = {(lsb + distance) % count: own for distance, own in _references(bits, sequence.sets)}
        if kind in _IRAP and not self._lead_known:
            self._held = set()
        if self._held is None:
            return
        missing = {one for one, own in named.items() if own} - self._held
        if kind in _RASL and not self._lead_known:
            missing = set()
        if missing:
            self.lost += len(missing - self._missed)
            self._lead_damaged |= kind in _RASL
            self._damaged |= kind not in _RASL
        self._missed = self._missed & named.keys() | missing
        self._held = self._held & named.keys() | {lsb}


def _layer(unit: bytes) -> int:
    """nuh_layer_id (7.3.1.2); other layers than 0 have sets of their own."""
    return (unit[0] & 1) << 5 | unit[1] >> 3 if len(unit) > 1 else 0


def _references(bits: BitReader, sets: tuple[ReferenceSet, ...]) -> ReferenceSet:
    """The short-term reference pictures of a slice: one of the sequence's sets, or its own (7.3.6.1)."""
    if not bits.u(1):
        return _read_set(bits, sets, in_slice=True)
    return sets[bits.u((len(sets) - 1).bit_length()) if len(sets) > 1 else 0]


@lru_cache(16)
def read_sequence(unit: bytes) -> SequenceSet:
    """A sequence parameter set (7.3.2.2.1). Raises HeaderError."""
    bits = BitReader(unit[2:])
    bits.skip(4)
    sub_layers = bits.u(3)
    bits.skip(1)
    _pass_profile(bits, sub_layers)
    number, chroma = bits.ue(), bits.ue()
    separate_planes = chroma == _YUV444 and bool(bits.u(1))
    _width, _height = bits.ue(), bits.ue()
    if bits.u(1):
        _pass_numbers(bits, 4)
    _pass_numbers(bits, 2)
    lsb_bits = bits.ue() + 4
    if lsb_bits > _MAX_LSB_BITS:
        raise HeaderError
    _pass_numbers(bits, 3 * (sub_layers + 1 if bits.u(1) else 1))
    _pass_numbers(bits, 6)
    if bits.u(1) and bits.u(1):
        _pass_scaling_lists(bits)
    bits.skip(2)
    if bits.u(1):
        bits.skip(8)
        _pass_numbers(bits, 2)
        bits.skip(1)
    sets: list[ReferenceSet] = []
    for _ in range(_at_most(bits.ue(), _MAX_SETS)):
        sets.append(_read_set(bits, sets, in_slice=False))
    return SequenceSet(number, lsb_bits, separate_planes, tuple(sets))


def _read_set(bits: BitReader, sets: Sequence[ReferenceSet], *, in_slice: bool) -> ReferenceSet:
    """A set of its own, or one made of another (st_ref_pic_set, 7.3.7 and 7.4.8)."""
    if sets and bits.u(1):
        return _read_made_set(bits, sets[-1 - (bits.ue() if in_slice else 0)])
    counts = [_at_most(bits.ue(), _MAX_REFERENCES) for _ in range(2)]
    found = []
    for sign, count in zip((-1, 1), counts, strict=True):
        distance = 0
        for _ in range(count):
            distance += sign * (bits.ue() + 1)
            found.append((distance, bool(bits.u(1))))
    return tuple(found)


def _read_made_set(bits: BitReader, other: ReferenceSet) -> ReferenceSet:
    """The pictures of another set, and its own picture, that this one keeps (7-59 to 7-62)."""
    backwards = bits.u(1)
    step = bits.ue() + 1
    if backwards:
        step = -step
    found = []
    for distance in (*(distance for distance, _ in other), 0):
        own = bool(bits.u(1))
        if own or bits.u(1):
            found.append((distance + step, own))
    return tuple(sorted((one for one in found if one[0]), key=lambda one: (one[0] > 0, abs(one[0]))))


def _pass_profile(bits: BitReader, sub_layers: int) -> None:
    """profile_tier_level (7.3.3)."""
    bits.skip(96)
    present = [(bits.u(1), bits.u(1)) for _ in range(sub_layers)]
    if sub_layers:
        bits.skip(2 * (8 - sub_layers))
    for profile, level in present:
        bits.skip(88 * profile + 8 * level)


def _pass_scaling_lists(bits: BitReader) -> None:
    """scaling_list_data (7.3.4)."""
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if bits.u(1):
                _pass_numbers(bits, min(64, 16 << 2 * size) + (size > 1))
            else:
                bits.ue()


def _pass_numbers(bits: BitReader, count: int) -> None:
    for _ in range(count):
        bits.ue()


def _at_most(count: int, limit: int) -> int:
    if count > limit:
        raise HeaderError
    return count
