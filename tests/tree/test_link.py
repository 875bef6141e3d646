"""Link variables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import sapwood.tree as pr
from sapwood.errors import VariableError


def test_get_and_set(top: pr.Root) -> None:
    top.D.twice.set(14)
    assert top.D.l.get() == 7
    assert top.D.twice.get() == 14
    assert top.D.twice.nativeType is int
    assert top.D.twice[0] is top.D.l


def test_mirror(start: Any, bus: Any) -> None:
    device = pr.Device(name="dev", memBase=bus)
    base = pr.RemoteVariable(name="r", offset=0, bitSize=8, enum={0: "a", 1: "b"}, units="V", mode="RO")
    device.add([base, pr.LinkVariable(name="x", variable=base)])
    start(device)
    link = device.x
    assert (link.enum, link.units, link.mode, link.disp) == (base.enum, "V", "RW", "enum")
    bus.ram[0] = 1
    assert link.getDisp() == "b"
    assert bus.take() == ["R 0x0 4"]
    link.get(read=False)
    assert bus.take() == []


@pytest.mark.parametrize("name", ["wait", "check"])
def test_wait_reaches_the_callbacks_under_both_names(start: Any, name: str) -> None:
    seen: list[Any] = []
    functions = {
        "wait": (lambda wait: seen.append(wait), lambda value, wait: seen.append(wait)),
        "check": (lambda check: seen.append(check), lambda value, check: seen.append(check)),
    }[name]
    device = pr.Device(name="dev")
    device.add(pr.LinkVariable(name="x", value=0, linkedGet=functions[0], linkedSet=functions[1]))
    start(device)
    seen.clear()
    device.x.get(wait=False)
    device.x.set(1, wait=False)
    assert seen == [False, False]


def test_modes_follow_from_the_callbacks(start: Any) -> None:
    device = pr.Device(name="dev")
    got: list[int] = []
    device.add(pr.LinkVariable(name="ro", linkedGet=lambda: 3))
    device.add(pr.LinkVariable(name="wo", value=0, linkedSet=lambda value: got.append(value)))
    start(device)
    assert (device.ro.mode, device.wo.mode) == ("RO", "WO")
    device.wo.set(4)
    assert got[-1] == 4
    assert device.wo.get() is None
    assert device.ro.get() == 3
    with pytest.raises(VariableError, match="cannot be set, it has no linkedSet"):
        device.ro.set(1)


def test_dependency_blocks_are_flat(top: pr.Root, start: Any, bus: Any) -> None:
    device = pr.Device(name="dev", memBase=bus)
    device.add([pr.RemoteVariable(name=name, offset=4 * at) for at, name in enumerate("abc")])
    device.add(pr.LinkVariable(name="ab", dependencies=[device.a, device.b], linkedGet=lambda: 0))
    device.add(pr.LinkVariable(name="all", dependencies=[device.ab, device.c, device.a], linkedGet=lambda: 0))
    start(device)
    assert device.all.depBlocks == [device.a._block, device.b._block, device.c._block]


def test_bad_definitions() -> None:
    with pytest.raises(VariableError, match="Invalid use of min or max"):
        pr.LinkVariable(name="x", minimum=0, linkedGet=lambda: 0)
    with pytest.raises(VariableError, match="Dependency None of LinkVariable x is not a variable"):
        pr.LinkVariable(name="x", dependencies=[None], linkedGet=lambda: 0)  # type: ignore[list-item]


def test_a_getter_that_fails_at_start_is_forgiven(start: Any) -> None:
    works: list[bool] = []

    def get() -> float:
        if not works:
            raise RuntimeError("not yet")
        return 1.5

    device = pr.Device(name="dev")
    device.add(pr.LinkVariable(name="x", linkedGet=get))
    start(device)
    assert device.x.typeStr == "Unknown"
    works.append(True)
    assert device.x.nativeType is float


def test_array_link(start: Any) -> None:
    device = pr.Device(name="dev")
    device.add(pr.LinkVariable(name="x", linkedGet=lambda: np.array([1.5, 2.5]), disp="{:.2f}"))
    start(device)
    assert device.x.valueDisp() == "[1.50, 2.50]"
    assert device.x.isArray


def test_decorator(start: Any) -> None:
    device = pr.Device(name="dev")

    @device.linkVariableGet(units="mm")
    def length() -> int:
        return 42

    start(device)
    assert device.length.get() == 42
    assert device.length.units == "mm"
