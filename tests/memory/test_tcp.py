from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from sapwood.errors import BusError, BusTimeout, ProtocolError
from sapwood.memory import (
    Emulate,
    Master,
    Post,
    Read,
    Slave,
    TcpClient,
    TcpServer,
    Transaction,
    Verify,
    Write,
)
from sapwood.memory.tcpmessage import OK, PROBE, Message, decode_reply, decode_request, encode

HOST = "127.0.0.1"
WAIT_MS = 20_000
TYPES = {"r": Read, "w": Write, "p": Post, "v": Verify}


class Peer:
    """Plain sockets in place of one end of the bridge."""

    def __init__(self, take_ports: Callable[..., int]) -> None:
        self.take_ports = take_ports
        self.context = zmq.Context()
        self.pull = self.context.socket(zmq.PULL)
        self.push = self.context.socket(zmq.PUSH)
        for one in (self.pull, self.push):
            one.linger = 0
            one.rcvtimeo = one.sndtimeo = WAIT_MS

    def bind(self) -> int:
        """Be the server; return the lower port."""
        port = self.take_ports(2)
        self.pull.bind(f"tcp://{HOST}:{port}")
        self.push.bind(f"tcp://{HOST}:{port + 1}")
        return port

    def connect(self, port: int) -> Peer:
        self.push.connect(f"tcp://{HOST}:{port}")
        self.pull.connect(f"tcp://{HOST}:{port + 1}")
        return self

    def send(self, message: Message | list[bytes]) -> None:
        self.push.send_multipart(encode(message) if isinstance(message, Message) else message)

    def receive(self) -> list[bytes]:
        return self.pull.recv_multipart()

    def close(self) -> None:
        self.context.destroy(linger=0)


@pytest.fixture
def peer(free_ports: Callable[..., int]) -> Iterator[Peer]:
    made = Peer(free_ports)
    yield made
    made.close()


@pytest.fixture
def serve(free_ports: Callable[..., int]) -> Iterator[Callable[[Slave], TcpServer]]:
    """Make a server over a slave."""
    made: list[TcpServer] = []

    def make(slave: Slave) -> TcpServer:
        made.append(TcpServer(HOST, free_ports(2)))
        made[-1] >> slave
        return made[-1]

    yield make
    for one in made:
        one._stop()


@pytest.fixture
def client_of() -> Iterator[Callable[[int], TcpClient]]:
    """Make a client of a port."""
    made: list[TcpClient] = []

    def make(port: int) -> TcpClient:
        made.append(TcpClient(HOST, port))
        return made[-1]

    yield make
    for one in made:
        one._stop()


