"""Helpers on bits of integers and of byte buffers (least significant bit first)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["anyBits", "byteCount", "copyBits", "reverseBits", "setBits", "twosComplement", "wordCount"]


def wordCount(bits: int, wordSize: int) -> int:
    """Return how many words of `wordSize` bits hold `bits` bits."""
    return -(-bits // wordSize)


def byteCount(bits: int) -> int:
    """Return how many bytes hold `bits` bits, at least 1."""
    return max(1, wordCount(bits, 8))


def reverseBits(value: int, bitSize: int) -> int:
    """Return the low `bitSize` bits of `value` in reverse order."""
    mask = (1 << bitSize) - 1
    return int(format(value & mask, f"0{bitSize}b")[::-1], 2)


def twosComplement(value: int, bitSize: int) -> int:
    """Return the low `bitSize` bits of `value` read as a two's complement number."""
    value &= (1 << bitSize) - 1
    return value - (1 << bitSize) if value >> (bitSize - 1) else value


def _covering(lsb: int, size: int) -> tuple[int, int, int, int]:
    """Return first byte, end byte, shift and mask of the bytes that cover a bit range."""
    first = lsb >> 3
    return first, (lsb + size + 7) >> 3, lsb & 7, (1 << size) - 1


def copyBits(dst: bytearray, dstLsb: int, src: Buffer, srcLsb: int, size: int) -> None:
    """Copy `size` bits from bit `srcLsb` of `src` to bit `dstLsb` of `dst`."""
    if size <= 0:
        return
    first, end, shift, mask = _covering(srcLsb, size)
    bits = int.from_bytes(memoryview(src)[first:end], "little") >> shift & mask
    first, end, shift, mask = _covering(dstLsb, size)
    kept = int.from_bytes(dst[first:end], "little") & ~(mask << shift)
    dst[first:end] = (kept | bits << shift).to_bytes(end - first, "little")


def setBits(buffer: bytearray, lsb: int, size: int) -> None:
    """Set `size` bits of `buffer` from bit `lsb`."""
    if size <= 0:
        return
    first, end, shift, mask = _covering(lsb, size)
    word = int.from_bytes(buffer[first:end], "little") | mask << shift
    buffer[first:end] = word.to_bytes(end - first, "little")


def anyBits(buffer: Buffer, lsb: int, size: int) -> bool:
    """Say whether any of `size` bits of `buffer` from bit `lsb` is set."""
    if size <= 0:
        return False
    first, end, shift, mask = _covering(lsb, size)
    return bool(int.from_bytes(memoryview(buffer)[first:end], "little") >> shift & mask)
