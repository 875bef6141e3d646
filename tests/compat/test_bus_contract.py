"""What goes over the bus, and how a tree lives, starts and stops, in the words of PyRogue."""

from __future__ import annotations

import logging
import threading
from typing import Any

import numpy as np
import pyrogue as pr
import pytest
import rogue
import rogue.interfaces.memory as rim


class Bus(rim.Slave):
    """Memory that notes each access and may stay silent or spoil what is written."""

    def __init__(self, *, silent: bool = False, spoilt: bytes = b"") -> None:
        super().__init__(4, 0x1000)
        self.asked = threading.Event()
        self.log: list[tuple[int, int, int]] = []
        self._memory = bytearray(0x2000)
        self._silent = silent
        self._spoilt = spoilt

    def _doTransaction(self, transaction: Any) -> None:
        with transaction.lock():
            first, size = transaction.address(), transaction.size()
            self.log.append((transaction.type(), first, size))
            self.asked.set()
            if self._silent:
                return
            if transaction.type() in (rim.Write, rim.Post):
                data = bytearray(size)
                transaction.getData(data, 0)
                self._memory[first : first + size] = data
                self._memory[: len(self._spoilt)] = self._spoilt
            else:
                transaction.setData(self._memory[first : first + size], 0)
            transaction.done()


def tree(bus: Any, *nodes: Any, **kwargs: Any) -> Any:
    root = pr.Root(name="top", **{"pollEn": False, **kwargs})
    root.addInterface(bus)
    root.add(pr.Device(name="D", memBase=bus))
    root.D.add(nodes)
    return root


def test_accesses_seen_by_the_slave() -> None:
    bus = Bus()
    root = tree(
        bus,
        pr.RemoteVariable(name="A", offset=0x100, bitSize=8),
        pr.RemoteVariable(name="B", offset=0x100, bitOffset=8, bitSize=8),
        pr.RemoteVariable(name="L", offset=0x110, numValues=8, valueBits=16, valueStride=16),
        pr.RemoteVariable(name="N", offset=0x200, verify=False),
        pr.RemoteCommand(name="T", offset=0x300, function=pr.BaseCommand.toggle),
    )
    with root:
        device = root.D

        def seen(action: Any) -> list[tuple[int, int, int]]:
            bus.log.clear()
            action()
            return list(bus.log)

        assert seen(lambda: device.A.set(0x22)) == [(rim.Write, 0x100, 4), (rim.Verify, 0x100, 4)]
        assert seen(lambda: device.A.set(1, write=False)) == []
        assert seen(lambda: device.B.get()) == []  # the word has a staged neighbour
        assert seen(lambda: device.B.set(2)) == [(rim.Write, 0x100, 4), (rim.Verify, 0x100, 4)]
        assert (device.A.get(), device.B.get()) == (1, 2)
        assert seen(lambda: device.A.set(3, verify=False)) == [(rim.Write, 0x100, 4)]
        assert seen(lambda: device.A.post(3)) == [(rim.Post, 0x100, 4)]
        assert seen(lambda: device.N.set(3)) == [(rim.Write, 0x200, 4)]
        assert seen(lambda: device.L.set(7, index=3)) == [(rim.Write, 0x114, 4), (rim.Verify, 0x114, 4)]
        device.L.set(7, index=0, write=False)
        device.L.set(7, index=5, write=False)
        assert seen(lambda: device.L.write()) == [(rim.Write, 0x110, 12), (rim.Verify, 0x110, 12)]
        assert seen(lambda: device.T()) == [(rim.Write, 0x300, 4), (rim.Write, 0x300, 4)]


def test_oversize_access_comes_in_parts() -> None:
    bus = Bus()
    array = pr.RemoteVariable(name="L", offset=0, numValues=1025, valueBits=32, valueStride=32)
    with tree(bus, array) as root:
        root.D.L.set(list(range(1025)))
        assert [size for _, _, size in bus.log[:2]] == [4096, 4]
        assert np.array_equal(root.D.L.get(), np.arange(1025))