@pytest.fixture
def golden(golden_rogue: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((golden_rogue / "tcp_memory_bridge.json").read_text())
    return found


def bus(slave: Slave, timeout_s: float = 20.0) -> Master:
    master = Master()
    master >> slave
    master._setTimeout(timeout_s * 1e6)
    return master


def access(slave: Slave, type: int, address: int, data: bytearray, timeout_s: float = 20.0) -> str:
    master = bus(slave, timeout_s)
    master._waitTransaction(master._reqTransaction(address, data, 0, 0, type))
    return master._getError()


class GoldenSlave(Slave):
    """What was behind the peer's server: reads give 0, 1, 2...; one address fails."""

    def _doTransaction(self, transaction: Transaction) -> None:
        if transaction.type() in (Read, Verify):
            transaction.setData(bytes(range(transaction.size())))
        if transaction.address() == 0xBAD0:
            transaction.error("my error")
        else:
            transaction.done()


# ---------------------------------------------------------------- bytes on the wire


def test_the_server_answers_as_the_peer_does(
    golden: dict[str, Any], serve: Callable[..., TcpServer], peer: Peer
) -> None:
    peer.connect(serve(GoldenSlave()).port)
    for exchange in golden["exchanges"]:
        peer.send([bytes.fromhex(part) for part in exchange["request"]])
        assert [part.hex() for part in peer.receive()] == exchange["response"]


def test_the_client_asks_and_understands_as_the_peer_does(
    golden: dict[str, Any], client_of: Callable[[int], TcpClient], peer: Peer
) -> None:
    client = client_of(peer.bind())
    for exchange, result in zip(golden["exchanges"], golden["results"], strict=False):
        request, response = (
            [bytes.fromhex(part) for part in exchange[key]] for key in ("request", "response")
        )
        data = bytearray(result["size"])
        if result["op"] in "wp":
            data[:] = request[4]
        master = bus(client)
        id = master._reqTransaction(result["address"], data, 0, 0, TYPES[result["op"]])
        seen = peer.receive()
        assert seen[1:] == request[1:]
        assert len(seen[0]) == 4
        peer.send([seen[0], *response[1:]])
        master._waitTransaction(id)
        assert (data.hex(), master._getError()) == (result["data_after"], result["error"])


def test_the_probe_is_the_peers(
    golden: dict[str, Any], client_of: Callable[[int], TcpClient], peer: Peer
) -> None:
    probes = golden["exchanges"][5:]
    client = client_of(peer.bind())
    answer: list[bool] = []
    asker = threading.Thread(target=lambda: answer.append(client.waitReady(20.0, 0.01)))
    asker.start()
    for probe in probes:
        assert [part.hex() for part in peer.receive()][1:] == probe["request"][1:]
    peer.send([bytes.fromhex(part) for part in probes[0]["response"]])
    asker.join(30)
    assert answer == [True]


messages = st.builds(
    Message,
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.sampled_from([Read, Verify, PROBE]),
    st.none(),
    st.just(""),
)


@given(messages, st.binary(max_size=20), st.text(max_size=20))
def test_messages_survive_the_wire(message: Message, data: bytes, text: str) -> None:
    assert decode_request(encode(message)) == message
    write = message._replace(type=Write, size=len(data), data=data)
    assert decode_request(encode(write)) == write
    reply = message._replace(data=data, text=text or OK)
    assert decode_reply(encode(reply)) == reply


@given(st.lists(st.binary(max_size=9), max_size=7))
def test_garbage_is_refused(parts: list[bytes]) -> None:
    for decode in (decode_request, decode_reply):
        with pytest.raises(ProtocolError, match="Bad memory bridge"):
            decode(parts)


def test_long_texts_are_cut_and_long_ids_wrap() -> None:
    parts = encode(Message((1 << 32) + 5, 0, 0, Read, b"", "x" * 2000))
    assert (parts[0], len(parts[5])) == (b"\x05\0\0\0", 999)


def test_writes_carry_what_they_announce() -> None:
    for parts in (encode(Message(1, 0, 4, Write)), encode(Message(1, 0, 4, Write, b"abc"))):
        with pytest.raises(ProtocolError, match="expected 4 bytes of data"):
            decode_request(parts)


# ---------------------------------------------------------------- both ends


def test_registers_over_the_bridge(
    serve: Callable[..., TcpServer], client_of: Callable[[int], TcpClient]
) -> None:
    ram = Emulate()
    client = client_of(serve(ram).port)
    client._start()
    assert access(client, Write, 0x10, bytearray(b"abcdefgh")) == ""
    assert access(client, Post, 0x18, bytearray(b"post")) == ""
    data = bytearray(12)
    for type in (Read, Verify):
        assert access(client, type, 0x10, data) == ""
        assert data == b"abcdefghpost"
    assert (client._doMinAccess(), client._doMaxAccess()) == (4, 0xFFFFFFFF)


def test_a_server_has_several_clients(
    serve: Callable[..., TcpServer], client_of: Callable[[int], TcpClient], peer: Peer
) -> None:
    server = serve(Emulate())
    clients = [client_of(server.port) for _ in range(3)]
    assert all(client.waitReady() for client in clients)

    def use(number: int) -> None:
        for value in range(50):
            data = bytearray([number, value, 0, 0])
            errors.append(access(clients[number], Write, 4 * number, data))
            errors.append(access(clients[number], Verify, 4 * number, data := bytearray(4)))
            errors.append("" if data == bytes([number, value, 0, 0]) else "other data")

    errors: list[str] = []
    users = [threading.Thread(target=use, args=(number,)) for number in range(3)]
    for user in users:
        user.start()
    for user in users:
        user.join(60)
    assert errors == [""] * 450
    for client in clients[1:]:
        client._stop()
    assert access(clients[0], Read, 0, bytearray(4)) == ""


def test_a_client_that_comes_later_gets_its_first_answer(
    serve: Callable[..., TcpServer], client_of: Callable[[int], TcpClient]
) -> None:
    server = serve(Emulate())
    for _ in range(5):
        assert access(client_of(server.port), Read, 0, bytearray(4)) == ""


def test_clients_number_their_requests_differently(client_of: Callable[[int], TcpClient], peer: Peer) -> None:
    numbers = set()
    client = client_of(peer.bind())
    for _ in range(2):
        id = bus(client)._reqTransaction(0, bytearray(4), 0, 0, Read)
        numbers.add((int.from_bytes(peer.receive()[0], "little") - id) & 0xFFFFFFFF)
    assert len(numbers) == 1
    assert numbers != {0}


def test_blocks_over_the_bridge(
    serve: Callable[..., TcpServer],
    client_of: Callable[[int], TcpClient],
    spec: Callable[..., Any],
    build: Callable[..., list[Any]],
) -> None:
    client = client_of(serve(Emulate()).port)
    blocks = build(client, *(spec(f"r{n}", 4 * n) for n in range(50)), at=0x1000)
    for n, block in enumerate(blocks):
        block.write(block.fields[0], n + 1)
    for block in blocks:
        block.startTransaction(Read)
    for n, block in enumerate(blocks):
        block.waitTransaction()
        assert block.fields[0].get() == n + 1


def test_an_access_above_the_far_slaves_limit_is_split(
    recording: type[Any], serve: Callable[..., TcpServer], client_of: Callable[[int], TcpClient]
) -> None:
    ram = recording(4, 16)
    assert access(client_of(serve(ram).port), Write, 0, bytearray(range(40))) == ""
    assert ram.log == [("W", 0, 16), ("W", 16, 16), ("W", 32, 8)]


def test_errors_keep_their_text(
    memory: Any, serve: Callable[..., TcpServer], client_of: Callable[[int], TcpClient]
) -> None:
    client = client_of(serve(memory).port)
    for kind, type in (("R", Read), ("W", Write), ("V", Verify)):
        memory.fail[kind] = f"broken {kind} é"
        assert access(client, type, 0, bytearray(4)) == f"broken {kind} é"


def test_a_slave_that_never_answers_is_an_error_of_that_access(
    threaded: Callable[..., Any], serve: Callable[..., TcpServer], client_of: Callable[[int], TcpClient]
) -> None:
    slave = threaded(free=False)
    server = serve(slave)
    server._setTimeout(50_000)
    client = client_of(server.port)
    assert "Timeout waiting for register transaction" in access(client, Read, 0, bytearray(4))
    slave.release(2)
    server._setTimeout(20_000_000)
    assert access(client, Read, 0, bytearray(4)) == ""


def test_a_transaction_of_the_tree_crosses_the_bridge(serve: Callable[..., TcpServer]) -> None:
    import sapwood.tree as tree

    ram = Emulate()
    server = serve(ram)

    class Top(tree.Root):
        def __init__(self) -> None:
            super().__init__(name="Top", pollEn=False)
            client = TcpClient(HOST, server.port, True)
            self.addInterface(client)
            self.add(tree.Device(name="Dev", memBase=client, offset=0x100))
            self.Dev.add(tree.RemoteVariable(name="Reg", offset=4, bitSize=32, mode="RW"))

    for value in (0x1234, 0x5678):  # a root starts again after its stop
        with Top() as top:
            top.Dev.Reg.set(value)
            assert top.Dev.Reg.get() == value
    data = bytearray(4)
    ram._direct(Read, 0x104, data, 0, 4)
    assert data == b"\x78\x56\0\0"


# ---------------------------------------------------------------- the client alone


def test_several_accesses_are_under_way_and_answers_may_come_in_any_order(
    client_of: Callable[[int], TcpClient], peer: Peer
) -> None:
    master = bus(client_of(peer.bind()))
    buffers = [bytearray(4) for _ in range(5)]
    for n, buffer in enumerate(buffers):
        master._reqTransaction(4 * n, buffer, 4, 0, Read)
    requests = [decode_request(peer.receive()) for _ in buffers]
    assert [request.address for request in requests] == [0, 4, 8, 12, 16]
    for request in reversed(requests):
        peer.send(request._replace(data=bytes([request.address] * 4), text=OK))
    master._waitTransaction(0)
    assert master._getError() == ""
    assert buffers == [bytes([4 * n] * 4) for n in range(5)]


def test_late_answers_are_dropped(client_of: Callable[[int], TcpClient], peer: Peer) -> None:
    client = client_of(peer.bind())
    first = bytearray(b"....")
    assert "Timeout" in access(client, Read, 0, first, timeout_s=0.05)
    late = decode_request(peer.receive())
    master, second = bus(client), bytearray(4)
    id = master._reqTransaction(0, second, 4, 0, Read)
    peer.send(late._replace(data=b"late", text=OK))
    peer.send(decode_request(peer.receive())._replace(data=b"good", text=OK))
    master._waitTransaction(id)
    assert (first, second, master._getError()) == (b"....", b"good", "")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"address": 4}, "Transaction data mismatch in TcpClient"),
        ({"size": 8}, "Transaction data mismatch in TcpClient"),
        ({"type": Verify}, "Transaction data mismatch in TcpClient"),
        ({"data": b"abc"}, "Received transaction response did not match header size"),
        ({"data": b"", "text": "failed"}, "Received transaction response did not match header size"),
        ({"text": "failed"}, "failed"),
    ],
)
def test_answers_are_checked(
    client_of: Callable[[int], TcpClient], peer: Peer, change: dict[str, Any], error: str
) -> None:
    master = bus(client_of(peer.bind()))
    id = master._reqTransaction(0, bytearray(4), 4, 0, Read)
    request = decode_request(peer.receive())
    peer.send([b"not", b"an answer"])
    peer.send(request._replace(id=request.id + 1, data=b"wild", text=OK))
    peer.send(request._replace(**{"data": b"abcd", "text": OK} | change))
    master._waitTransaction(id)
    assert master._getError() == error


