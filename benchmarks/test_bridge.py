"""The stream TCP bridge on loopback against bare pyzmq with the same messages, wall-clock and CPU.

The peer's figure (spec of streams and PRBS): 10,000 checked frames of 10 kB in 3.6 CPU seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from sapwood.streams import Frame, FrameBatch, Master, Slave
from sapwood.streams.prbs import Prbs
from sapwood.streams.transports import TcpClient, TcpServer

zmq = pytest.importorskip("zmq")

HOST = "127.0.0.1"
BARE = "bare pyzmq, the same four parts"


class Count(Slave):
    """Counts frames and says when `target` are there."""

    def __init__(self) -> None:
        super().__init__()
        self.frames, self.target, self.there = 0, 1, threading.Event()

    def _acceptFrame(self, frame: Frame) -> None:
        self._add(1)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self._add(len(batch))

    def _add(self, count: int) -> None:
        self.frames += count
        if self.frames >= self.target:
            self.there.set()

    def expect(self, count: int) -> None:
        self.there.clear()
        self.target = self.frames + count


@contextmanager
def bridge(sink: Slave) -> Iterator[Master]:
    server, master, hello = TcpServer(HOST, 0), Master(), Count()
    client = TcpClient(HOST, server.port)
    server >> hello
    master >> client
    try:
        master._sendFrame(Frame(b"hello"))
        assert hello.there.wait(10)
        while not client.agreed:
            time.sleep(0.01)
        server._removeSlave(hello)
        server >> sink
        yield master
    finally:
        client.abort()
        server.abort()


def bind_pair(lower: Any, upper: Any) -> int:
    """Bind two sockets to neighbouring ports; return the lower one."""
    while True:
        port = int(lower.bind_to_random_port(f"tcp://{HOST}"))
        try:
            upper.bind(f"tcp://{HOST}:{port + 1}")
        except zmq.ZMQError:  # it is another program's
            lower.unbind(lower.last_endpoint)
        else:
            return port


def bare(count: int, size: int) -> None:
    """Send and take `count` messages of four parts."""
    with zmq.Context() as context, context.socket(zmq.PULL) as pull, context.socket(zmq.PUSH) as push:
        port = pull.bind_to_random_port(f"tcp://{HOST}")
        push.connect(f"tcp://{HOST}:{port}")
        taker = threading.Thread(target=lambda: [pull.recv_multipart() for _ in range(count)])
        taker.start()
        payload = bytes(size)
        for _ in range(count):
            push.send_multipart((b"\0\0", b"\0", b"\0", payload))
        taker.join()


@pytest.mark.parametrize(
    "clock", ["wall", pytest.param("CPU", marks=pytest.mark.benchmark(timer=time.process_time))]
)
@pytest.mark.parametrize("way", ["one by one", "in batches"])
def test_unchecked(race, way, clock) -> None:
    count, sink = 10_000, Count()
    payload = bytes(10_000)
    batch = FrameBatch.from_rows(np.zeros((100, 10_000), np.uint8))
    with bridge(sink) as master:

        def work() -> None:
            sink.expect(count)
            if way == "in batches":
                for _ in range(count // 100):
                    master._sendBatch(batch)
            else:
                for _ in range(count):
                    master._sendFrame(Frame(payload))
            assert sink.there.wait(60)

        race(f"bridge, 10 kB frames {way}, unchecked, {clock}", work, lambda: bare(count, 10_000),
             named=BARE, amount=count, unit="frames/s", floor=0.85)  # fmt: skip


def test_small_frames_in_batches(race) -> None:
    count, sink = 1_000_000, Count()
    batch = FrameBatch.from_rows(np.zeros((10_000, 100), np.uint8))
    with bridge(sink) as master:

        def work() -> None:
            sink.expect(count)
            for _ in range(count // len(batch)):
                master._sendBatch(batch)
            assert sink.there.wait(60)

        race("bridge, 100 B frames in batches, wall", work, count / 1e6,
             named="1 M frames/s", amount=count, unit="frames/s", floor=1)  # fmt: skip


def test_small_frames_to_a_rogue_end(race) -> None:
    count = 50_000
    batch = FrameBatch.from_rows(np.zeros((10_000, 100), np.uint8))
    with zmq.Context() as context, context.socket(zmq.PULL) as pull, context.socket(zmq.PUSH) as push:
        client, master = TcpClient(HOST, bind_pair(pull, push)), Master()
        master >> client

        def take() -> None:
            taken = 0
            while taken < count:
                taken += len(pull.recv_multipart()) == 4

        def work() -> None:
            taker = threading.Thread(target=take)
            taker.start()
            for _ in range(count // len(batch)):
                master._sendBatch(batch)
            taker.join()

        try:
            race("bridge, 100 B frames in batches to a Rogue end, wall", work, lambda: bare(count, 100),
                 named=BARE, amount=count, unit="frames/s", floor=0.8)  # fmt: skip
        finally:
            client.abort()


@pytest.mark.benchmark(timer=time.process_time)
@pytest.mark.parametrize("way", ["one by one", "in batches"])
def test_checked(race, way) -> None:
    count, rx = 10_000, Prbs()
    with bridge(rx) as master:
        tx = Prbs()
        for slave in master._slaves:
            tx >> slave

        def work() -> None:
            done = rx.getRxCount() + count
            if way == "in batches":
                tx.genFrames(count, 10_000)
            else:
                for _ in range(count):
                    tx.genFrame(10_000)
            while rx.getRxCount() < done:
                time.sleep(0.001)
            assert rx.getRxErrors() == 0

        race(f"bridge, 10,000 x 10 kB checked, {way}", work, 3.6,
             named="the peer's stated 3.6 CPU s", amount=count, unit="frames/s", floor=8)  # fmt: skip
