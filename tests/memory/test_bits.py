from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.memory import Master, byteCount, reverseBits, twosComplement, wordCount


def test_counts() -> None:
    assert [wordCount(bits, 32) for bits in (1, 32, 33)] == [1, 1, 2]
    assert [byteCount(bits) for bits in (0, 1, 8, 9)] == [1, 1, 1, 2]


def test_reverse_and_twos_complement() -> None:
    assert reverseBits(0xABC, 12) == 0x3D5
    assert [twosComplement(value, 8) for value in (0, 127, 128, 255, 0x1FF)] == [0, 127, -128, -1, -1]


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8), st.data())
def test_copy_set_any(target: bytes, source: bytes, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 40))
    to, start = data.draw(st.integers(0, 64 - size)), data.draw(st.integers(0, 64 - size))
    buffer = bytearray(target)
    Master._copyBits(buffer, to, source, start, size)
    bits = [int(bit) for bit in f"{int.from_bytes(target, 'little'):064b}"[::-1]]
    other = [int(bit) for bit in f"{int.from_bytes(source, 'little'):064b}"[::-1]]
    bits[to : to + size] = other[start : start + size]
    assert int.from_bytes(buffer, "little") == sum(bit << at for at, bit in enumerate(bits))
    assert Master._anyBits(buffer, to, size) == any(bits[to : to + size])
    Master._setBits(buffer, to, size)
    bits[to : to + size] = [1] * size
    assert int.from_bytes(buffer, "little") == sum(bit << at for at, bit in enumerate(bits))


@pytest.mark.parametrize("function", [Master._setBits, Master._anyBits])
def test_no_bits_do_nothing(function) -> None:
    buffer = bytearray(b"\1")
    assert not function(buffer, 0, 0)
    assert buffer == b"\1"