def test_a_post_ends_when_it_is_sent(client_of: Callable[[int], TcpClient], peer: Peer) -> None:
    client = client_of(peer.bind())
    assert access(client, Post, 8, bytearray(b"post")) == ""
    request = decode_request(peer.receive())
    assert (request.address, request.type, request.data) == (8, Post, b"post")
    peer.send(request._replace(text=OK))  # ignored
    master = bus(client)
    id = master._reqTransaction(0, bytearray(4), 4, 0, Read)
    peer.send(decode_request(peer.receive())._replace(data=b"abcd", text=OK))
    master._waitTransaction(id)
    assert master._getError() == ""


def test_requests_wait_for_the_connection(
    client_of: Callable[[int], TcpClient], serve: Callable[..., TcpServer]
) -> None:
    server = serve(Emulate())
    server._stop()
    master = bus(client_of(server.port))
    master._reqTransaction(0, bytearray(b"1234"), 4, 0, Write)
    master._reqTransaction(0, bytearray(b"AB"), 2, 0, Post)
    data = bytearray(4)
    master._reqTransaction(0, data, 4, 0, Read)
    server._start()
    master._waitTransaction(0)
    assert (master._getError(), data) == ("", b"AB34")


@pytest.mark.parametrize("type", [Read, Write, Post])
def test_without_a_server_accesses_time_out(
    client_of: Callable[[int], TcpClient], serve: Callable[..., TcpServer], type: int
) -> None:
    server = serve(Emulate())
    server._stop()
    client = client_of(server.port)
    assert "Timeout" in access(client, type, 0, bytearray(b"lost"), timeout_s=0.05)
    server._start()
    data = bytearray(4)
    assert access(client, Read, 0, data) == ""
    assert data == bytes(4)  # what had timed out was not sent any more


