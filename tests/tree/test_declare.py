"""Nodes declared as class attributes are those that ``self.add`` gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sapwood as sw


class Adc(sw.Device):
    Gain = sw.Register(0x0, bits=8)


class Declared(sw.Device):
    Scratch = sw.Register(0x4, bits=16, description="Free for tests")
    Status = sw.Register(0x8, bits=2, mode="RO", enum={0: "Idle", 1: "Busy"}, pollInterval=1)
    Level = sw.Register(0xC, bits=16, base=sw.Fixed(16, 8), units="V", minimum=0, maximum=10)
    Split = sw.Register([0x10, 0x14], bits=[4, 4], bitOffset=[0, 8])
    Wave = sw.Register(0x40, numValues=4, valueBits=16, valueStride=16)
    Mask = sw.RegisterArray(0x100, number=3, stride=8, bits=12)
    Reset = sw.RegisterCommand(0x20, function=sw.RemoteCommand.touchOne)
    Gain = sw.Local(1.0, units="dB", highWarning=20.0)
    Adc = sw.Child(Adc, offset=0x1000)

    @sw.Link(dependencies=[Scratch, "Adc.Gain"], units="mV")
    def Threshold(self, read: bool) -> float:
        """Where the trigger fires.

        In millivolts.
        """
        return float(self.Scratch.get(read=read)) * 0.5

    @Threshold.setter
    def _set_threshold(self, value: float, write: bool) -> None:
        self.Scratch.set(round(value / 0.5), write=write)

    Copy = sw.Link(variable=Gain)

    @sw.Action(value=3, retValue=0)
    def Triple(self, arg: int) -> int:
        """Return three times the argument."""
        return 3 * arg


class Added(sw.Device):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add(sw.RemoteVariable(name="Scratch", offset=0x4, bitSize=16, description="Free for tests"))
        texts = {0: "Idle", 1: "Busy"}
        self.add(
            sw.RemoteVariable(name="Status", offset=0x8, bitSize=2, mode="RO", enum=texts, pollInterval=1)
        )
        fixed = sw.Fixed(16, 8)
        self.add(
            sw.RemoteVariable(
                name="Level", offset=0xC, bitSize=16, base=fixed, units="V", minimum=0, maximum=10
            )
        )
        self.add(sw.RemoteVariable(name="Split", offset=[0x10, 0x14], bitSize=[4, 4], bitOffset=[0, 8]))
        self.add(sw.RemoteVariable(name="Wave", offset=0x40, numValues=4, valueBits=16, valueStride=16))
        self.addRemoteVariables(3, 8, name="Mask", offset=0x100, bitSize=12)
        self.add(sw.RemoteCommand(name="Reset", offset=0x20, function=sw.RemoteCommand.touchOne))
        self.add(sw.LocalVariable(name="Gain", value=1.0, units="dB", highWarning=20.0))
        self.add(Adc(name="Adc", offset=0x1000))
        self.add(
            sw.LinkVariable(
                name="Threshold",
                description="Where the trigger fires.",
                units="mV",
                dependencies=[self.Scratch, self.Adc.Gain],
                linkedGet=lambda read: self.Scratch.get(read=read) * 0.5,
                linkedSet=lambda value, write: self.Scratch.set(round(value / 0.5), write=write),
            )
        )
        self.add(sw.LinkVariable(name="Copy", variable=self.Gain))
        self.add(
            sw.LocalCommand(
                name="Triple",
                value=3,
                retValue=0,
                description="Return three times the argument.",
                function=lambda arg: 3 * arg,
            )
        )


def same_trees(one: Any, other: Any) -> None:
    """Assert that two running devices hold the same nodes, in the same order, at the same places."""
    assert [node.path for node in one.nodeList] == [node.path for node in other.nodeList]
    for mine, its in zip(one.nodeList, other.nodeList, strict=True):
        assert type(mine) is type(its)
        assert mine.describe() == its.describe()
        if isinstance(mine, sw.RemoteVariable):
            places = ("address", "offset", "bitOffset", "bitSize", "varBytes", "base", "verifyEn", "bulkEn")
            assert [getattr(mine, name) for name in places] == [getattr(its, name) for name in places]


def exercise(device: Any) -> list[Any]:
    """Do a bit of everything; return what came back."""
    device.Scratch.set(0x1234)
    device.Threshold.set(21.0)
    device.Mask[2].set(5)
    device.Split.set(0xA5)
    device.Wave.set([1, 2, 3, 4])
    device.Level.set(2.5)
    device.Adc.Gain.set(9)
    device.Gain.set(25.0)
    device.Reset()
    device.readAndWaitBlocks(recurse=True)
    device.writeAndVerifyBlocks(force=True, recurse=True)
    names = ("Scratch", "Threshold", "Split", "Level", "Copy", "Status")
    return [*(getattr(device, name).getDisp() for name in names), device.Triple(14), device.Gain.alarmStatus]


def test_the_same_nodes_as_by_add(start: Any, bus: Any) -> None:
    other_bus = type(bus)()
    one, other = Declared(name="D", memBase=bus), Added(name="D", memBase=other_bus)
    start(one)
    start(other)
    same_trees(one, other)
    assert exercise(one) == exercise(other)
    log = bus.take()
    assert log == other_bus.take()
    assert "W 0x20 4" in log
    assert bus.ram == other_bus.ram


def test_values_go_where_they_should(start: Any, bus: Any) -> None:
    device = Declared(memBase=bus)
    start(device)
    device.Threshold.set(21.0)
    assert bus.word(0x4) == 42
    assert device.Threshold.get() == 21.0
    assert device.Triple() == 9
    assert Declared.Scratch.keywords["bitSize"] == 16
    assert "Scratch" in repr(Declared.Scratch)
    device.Gain += 1
    assert device.Gain.value() == 2.0


def test_each_device_has_its_own(start: Any) -> None:
    start(Declared(name="A", memBase=sw.Emulate()), Declared(name="B", memBase=sw.Emulate()))
    one, other = Declared(name="A"), Declared(name="B")
    assert one.Scratch is not other.Scratch
    assert one.Mask[0] is one.node("Mask[0]")
    assert one.Threshold.dependencies == [one.Scratch, one.Adc.Gain]
    assert other.Copy.dependencies == [other.Gain]


class Base(sw.Device):
    First = sw.Register(0x0)
    Second = sw.Register(0x4)
    Third = sw.Register(0x8)

    @sw.Link(dependencies=[Second])
    def Double(self) -> int:
        return 2 * int(self.Second.value())


class Version:
    """Registers that several boards have."""

    Build = sw.Register(0x100, mode="RO")


class Derived(Version, Base):
    Second = Base.Second.replace(mode="RO", bitSize=8)
    Third = None  # type: ignore[assignment]
    Fourth = sw.Register(0xC)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add(sw.LocalVariable(name="Last", value=self.First.mode))


def names(device: sw.Device) -> list[str]:
    own = ("enable", "ReadDevice", "WriteDevice")
    return [name for name in device.nodes if name not in own]


def test_inheritance_and_overriding() -> None:
    assert names(Base()) == ["First", "Second", "Third", "Double"]
    device = Derived()
    assert names(device) == ["First", "Second", "Double", "Build", "Fourth", "Last"]
    assert device.Second.mode == "RO"
    assert device.Second.bitSize == [8]
    assert device.Double.dependencies == [device.Second]
    assert Base().Second.mode == "RW"
    assert device.Third is None


def test_a_root_has_them_after_its_own() -> None:
    class Top(sw.Root):
        Note = sw.Local("hello")

    class Plain(sw.Root):
        def __init__(self) -> None:
            super().__init__(name="Top")
            self.add(sw.LocalVariable(name="Note", value="hello"))

    with Top() as top, Plain() as plain:
        same_trees(top, plain)
        assert top.Note.get() == "hello"


def test_functions_of_a_local_variable() -> None:
    class Heater(sw.Device):
        def __init__(self, **kwargs: Any) -> None:
            self.seen: list[float] = []
            super().__init__(**kwargs)

        Power = sw.Local(0.0)
        Count = sw.Local(mode="RO")

        @Power.setter
        def _power_set(self, value: float) -> None:
            self.seen.append(value)

        @Count.getter
        def _count(self) -> int:
            return len(self.seen)

        @sw.RegisterCommand(0x10)
        def Pulse(self, cmd: Any, arg: int) -> None:
            cmd.set(arg)

    root = sw.Root(pollEn=False)
    root.add(Heater(memBase=sw.Emulate()))
    with root:
        before = root.Heater.Count.get()
        root.Heater.Power.set(4.5)
        assert root.Heater.seen[-1] == 4.5
        assert root.Heater.Count.get() == before + 1
        root.Heater.Pulse(6)
        assert root.Heater.Pulse.get() == 6


def test_a_name_that_is_taken() -> None:
    with pytest.raises(sw.NodeError, match=r"name address to Bad. Name collision"):

        class Bad(sw.Device):
            address = sw.Register(0x0)  # type: ignore[assignment]

    class Twice(sw.Device):
        Scratch = sw.Register(0x0)

        def __init__(self) -> None:
            super().__init__()
            self.add(sw.LocalVariable(name="Scratch", value=1))

    with pytest.raises(sw.NodeError, match="Name collision"):
        Twice()


def test_a_link_to_nothing() -> None:
    class Bad(sw.Device):
        Scratch = sw.Register(0x0)
        Copy = sw.Link(variable="Scrtch")

    with pytest.raises(sw.UnknownNode, match=r"Bad has no node Scrtch yet.*Did you mean: Scratch"):
        Bad()


def test_bits_and_bitsize() -> None:
    with pytest.raises(sw.NodeError, match="bits or bitSize, not both"):
        sw.Register(0x0, 8, bitSize=4)


def test_before_the_constructor_of_device() -> None:
    class Early(sw.Device):
        Scratch = sw.Register(0x0)

        def __init__(self) -> None:
            self.Scratch.set(1)

    with pytest.raises(AttributeError, match="Scratch"):
        Early()


TYPED = """
import sapwood as sw

