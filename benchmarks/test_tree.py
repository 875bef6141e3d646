"""The control tree on emulated memory, in CPU time of the process, against the peer's stated figures.

The figures are those of the tree's specification for an idle two-core machine: operations inside
one update group, and trees of registers in a word each, spread over 10 devices.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest

import sapwood.tree as pr
from sapwood.memory import Emulate

pytestmark = pytest.mark.benchmark(timer=time.process_time)

PEER = "the peer's stated speed"
MANY = 20_000


def build(registers: int) -> pr.Root:
    """Return a tree of 10 devices with `registers` words of 32 bits; not started."""
    root, memory = pr.Root(name="top", pollEn=False), Emulate(4, 0x1000)
    for number in range(10):
        device = pr.Device(name=f"D{number}", memBase=memory, offset=number << 24)
        for index in range(registers // 10):
            device.add(
                pr.RemoteVariable(
                    name=f"r{index}", offset=4 * index, bitSize=32, mode="RW", description="register"
                )
            )
        root.add(device)
    return root


class Small(pr.Device):
    """A variable of each kind."""

    def __init__(self) -> None:
        super().__init__(name="D", memBase=Emulate(4, 0x1000))
        self.add(pr.RemoteVariable(name="remote", offset=0, bitSize=32))
        self.add(pr.LocalVariable(name="local", value=0))
        self.add(
            pr.LinkVariable(
                name="link",
                dependencies=[self.remote],
                linkedGet=lambda read: self.remote.get(read=read),
                linkedSet=lambda value, write: self.remote.set(value, write=write),
            )
        )


OPERATIONS = [
    ("local", "set", 1.56e-6, 2.5),
    ("local", "get", 1.35e-6, 2.5),
    ("remote", "set", 5.03e-6, 2),
    ("remote", "get", 3.25e-6, 2),
    ("link", "set", 5.73e-6, 2),
    ("link", "get", 3.84e-6, 2),
]


@pytest.mark.parametrize(("kind", "operation", "peer", "floor"), OPERATIONS)
def test_operation(race, kind, operation, peer, floor) -> None:
    root = pr.Root(name="top", pollEn=False)
    root.add(Small())

    def work() -> None:
        variable = root.D.node(kind)
        with root.updateGroup():
            if operation == "set":
                for value in range(MANY):
                    variable.set(value)
            else:
                for _ in range(MANY):
                    variable.get()

    with root:
        race(f"{kind} {operation}", work, MANY * peer,
             named=PEER, amount=MANY, unit="operations/s", floor=floor)  # fmt: skip


@pytest.mark.parametrize("registers", [10_000, 100_000])
def test_build_and_start(race, registers) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    before = pages * resource.getpagesize() >> 10

    def work() -> None:
        root = build(registers)
        root.start()
        root.stop()

    race(f"{registers:,} registers constructed and started", work, (0.370 + 0.272) * registers / 10_000,
         named=PEER, amount=registers, unit="registers/s", floor=3, rounds=3)  # fmt: skip
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 900 << 10


BULK = [("ReadAll", 0.181), ("WriteAll", 0.289)]


@pytest.mark.parametrize(("command", "peer"), BULK)
def test_bulk(race, command, peer) -> None:
    with build(10_000) as root:
        root.ForceWrite.set(True)
        race(f"{command} of 10,000 registers", root.node(command), peer,
             named=PEER, amount=10_000, unit="registers/s", floor=10)  # fmt: skip


def test_save_and_load(race, tmp_path: Path) -> None:
    file = str(tmp_path / "config.yml")
    with build(10_000) as root:

        def work() -> None:
            root.SaveConfig(file)
            root.LoadConfig(file)

        race("SaveConfig + LoadConfig of 10,000 registers", work, 0.432 + 0.550,
             named=PEER, amount=10_000, unit="registers/s", floor=3)  # fmt: skip