def test_the_client_comes_back_when_the_server_does(
    client_of: Callable[[int], TcpClient], serve: Callable[..., TcpServer]
) -> None:
    server = serve(Emulate())
    client = client_of(server.port)
    for value in (b"one ", b"two "):
        assert client.waitReady(20.0, 0.01)
        assert access(client, Write, 0, bytearray(value)) == ""
        server._stop()
        assert not client.waitReady(0.03, 0.01)
        server._start()
    data = bytearray(4)
    assert client.waitReady(20.0, 0.01)
    assert access(client, Read, 0, data) == ""
    assert data == b"two "


def test_start_can_wait_for_the_server(
    monkeypatch: pytest.MonkeyPatch, serve: Callable[..., TcpServer]
) -> None:
    server = serve(Emulate())
    client = TcpClient(HOST, server.port, waitReady=True)
    client._start()
    client._stop()
    server._stop()
    monkeypatch.setattr(client, "waitReady", lambda: TcpClient.waitReady(client, 0.02, 0.01))
    with pytest.raises(
        BusTimeout, match=f"Timed out waiting for remote TcpServer readiness on {HOST}:{server.port}"
    ):
        client._start()
    client._stop()


def test_stop_ends_what_is_under_way(client_of: Callable[[int], TcpClient], peer: Peer) -> None:
    client = client_of(peer.bind())
    master = bus(client, 60)
    sent = master._reqTransaction(0, bytearray(4), 4, 0, Read)
    peer.receive()
    client._stop()
    master._waitTransaction(sent)
    assert "is stopped" in master._getError()
    assert "is stopped" in access(client, Read, 0, bytearray(4), 60)
    assert client._slaveName not in {thread.name for thread in threading.enumerate()}


