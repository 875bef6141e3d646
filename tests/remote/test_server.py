"""The server at the socket: garbage, bounds, deadlines, order, load, life."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zmq

from sapwood.errors import NodeError, RemoteError
from sapwood.remote import RemoteClient, RemoteServer
from sapwood.remote.codec import MAX_BUFFERS
from sapwood.tree import Root

B = "Top.Bench."
PATIENCE_MS = 20_000


class Wire:
    """A bare DEALER socket, for what a proper client would not send."""

    def __init__(self, context: zmq.Context[Any], port: int, hello: bool = True) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.rcvtimeo = PATIENCE_MS
        self.socket.connect(f"tcp://127.0.0.1:{port}")
        self.clock = 0.0
        if hello:
            self.clock = self.ask({"op": "hello"})["ok"]["clock"]

    def send(self, *parts: bytes) -> None:
        self.socket.send_multipart(list(parts))

    def request(self, request: dict[str, Any]) -> None:
        self.send(json.dumps({"v": 1, "id": 1, **request}).encode())

    def receive(self) -> dict[str, Any]:
        reply: dict[str, Any] = json.loads(self.socket.recv_multipart()[0])
        return reply

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self.request(request)
        return self.receive()


Connect = Callable[..., Wire]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Make bare sockets; they are closed at the end."""
    context: zmq.Context[Any] = zmq.Context()
    wires: list[Wire] = []

    def make(port: int, hello: bool = True) -> Wire:
        wires.append(Wire(context, port, hello))
        return wires[-1]

    yield make
    for wire in wires:
        wire.socket.close(0)
    context.term()


@pytest.fixture
def wire(connect: Connect, server: RemoteServer) -> Wire:
    return connect(server.port)


def error(reply: dict[str, Any]) -> str:
    return str(reply["error"]["type"])


def test_nothing_without_hello(server: RemoteServer, top: Any, connect: Connect) -> None:
    wire = connect(server.port, hello=False)
    for request in ({"op": "ping"}, {"op": "set", "pairs": [[B + "Int", 5]]}, {"op": "nonsense"}):
        assert error(wire.ask(request)) == "NoSession"
    assert top.Bench.Int.value() == 1
    assert wire.ask({"op": "hello"})["ok"]["root"] == "Top"
    assert "clock" in wire.ask({"op": "ping"})["ok"]


@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"", b""],
        [b"x"],
        [b"\x80\x04N."],
        [b"{}"],
        [b"[]"],
        [b"null"],
        [b'{"v":1}'],
        [b'{"v":2,"id":1,"op":"ping"}'],
        [b'{"id":1,"op":"ping"}'],
        [b'{"v":1,"id":null,"op":"ping"}'],
        [b'{"v":1,"id":true,"op":"ping"}'],
        [b'{"v":1,"id":[1],"op":"ping"}'],
        [b'{"v":1,"id":1.5,"op":"ping"}'],
        [b'{"v":1,"id":1,"op":"ping","deadline":"x"}'],
        [b'{"v":1,"id":1,"op":"ping","deadline":NaN}'],
        [b'{"v":1,"id":1,"op":"ping","x":{"$a":[0,"O",[1]]}}', b"12345678"],
        [b"[" * 100_000],
        [b'{"v":1,"id":1,"op":"ping"}'] + [b""] * (MAX_BUFFERS + 1),
        [b"\0" * 1000, b"\0" * 1000],
        [b'{"v":1,"id":1,"op":{}}'],
        [b'{"v":1,"id":1}'],
    ],
    ids=lambda parts: repr(parts)[:40],
)
def test_garbage_is_answered_and_changes_nothing(wire: Wire, parts: list[bytes]) -> None:
    wire.send(*parts)
    reply = wire.receive()
    assert error(reply) == "ProtocolError"
    assert reply["id"] in (None, 1)
    assert "ok" in wire.ask({"op": "ping"})


