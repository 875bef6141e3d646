"""UDP, RSSI and packetizer on loopback, in wall-clock seconds.

The floor is 300 MB/s of jumbo segments with nothing lost, for the bare link and with packets of
version 2 whose checksums are sent and checked: both ends in one process, which share one interpreter
lock, on any core or on one, and with the far end in a process of its own. "1 % lost" loses that part
of the segments in both directions. The baseline sends the same datagrams through two bare sockets, one
system call each, without waiting for anything but room.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sapwood.streams import Frame, FrameBatch, Master, Slave, streamConnectBiDir
from sapwood.streams.protocols.packetizer import CoreV2
from sapwood.streams.transports import rssi, udp

COUNT, BATCH, WAIT_S = 20_480, 256, 120.0
FLOOR_BYTES_PER_S = 300e6
WHOLE = 8936  # bytes of a frame that fills a packet


class Sink(Slave):
    """Counts segments and those whose first byte is out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = self.wrong = 0
        self.news = threading.Condition()

    def _acceptFrame(self, frame: Frame) -> None:
        self._acceptBatch(FrameBatch(frame.buffer, 0, frame.size))

    def _acceptBatch(self, batch: FrameBatch) -> None:
        with self.news:
            expected = (self.frames + np.arange(len(batch))) & 0xFF
            self.wrong += int((batch.payload[batch.start] != expected).sum())
            self.frames += len(batch)
            self.news.notify()


class Told(Slave):
    """Keeps what the far end tells."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = self.wrong = 0
        self.there = threading.Event()

    def _acceptFrame(self, frame: Frame) -> None:
        self.frames, self.wrong = struct.unpack("<2Q", bytes(frame))
        self.there.set()


class Lossy(Master, Slave):
    """Loses a part of what it passes on."""

    def __init__(self, loss: float, seed: int) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self._loss, self._random = loss, np.random.default_rng(seed)

    def _acceptFrame(self, frame: Frame) -> None:
        if self._random.random() >= self._loss:
            self._sendFrame(frame)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        keep = self._random.random(len(batch)) >= self._loss
        self._sendBatch(batch if keep.all() else batch[keep])


def checked_packets(link: rssi.Client | rssi.Server) -> CoreV2:
    """Put a packetizer on `link`."""
    core = CoreV2(True, True, True)
    streamConnectBiDir(link.application(), core.transport())
    return core


class Stack:
    """A client and a server over UDP on loopback, with frames of `size` bytes in packets (0: segments)."""

    def __init__(self, loss: float, size: int = 0, buffers: int = 32) -> None:
        self.udp_server = udp.Server(0, True, host="127.0.0.1")
        self.udp_client = udp.Client("127.0.0.1", self.udp_server.getPort(), True)
        self.server = rssi.Server(self.udp_server.maxPayload() - 8)
        self.client = rssi.Client(self.udp_client.maxPayload() - 8)
        for end in (self.server, self.client):
            end.setLocMaxBuffers(buffers)
        streamConnectBiDir(self.udp_server, self.server.transport())
        out, back = Lossy(loss, 1), Lossy(loss, 2)
        if loss:
            self.client.transport() >> out >> self.udp_client
            self.udp_client >> back >> self.client.transport()
        else:
            streamConnectBiDir(self.udp_client, self.client.transport())
        self.sink, self.source = Sink(), Master()
        if size:
            checked_packets(self.server).application(1) >> self.sink
            self.source >> checked_packets(self.client).application(1)
        else:
            self.server.application() >> self.sink
            self.source >> self.client.application()
        self.server._start()
        self.client._start()
        assert self.client.waitOpen(WAIT_S)
        self.size = size or self.client.maxPayload()
        self.count = COUNT * WHOLE // self.size // BATCH * BATCH
        rows = np.zeros((BATCH, self.size), np.uint8)
        rows[:, 0] = np.arange(BATCH)
        per = max(1 << 20, self.size) // self.size
        self.batches = [FrameBatch.from_rows(rows[at : at + per]) for at in range(0, BATCH, per)]

    def transfer(self) -> None:
        sink = self.sink
        goal = sink.frames + self.count
        for _ in range(self.count // BATCH):
            for batch in self.batches:
                self.source._sendBatch(batch)
        with sink.news:
            assert sink.news.wait_for(lambda: sink.frames >= goal, WAIT_S)
        assert (sink.frames, sink.wrong) == (goal, 0)
        assert self.client.getDownCount() == 0

    def close(self) -> None:
        for end in (self.client, self.server, self.udp_client, self.udp_server):
            end._stop()


@pytest.fixture
def one_core() -> Iterator[None]:
    """All threads of this process on one core: the interpreter lock does not travel between cores."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    ends = Stack(*request.param)
    yield ends
    ends.close()


