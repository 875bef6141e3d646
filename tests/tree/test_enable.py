"""The variable ``enable``."""

from __future__ import annotations

from typing import Any

import pytest

import sapwood.tree as pr
from sapwood.errors import VariableError


class Watching(pr.Device):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.changes: list[Any] = []
        self.add(pr.RemoteVariable(name="r", offset=0))
        self.add(
            pr.LocalVariable(name="l", value=0, localSet=lambda value: self.changes.append(f"set {value}"))
        )

    def enableChanged(self, value: Any) -> None:
        self.changes.append(value)


@pytest.fixture
def tree(start: Any, bus: Any) -> pr.Root:
    outer = Watching(name="outer", memBase=bus)
    outer.add(Watching(name="inner", offset=0x100))
    root: pr.Root = start(outer)
    outer.changes.clear()
    outer.inner.changes.clear()
    return root


def test_states(tree: pr.Root) -> None:
    outer, inner = tree.outer, tree.outer.inner
    assert inner.enable.get() is True
    outer.enable.set(False)
    assert (outer.enable.get(), inner.enable.get()) == (False, "parent")
    assert inner.enable.valueDisp() == "ParentFalse"
    assert inner.enable.reason == "top.outer.enable is set to False"
    inner.enable.set(False)
    assert inner.enable.get() is False
    outer.enable.setDisp("True")
    inner.enable.set("parent")  # ignored
    inner.enable.set("deps")
    assert inner.enable.get() is False
    tree.enable.set(False)
    assert outer.enable.get() == "parent"
    assert outer.changes == [False, True]
    assert inner.changes == [False]
    with pytest.raises(VariableError, match="Invalid value 5"):
        outer.enable.set(5)


def test_no_access_while_disabled_and_nothing_is_lost(tree: pr.Root, bus: Any) -> None:
    tree.outer.enable.set(False)
    for device in (tree.outer, tree.outer.inner):
        device.r.set(7)
        device.r.get()
        device.l.set(3)
        assert device.l.value() == 3
    tree.ReadAll()
    tree.WriteAll()
    assert bus.take() == []
    assert "set 3" not in tree.outer.changes
    tree.outer.enable.set(True)
    tree.WriteAll()
    assert bus.word(0) == bus.word(0x100) == 7


def test_change_reaches_listeners_of_the_devices_below(tree: pr.Root) -> None:
    seen: list[Any] = []
    tree.outer.inner.enable.addListener(lambda path, value: seen.append(value.value))
    tree.outer.enable.set(False)
    tree.outer.enable.set(True)
    tree.waitOnUpdate()
    assert seen[-1] is True


def test_dependencies(start: Any) -> None:
    gate = pr.Device(name="gate")
    gate.add(pr.LocalVariable(name="open", value=False))
    device = pr.Device(name="dev", enableDeps=[gate.open])
    device.add(pr.LocalCommand(name="c", function=lambda: "ran"))
    root = start(gate, device)
    assert device.enable.get() == "deps"
    assert device.enable.reason == "top.dev.enable waits for top.gate.open"
    assert device.c() is None
    gate.open.set(True)
    root.waitOnUpdate()
    assert device.enable.get() is True
    assert device.c() == "ran"


def test_no_dependencies_in_the_list(start: Any) -> None:
    device = pr.Device(name="dev", enableDeps=[])
    start(device)
    assert device.enable.get() is True


def test_dependencies_are_polled(start: Any, bus: Any) -> None:
    lock = pr.Device(name="lock", memBase=bus)
    lock.add(pr.RemoteVariable(name="ready", offset=0, mode="RO"))
    device = pr.Device(name="dev", enableDeps=[lock.ready])
    bus.ram[0] = 1
    start(lock, device, pollEn=True)
    assert lock.ready.pollInterval == 1.0
    assert pr.VariableWait(device.enable, lambda values: values[0].value is True, timeout=20)


def test_disabled_from_the_beginning(start: Any, bus: Any) -> None:
    device = pr.Device(name="dev", memBase=bus, enabled=False)
    device.add(pr.RemoteVariable(name="r", offset=0))
    root = start(device, initRead=True)
    assert bus.take() == []
    assert root.dev.enable.value() is False
