"""Register accesses over SRP V3 on UDP: pipelined, and one by one against a bare echo."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sapwood.memory import Block, FieldSpec, Hub, Read, SrpV3, UInt, Write, build_blocks
from sapwood.streams import Frame, FrameBatch, Master, Slave

HOST = "127.0.0.1"
TIMEOUT_S = 0.1  # of each receive call, ours and the echo's
REGISTERS = 1000
ECHO = """
import runpy, sys
echo = runpy.run_path(sys.argv[1])["datagrams"]()
print(echo.getsockname()[1], flush=True)
while True:
    try:
        data, peer = echo.recvfrom(9000)
    except BlockingIOError:
        continue
    echo.sendto(data, peer)
"""
SERVE = """
import runpy, sys, threading
from sapwood.memory import SrpV3Emulation
link = runpy.run_path(sys.argv[1])["Datagrams"]()
server = SrpV3Emulation()
link >> server >> link
print(link.port, flush=True)
threading.Event().wait()
"""


def datagrams() -> socket.socket:
    """Return a bound UDP socket whose receive calls end after `TIMEOUT_S`, by the kernel."""
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, int(TIMEOUT_S * 1e6)))
    one.bind((HOST, 0))
    return one


class Datagrams(Master, Slave):
    """A stream end on a plain UDP socket; what came in meanwhile goes on as one batch."""

    def __init__(self, port: int = 0) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self._socket = datagrams()
        self.port = self._socket.getsockname()[1]
        self._peer = (HOST, port)
        self._open = True
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def _acceptFrame(self, frame: Frame) -> None:  # noqa: N802  # the name of the stream interface
        self._socket.sendto(frame.buffer, self._peer)

    def _acceptBatch(self, batch: FrameBatch) -> None:  # noqa: N802  # likewise
        payload = batch.payload.data
        for start, size in zip(batch.start.tolist(), batch.size.tolist(), strict=True):
            self._socket.sendto(payload[start : start + size], self._peer)

    def _receive(self) -> None:
        while self._open:
            try:
                first, self._peer = self._socket.recvfrom(9000)
            except BlockingIOError:
                continue
            found = [first]
            try:
                while len(found) < 256:
                    found.append(self._socket.recv(9000, socket.MSG_DONTWAIT))
            except BlockingIOError:
                pass
            if len(found) == 1:
                self._sendFrame(Frame(first))
            else:
                self._sendBatch(FrameBatch.gather([Frame(one) for one in found]))

    def close(self) -> None:
        self._open = False
        self._thread.join()
        self._socket.close()


def process(*arguments: str) -> tuple[subprocess.Popen[str], int]:
    child = subprocess.Popen([sys.executable, "-c", *arguments], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    return child, int(child.stdout.readline())


@pytest.fixture(scope="module")
def blocks() -> Iterator[list[Block]]:
    """Registers of one word each, at a server in another process."""
    child, port = process(SERVE, str(Path(__file__)))
    link, srp, hub = Datagrams(port), SrpV3(), Hub()
    link >> srp >> link
    hub >> srp
    specs = [FieldSpec(f"R{n}", f"Top.R{n}", [4 * n], [0], [32], UInt(32)) for n in range(REGISTERS)]
    yield build_blocks(specs, hub, "Top")
    link.close()
    child.kill()
    child.communicate()


@pytest.fixture(scope="module")
def echo() -> Iterator[socket.socket]:
    child, port = process(ECHO, str(Path(__file__)))
    with datagrams() as one:
        one.connect((HOST, port))
        yield one
    child.kill()
    child.communicate()


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize("kind", ["read", "write"])
def test_pipelined(race, blocks: list[Block], kind: str) -> None:
    type = Read if kind == "read" else Write

    def ours() -> None:
        for block in blocks:
            block.startTransaction(type, force=True)
        for block in blocks:
            block.waitTransaction()

    floor = REGISTERS / 50_000
    race(f"register {kind} over SRP V3 on UDP, pipelined", ours, floor, named="50,000 a second",
         amount=REGISTERS, unit="accesses/s", floor=1.0, rounds=50)  # fmt: skip


@pytest.mark.benchmark(timer=time.perf_counter)
def test_one_by_one(race, blocks: list[Block], echo: socket.socket) -> None:
    block = blocks[0]
    request = bytes(20)

    def ours() -> None:
        block.startTransaction(Read)
        block.waitTransaction()

    def bare() -> None:
        echo.send(request)
        echo.recv(9000)

    race("register read over SRP V3 on UDP, one by one", ours, bare, named="a bare UDP echo of 20 bytes",
         amount=1, unit="accesses/s", floor=0.333, rounds=3000)  # fmt: skip