def test_random_messages_do_not_stop_the_server(
    server: RemoteServer, top: Any, wire: Wire, connect: Connect
) -> None:
    top.Bench.gate.set()
    seed = random.Random(5)
    samples = [
        b'{"v":1,"id":1,"op":"get","paths":["Top.Bench.Int"]}',
        b'{"v":1,"id":1,"op":"set","pairs":[["Top.Bench.Array",{"$a":[0,"<f8",[1]]}]]}',
        b'{"v":1,"id":1,"op":"subscribe","paths":["Top.*"],"limit":5,"now":true}',
    ]
    for _ in range(1500):
        raw = bytearray(seed.choice(samples))
        for _ in range(seed.randrange(1, 6)):
            raw[seed.randrange(len(raw))] = seed.randrange(256)
        wire.send(*[bytes(raw), b"12345678"][: seed.randrange(1, 3)])
        while "push" in wire.receive():  # each message has exactly one answer
            pass
    assert "ok" in connect(server.port).ask({"op": "ping"})
    assert server.counters.get("faults", 0) == 0
    assert server.counters["garbage"] > 100


def test_bytes_that_are_no_zeromq_are_ignored(server: RemoteServer, client: RemoteClient) -> None:
    for text in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000, b"\0" * 70, b""):
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(text)
    assert client.get(B + "Int") == 1


def test_messages_above_the_limit(serve: Callable[..., RemoteServer], connect: Connect) -> None:
    server = serve(max_message=100_000)
    wire = connect(server.port)
    wire.send(b"x" * 60_000, b"y" * 60_000)  # each part is allowed, both together are not
    assert error(wire.receive()) == "ProtocolError"
    wire.send(b"x" * 200_000)  # ends the connection; a new one is made at once
    assert "ok" in connect(server.port).ask({"op": "ping"})
    with RemoteClient("127.0.0.1", server.port) as client:
        with pytest.raises(RemoteError, match="too large to be sent"):
            client.call(B + "Echo", "x" * 200_000)
        for _ in range(4):
            client.call(B + "Note", "x" * 30_000)
        with pytest.raises(RemoteError, match="answer is too large"):
            client.get(B + "Any")


def test_a_late_request_is_not_executed(wire: Wire, top: Any) -> None:
    late = {"deadline": wire.clock - 1.0}
    assert error(wire.ask({"op": "set", "pairs": [[B + "Int", 9]], **late})) == "RemoteTimeout"
    assert error(wire.ask({"op": "call", "path": B + "Note", "arg": "x", **late})) == "RemoteTimeout"
    assert (top.Bench.Int.value(), top.Bench.calls) == (1, [])
    assert "ok" in wire.ask({"op": "set", "pairs": [[B + "Int", 9]], "deadline": wire.clock + 100})


def test_a_request_that_waited_too_long_in_its_lane_is_not_executed(wire: Wire, top: Any) -> None:
    wire.request({"op": "call", "path": B + "Hold"})
    assert top.Bench.entered.acquire(timeout=20)
    deadline = time.monotonic() + 0.05
    wire.request({"id": 2, "op": "call", "path": B + "Note", "arg": "late", "deadline": deadline})
    while time.monotonic() < deadline:
        time.sleep(0.005)
    top.Bench.gate.set()
    assert "ok" in wire.receive()
    assert error(wire.receive()) == "RemoteTimeout"
    assert top.Bench.calls == []


def test_requests_of_a_connection_keep_their_order(wire: Wire, top: Any) -> None:
    wire.request({"id": "slow", "op": "call", "path": B + "Hold"})
    for number in range(20):
        wire.request({"id": number, "op": "set", "pairs": [[B + "Int", number]]})
        wire.request({"id": f"get {number}", "op": "get", "paths": [B + "Int"]})
    assert top.Bench.entered.acquire(timeout=20)
    assert top.Bench.Int.value() == 1  # nothing has overtaken the command
    top.Bench.gate.set()
    replies = [wire.receive() for _ in range(41)]
    assert replies[0]["id"] == "slow", replies[0]
    assert [reply["id"] for reply in replies[1::2]] == list(range(20))
    assert [reply["ok"] for reply in replies[2::2]] == [[number] for number in range(20)]