class Adc(sw.Device):
    Gain = sw.Register(0, bits=8)

class Board(sw.Device):
    Scratch = sw.Register(4, mode="RW")
    Mask = sw.RegisterArray(8, number=2, stride=4)
    Adc = sw.Child(Adc, offset=16)

    @sw.Action()
    def Go(self) -> None: ...

board = Board()
reveal_type(board.Scratch)
reveal_type(board.Mask)
reveal_type(board.Adc.Gain)
reveal_type(board.Go)
reveal_type(Board.Scratch)
sw.Register(4, mode="R")
sw.Register(4, bitz=3)
"""


def test_types_are_seen(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed")
    (tmp_path / "typed.py").write_text(TYPED)
    package = tmp_path / "path" / "sapwood"
    package.mkdir(parents=True)
    folders = Path(__file__).resolve().parents[2]
    for found in [*(folders / "framework").iterdir(), folders / "streams", folders / "fileio"]:
        if found.suffix in (".py", ".typed", ""):
            (package / found.name).symlink_to(found)
    (tmp_path / "mypy.ini").write_text("[mypy]\nmypy_path = path\nfollow_imports = silent\n")
    arguments = [sys.executable, "-m", "mypy", "typed.py", "--cache-dir", str(tmp_path / "cache")]
    ran = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    told = ran.stdout.replace("builtins.", "")
    kinds = [line.rpartition('"')[0].rpartition('"')[2] for line in told.splitlines() if "Revealed" in line]
    variable = "sapwood.tree.remotevar.RemoteVariable"
    assert kinds == [
        variable,
        f"dict[int, {variable}]",
        variable,
        "sapwood.tree.command.BaseCommand",
        "sapwood.tree.declare.Register",
    ], told
    assert 'Argument "mode" to "Register" has incompatible type' in told
    assert 'Unexpected keyword argument "bitz"' in told
