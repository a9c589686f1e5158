"""Reads the size of the coded picture from an AV1 sequence header; an AVIF file announces one of its own.

Source: AV1 Bitstream & Decoding Process Specification, 5.3 (OBU header), 5.5 (sequence header).
"""

_SEQUENCE_HEADER = 1  # type of OBU (open bitstream unit)
_MAX_OBUS = 8


class _Bits:
    """Reads big-endian bit fields. Raises IndexError at the end."""

    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content, "big")
        self._left = 8 * len(content)

    def read(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError
        return self._value >> self._left & ((1 << count) - 1)


def read_coded_size(content: bytes) -> tuple[int, int] | None:
    """Return the width and height of the coded picture; None if no sequence header can be read."""
    try:
        at = 0
        for _ in range(_MAX_OBUS):
            head, at = content[at], at + 1
            at += head >> 2 & 1  # the extension's byte
            size = len(content) - at
            if head >> 1 & 1:
                size, at = _read_leb128(content, at)
            if head >> 3 & 15 == _SEQUENCE_HEADER:
                return _read_size(_Bits(content[at : at + size]))
            at += size
    except IndexError:
        pass
    return None


def _read_leb128(content: bytes, at: int) -> tuple[int, int]:
    """Return an integer of 7 bits per byte (4.10.5), and where it ends."""
    value = 0
    for index in range(8):
        value |= (content[at + index] & 0x7F) << 7 * index
        if not content[at + index] & 0x80:
            return value, at + index + 1
    raise IndexError


def _read_size(bits: _Bits) -> tuple[int, int]:
    bits.read(4)  # profile, still picture
    if bits.read(1):  # the reduced header of still pictures
        bits.read(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    return bits.read(width_bits) + 1, bits.read(height_bits) + 1


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = 0
    if bits.read(1):  # timing
        bits.read(64)
        if bits.read(1):
            _skip_uvlc(bits)
        if bits.read(1):  # decoder model
            delay_bits = bits.read(5) + 1
            bits.read(42)
    has_display_delay = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:  # these levels have tiers
            bits.read(1)
        if delay_bits and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if has_display_delay and bits.read(1):
            bits.read(4)


def _skip_uvlc(bits: _Bits) -> None:
    """Skip an integer of variable length (4.10.3)."""
    zeros = 0
    while not bits.read(1):
        zeros += 1
    bits.read(zeros if zeros < 32 else 0)