def test_overrides_see_each_access_with_these_keywords() -> None:
    calls: list[tuple[str, dict[str, Any]]] = []

    class Spy(pr.Device):
        def writeBlocks(self, **kwargs: Any) -> None:
            calls.append(("write", kwargs))
            super().writeBlocks(**kwargs)

        def verifyBlocks(self, **kwargs: Any) -> None:
            calls.append(("verify", kwargs))
            super().verifyBlocks(**kwargs)

        def readBlocks(self, **kwargs: Any) -> None:
            calls.append(("read", kwargs))
            super().readBlocks(**kwargs)

        def waitBlocks(self, **kwargs: Any) -> None:
            calls.append(("wait", kwargs))
            super().waitBlocks(**kwargs)

    root = pr.Root(name="top", pollEn=False)
    root.add(Spy(name="D", memBase=rim.Emulate(4, 0x1000)))
    root.D.add(pr.RemoteVariable(name="R", offset=0))
    with root:
        calls.clear()
        root.D.R.set(1)
        root.D.R.get()
        own = {"recurse": False, "variable": root.D.R}
        assert calls == [
            ("write", {**own, "force": True, "index": -1}),
            ("verify", own),
            ("wait", own),
            ("read", {**own, "index": -1}),
            ("wait", own),
        ]


def test_repetitions_do_not_hide_a_mismatch() -> None:
    bus = Bus(spoilt=b"\xee")
    text = "Verify error for block top.D.R with address 0x00000000. Byte: 0. Got: 0xee, Exp: 0x"
    with (
        tree(bus, pr.RemoteVariable(name="R", offset=0, retryCount=2)) as root,
        pytest.raises(rogue.GeneralError, match=text),
    ):
        root.D.R.set(1)


def test_values_set_while_disabled_are_sent_later() -> None:
    bus = Bus()
    with tree(bus, pr.RemoteVariable(name="R", offset=0)) as root:
        root.D.enable.set(False)
        bus.log.clear()
        root.D.R.set(5)
        assert bus.log == []
        root.D.enable.set(True)
        root.WriteAll()
        assert root.D.R.get() == 5


def test_stop_while_a_dead_bus_is_polled() -> None:
    bus = Bus(silent=True)
    registers = [
        pr.RemoteVariable(name=f"R{number}", offset=4 * number, mode="RO", pollInterval=0.1)
        for number in range(20)
    ]
    before = set(threading.enumerate())
    root = tree(bus, *registers, pollEn=True, timeout=0.2)
    root.start()
    assert bus.asked.wait(20)
    root.stop()
    assert set(threading.enumerate()) <= before


def test_a_hundred_starts_leave_nothing_behind() -> None:
    root = tree(rim.Emulate(4, 0x1000), pr.RemoteVariable(name="R", offset=0, pollInterval=0.1), pollEn=True)
    threads, handlers = set(threading.enumerate()), list(logging.getLogger("pyrogue").handlers)
    for number in range(100):
        root.start()
        root.D.R.set(number)
        assert root.D.R.get() == number
        root.stop()
    assert set(threading.enumerate()) <= threads
    assert logging.getLogger("pyrogue").handlers == handlers


def test_listeners_may_fail_wait_and_set() -> None:
    seen: list[str] = []
    with tree(rim.Emulate(4, 0x1000), pr.RemoteVariable(name="R", offset=0)) as root:
        root.D.R.addListener(lambda path, value: 1 / 0)
        root.D.R.addListener(lambda path, value: root.waitOnUpdate())
        root.D.R.addListener(lambda path, value: root.D.R.set((value.value + 1) & 0xFF))
        root.addVarListener(lambda path, value: seen.append(path))
        root.D.R.set(1)
        root.waitOnUpdate()
        with root.updateGroup():
            root.D.R.set(2)
            root.waitOnUpdate()
    assert "top.D.R" in seen


def test_nodes_of_a_root_come_in_this_order() -> None:
    with pr.Root(name="top", pollEn=False) as root:
        assert list(root.nodes) == [
            "enable",
            "ReadDevice",
            "WriteDevice",
            "RogueVersion",
            "RogueDirectory",
            "SystemLog",
            "SystemLogLast",
            "ForceWrite",
            "InitAfterConfig",
            "Time",
            "LocalTime",
            "PollEn",
            "WriteAll",
            "ReadAll",
            "SaveState",
            "SaveConfig",
            "LoadConfig",
            "RemoteVariableDump",
            "RemoteConfigDump",
            "Initialize",
            "HardReset",
            "CountReset",
            "ClearLog",
            "SetYamlConfig",
            "GetYamlConfig",
            "GetYamlState",
            "LoadConfigProcess",
            "SaveConfigProcess",
        ]
