"""Remote variables: what goes over the bus, types, places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import sapwood.tree as pr
from sapwood.errors import BusError, DeviceError, NodeError, VariableError, VerifyError


def test_set_writes_and_verifies(top: pr.Root, bus: Any) -> None:
    top.D.u.set(0x22)
    assert bus.take() == ["W 0x100 4", "V 0x100 4"]
    assert bus.word(0x100) == 0x22
    assert top.D.u.get() == 0x22
    assert bus.take() == ["R 0x100 4"]
    assert top.D.u.value() == 0x22
    assert bus.take() == []


def test_staged_neighbours_travel_together(top: pr.Root, bus: Any) -> None:
    top.D.u.set(1, write=False)
    assert top.D.u.get() == 1  # staged: no access
    assert bus.take() == []
    top.D.v.set(2)
    assert bus.take() == ["W 0x100 4", "V 0x100 4"]
    assert bus.word(0x100) == 0x0201


def test_other_ways_to_write(top: pr.Root, bus: Any) -> None:
    top.D.u.set(3, verify=False)
    top.D.u.post(4)
    top.D.wo.set(5)
    assert bus.take() == ["W 0x100 4", "P 0x100 4", "W 0x134 4"]
    top.D.u.set(6, write=False)
    top.D.u.write()
    assert bus.take() == ["W 0x100 4", "V 0x100 4"]


def test_no_wait(top: pr.Root, bus: Any) -> None:
    bus.broken.add(0x100)
    top.D.u.set(3, wait=False)
    with pytest.raises(BusError, match=r"Transaction error for block top\.D\..* with address 0x00000100"):
        top.D.waitBlocks()


def test_array_elements(top: pr.Root, bus: Any) -> None:
    top.D.arr.set([1, 2, 3, 4])
    bus.take()
    top.D.arr.set(9, index=3)
    assert bus.take() == ["W 0x124 4", "V 0x124 4"]
    assert top.D.arr.get(index=np.int64(3)) == 9
    assert top.D.arr.get().tolist() == [1, 2, 3, 9]
    assert top.D.arr.get().dtype == np.uint16
    assert top.D.arr.typeStr == "uint16(4,)"
    assert top.D.arr.valueDisp() == "[0x1, 0x2, 0x3, 0x9]"
    top.D.arr.setDisp("0x5", index=0)
    top.D.arr.setDisp("[6, 7]", write=False)
    assert top.D.arr.value().tolist() == [6, 7, 3, 9]
    with pytest.raises(VariableError, match="Index 4 is out of range for arr"):
        top.D.arr.get(index=4)


def test_values_of_each_type(top: pr.Root) -> None:
    top.D.f.set(1)
    assert top.D.f.get() == 1.0
    top.D.f.set(np.float64(0.5))
    assert top.D.f.getDisp() == "0.500000"
    top.D.s.set("héllo")
    assert top.D.s.get() == "héllo"
    top.D.flag.setDisp("True")
    assert top.D.flag.get() is True
    assert top.D.flag.enum == {False: "False", True: "True"}
    top.D.e.setDisp("One")
    assert (top.D.e.get(), top.D.e.getDisp()) == (1, "One")
    with pytest.raises(VariableError, match=r"Invalid value one for variable e .*did you mean One"):
        top.D.e.setDisp("one")


def test_nothing_is_staged_by_a_value_out_of_range(top: pr.Root, bus: Any) -> None:
    with pytest.raises(VariableError, match=r"Value range error for u\. Value=256, Min=0, Max=255"):
        top.D.u.set(256)
    assert bus.take() == []
    assert top.D.u.value() == 0


def test_verify_error(top: pr.Root, bus: Any) -> None:
    bus.stuck[0x100] = 0x55
    with pytest.raises(VerifyError, match=r"Verify error for block .* Byte: 0\. Got: 0x55, Exp: 0x01"):
        top.D.u.set(1)


def test_facts(top: pr.Root) -> None:
    v = top.D.v
    assert (v.address, v.offset, v.bitOffset, v.bitSize, v.varBytes) == (0x100, 0x100, [8], [8], 4)
    assert (v.minimum, v.maximum, v.typeStr, v.nativeType) == (0, 255, "UInt8", int)
    assert top.D.arr.numValues == 4
    facts = top.D.u.properties()
    assert facts["valueDisp"] == "0x0"
    assert facts["class"] == "RemoteVariable"
    assert facts["address"] == 0x100


def test_address_accumulates(start: Any, bus: Any) -> None:
    inner = pr.Device(name="inner", offset=0x10)
    inner.add(pr.RemoteVariable(name="r", offset=4))
    outer = pr.Device(name="outer", offset=0x200, memBase=bus)
    outer.add(inner)
    root = start(outer)
    assert inner.address == 0x210
    assert inner.r.address == 0x214
    assert inner.r.byteAddress == 0x214
    root.outer.inner.r.set(1)
    assert bus.word(0x214) == 1


def test_defaults_are_staged_and_not_written(start: Any, bus: Any) -> None:
    device = pr.Device(name="dev", memBase=bus, defaults={"b": 9, "c[*]": 5})
    device.add(pr.RemoteVariable(name="a", offset=0, value=7))
    device.add(pr.RemoteVariable(name="b", offset=4, value=7))
    device.addRemoteVariables(name="c", number=2, stride=4, offset=8)
    root = start(device)
    assert [root.dev.a.value(), root.dev.b.value(), root.dev.c[1].value()] == [7, 9, 5]
    assert bus.log == []
    root.WriteAll()
    assert [bus.word(at) for at in (0, 4, 8, 12)] == [7, 9, 5, 5]


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"bitSize": 0}, "BitSize of 0 is invalid"),
        ({"numValues": 2, "valueBits": 9, "valueStride": 8}, "ValueBits 9 is greater than valueStrude 8"),
        ({"base": pr.String, "numValues": 2, "valueBits": 8, "valueStride": 8}, "has no arrays"),
        ({"enum": {0: "a"}, "value": [1]}, "Invalid use of enum"),
    ],
)
def test_bad_definitions(kwargs: Any, text: str) -> None:
    with pytest.raises(VariableError, match=text):
        pr.RemoteVariable(name="x", offset=0, **kwargs)


def test_offset_is_needed() -> None:
    with pytest.raises(TypeError, match="offset"):
        pr.RemoteVariable(name="x")  # type: ignore[call-arg]


def test_access_before_the_start_is_an_error() -> None:
    with pytest.raises(VariableError, match="the tree has not been started"):
        pr.RemoteVariable(name="x", offset=0).get()


def test_registers_need_a_bus(start: Any) -> None:
    device = pr.Device(name="dev")
    device.add(pr.RemoteVariable(name="x", offset=0))
    with pytest.raises(
        DeviceError, match=r"Device 'top\.dev' has RemoteVariables or RemoteCommands but no memBase"
    ):
        start(device)


def test_overlap_of_devices(start: Any, bus: Any) -> None:
    devices = []
    for name in ("a", "b"):
        device = pr.Device(name=name, memBase=bus)
        device.add(pr.RemoteVariable(name="x", offset=0, overlapEn=True))
        devices.append(device)
    with pytest.raises(NodeError, match=r"at address=0x0 overlaps .* at address=0x0 with size=4"):
        start(*devices)


def test_limits_are_within_those_of_the_model(start: Any, bus: Any) -> None:
    device = pr.Device(name="dev", memBase=bus)
    device.add(pr.RemoteVariable(name="x", offset=0, bitSize=8, minimum=-5, maximum=100))
    root = start(device)
    assert (root.dev.x.minimum, root.dev.x.maximum) == (0, 100)
    with pytest.raises(VariableError, match="Max=100"):
        root.dev.x.set(101)


def test_packed_array(start: Any, bus: Any) -> None:
    device = pr.Device(name="dev", memBase=bus)
    device.addRemoteVariables(
        name="p", offset=0, number=3, stride=4, bitSize=8, mode="RW", description="d", pack=True
    )
    root = start(device)
    root.dev.p_All.set("0x3_0x2_0x1")
    assert [bus.word(4 * index) for index in range(3)] == [1, 2, 3]
    assert root.dev.p_All.get() == "0x3_0x2_0x1"
    root.dev.p_All.set("")
    assert root.dev.p[0].hidden
    assert root.dev.p_All.dependencies == list(root.dev.p.values())


def test_timeout_reaches_the_blocks(start: Any) -> None:
    class Silent(pr.Device):
        pass

    from sapwood.errors import BusTimeout
    from sapwood.memory import Slave, Transaction

    class Mute(Slave):
        def _doTransaction(self, transaction: Transaction) -> None:
            self._addTransaction(transaction)

    device = Silent(name="dev", memBase=Mute())
    device.add(pr.RemoteVariable(name="x", offset=0))
    root = start(device, timeout=0.02)
    with pytest.raises(BusTimeout, match="Timeout waiting for register transaction"):
        root.dev.x.get()
