"""UDP and RSSI on loopback, both ends in one process, in wall-clock seconds.

The floor is 300 MB/s of jumbo segments with nothing lost. The baseline sends the same datagrams
through two bare sockets, one system call each, without waiting for anything but room.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from sapwood.streams import Frame, FrameBatch, Master, Slave, streamConnectBiDir
from sapwood.streams.transports import rssi, udp

COUNT, BATCH, WAIT_S = 20_480, 256, 120.0
FLOOR_BYTES_PER_S = 300e6


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


class Stack:
    """A client and a server over UDP on loopback."""

    def __init__(self, loss: float) -> None:
        self.udp_server = udp.Server(0, True, host="127.0.0.1")
        self.udp_client = udp.Client("127.0.0.1", self.udp_server.getPort(), True)
        self.server = rssi.Server(self.udp_server.maxPayload() - 8)
        self.client = rssi.Client(self.udp_client.maxPayload() - 8)
        streamConnectBiDir(self.udp_server, self.server.transport())
        out, back = Lossy(loss, 1), Lossy(loss, 2)
        if loss:
            self.client.transport() >> out >> self.udp_client
            self.udp_client >> back >> self.client.transport()
        else:
            streamConnectBiDir(self.udp_client, self.client.transport())
        self.sink, self.source = Sink(), Master()
        self.server.application() >> self.sink
        self.source >> self.client.application()
        self.server._start()
        self.client._start()
        assert self.client.waitOpen(WAIT_S)
        rows = np.zeros((BATCH, self.client.maxPayload()), np.uint8)
        rows[:, 0] = np.arange(BATCH)
        self.batch = FrameBatch.from_rows(rows)

    def transfer(self) -> None:
        sink = self.sink
        goal = sink.frames + COUNT
        for _ in range(COUNT // BATCH):
            self.source._sendBatch(self.batch)
        with sink.news:
            assert sink.news.wait_for(lambda: sink.frames >= goal, WAIT_S)
        assert (sink.frames, sink.wrong) == (goal, 0)
        assert self.client.getDownCount() == 0

    def close(self) -> None:
        for end in (self.client, self.server, self.udp_client, self.udp_server):
            end._stop()


@pytest.fixture
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    ends = Stack(request.param)
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


@pytest.mark.parametrize("stack", [0.0, 0.01], indirect=True, ids=["good", "1 % lost"])
def test_floor(race, stack: Stack, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id
    size = stack.client.maxPayload()
    race(f"UDP + RSSI, jumbo, loopback, {name}", stack.transfer, COUNT * size / FLOOR_BYTES_PER_S,
         named="300 MB/s", amount=COUNT * size / 1e6, unit="MB/s",
         floor=1 if name == "good" else None, rounds=5)  # fmt: skip


@pytest.mark.parametrize("stack", [0.0], indirect=True, ids=["good"])
def test_against_bare_sockets(race, stack: Stack) -> None:
    race("UDP + RSSI, jumbo, loopback", stack.transfer, bare_datagrams,
         named="bare UDP, one thread, not reliable", amount=COUNT, unit="segments/s", rounds=5)  # fmt: skip
