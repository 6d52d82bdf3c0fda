"""Reads the bits of a NAL unit's headers, as h264 and hevc write them."""

# No header has a number longer than 32 bits.
MAX_ZEROS = 32


class HeaderError(Exception):
    """A header ends too early, or says what none says."""


class BitReader:
    """Bits of a NAL unit behind its header (H.264 7.3.1, H.265 7.3.1.1): bytes that keep start codes out of it go."""

    def __init__(self, data: bytes) -> None:
        payload = data.replace(b"\0\0\3", b"\0\0")
        self._bits = int.from_bytes(payload, "big")
        self._left = 8 * len(payload)

    def u(self, count: int) -> int:
        """u(n): a number of so many bits. Raises HeaderError, as all others here do."""
        self._left = left = self._left - count
        if left < 0:
            raise HeaderError
        return self._bits >> left & (1 << count) - 1

    def skip(self, count: int) -> None:
        """Pass over bits."""
        self.u(count)

    def ue(self) -> int:
        """ue(v): an Exp-Golomb number (H.264 9.1, H.265 9.2)."""
        left = self._left
        rest = self._bits & (1 << left) - 1
        zeros = left - rest.bit_length()
        self._left = left = left - 2 * zeros - 1
        if left < 0 or zeros > MAX_ZEROS:
            raise HeaderError
        return (rest >> left) - 1

    def se(self) -> int:
        """se(v): an Exp-Golomb number with a sign (H.264 9.1.1, H.265 9.2.2)."""
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)
