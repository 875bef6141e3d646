"""Configurations that fail half-way, strict ones, and what they would change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sapwood.tree as pr
from sapwood.errors import BusError, ConfigError


@pytest.fixture
def words(start: Any, bus: Any) -> pr.Root:
    """A device with four registers, each in a block of its own, and a local variable."""
    device = pr.Device(name="D", memBase=bus)
    device.add(pr.RemoteVariable(name=name, offset=4 * at) for at, name in enumerate("abc"))
    device.add(pr.RemoteVariable(name="quiet", offset=16, verify=False))
    device.add(pr.LocalVariable(name="l", value=0))
    device.add(
        pr.LinkVariable(
            name="both",
            dependencies=[device.a, device.b],
            linkedGet=lambda read: device.a.get(read=read),
            linkedSet=lambda value, write: [one.set(value, write=write) for one in (device.a, device.b)],
        )
    )
    return start(device)


ALL = "top.D: {a: 1, b: 2, c: 3, quiet: 4, l: 5}"


def outcome(root: pr.Root, text: str, **kwargs: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        root.setYaml(text, **kwargs)
    assert isinstance(caught.value.__cause__, Exception)
    return [str(problem) for problem in caught.value.problems]


def states(lines: list[str]) -> list[str]:
    return [line.partition(" (")[0] for line in lines]


class Refusing:
    """Makes a bus answer chosen kinds of accesses to an address with an error."""

    def __init__(self, bus: Any, kind: int, address: int) -> None:
        plain = type(bus)._doTransaction

        def answer(transaction: Any) -> None:
            if transaction.type() == kind and transaction.address() == address:
                transaction.error("refused")
            else:
                plain(bus, transaction)

        bus._doTransaction = answer


def test_a_write_that_fails(words: pr.Root, bus: Any) -> None:
    Refusing(bus, 2, 4)
    lines = outcome(words, ALL)
    assert states(lines) == [
        "top.D.b: not written",
        "top.D.quiet: written",
        "top.D.l: written",
        "top.D.a: written and verified",
        "top.D.c: written and verified",
    ]
    assert "block top.D.b with address 0x00000004. Error refused" in lines[0]
    assert [bus.word(at) for at in (0, 4, 8, 16)] == [1, 0, 3, 4]


def test_a_verify_that_fails_or_differs(words: pr.Root, bus: Any) -> None:
    Refusing(bus, 4, 0)
    bus.stuck[8] = 0x55
    lines = outcome(words, ALL)
    assert states(lines)[0] == "top.D.a: written"
    assert "refused" in lines[0]
    assert states(lines)[1] == "top.D.c: written"
    assert "Verify error" in lines[1]
    assert "top.D.b: written and verified" in lines


def test_a_link_is_as_good_as_its_worst_register(words: pr.Root, bus: Any) -> None:
    Refusing(bus, 2, 4)
    assert states(outcome(words, "top.D: {both: 7, c: 1}")) == [
        "top.D.both: not written",
        "top.D.c: written and verified",
    ]


def test_one_by_one_ends_at_the_first_failure(words: pr.Root, bus: Any) -> None:
    Refusing(bus, 2, 4)
    assert states(outcome(words, ALL, writeEach=True)) == [
        "top.D.b: not written",
        "top.D.c: not written",
        "top.D.quiet: not written",
        "top.D.l: not written",
        "top.D.a: written and verified",
    ]


def test_a_setter_that_fails_leaves_the_registers_staged(words: pr.Root, bus: Any) -> None:
    def refuse(value: int) -> None:
        raise RuntimeError("no such gain")

    words.D.l._setter = lambda dev, var, value, changed: refuse(value)
    words.D.l._plain = None
    assert states(outcome(words, "top.D: {a: 1, l: 5, b: 2}")) == [
        "top.D.a: not written",
        "top.D.l: not written",
        "top.D.b: not written",
    ]
    assert bus.take() == []


def test_the_bus_error_stays_the_cause(words: pr.Root, bus: Any) -> None:
    bus.broken.update((0, 4))
    with pytest.raises(ConfigError, match="the bus failed") as caught:
        words.setYaml(ALL)
    assert isinstance(caught.value.__cause__, BusError)
    assert len(caught.value.__cause__.problems) == 2


def test_a_disabled_device_only_stages(words: pr.Root, bus: Any) -> None:
    Refusing(bus, 2, 4)
    words.D.enable.set(False)
    words.setYaml(ALL)  # nothing goes to the bus, and nothing fails
    assert bus.take() == []
    assert words.D.a.value() == 1


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("nope: 1", "Entry nope not found in top.D"),
        ("qiet: 1", "Did you mean: quiet"),
        ("ReadDevice: 1", "top.D.ReadDevice is a command"),
    ],
)
def test_strict(words: pr.Root, entry: str, problem: str, bus: Any, tmp_path: Path) -> None:
    text = f"top.D: {{a: 1, {entry}}}"
    with pytest.raises(ConfigError, match="refused, nothing was set") as caught:
        words.setYaml(text, strict=True)
    assert problem in str(caught.value)
    assert bus.take() == []
    file = tmp_path / "c.yml"
    file.write_text(text)
    with pytest.raises(ConfigError, match="refused"):
        words.loadYaml(str(file), strict=True)
    assert words.loadYaml(str(file))


def test_strict_wants_the_modes(top: pr.Root) -> None:
    with pytest.raises(ConfigError, match=r"Skipping set for Entry ro with mode RO\. Enabled Modes=RW, WO"):
        top.setYaml("top.D.ro: 1", strict=True)


class TestDifferences:
    def test_of_text(self, top: pr.Root, bus: Any) -> None:
        found = top.diffYaml(
            yml="top.D: {u: 3, v: 0, e: One, f: 0.1, ls: text, l: 6, arr: [0, 0, 5, 0], 'arr[0]': 9, lf: 0.5}"
        )
        plain = [(path, getattr(old, "tolist", lambda old=old: old)(), new) for path, old, new in found]
        assert plain[:4] == [
            ("top.D.u", 0, 3), ("top.D.e", 0, 1), ("top.D.f", 0.0, 0.1), ("top.D.l", 5, 6)
        ]  # fmt: skip
        assert [path for path, _, _ in plain[4:]] == ["top.D.arr", "top.D.arr[0]"]
        assert bus.take() == []
        assert (top.D.u.value(), top.D.l.value()) == (0, 5)

    def test_of_files(self, top: pr.Root, tmp_path: Path) -> None:
        saved = top.saveYaml(str(tmp_path / "c.yml"), modes=["RW", "WO"])
        assert top.diffYaml(saved) == []
        top.D.u.set(7)
        assert top.diffYaml(saved) == [("top.D.u", 7, 0)]
        assert top.D.diffYaml(yml="u: 8") == [pr.Difference("top.D.u", 7, 8)]

    def test_what_a_register_cannot_tell_apart_is_no_difference(self, top: pr.Root) -> None:
        top.D.f.set(0.1)
        top.D.s.set("abc")
        assert top.diffYaml(yml="top.D: {f: 0.1, s: abc, arr: '[0, 0, 0, 0]', 'arr[*]': 0}") == []
        top.D.arr.set(np.arange(4))
        assert top.diffYaml(yml="top.D: {'arr[1:3]': [1, 2]}") == []

    def test_the_last_of_several_values_counts(self, top: pr.Root) -> None:
        assert top.diffYaml(yml="top.D: {u: 4}\nroot.D.u: 0\n") == []

    def test_a_device_below_a_disabled_one(self, start: Any) -> None:
        outer, inner = pr.Device(name="outer"), pr.Device(name="inner")
        outer.add(inner)
        root = start(outer)
        outer.enable.set(False)
        text = root.GetYamlConfig(False)
        assert inner.enable.value() == "parent"
        assert root.diffYaml(yml=text) == []
        assert root.diffYaml(yml="top.outer: {enable: True, inner: {enable: False}}") == [
            ("top.outer.enable", False, True),
            ("top.outer.inner.enable", "parent", False),
        ]

    def test_wrong_entries_are_refused(self, top: pr.Root) -> None:
        with pytest.raises(ConfigError, match="Value range error"):
            top.diffYaml(yml="top.D.u: 300")
        with pytest.raises(ConfigError, match="not found"):
            top.diffYaml(yml="top.D.nope: 300", strict=True)


def test_checking_calls_no_code_of_the_user(start: Any) -> None:
    calls: list[str] = []

    def get() -> list[int]:
        calls.append("get")
        return [1, 2, 3]

    device = pr.Device(name="D")
    device.add(
        pr.LocalVariable(name="l", value=[1, 2, 3], localGet=get, localSet=lambda: calls.append("set"))
    )
    device.add(
        pr.LinkVariable(
            name="k", typeStr="int", linkedGet=lambda: get()[0], linkedSet=lambda: calls.append("link")
        )
    )
    root = start(device)
    calls.clear()
    with pytest.raises(ConfigError):
        root.setYaml("top.D: {l: [4], 'l[0:2]': 7, 'l[5]': 1, k: 1, 'k[0]': 2}")
    assert calls == []


def test_a_mirror_is_checked_as_what_it_mirrors(top: pr.Root, start: Any, bus: Any) -> None:
    inner = pr.Device(name="inner", memBase=bus)
    inner.add(pr.RemoteVariable(name="x", offset=0x200, bitSize=4))
    inner.add(pr.LinkVariable(name="m", variable=inner.x))
    root = start(inner)
    with pytest.raises(ConfigError, match="Value range error for x"):
        root.setYaml("top.inner.m: 16")
