"""Register accesses over SRP V3 on UDP: pipelined, and one by one against a bare echo.

Waking a process on an idle CPU takes longer than everything else in a round trip, so the echo and
our server have the same place: that of the caller, or both another CPU. ("inline" servers answer in
the thread that receives, "queued" ones have a thread for it; the default answers lone requests in
the thread that receives, where registers and link never wait.) Pipelined accesses are requested
together, as bulk operations of a tree do it, or each by a call of its own. CPU is that of the client.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from sapwood.memory import (
    Block,
    FieldSpec,
    Hub,
    Read,
    SrpV3,
    UInt,
    Write,
    build_blocks,
    startTransactions,
)
from sapwood.streams.transports import udp

HOST = "127.0.0.1"
TIMEOUT_S = 0.1  # of each receive call of the echo
REGISTERS = 1000
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
ECHO = f"""
import socket
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(({HOST!r}, 0))
echo.settimeout({TIMEOUT_S})
print(echo.getsockname()[1], flush=True)
while True:
    try:
        data, peer = echo.recvfrom(9000)
    except TimeoutError:
        continue
    echo.sendto(data, peer)
"""
SERVE = """
import sys, threading
from sapwood.memory import SrpV3Emulation
from sapwood.streams.transports import udp
link = udp.Server(0, True)
server = SrpV3Emulation(inline={"default": None, "queued": False, "inline": True}[sys.argv[1]])
link >> server >> link
print(link.getPort(), flush=True)
threading.Event().wait()
"""


def process(*arguments: str) -> tuple[subprocess.Popen[str], int]:
    child = subprocess.Popen([sys.executable, "-c", *arguments], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    return child, int(child.stdout.readline())


def pin(cpu: int, pid: int = 0) -> None:
    """Let a process, or the calling thread, run on the CPU of this number only, where that can be told."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(pid, {CPUS[cpu % len(CPUS)]})


@contextlib.contextmanager
def registers(kind: str, cpu: int | None = None) -> Iterator[list[Block]]:
    """Registers of one word each, at a server in another process, on CPU `cpu`."""
    child, port = process(SERVE, kind)
    if cpu is not None:
        pin(cpu, child.pid)
    link, srp, hub = udp.Client(HOST, port, True), SrpV3(), Hub()
    link >> srp >> link
    hub >> srp
    specs = [FieldSpec(f"R{n}", f"Top.R{n}", [4 * n], [0], [32], UInt(32)) for n in range(REGISTERS)]
    try:
        yield build_blocks(specs, hub, "Top")
    finally:
        link._stop()
        child.kill()
        child.communicate()


@pytest.fixture(scope="module")
def blocks() -> Iterator[list[Block]]:
    with registers("default") as made:
        yield made


@contextlib.contextmanager
def bare_echo(cpu: int) -> Iterator[socket.socket]:
    child, port = process(ECHO)
    pin(cpu, child.pid)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(TIMEOUT_S)
        one.connect((HOST, port))
        try:
            yield one
        finally:
            child.kill()
            child.communicate()


def pipelined(race, blocks: list[Block], kind: str, how: str, clock: str) -> None:
    type = Read if kind == "read" else Write

    def ours() -> None:
        if how == "together":
            startTransactions(blocks, type, force=True)
        else:
            for block in blocks:
                block.startTransaction(type, force=True)
        for block in blocks:
            block.waitTransaction()

    floor = REGISTERS / 50_000
    race(f"register {kind} over SRP V3 on UDP, pipelined, {how}, {clock}", ours, floor,
         named="50,000 a second", amount=REGISTERS, unit="accesses/s", floor=1.0, rounds=50)  # fmt: skip


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize("how", ["together", "each by itself"])
@pytest.mark.parametrize("kind", ["read", "write"])
def test_pipelined(race, blocks: list[Block], kind: str, how: str) -> None:
    pipelined(race, blocks, kind, how, "wall")


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("how", ["together", "each by itself"])
@pytest.mark.parametrize("kind", ["read", "write"])
def test_pipelined_cpu(race, blocks: list[Block], kind: str, how: str) -> None:
    pipelined(race, blocks, kind, how, "CPU")


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize("place", ["same CPU", "other CPU"])
@pytest.mark.parametrize("kind", ["default", "queued", "inline"])
def test_one_by_one(race, kind: str, place: str) -> None:
    request, far = bytes(20), int(place == "other CPU")
    pin(0)
    try:
        with registers(kind, far) as blocks, bare_echo(far) as echo:
            block = blocks[0]

            def ours() -> None:
                block.startTransaction(Read)
                block.waitTransaction()

            def bare() -> None:
                echo.send(request)
                for _ in range(100):  # a machine that stands still for that long is none of its business
                    with contextlib.suppress(TimeoutError):
                        echo.recv(9000)
                        return
                raise TimeoutError("the echo is gone")

            race(f"register read over SRP V3 on UDP, one by one, {kind}, {place}", ours, bare,
                 named="a bare UDP echo of 20 bytes", amount=1, unit="accesses/s",
                 floor=None if kind == "queued" else 0.333, rounds=3000)  # fmt: skip
    finally:
        if CPUS:
            os.sched_setaffinity(0, CPUS)
