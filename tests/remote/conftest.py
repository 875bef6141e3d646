"""A tree with one of everything, served on a free port."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.memory import Emulate
from sapwood.remote import RemoteClient, RemoteServer
from sapwood.tree import Bool, Device, LinkVariable, LocalCommand, LocalVariable, RemoteVariable, Root, UInt


class Bench(Device):
    """Registers, local variables, commands, and two gates that tests open."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(memBase=Emulate(), **kwargs)
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.calls: list[Any] = []
        self.entries = 0
        self.add(RemoteVariable(name="Reg", offset=0, bitSize=32, base=UInt))
        self.add(RemoteVariable(name="Wide", offset=0x20, bitSize=128, base=UInt))
        self.add(
            RemoteVariable(name="Mode", offset=4, bitSize=2, base=UInt, enum={0: "Off", 1: "On", 2: "Auto"})
        )
        self.add(RemoteVariable(name="Flag", offset=8, bitSize=1, base=Bool))
        self.add(RemoteVariable(name="Fixed", offset=12, mode="RO", base=UInt))
        self.add(RemoteVariable(name="Table", offset=0x100, numValues=8, valueBits=32, valueStride=32))
        for channel in range(3):
            self.add(LocalVariable(name=f"Ch[{channel}]", value=channel))
        self.add(
            LocalVariable(name="Int", value=1, minimum=0, maximum=1000, units="mV", description="A number")
        )
        self.add(LocalVariable(name="Text", value="abc"))
        self.add(LocalVariable(name="Array", value=np.arange(6.0).reshape(2, 3)))
        self.add(LocalVariable(name="Any", value=None, localGet=lambda: self.calls))
        self.add(LocalVariable(name="Strange", value=0, localGet=object))
        self.add(LocalVariable(name="Secret", value=7, groups="NoServe"))
        self.add(LocalVariable(name="Delicate", value=7, groups="Expert"))
        self.add(LocalVariable(name="File", value="", fileName=True))
        self.add(LinkVariable(name="Double", dependencies=[self.Int], linkedGet=lambda: 2 * self.Int.value()))
        self.add(LocalVariable(name="Gated", value=0, localGet=self._wait, groups=["NoState", "NoConfig"]))
        self.add(LocalVariable(name="Entries", mode="RO", value=0, localGet=lambda: self.entries))
        self.add(LocalCommand(name="Add", value=1, function=lambda arg: arg + 1))
        self.add(LocalCommand(name="Note", value="", function=lambda arg: self.calls.append(arg)))
        self.add(LocalCommand(name="Echo", value=None, function=lambda arg: arg))
        self.add(LocalCommand(name="Hold", value=0, function=self._wait))
        self.add(LocalCommand(name="Fail", value=0, function=self._fail))
        self.add(LocalCommand(name="Save", value="", function=lambda arg: arg, fileName=True))
        self.problem: Exception = ValueError("broken")

    def _wait(self) -> int:
        self.entries += 1
        self.entered.release()
        if not self.gate.wait(60):
            raise RuntimeError("nobody opened the gate")
        return 1

    def _fail(self) -> None:
        raise self.problem


class Top(Root):
    def __init__(self) -> None:
        super().__init__(name="Top", pollEn=False)
        self.add(Bench(name="Bench"))
        self.add(Bench(name="Hidden", groups="NoServe"))


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Any]:
    """A started tree without a server; ``top.Bench.gate`` is open at first for the getter."""
    root = Top()
    root.dataDir = tmp_path
    for bench in (root.Bench, root.Hidden):
        bench.gate.set()
    with root:
        root.Bench.gate.clear()
        root.Bench.entered = threading.Semaphore(0)
        yield root
        root.Bench.gate.set()


@pytest.fixture
def serve(top: Any) -> Iterator[Callable[..., RemoteServer]]:
    """Start a server of `top` with the given options."""
    servers: list[RemoteServer] = []

    def start(**options: Any) -> RemoteServer:
        server = RemoteServer(top, **{"port": 0, **options})
        server._start()
        servers.append(server)
        return server

    yield start
    top.Bench.gate.set()
    for server in servers:
        server._stop()


@pytest.fixture
def server(serve: Callable[..., RemoteServer]) -> RemoteServer:
    """A server of `top` with the default options."""
    return serve()


@pytest.fixture
def client(server: RemoteServer) -> Iterator[RemoteClient]:
    """A client of `server`."""
    with RemoteClient("127.0.0.1", server.port, timeout=20.0) as client:
        yield client
