from __future__ import annotations

import threading
from typing import Any

import pytest

from sapwood.devices.board.faults import RegisterFaults
from sapwood.devices.board.firmware import FrontEndFirmware
from sapwood.errors import BusError, BusTimeout, DeviceError, LinkError, VerifyError
from sapwood.memory import Emulate, Post, Read, Slave, SrpV3, SrpV3Server, Transaction, Verify, Write
from sapwood.streams import streamConnectBiDir
from sapwood.tree import Device, RemoteVariable, Root


def access(slave: Slave, type: int, address: int, data: bytes = bytes(4)) -> Transaction:
    one = Transaction(address, memoryview(bytearray(data)), type, 0.05)
    slave._doTransaction(one)
    return one


@pytest.fixture
def faults() -> RegisterFaults:
    memory = Emulate()
    access(memory, Write, 0, bytes(range(1, 17)))
    return RegisterFaults(memory)


def test_without_faults_everything_is_passed_on(faults: RegisterFaults) -> None:
    access(faults, Write, 8, b"abcd")
    access(faults, Post, 12, b"efgh")
    for type in (Read, Verify):
        one = access(faults, type, 0, bytes(16))
        assert one.wait()
        assert bytes(one.data) == bytes(range(1, 9)) + b"abcdefgh"
    assert not faults.hits


def test_silent_registers_end_in_a_timeout(faults: RegisterFaults) -> None:
    faults.silence(4, 8, count=2)
    assert access(faults, Read, 0).wait()
    assert access(faults, Read, 12).wait()
    for address, size in ((4, 4), (0, 16)):
        one = access(faults, Write, address, bytes(size))
        assert not one.wait()
        assert one.expired()
    assert access(faults, Read, 4, bytes(8)).data == bytes(range(5, 13))
    assert faults.hits == {"silent": 2}


def test_refused_accesses_tell_why_and_change_nothing(faults: RegisterFaults) -> None:
    faults.refuse("bus is broken", 8, 4)
    for type in (Read, Write, Post, Verify):
        assert access(faults, type, 8).errorText == "bus is broken"
    assert access(faults, Write, 0).wait()
    faults.clear()
    assert access(faults, Read, 8).data == bytes(range(9, 13))
    assert faults.hits == {"refused": 4}


def test_the_fault_set_first_counts(faults: RegisterFaults) -> None:
    faults.refuse("first", count=1)
    faults.refuse("second", count=1)
    texts = [access(faults, Read, 0).errorText for _ in range(3)]
    assert texts == ["first", "second", ""]


def test_stuck_bits_are_read_and_written_through(faults: RegisterFaults) -> None:
    faults.stick(4, high=0x80000000, low=0x000000FF)
    faults.stick(12, low=0xFFFFFFFF)
    one = access(faults, Read, 0, bytes(16))
    assert bytes(one.data) == bytes([1, 2, 3, 4, 0, 6, 7, 0x88, 9, 10, 11, 12, 0, 0, 0, 0])
    access(faults, Write, 4, b"\xff\xff\xff\x7f")
    assert bytes(access(faults, Read, 4).data) == b"\x00\xff\xff\xff"
    faults.stick(4)
    assert bytes(access(faults, Read, 4).data) == b"\xff\xff\xff\x7f"
    assert access(faults, Read, 8).data == bytes(range(9, 13))
    assert faults.hits == {"stuck": 2}


def test_errors_behind_stuck_bits_are_passed_on(faults: RegisterFaults) -> None:
    inner = RegisterFaults(Emulate())
    outer = RegisterFaults(inner)
    outer.stick(0, high=1)
    inner.refuse("no such register")
    assert access(outer, Read, 0).errorText == "no such register"


def test_bad_faults_are_refused(faults: RegisterFaults) -> None:
    for arguments in ((2, 1, 0), (0, 1 << 32, 0), (0, 0, -1), (0, 3, 1)):
        with pytest.raises(DeviceError, match="No such stuck bits"):
            faults.stick(*arguments)
    with pytest.raises(DeviceError, match="needs a text"):
        faults.refuse("")
    with pytest.raises(LinkError):
        RegisterFaults(5)


def test_faults_set_by_another_thread_while_accesses_run(faults: RegisterFaults) -> None:
    """Each spoilt access is spoilt exactly once, whatever the timing."""
    refused: list[int] = []

    def work() -> None:
        refused.append(sum(bool(access(faults, Read, 0).errorText) for _ in range(500)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for _ in range(10):
        faults.refuse("now", count=10)
    for one in threads:
        one.join(20)
    rest = sum(bool(access(faults, Read, 0).errorText) for _ in range(200))
    assert sum(refused) + rest == 100 == faults.hits["refused"]


class Board(Device):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add(RemoteVariable(name="ScratchPad", offset=4, mode="RW"))


@pytest.mark.parametrize("wire", [False, True], ids=["direct", "SRP"])
def test_operators_see_faults_of_the_board(wire: bool) -> None:
    faults = RegisterFaults(FrontEndFirmware(1))
    slave: Slave = faults
    server = SrpV3Server(faults, timeout=0.05)
    if wire:
        slave = SrpV3()
        streamConnectBiDir(slave, server)
    root = Root(name="Top", pollEn=False, timeout=20.0)
    root.add(Board(name="Board", memBase=slave))
    with root:
        pad = root.Board.ScratchPad
        pad.set(0x5)
        assert pad.get() == 5
        faults.stick(4, low=1)
        with pytest.raises(VerifyError, match=r"Got: 0x06, Exp: 0x07"):
            pad.set(0x7)
        faults.stick(4)
        faults.refuse("Address has no register", 4, 4, count=1)
        with pytest.raises(BusError, match="Non zero status message" if wire else "Address has no register"):
            pad.get()
        faults.silence(4, 4, count=1)
        timeout = (BusError, "bus timeout detected in hardware") if wire else (BusTimeout, "Timeout waiting")
        pad._block.set_timeout(20.0 if wire else 0.2)
        with pytest.raises(timeout[0], match=timeout[1]):
            pad.get()
        pad._block.set_timeout(20.0)
        assert pad.get() == 7
    server._stop()