def bare_datagrams() -> None:
    """Send and receive as many datagrams of the same size, in turns of 8."""
    payload, room = bytes(udp.JUMBO_PAYLOAD), bytearray(9000)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        receiver.settimeout(WAIT_S)
        receiver.bind(("127.0.0.1", 0))
        sender.connect(receiver.getsockname())
        for _ in range(COUNT // 8):
            for _ in range(8):
                sender.send(payload)
            for _ in range(8):
                receiver.recv_into(room)


CASES = {
    "segments": (0.0,),
    "segments, 1 % lost": (0.01,),
    "packets": (0.0, WHOLE),
    "packets, window of 64": (0.0, WHOLE, 64),
    "packets of 64 kB frames": (0.0, 1 << 16),
    "packets, 1 % lost": (0.01, WHOLE),
}


@pytest.mark.parametrize("stack", CASES.values(), indirect=True, ids=CASES)
def test_floor(race, stack: Stack, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id
    nbytes = stack.count * stack.size
    race(f"UDP + RSSI, jumbo, {name}", stack.transfer, nbytes / FLOOR_BYTES_PER_S,
         named="300 MB/s", amount=nbytes / 1e6, unit="MB/s",
         floor=None if "lost" in name else 1, rounds=5)  # fmt: skip


@pytest.mark.parametrize("stack", CASES.values(), indirect=True, ids=CASES)
def test_floor_on_one_core(race, one_core: None, stack: Stack, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id
    nbytes = stack.count * stack.size
    race(f"UDP + RSSI, jumbo, {name}, one core", stack.transfer, nbytes / FLOOR_BYTES_PER_S,
         named="300 MB/s", amount=nbytes / 1e6, unit="MB/s",
         floor=None if "lost" in name else 1, rounds=5)  # fmt: skip


def far_end(count: int) -> None:
    """Receive packets, and tell after every `count` frames how many came and how many out of order."""
    end = udp.Server(0, True, host="127.0.0.1")
    link = rssi.Server(end.maxPayload() - 8)
    link.setLocMaxBuffers(64)
    streamConnectBiDir(end, link.transport())
    core, back = checked_packets(link), Master()
    back >> core.application(2)

    class Teller(Sink):
        def _acceptBatch(self, batch: FrameBatch) -> None:
            before = self.frames // count
            super()._acceptBatch(batch)
            if self.frames // count > before:
                back._sendFrame(Frame(struct.pack("<2Q", self.frames, self.wrong)))

    core.application(1) >> Teller()
    link._start()
    print(end.getPort(), flush=True)
    sys.stdin.read()


@pytest.mark.parametrize("buffers", [32, 64])
def test_two_processes(race, buffers: int) -> None:
    command = [sys.executable, "-c", f"import test_rssi; test_rssi.far_end({COUNT})"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          cwd=Path(__file__).parent) as child:  # fmt: skip
        assert child.stdout is not None
        end = udp.Client("127.0.0.1", int(child.stdout.readline()), True)
        link, source, told = rssi.Client(end.maxPayload() - 8), Master(), Told()
        link.setLocMaxBuffers(buffers)
        streamConnectBiDir(end, link.transport())
        core = checked_packets(link)
        source >> core.application(1)
        core.application(2) >> told
        link._start()
        assert link.waitOpen(WAIT_S)
        rows = np.zeros((BATCH, WHOLE), np.uint8)
        rows[:, 0] = np.arange(BATCH)
        batches = [FrameBatch.from_rows(rows[at : at + 128]) for at in range(0, BATCH, 128)]

        def work() -> None:
            told.there.clear()
            for _ in range(COUNT // BATCH):
                for batch in batches:
                    source._sendBatch(batch)
            assert told.there.wait(WAIT_S)
            assert told.frames % COUNT == told.wrong == 0

        try:
            race(f"UDP + RSSI, jumbo, packets, two processes, window of {buffers}", work,
                 COUNT * WHOLE / FLOOR_BYTES_PER_S, named="300 MB/s", amount=COUNT * WHOLE / 1e6,
                 unit="MB/s", floor=1, rounds=5)  # fmt: skip
        finally:
            link.abort()
            end._stop()
            child.communicate("")


@pytest.mark.parametrize("stack", [(0.0,)], indirect=True, ids=["segments"])
def test_against_bare_sockets(race, stack: Stack) -> None:
    race("UDP + RSSI, jumbo, segments", stack.transfer, bare_datagrams,
         named="bare UDP, one thread, not reliable", amount=COUNT, unit="segments/s", rounds=5)  # fmt: skip
