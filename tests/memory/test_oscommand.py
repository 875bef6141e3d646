from __future__ import annotations

from typing import Any

import pytest

from sapwood.errors import CommandError
from sapwood.memory import (
    Float,
    Master,
    MemEmulate,
    OsCommandMemorySlave,
    Post,
    Read,
    String,
    UInt,
    Verify,
    Write,
)


def access(slave: Any, type: int, address: int, data: bytearray) -> str:
    master = Master()
    master >> slave
    master._waitTransaction(master._reqTransaction(address, data, 0, 0, type))
    return master._getError()


@pytest.fixture
def slave() -> OsCommandMemorySlave:
    return OsCommandMemorySlave()


def test_writes_pass_the_value_and_reads_give_the_result(slave: OsCommandMemorySlave) -> None:
    calls: list[tuple[object, Any]] = []

    @slave.command(addr=0x10, base=UInt(32))
    def level(slave: OsCommandMemorySlave, arg: int | None) -> int | None:
        calls.append((slave, arg))
        return 0xCAFE if arg is None else None

    @slave.command(0x20, Float(32))
    def load(slave: OsCommandMemorySlave, arg: float | None) -> float:
        return 0.5

    @slave.command(0x40, String(64))
    def name(slave: OsCommandMemorySlave, arg: str | None) -> str:
        return "tree"

    for type in (Write, Post):
        assert access(slave, type, 0x10, bytearray(b"\x01\x02\0\0")) == ""
    assert calls == [(slave, 0x201), (slave, 0x201)]
    data = bytearray(4)
    for type in (Read, Verify):
        assert access(slave, type, 0x10, data) == ""
        assert data == b"\xfe\xca\0\0"
    assert calls[2:] == [(slave, None), (slave, None)]
    assert access(slave, Read, 0x20, data) == ""
    assert data == b"\0\0\0\x3f"
    text = bytearray(8)
    assert access(slave, Read, 0x40, text) == ""
    assert text == b"tree\0\0\0\0"
    assert level(slave, None) == 0xCAFE  # the decorator gives the function back


def test_only_registered_addresses_answer(slave: OsCommandMemorySlave) -> None:
    slave.command(0x10, UInt(32))(lambda slave, arg: 1)
    for address in (0x0, 0x14):
        error = access(slave, Read, address, bytearray(4))
        assert error == f"Transaction address {address:#x} not found in os command list"


def test_an_address_is_registered_once(slave: OsCommandMemorySlave) -> None:
    @slave.command(0x10, UInt(32))
    def first(slave: OsCommandMemorySlave, arg: int | None) -> int:
        return 1

    with pytest.raises(CommandError, match=r"0x10 .* taken by first"):
        slave.command(0x10, UInt(32))(lambda slave, arg: 2)
    data = bytearray(4)
    assert access(slave, Read, 0x10, data) == ""
    assert data == b"\x01\0\0\0"


def test_what_goes_wrong_is_told(slave: OsCommandMemorySlave) -> None:
    @slave.command(0x10, UInt(32))
    def broken(slave: OsCommandMemorySlave, arg: int | None) -> int:
        raise RuntimeError("no disk")

    @slave.command(0x20, UInt(64))
    def wide(slave: OsCommandMemorySlave, arg: int | None) -> int:
        return 1

    @slave.command(0x30, UInt(32))
    def wordy(slave: OsCommandMemorySlave, arg: int | None) -> Any:
        return "many"

    assert access(slave, Write, 0x10, bytearray(4)) == "Transaction write error in command at 0x10: no disk"
    assert access(slave, Read, 0x10, bytearray(4)) == "Transaction read error in command at 0x10: no disk"
    for address in (0x20, 0x30):
        error = access(slave, Read, address, bytearray(4))
        assert error.startswith(f"Transaction read error in command at {address:#x}: ")


def test_limits() -> None:
    slave = OsCommandMemorySlave(minWidth=8, maxSize=64)
    assert (slave._doMinAccess(), slave._doMaxAccess()) == (8, 64)
    assert OsCommandMemorySlave()._doMaxAccess() == 1024


def test_emulated_memory_under_the_name_of_the_simulation() -> None:
    slave = MemEmulate(minWidth=8, maxSize=64)
    assert (slave._doMinAccess(), slave._doMaxAccess()) == (8, 64)
    with pytest.raises(TypeError):
        MemEmulate(4)  # type: ignore[misc]
    data = bytearray(b"\xff" * 8)
    assert access(slave, Read, 0, data) == ""
    assert data == bytes(8)
    access(slave, Write, 8, bytearray(b"12345678"))
    access(slave, Read, 8, data)
    assert data == b"12345678"
