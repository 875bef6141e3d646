"""Remote get and set against a bare ZeroMQ echo, call by call by turns; bursts of updates."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import zmq

from sapwood.remote import RemoteClient, RemoteServer
from sapwood.tree import LocalVariable, Root

ECHO = """
import zmq
socket = zmq.Context().socket(zmq.ROUTER)
print(socket.bind_to_random_port("tcp://127.0.0.1"), flush=True)
while True:
    socket.send_multipart(socket.recv_multipart())
"""
SERVE = """
import threading
from sapwood.memory import Emulate
from sapwood.remote import RemoteServer
from sapwood.tree import Device, LocalVariable, RemoteVariable, Root

class Bench(Device):
    def __init__(self):
        super().__init__(name="Bench", memBase=Emulate())
        self.add(LocalVariable(name="Local", value=1))
        self.add(RemoteVariable(name="Reg", offset=0))

root = Root(name="Top")
root.add(Bench())
server = RemoteServer(root, port=0)
root.addInterface(server)
with root:
    print(server.port, flush=True)
    threading.Event().wait()
"""
CALLS = 3000
BARE = "a bare pyzmq echo of 64 bytes"


def process(script: str) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


@pytest.fixture(scope="module")
def echo() -> Iterator[zmq.Socket[bytes]]:
    server, port = process(ECHO)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(f"tcp://127.0.0.1:{port}")
        yield socket
    context.term()
    server.kill()
    server.communicate()


@pytest.fixture(scope="module")
def client() -> Iterator[RemoteClient]:
    server, port = process(SERVE)
    with RemoteClient("127.0.0.1", port) as client:
        yield client
    server.kill()
    server.communicate()


@pytest.mark.parametrize("call", ["get", "set"])
@pytest.mark.parametrize("name", ["Local", "Reg"])
def test_one_client(race, client: RemoteClient, echo: zmq.Socket[bytes], name: str, call: str) -> None:
    node = client.Top.Bench.node(name)
    message = b"x" * 64

    def bare() -> None:
        echo.send(message)
        echo.recv()

    ours = node.get if call == "get" else lambda: node.set(5)
    what = f"remote {call} of a {'LocalVariable' if name == 'Local' else 'register on Emulate'}"
    race(what, ours, bare, named=BARE, amount=1, unit="calls/s", floor=0.7, rounds=CALLS)


def test_a_burst_of_updates(benchmark) -> None:
    """20,000 sets of one variable: all are delivered, or counted as lost."""
    root = Root(name="Top")
    root.add(LocalVariable(name="Local", value=0))
    server = RemoteServer(root, port=0)
    root.addInterface(server)
    heard: list[int] = []
    enough = threading.Event()

    def listen(path: str, update: object) -> None:
        heard.append(1)
        if len(heard) + client.lost >= 20_000:
            enough.set()

    def burst() -> None:
        heard.clear()
        client._dispatcher.lost = 0
        enough.clear()
        for number in range(20_000):
            root.Local.set(number)
        assert enough.wait(60)
        assert len(heard) + client.lost == 20_000

    with root, RemoteClient("127.0.0.1", server.port) as client:
        client.addListener("Top.Local", listen)
        benchmark.pedantic(burst, rounds=3)
        benchmark.extra_info.update(lost=client.lost)