def test_a_full_server_answers_busy(serve: Callable[..., RemoteServer], top: Any, connect: Connect) -> None:
    server = serve(threads=1, waiting=2)
    wire = connect(server.port)
    for number in range(10):
        wire.request({"id": number, "op": "call", "path": B + "Hold"})
    busy = [wire.receive() for _ in range(7)]
    assert {error(reply) for reply in busy} == {"Busy"}
    assert "ok" in connect(server.port).ask({"op": "get", "paths": [B + "Int"]})  # what cannot block goes on
    top.Bench.gate.set()
    assert all("ok" in wire.receive() for _ in range(3))


def test_too_many_connections(serve: Callable[..., RemoteServer], top: Any, connect: Connect) -> None:
    server = serve(max_clients=3)
    wires = [connect(server.port) for _ in range(3)]
    extra = connect(server.port)  # takes the place of the one that was idle longest
    assert "ok" in extra.ask({"op": "ping"})
    assert error(wires[0].ask({"op": "ping"})) == "NoSession"
    for wire in (*wires[1:], extra):
        assert "ok" in wire.ask({"op": "subscribe", "paths": [B + "Int"]})
    late = connect(server.port, hello=False)
    assert error(late.ask({"op": "hello"})) == "Busy"  # those who listen are not sent away


def test_tokens_and_hosts(serve: Callable[..., RemoteServer], top: Any, connect: Connect) -> None:
    server = serve(tokens={"secret": "viewer"})
    with pytest.raises(RemoteError, match="token"):
        RemoteClient("127.0.0.1", server.port)
    wire = connect(server.port, hello=False)
    assert error(wire.ask({"op": "hello", "token": ["secret"]})) == "AccessDenied"
    assert error(wire.ask({"op": "ping"})) == "NoSession"
    with RemoteClient("127.0.0.1", server.port, token="secret") as client:  # noqa: S106
        assert client.server["role"] == "viewer"
        with pytest.raises(PermissionError):
            client.set(B + "Int", 3)
    for host in ("0.0.0.0", "*", "192.0.2.1"):  # noqa: S104
        with pytest.raises(RemoteError, match="without tokens"):
            RemoteServer(top, host=host, port=0)._start()


def test_a_port_in_use_is_named(server: RemoteServer, top: Any) -> None:
    with pytest.raises(RemoteError, match=f"port {server.port}"):
        RemoteServer(top, port=server.port)._start()


def test_start_and_stop_leave_no_threads(top: Any) -> None:
    before = set(threading.enumerate())
    for _ in range(10):
        server = RemoteServer(top, port=0)
        assert set(threading.enumerate()) <= before
        server._start()
        server._start()  # once is enough
        with RemoteClient("127.0.0.1", server.port) as client:
            client.call(B + "Add", 1)
            client.addListener(B + "Int", print)
        server._stop()
        server._stop()
    assert set(threading.enumerate()) <= before


def test_as_interface_of_a_root() -> None:
    server = RemoteServer(port=0)
    with pytest.raises(NodeError, match="no started tree"):
        server._start()
    root = Root(name="Own")
    root.addInterface(server)
    for _ in range(2):  # a tree can be started again
        with root, RemoteClient("127.0.0.1", server.port) as client:
            assert client.Own.PollEn.get() is True


def test_stop_does_not_hang_on_a_running_command(server: RemoteServer, top: Any, connect: Connect) -> None:
    wire = connect(server.port)
    wire.request({"op": "call", "path": B + "Hold"})
    assert top.Bench.entered.acquire(timeout=20)
    start = time.monotonic()
    server._stop()
    assert time.monotonic() - start < 30, "it must not hang"


def test_waking_a_server_that_has_ended_does_not_block(server: RemoteServer) -> None:
    loop, thread = server._loop, server._thread
    assert loop is not None
    assert thread is not None
    loop._stopping = True  # the thread ends by itself, as when it sees the flag before the wake-up comes
    thread.join(20)
    waking = threading.Thread(target=loop.wake, daemon=True)
    waking.start()
    waking.join(20)
    assert not waking.is_alive()
