"""The stream TCP bridge: Rogue's messages, its own, and ends that are not there."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from sapwood.errors import ProtocolError, StreamError
from sapwood.streams import Frame, FrameBatch, Gap, Master, Slave
from sapwood.streams.framequeue import Flow
from sapwood.streams.prbs import Prbs
from sapwood.streams.transports import TcpClient, TcpServer
from sapwood.streams.transports.bridgemessage import (
    Greeting,
    decode,
    encode_batch,
    encode_frame,
    encode_gap,
)
from sapwood.streams.transports.bridgepeers import BridgePeers

WAIT_S = 20.0
HOST = "127.0.0.1"


class Sink(Slave):
    """Keeps what it gets, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.batches: list[FrameBatch] = []
        self.gaps: list[Gap] = []
        self.changed = threading.Condition()

    def _acceptFrame(self, frame: Frame) -> None:
        with self.changed:
            self.frames.append(frame)
            self.changed.notify_all()

    def _acceptBatch(self, batch: FrameBatch) -> None:
        with self.changed:
            self.batches.append(batch)
            self.frames.extend(batch.frames())
            self.changed.notify_all()

    def _acceptGap(self, gap: Gap) -> None:
        with self.changed:
            self.gaps.append(gap)
            self.changed.notify_all()

    def wait(self, test: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(test, WAIT_S), (len(self.frames), self.gaps)

    def wait_frames(self, count: int) -> None:
        self.wait(lambda: len(self.frames) >= count)

    @property
    def payloads(self) -> list[bytes]:
        return [bytes(frame) for frame in self.frames]


class Rogue:
    """The far end of a Rogue client, or with `binds` of a server, as bare sockets."""

    def __init__(self, port: int, *, binds: bool = False) -> None:
        self.port = port
        self.context = zmq.Context()
        self.push, self.pull = self.context.socket(zmq.PUSH), self.context.socket(zmq.PULL)
        self.pull.rcvtimeo = int(WAIT_S * 1000)
        self.push.linger = 0
        self.set_up()
        lower, upper = (self.pull, self.push) if binds else (self.push, self.pull)
        try:
            for one, at in ((lower, port), (upper, port + 1)):
                (one.bind if binds else one.connect)(f"tcp://{HOST}:{at}")
        except zmq.ZMQError:
            self.close()
            raise

    def set_up(self) -> None:
        """Set more options of the sockets."""

    def receive(self) -> list[bytes]:
        """Return the next message of four parts; Rogue drops what has another number of them."""
        while len(parts := self.pull.recv_multipart()) != 4:
            assert all(parts)
        return parts

    def close(self) -> None:
        self.push.close()
        self.pull.close()
        self.context.term()


@pytest.fixture
def opened() -> Iterator[Callable[[Any], Any]]:
    """Register something to be stopped or closed at the end."""
    with ExitStack() as stack:

        def register(end: Any) -> Any:
            stack.callback(end.abort if hasattr(end, "abort") else end.close)
            return end

        yield register


@pytest.fixture
def ends(opened, free_ports) -> tuple[TcpServer, TcpClient, Sink, Sink, Master, Master]:
    server = opened(TcpServer(HOST, free_ports(2)))
    client = opened(TcpClient(HOST, server.port))
    at_server, at_client, to_server, to_client = Sink(), Sink(), Master(), Master()
    server >> at_server
    client >> at_client
    to_server >> client
    to_client >> server
    return server, client, at_server, at_client, to_server, to_client


def until(test: Callable[[], bool]) -> None:
    """Wait for something that nothing announces."""
    tick, end = threading.Event(), time.monotonic() + WAIT_S
    while not test():
        assert time.monotonic() < end
        tick.wait(0.002)


def agree(*bridges: TcpServer | TcpClient) -> None:
    until(lambda: all(bridge.agreed for bridge in bridges))


def settled(bridge: TcpServer | TcpClient) -> Flow:
    """Return the flow once everything is sent."""
    assert bridge._drain(time.monotonic() + WAIT_S)
    return bridge.flow()


# Messages


@pytest.fixture(scope="module")
def captured(golden_rogue: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((golden_rogue / "tcp_stream_bridge.json").read_text())["frames"]
    return found


def test_messages_captured_from_rogue_decode_and_encode_alike(captured) -> None:
    assert len(captured) == 3
    for one in captured:
        parts = [bytes.fromhex(part) for part in one["message_parts"]]
        frame = decode(parts)
        assert isinstance(frame, Frame)
        assert (frame.channel, frame.error, frame.flags) == (one["channel"], one["error"], one["flags"])
        assert bytes(frame).hex() == one["payload"]
        assert [bytes(part) for part in encode_frame(frame)] == parts


def test_captured_messages_through_sockets_in_both_roles(captured, opened, free_ports) -> None:
    parts = [[bytes.fromhex(part) for part in one["message_parts"]] for one in captured]
    server = opened(TcpServer(HOST, 0))
    rogue_server = opened(Rogue(free_ports(2), binds=True))
    for bridge, rogue in (
        (server, opened(Rogue(server.port))),
        (opened(TcpClient(HOST, rogue_server.port)), rogue_server),
    ):
        sink, master = Sink(), Master()
        bridge >> sink
        master >> bridge
        for message in parts:
            rogue.push.send_multipart(message)
        sink.wait_frames(3)
        for frame in sink.frames:
            master._sendFrame(frame)
        assert [rogue.receive() for _ in range(3)] == parts


FRAMES = st.lists(
    st.builds(
        Frame,
        st.binary(max_size=40),
        channel=st.integers(0, 255),
        flags=st.integers(0, 0xFFFF),
        error=st.integers(0, 255),
    ),
    min_size=1,
    max_size=20,
)


def facts(frame: Frame) -> tuple[bytes, int, int, int]:
    return bytes(frame), frame.channel, frame.flags, frame.error


@given(FRAMES, st.integers(0, 2**63 - 1), st.data())
def test_batch_messages_hold_every_column(frames, moment, data) -> None:
    batch = FrameBatch.gather(frames).replace(time=moment)
    keep = data.draw(st.lists(st.integers(0, len(frames) - 1), min_size=1))
    for one, expected in ((batch, frames), (batch[keep], [frames[index] for index in keep])):
        parts = [bytes(part) for part in encode_batch(one)]
        assert len(parts) in (1, 2)
        assert all(parts)
        found = decode(parts)
        assert isinstance(found, FrameBatch)
        assert [facts(frame) for frame in found.frames()] == [facts(frame) for frame in expected]
        assert (found.time == moment).all()


def test_a_batch_of_equal_frames_costs_few_bytes() -> None:
    head, payload = encode_batch(FrameBatch.from_rows(np.zeros((10_000, 100), np.uint8)))
    assert len(head) < 64
    assert len(payload) == 1_000_000


@given(st.sampled_from([None, 0, 255]), st.integers(0, 2**40), st.text(max_size=20))
def test_gap_messages(channel, frames, reason) -> None:
    gap = Gap(channel, frames, 2 * frames, reason, 5)
    assert decode(encode_gap(gap)) == gap


@given(st.lists(st.binary(max_size=60), max_size=6), st.sampled_from([b"", b"B", b"G", b"H"]))
def test_garbage_is_refused_or_decoded(parts, kind) -> None:
    for message in (parts, [b"Sapwood1" + kind + b"".join(parts[:1]), *parts[1:2]]):
        with contextlib.suppress(ProtocolError):
            assert isinstance(decode(message), (Frame, FrameBatch, Gap, Greeting))


def test_a_head_that_claims_more_frames_than_it_brings_is_refused() -> None:
    huge = b"Sapwood1B" + (0xFFFFFFFF).to_bytes(4, "little") + b"\x1f" + bytes(16)
    with pytest.raises(ProtocolError, match=r"1\.\.65536 frames"):
        decode([huge])


def test_an_empty_frame_is_no_message_of_four_parts() -> None:
    with pytest.raises(StreamError, match="empty frame"):
        encode_frame(Frame())


# Greetings


def test_ends_agree_when_all_that_are_connected_answered() -> None:
    ours, theirs = BridgePeers(), BridgePeers()
    assert ours.greetings() == []
    ours.changed(+1)
    theirs.changed(+1)
    (ask,) = ours.greetings()
    assert theirs.take(ask)
    answer, _ = theirs.greetings()
    assert not ours.agreed
    assert not ours.take(answer)
    assert ours.agreed
    ours.changed(+1)
    assert not ours.agreed
    ours.take(answer)  # to a token that is out of date
    assert not ours.agreed
    assert len(ours.greetings()) == 2


def test_a_flood_of_greetings_is_not_kept() -> None:
    peers = BridgePeers()
    for number in range(1000):
        peers.take(Greeting(bytes(8), number.to_bytes(8, "big"), bytes(8)))
    peers.changed(+1)
    assert len(peers.greetings()) < 20


# Two Sapwood ends


def test_frames_both_ways_with_empty_ones_among_them(ends) -> None:
    _, _, at_server, at_client, to_server, to_client = ends
    payloads = [b"one", b"", b"two", b"", b"", b"three"]
    for master, sink in ((to_server, at_server), (to_client, at_client)):
        sent = [Frame(data, channel=n, flags=n * 1000, error=n) for n, data in enumerate(payloads)]
        for frame in sent:
            master._sendFrame(frame)
        sink.wait_frames(len(sent))
        assert [facts(frame) for frame in sink.frames] == [facts(frame) for frame in sent]


def test_batches_arrive_as_batches_once_agreed(ends) -> None:
    server, client, at_server, _, to_server, _ = ends
    to_server._sendFrame(Frame(b"first"))
    at_server.wait_frames(1)
    agree(server, client)
    rows = np.arange(40_000, dtype=np.uint8).reshape(-1, 100)
    to_server._sendBatch(FrameBatch.from_rows(rows, channel=3, flags=7, time=99))
    at_server.wait_frames(401)
    (batch,) = at_server.batches
    assert bytes(batch.payload) == rows.tobytes()
    assert set(batch.time) == {99}
    assert set(batch.channel) == {3}
    assert settled(client) == (401, 401, 0, 0)
    assert server.received.frames == 401


def test_large_batches_are_cut_and_keep_their_order(ends) -> None:
    _, client, at_server, _, to_server, _ = ends
    rows = np.arange(150_000, dtype="<u4").reshape(-1, 1)
    to_server._sendBatch(FrameBatch.from_rows(rows[:1000]))
    at_server.wait_frames(1000)
    agree(client)
    to_server._sendBatch(FrameBatch.from_rows(rows[1000:]))
    at_server.wait_frames(len(rows))
    assert b"".join(at_server.payloads) == rows.tobytes()


def test_gaps_go_through(ends) -> None:
    _, client, at_server, _, to_server, _ = ends
    to_server._sendFrame(Frame(b"first"))
    agree(client)
    gap = Gap(4, 10, 1000, "full", 123)
    to_server._sendGap(gap)
    at_server.wait(lambda: bool(at_server.gaps))
    assert at_server.gaps == [gap]


def test_prbs_is_received_whole(ends) -> None:
    _, client, _, _, _, _ = ends
    server, rx, tx = ends[0], Prbs(), Prbs()
    server >> rx
    tx >> client
    for size in (100, 10_000, 300_000):
        tx.genFrame(size)
    tx.genFrames(50, 10_000)
    until(lambda: rx.getRxCount() == 53)
    assert rx.getRxErrors() == 0


def test_a_frame_changed_after_it_was_sent_leaves_as_it_was(opened) -> None:
    server, master, sink = opened(TcpServer(HOST, 0)), Master(), Sink()
    master >> server
    frame = master._reqFrame(4, True)
    frame.write(b"abcd")
    master._sendFrame(frame)
    frame.write(b"xxxx")
    client = opened(TcpClient(HOST, server.port))
    client >> sink
    sink.wait_frames(1)
    assert sink.payloads == [b"abcd"]


# A Rogue end


def test_empty_frames_do_not_reach_a_rogue_end(opened) -> None:
    server = opened(TcpServer(HOST, 0))
    rogue, master = opened(Rogue(server.port)), Master()
    master >> server
    for payload in (b"one", b"", b"two", b"three"):
        master._sendFrame(Frame(payload))
    assert [rogue.receive()[3] for _ in range(3)] == [b"one", b"two", b"three"]
    assert server.counters.dropped == {"empty": 1}
    assert settled(server) == (4, 3, 0, 1)


def test_batches_reach_a_rogue_end_as_single_messages(opened) -> None:
    server = opened(TcpServer(HOST, 0))
    rogue, master = opened(Rogue(server.port)), Master()
    master >> server
    frames = [Frame(bytes([n]) * n, channel=n, flags=n << 8, error=n) for n in range(1, 100)]
    master._sendBatch(FrameBatch.gather(frames))
    for n in range(1, 100):
        assert rogue.receive() == [bytes([0, n]), bytes([n]), bytes([n]), bytes([n]) * n]


def test_an_empty_part_from_a_rogue_end_is_an_empty_frame(opened) -> None:
    server, sink = opened(TcpServer(HOST, 0)), Sink()
    server >> sink
    rogue = opened(Rogue(server.port))
    for payload in (b"one", b"", b"two"):
        rogue.push.send_multipart([b"\0\0", b"\0", b"\0", payload])
    sink.wait_frames(3)
    assert sink.payloads == [b"one", b"", b"two"]


def test_malformed_messages_are_counted_and_the_next_is_taken(opened) -> None:
    server, sink = opened(TcpServer(HOST, 0)), Sink()
    server >> sink
    rogue = opened(Rogue(server.port))
    for message in ([b"\0", b"\0", b"\0", b"x"], [b"x"], [b"x"] * 3, [b"Sapwood1B"], [b"x"] * 5):
        rogue.push.send_multipart(message)
    rogue.push.send_multipart([b"\0\0", b"\0", b"\0", b"good"])
    sink.wait_frames(1)
    assert sink.payloads == [b"good"]
    assert server.received.dropped == {"malformed": 5}


def test_a_rogue_client_that_joins_ends_batches_before_its_first_message(opened, ends) -> None:
    server, client, _, at_client, _, to_client = ends
    to_client._sendFrame(Frame(b"first"))
    agree(server, client)
    rogue = opened(Rogue(server.port))
    until(lambda: server.connected == 2)
    to_client._sendBatch(FrameBatch.from_rows(np.ones((50, 10), np.uint8)))
    until(lambda: server.flow().passed == 51)
    assert not server.agreed
    rogue.pull.rcvtimeo = 200
    got = 0
    try:
        while rogue.receive():
            got += 1
    except zmq.Again:
        pass
    at_client.wait_frames(51 - got)
    assert 0 < got < 51


# Ends that are not there


def test_a_taken_port_is_told(opened) -> None:
    server = opened(TcpServer(HOST, 0))
    with pytest.raises(
        StreamError, match=f"Failed to bind server to port {server.port} at address {HOST}, another"
    ):
        TcpServer(HOST, server.port)


@pytest.mark.parametrize(
    ("policy", "kept"), [("drop_new", [b"0", b"1", b"2"]), ("drop_old", [b"7", b"8", b"9"])]
)
def test_frames_are_dropped_at_the_bound_while_nobody_is_there(opened, policy, kept) -> None:
    server, master, sink = opened(TcpServer(HOST, 0, maxDepth=3, policy=policy)), Master(), Sink()
    master >> server
    for number in range(10):
        master._sendFrame(Frame(b"%d" % number))
    assert server.size() == 3
    assert server.counters.dropped == {"full": 7}
    client = opened(TcpClient(HOST, server.port))
    client >> sink
    sink.wait_frames(3)
    assert sink.payloads == kept
    assert settled(server) == (10, 3, 0, 7)


def test_a_sender_waits_for_room_until_somebody_comes(opened) -> None:
    server, master, sink = opened(TcpServer(HOST, 0, maxDepth=2)), Master(), Sink()
    master >> server

    def send() -> None:
        for number in range(5):
            master._sendFrame(Frame(b"%d" % number))

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    until(lambda: server.counters.blocked > 0)
    assert server.size() == 2
    client = opened(TcpClient(HOST, server.port))
    client >> sink
    sink.wait_frames(5)
    sender.join(WAIT_S)
    assert not sender.is_alive()
    assert sink.payloads == [b"0", b"1", b"2", b"3", b"4"]


def test_a_stop_lets_a_waiting_sender_go_and_counts_its_frames(opened) -> None:
    server, master = opened(TcpServer(HOST, 0, maxDepth=2)), Master()
    master >> server
    sender = threading.Thread(target=lambda: [master._sendFrame(Frame(b"x")) for _ in range(5)], daemon=True)
    sender.start()
    until(lambda: server.counters.blocked > 0)
    server._stop()
    sender.join(WAIT_S)
    assert not sender.is_alive()
    assert server.counters.dropped == {"stopped": 5}
    assert server.flow() == (5, 0, 0, 5)


def test_a_server_that_comes_back_is_found_again(opened, ends) -> None:
    server, client, at_server, _, to_server, _ = ends
    to_server._sendFrame(Frame(b"before"))
    at_server.wait_frames(1)
    agree(server, client)
    server._stop()
    until(lambda: not client.connected)
    to_server._sendFrame(Frame(b"meanwhile"))
    to_server._sendFrame(Frame())
    server._start()
    at_server.wait_frames(3)
    assert at_server.payloads == [b"before", b"meanwhile", b""]
    agree(client)


def test_a_rogue_server_that_replaces_a_sapwood_one_gets_no_batches(opened, free_ports) -> None:
    server = opened(TcpServer(HOST, free_ports(2)))
    client, master, sink = opened(TcpClient(HOST, server.port)), Master(), Sink()
    master >> client
    server >> sink
    master._sendFrame(Frame(b"first"))
    sink.wait_frames(1)
    agree(client)
    port = server.port
    server.abort()
    until(lambda: not client.connected)
    rogue = opened(Rogue(port, binds=True))
    master._sendBatch(FrameBatch.from_rows(np.ones((20, 10), np.uint8)))
    assert [rogue.receive()[3] for _ in range(20)] == [b"\1" * 10] * 20


# Life


def test_what_is_sent_before_a_stop_arrives(ends) -> None:
    _, client, at_server, _, to_server, _ = ends
    to_server._sendFrame(Frame(b"first"))
    at_server.wait_frames(1)
    for _ in range(500):
        to_server._sendFrame(Frame(bytes(10_000)))
    client._stop()
    at_server.wait_frames(501)
    to_server._sendFrame(Frame(b"late"))
    assert client.counters.dropped == {"stopped": 1}


def test_threads_come_with_the_first_link_and_go_with_the_stop(free_ports) -> None:
    def names(end: TcpServer | TcpClient) -> list[str]:
        return [
            t.name
            for t in threading.enumerate()
            if t.name.endswith((f"{end.port}-send", f"{end.port}-receive"))
        ]

    server = TcpServer(HOST, 0)
    assert names(server) == []
    server >> Sink()
    assert len(names(server)) == 2
    server._stop()
    server._stop()
    assert names(server) == []
    idle = TcpServer(HOST, free_ports(2))
    idle.close()
    TcpServer(HOST, idle.port).close()


def test_a_sink_that_fails_is_counted_and_the_next_frame_comes(ends) -> None:
    server, _, at_server, _, to_server, _ = ends

    class Faulted(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            raise OSError("disk full")

    server >> Faulted()
    for payload in (b"one", b"two"):
        to_server._sendFrame(Frame(payload))
    at_server.wait_frames(2)
    until(lambda: server.received.errors > 0)
    assert "disk full" in str(server.lastError)


def test_a_sink_may_stop_its_bridge(opened) -> None:
    server, stopped = opened(TcpServer(HOST, 0)), threading.Event()

    class Last(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            server._stop()
            stopped.set()

    server >> Last()
    client, master = opened(TcpClient(HOST, server.port)), Master()
    master >> client
    master._sendFrame(Frame(b"x"))
    assert stopped.wait(WAIT_S)
    until(lambda: not any(t.name == f"TcpCore-Server-{server.port}-receive" for t in threading.enumerate()))


# Far ends that do not read


class Deaf(Rogue):
    """A Rogue client that is connected and never reads."""

    def set_up(self) -> None:
        self.pull.linger = 0
        self.pull.rcvhwm = 1
        self.pull.setsockopt(zmq.RCVBUF, 4096)


def flooded(opened: Callable[[Any], Any], port: int) -> TcpServer:
    """Return a server with a far end that never reads, and more frames than the sockets take."""
    server, master = opened(TcpServer(HOST, port, policy="drop_new")), Master()
    opened(Deaf(server.port))
    master >> server
    master._sendFrame(Frame(b"first"))
    until(lambda: server.connected == 1)
    for _ in range(30):
        master._sendBatch(FrameBatch.from_rows(np.zeros((100, 10_000), np.uint8)))
    seen = -1
    while seen != (seen := server.flow().passed):
        threading.Event().wait(0.1)
    assert server.size() > 0
    return server


@pytest.mark.parametrize(
    ("end", "most", "reason"),
    [
        (lambda server: server._stop(), 1.0, "stopped"),
        (lambda server: server._stop(time.monotonic() + 0.1), 0.1, "stopped"),
        (lambda server: server._stop(time.monotonic() + 60), 2.0, "stopped"),
        (lambda server: server.abort(), 0.0, "aborted"),
    ],
    ids=["default", "deadline", "far deadline", "abort"],
)
def test_a_far_end_that_never_reads_does_not_hold_up_the_end(opened, free_ports, end, most, reason) -> None:
    server = flooded(opened, free_ports(2))
    port, begin = server.port, time.monotonic()
    end(server)
    assert time.monotonic() - begin < most + 20, "it must not hang; the rest is for a busy machine"
    assert server.flow().queued == 0
    assert server.counters.dropped[reason] > 0
    accepted, passed, _, dropped = server.flow()
    assert accepted == passed + dropped == 3001
    TcpServer(HOST, port).close()


def test_a_stop_goes_on_while_the_far_end_reads(opened) -> None:
    """A slow receiver gets everything, if the owner gives it the time."""
    server, master, got = opened(TcpServer(HOST, 0)), Master(), []

    class Slow(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            got.append(frame.size)
            time.sleep(0.0005)

    client = opened(TcpClient(HOST, server.port))
    client >> Slow()
    master >> server
    for _ in range(400):
        master._sendFrame(Frame(bytes(50_000)))
    until(lambda: server.connected == 1)  # a stop does not wait for an end that is not there yet
    server._stop(time.monotonic() + WAIT_S)
    until(lambda: len(got) == 400)
    assert server.counters.dropped == {}


def test_a_sink_that_does_not_return_costs_a_stop_a_second_at_most(opened) -> None:
    server, release, entered = opened(TcpServer(HOST, 0)), threading.Event(), threading.Event()

    class Held(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            entered.set()
            assert release.wait(WAIT_S)

    server >> Held()
    client, master = opened(TcpClient(HOST, server.port)), Master()
    master >> client
    master._sendFrame(Frame(b"x"))
    assert entered.wait(WAIT_S)
    begin = time.monotonic()
    server.abort()
    assert time.monotonic() - begin < 20, "it must not hang"
    release.set()


def test_reconnects_are_counted(ends) -> None:
    server, client, at_server, _, to_server, _ = ends
    to_server._sendFrame(Frame(b"before"))
    at_server.wait_frames(1)
    assert client.reconnects == 0
    for count in (1, 2):
        server._stop()
        until(lambda: not client.connected)
        server._start()
        until(lambda count=count: client.reconnects == count)
        assert client.connected == 1