def test_stop_ends_what_waits_for_a_connection(serve: Callable[..., TcpServer]) -> None:
    server = serve(Emulate())
    server._stop()
    client = TcpClient(HOST, server.port)
    master = bus(client, 60)
    ids = [master._reqTransaction(0, bytearray(4), 4, 0, type) for type in (Read, Post)]
    client.close()
    for id in ids:
        master._clearError()
        master._waitTransaction(id)
    assert not master._busRequests


# ---------------------------------------------------------------- the server alone


def test_bad_requests_are_dropped_and_the_next_one_served(
    serve: Callable[..., TcpServer], peer: Peer
) -> None:
    peer.connect(serve(Emulate()).port)
    peer.send([b"nonsense"])
    peer.send(Message(1, 0, 4, 9))
    peer.send(Message(2, 0, 4, Write, b"too long"))
    peer.send(Message(3, 0, 4, Read))
    assert decode_reply(peer.receive()) == Message(3, 0, 4, Read, bytes(4), OK)


def test_an_enormous_access_is_refused(serve: Callable[..., TcpServer], peer: Peer) -> None:
    peer.connect(serve(Emulate()).port)
    peer.send(Message(1, 0, 0xFFFFFFFF, Read))
    reply = decode_reply(peer.receive())
    assert reply.data == b""
    assert reply.text.startswith("Access of 4294967295 bytes is above")


def test_without_a_slave_the_server_answers_probes_and_refuses_the_rest(peer: Peer) -> None:
    server = TcpServer(HOST, 0)
    before = set(threading.enumerate())
    server._start()
    peer.connect(server.port)
    peer.send(Message(1, 0, 0, PROBE))
    assert decode_reply(peer.receive()).text == OK
    peer.send(Message(2, 0, 4, Read))
    reply = decode_reply(peer.receive())
    assert (reply.data, reply.text) == (bytes(4), "Unsupported transaction using unconnected memory bus")
    server.close()
    assert set(threading.enumerate()) <= before


def test_the_server_stops_although_its_slave_does_not_answer(
    threaded: Callable[..., Any], serve: Callable[..., TcpServer], peer: Peer
) -> None:
    slave = threaded(free=False)
    server = serve(slave)
    server._setTimeout(60e6)
    peer.connect(server.port)
    peer.send(Message(1, 0, 4, Read))
    assert slave.arrived.acquire(timeout=20)
    server._stop()
    assert f"TcpServer {HOST}:{server.port}" not in {thread.name for thread in threading.enumerate()}


def test_a_taken_port_is_an_error(serve: Callable[..., TcpServer]) -> None:
    port = serve(Emulate()).port
    for taken in (port, port - 1):  # the second one's upper port; its lower may be another program's
        other = TcpServer(HOST, taken)
        with pytest.raises(BusError, match=rf"Failed to bind to {HOST}:({port}|{port - 1})\b"):
            other._start()
        other._stop()


def test_nothing_runs_before_the_start() -> None:
    before = set(threading.enumerate())
    server, client = TcpServer(HOST, 0), TcpClient(HOST, 9)
    assert set(threading.enumerate()) <= before
    server._stop()
    client._stop()
    assert "is stopped" in access(client, Read, 0, bytearray(4))
