from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path

import pytest

from sapwood.errors import BusError
from sapwood.memory import Master, MemMap, Post, Read, Verify, Write

PAGE = mmap.ALLOCATIONGRANULARITY


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A file of two pages whose byte n is n % 251."""
    path = tmp_path / "uio0"
    path.write_bytes(bytes(n % 251 for n in range(2 * PAGE)))
    return path


def access(slave: MemMap, type: int, address: int, data: bytearray) -> str:
    master = Master()
    master >> slave
    master._waitTransaction(master._reqTransaction(address, data, 0, 0, type))
    return master._getError()


@pytest.mark.parametrize("offset", [0, 0x40, PAGE, PAGE + 0x40])
def test_words_are_read_and_written_at_their_place(device: Path, offset: int) -> None:
    before = device.read_bytes()
    slave = MemMap(device, offset, 0x100)
    read = bytearray(12)
    for type in (Read, Verify):
        assert access(slave, type, 0x10, read) == ""
        assert read == before[offset + 0x10 : offset + 0x1C]
    assert access(slave, Write, 0x20, bytearray(b"\xde\xad\xbe\xef\xca\xfe\xba\xbe")) == ""
    assert access(slave, Post, 0xFC, bytearray(b"last")) == ""
    slave._stop()
    wanted = bytearray(before)
    wanted[offset + 0x20 : offset + 0x28] = b"\xde\xad\xbe\xef\xca\xfe\xba\xbe"
    wanted[offset + 0xFC : offset + 0x100] = b"last"
    assert device.read_bytes() == wanted


def test_blocks_use_it(device: Path, spec: Callable[..., object], build: Callable[..., list]) -> None:
    slave = MemMap(device, PAGE, PAGE)
    (block,) = build(slave, spec("a", 8, 8, 4), spec("b", 8, 16, 16), at=0x100)
    a, b = block.fields
    block.write(a, 0xAB)
    block.write(b, 0x1234)
    slave._stop()
    word = int.from_bytes(device.read_bytes()[PAGE + 0x108 : PAGE + 0x10C], "little")
    assert (word >> 4 & 0xFF, word >> 16) == (0xAB, 0x1234)


class Words:
    """Words that note each access, and know no slices."""

    def __init__(self) -> None:
        self.log: list[tuple[str, int]] = []

    def __getitem__(self, index: int) -> int:
        assert isinstance(index, int)
        self.log.append(("read", index))
        return index

    def __setitem__(self, index: int, value: int) -> None:
        assert isinstance(index, int)
        self.log.append(("write", index))


def test_each_word_is_one_access_in_order(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slave, words = MemMap(device, 0, 0x100), Words()
    monkeypatch.setattr(slave, "_open", lambda: words)
    data = bytearray(16)
    assert access(slave, Read, 0x10, data) == ""
    assert words.log == [("read", 4), ("read", 5), ("read", 6), ("read", 7)]
    assert data == bytearray().join(n.to_bytes(4, "little") for n in (4, 5, 6, 7))
    words.log.clear()
    assert access(slave, Write, 0, data) == ""
    assert words.log == [("write", 0), ("write", 1), ("write", 2), ("write", 3)]


@pytest.mark.parametrize(
    ("address", "size"),
    [(2, 4), (0, 6), (0xFC, 8), (0x100, 4), (1 << 40, 4)],
    ids=["odd", "part", "over", "end", "far"],
)
@pytest.mark.parametrize("type", [Read, Write])
def test_accesses_outside_or_between_words_are_refused(
    device: Path, address: int, size: int, type: int
) -> None:
    before = device.read_bytes()
    slave = MemMap(device, 0, 0x100)
    error = access(slave, type, address, bytearray(b"\xff" * size))
    assert str(device) in error
    assert f"seen {size} bytes at 0x{address:x}" in error
    slave._stop()
    assert device.read_bytes() == before


@pytest.mark.parametrize(("offset", "size"), [(2, 4), (-4, 4), (0, 0), (0, 6), (0, -4)])
def test_offset_and_size_are_words(device: Path, offset: int, size: int) -> None:
    with pytest.raises(BusError, match=r"uio0.*expected offset and size in whole words"):
        MemMap(device, offset, size)


def test_errors_of_the_file_name_it(device: Path, tmp_path: Path) -> None:
    with pytest.raises(BusError, match=r"Cannot open .*none: No such file"):
        MemMap(tmp_path / "none", 0, 4)._start()
    with pytest.raises(BusError, match=rf"Cannot map .*uio0.*seen 0x{2 * PAGE:x} bytes in the file"):
        MemMap(device, PAGE, 2 * PAGE)._start()
    assert "Cannot open" in access(MemMap(tmp_path / "none", 0, 4), Read, 0, bytearray(4))


def test_nothing_is_opened_before_the_start_and_after_the_stop(tmp_path: Path) -> None:
    path = tmp_path / "late"
    slave = MemMap(path, 0, 8)
    path.write_bytes(b"one_two_")
    slave._start()
    data = bytearray(4)
    assert access(slave, Read, 4, data) == ""
    assert data == b"two_"
    slave._stop()
    slave._stop()
    assert "is stopped" in access(slave, Read, 4, data)
    slave._start()
    assert access(slave, Read, 0, data) == ""
    assert data == b"one_"
    slave._stop()
