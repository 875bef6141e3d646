from __future__ import annotations

import logging
import struct
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sapwood.fileio
from sapwood.errors import BusError, BusTimeout, LinkError, ProtocolError
from sapwood.memory import (
    Emulate,
    Hub,
    Master,
    Post,
    Read,
    Slave,
    SrpV0,
    SrpV0Server,
    SrpV3,
    SrpV3Emulation,
    SrpV3Server,
    Transaction,
    Verify,
    Write,
    startTransactions,
)
from sapwood.memory.master import issue
from sapwood.memory.srp import SrpClient
from sapwood.memory.srpserver import SrpServer
from sapwood.streams import Fifo, Frame, FrameBatch, Gap, streamConnectBiDir
from sapwood.streams import Master as StreamMaster
from sapwood.streams import Slave as StreamSlave
from sapwood.streams.gap import BROKEN
from sapwood.streams.protocols import srp, srpv0, srpv3
from sapwood.streams.transports import udp

TYPES = {"read": Read, "write": Write, "post": Post, "verify": Verify}
OPEN_S = 20.0


class Far(StreamMaster, StreamSlave):
    """The far end of a stream: keeps what comes, says what it is told to, in the caller's stack."""

    def __init__(self, *answers: bytes) -> None:
        StreamMaster.__init__(self)
        StreamSlave.__init__(self)
        self.requests: list[bytes] = []
        self.answers = list(answers)

    def _acceptFrame(self, frame: Frame) -> None:
        self.requests.append(bytes(frame.buffer))
        if self.answers:
            self._sendFrame(Frame(self.answers.pop(0)))


class Switch(StreamMaster, StreamSlave):
    """Passes frames on, loses them, or fails."""

    def __init__(self) -> None:
        StreamMaster.__init__(self)
        StreamSlave.__init__(self)
        self.lose: Callable[[Frame], bool] = lambda frame: False
        self.fail = ""

    def _acceptFrame(self, frame: Frame) -> None:
        if self.fail:
            raise OSError(self.fail)
        if not self.lose(frame):
            self._sendFrame(frame)


class Kept(StreamSlave):
    def __init__(self) -> None:
        super().__init__()
        self.items: list[bytes | list[bytes]] = []
        self.threads: list[str] = []
        self.arrived = threading.Semaphore(0)

    def _note(self, item: bytes | list[bytes]) -> None:
        self.items.append(item)
        self.threads.append(threading.current_thread().name)
        self.arrived.release()

    def _acceptFrame(self, frame: Frame) -> None:
        self._note(bytes(frame.buffer))

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self._note([bytes(frame.buffer) for frame in batch.frames()])


def access(
    slave: Slave, type: int, address: int, data: bytes | bytearray, seconds: float = OPEN_S
) -> Transaction:
    """Hand one access to `slave` as a master does."""
    one = Transaction(address, memoryview(bytearray(data)), type, seconds)
    issue(slave, one)
    return one


def failure(one: Transaction) -> str:
    assert not one.wait()
    return one.errorText


def request3(opcode: int, id: int, address: int, size: int, data: bytes = b"") -> bytes:
    return srpv3.encode_request(srpv3.head(opcode, id, address, size, srpv3.DEFAULT_TIMEOUT), size, data)


@pytest.fixture
def stopped() -> Iterator[Callable[[Any], Any]]:
    """Have something stopped at the end."""
    made: list[Any] = []

    def note(one: Any) -> Any:
        made.append(one)
        return one

    yield note
    for one in made:
        one._stop()


@pytest.fixture(params=["V3", "V0"])
def pair(request: Any, stopped: Callable[[Any], Any]) -> tuple[SrpClient, SrpServer]:
    """A client and a server over zeroed memory, joined."""
    client, server = (
        (SrpV3(), SrpV3Server(Emulate())) if request.param == "V3" else (SrpV0(), SrpV0Server(Emulate()))
    )
    streamConnectBiDir(client, server)
    return client, stopped(server)


# ------------------------------------------------------------ both ends


def test_every_kind_of_access_reaches_the_memory(pair: tuple[SrpClient, SrpServer]) -> None:
    master = Master()
    master >> pair[0]
    data = bytearray(b"12345678")
    for type, address, length in (
        (Write, 0x1000, 8), (Post, 0x2000, 4), (Write, 0xFFFFFFF8, 8), (Verify, 0x1000, 8)
    ):  # fmt: skip
        master._waitTransaction(master._reqTransaction(address, data, length, 0, type))
        assert master._getError() == ""
    for address, wanted in ((0x1000, data), (0x2000, b"1234\0\0\0\0"), (0xFFFFFFF8, data), (0, bytes(8))):
        got = bytearray(b"\xee" * 8)
        master._waitTransaction(master._reqTransaction(address, got, 8, 0, Read))
        assert (master._getError(), got) == ("", wanted)


def test_large_accesses_of_a_hub_are_split(pair: tuple[SrpClient, SrpServer]) -> None:
    hub, data = Hub(0x100), bytes(range(256)) * 40
    hub >> pair[0]
    assert access(hub, Write, 0x20, data).wait()
    got = access(hub, Read, 0x20, bytes(len(data)))
    assert got.wait()
    assert bytes(got.data) == data
    assert access(pair[0], Read, 0x120, bytes(4)).wait()


def test_many_accesses_are_under_way_at_once_from_many_threads(pair: tuple[SrpClient, SrpServer]) -> None:
    client, wrong = pair[0], []

    def work(place: int) -> None:
        mine = [access(client, Write, place + 4 * n, (place + n).to_bytes(4, "little")) for n in range(200)]
        mine += [access(client, Read, place + 4 * n, bytes(4)) for n in range(200)]
        done = [one.wait() for one in mine]
        values = [int.from_bytes(one.data, "little") for one in mine[200:]]
        if not all(done) or values != [place + n for n in range(200)]:
            wrong.append(place)

    threads = [threading.Thread(target=work, args=(0x1000 * n,)) for n in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(OPEN_S)
    assert wrong == []
    assert client.counters.frames == 8 * 400
    assert client.counters.dropped_total == 0


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 30), st.binary(min_size=1, max_size=16)), max_size=20)
)
def test_it_behaves_as_the_memory_behind_it(steps: list[tuple[bool, int, bytes]]) -> None:
    client, server, model = SrpV3(), SrpV3Emulation(), bytearray(512)
    streamConnectBiDir(client, server)
    for write, word, raw in steps:
        data, at = raw * 4, 4 * word
        if write:
            assert access(client, Write, at, data).wait()
            model[at : at + len(data)] = data
        else:
            got = access(client, Read, at, bytes(len(data)))
            assert got.wait()
            assert got.data == model[at : at + len(data)]
    server._stop()


def test_blocks_work_over_a_stream(
    spec: Callable[..., Any], build: Callable[..., Any], stopped: Callable[[Any], Any]
) -> None:
    client, server = SrpV3(), stopped(SrpV3Emulation())
    client == server  # noqa: B015  # joins the two ends
    blocks = build(client, *[spec(f"R{n}", 4 * n) for n in range(8)], at=0x40)
    for number, block in enumerate(blocks):
        block.write(block.fields[0], number + 1)
    for coalesce in (False, True):
        client.coalesce = coalesce
        for block in blocks:
            block.image[:] = bytes(4)
        before = client.counters.frames
        startTransactions(blocks, Read)
        for block in blocks:
            block.waitTransaction()
        assert [block.fields[0].get() for block in blocks] == list(range(1, 9))
        assert client.counters.frames - before == (1 if coalesce else 8)


def test_the_peers_exchange_is_repeated_byte_by_byte(
    golden_rogue: Path, rogue_manifest: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, client, server in (
        ("srpv3.dat", SrpV3(), SrpV3Emulation()),
        ("srpv0.dat", SrpV0(), SrpV0Server(Emulate())),
    ):
        with sapwood.fileio.open(golden_rogue / name) as reader:
            recorded = [(frame.channel, bytes(frame.buffer)) for frame in reader.read().frames()]
        wanted = {channel: [data for one, data in recorded if one == channel] for channel in (0, 1)}
        requests, responses = Kept(), Kept()
        client >> requests
        server >> responses
        streamConnectBiDir(client, server)
        first = int.from_bytes(recorded[0][1][4:8] if name == "srpv3.dat" else recorded[0][1][:4], "little")
        ids = iter(range(first, first + 100))
        monkeypatch.setattr("sapwood.memory.transaction._next_id", lambda ids=ids: next(ids))
        for one in rogue_manifest[name]["expect"]["transactions"]:
            result = bytes.fromhex(one["result_hex"])
            reads = one["op"] in ("read", "verify")
            made = access(client, TYPES[one["op"]], one["address"], bytes(len(result)) if reads else result)
            assert made.wait()
            assert made.data == result
        assert server._drain(time.monotonic() + OPEN_S)
        server._stop()
        assert requests.items == wanted[0]
        assert responses.items == wanted[1]


# ------------------------------------------------------------ client


ODD = {
    "address": (0x1002, 4, "Transaction address 0x1002 is not aligned to min size 4"),
    "part of a word": (0, 6, "Transaction size 0x6 is not aligned to min size 4"),
    "nothing": (0, 0, "Transaction size 0x0 is not aligned to min size 4"),
    "V3 size": (0, 4100, "Transaction size 0x1004 exceeds max request size 4096"),
    "V3 address": (1 << 64, 4, "is above 0xffffffffffffffff"),
    "negative": (-4, 4, "is above"),
    "V0 size": (0, 2052, "Transaction size 0x804 exceeds max request size 2048"),
    "V0 address": (1 << 32, 4, "Transaction address 0x100000000 is above 0xffffffff"),
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("type", [Read, Post])
def test_accesses_that_cannot_be_asked_for_are_rejected_without_a_request(case: str, type: int) -> None:
    client, far = SrpV0() if case.startswith("V0") else SrpV3(), Far()
    streamConnectBiDir(client, far)
    address, size, text = ODD[case]
    assert text in failure(access(client, type, address, bytes(size)))
    assert far.requests == []


def test_limits() -> None:
    assert (SrpV3()._doMinAccess(), SrpV3()._doMaxAccess()) == (4, 4096)
    assert (SrpV0()._doMinAccess(), SrpV0()._doMaxAccess()) == (4, 2048)


def test_posts_are_done_when_sent() -> None:
    client, far = SrpV3(), Far()
    streamConnectBiDir(client, far)
    one = access(client, Post, 0x10, b"abcd")
    assert one.ended
    assert not one.errorText
    assert far.requests == [request3(srp.POST, one.id(), 0x10, 4, b"abcd")]


def test_what_is_sent_does_not_change_with_the_callers_buffer() -> None:
    client, kept = SrpV3(), []
    sink = Kept()
    client >> sink
    sink._acceptFrame = kept.append  # type: ignore[method-assign]
    client._set_slaves(client._slaves)
    one = access(client, Write, 0, b"abcd")
    one.data[:] = b"XXXX"
    assert bytes(kept[0].buffer)[20:] == b"abcd"


def test_the_hardware_timeout_is_sent() -> None:
    client, far = SrpV3(), Far()
    streamConnectBiDir(client, far)
    client._setHardwareTimeout(0x55)
    access(client, Post, 0, bytes(4))
    assert far.requests[0][3] == 0x55
    with pytest.raises(ProtocolError):
        client._setHardwareTimeout(256)


def response(one: Transaction, status: int = 0, **changed: Any) -> bytes:
    """Return the V3 response to the read `one`, right but for what is `changed`."""
    fields = {"opcode": srp.READ, "id": one.id(), "address": one.address(), "size": one.size()} | changed
    data = fields.pop("data", b"abcd")
    head = srpv3.head(**fields, timeout=srpv3.DEFAULT_TIMEOUT)
    return srpv3.encode_request(head, 0, data) + status.to_bytes(4, "little")


ANSWERS = {
    "lockup": ({"status": 0x2000}, "FPGA register bus lockup detected in hardware. Power cycle required."),
    "timeout": ({"status": 0x100}, "FPGA register bus timeout detected in hardware"),
    "generic": ({"status": 0x3}, "Non zero status message returned on fpga register bus in hardware: 0x3"),
    "no data": ({"status": 0x100, "data": b""}, "FPGA register bus timeout detected in hardware"),
    "opcode": ({"opcode": srp.WRITE}, "Received SRPV3 message did not match expected protocol."),
    "address": ({"address": 0x44}, "Received SRPV3 message did not match expected protocol."),
    "size": ({"size": 8}, "Received SRPV3 message did not match expected protocol."),
    "long": ({"data": bytes(8)}, "Received SRPV3 message had a header size mismatch."),
    "short": ({"data": b""}, "Received SRPV3 message had a header size mismatch."),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_errors_of_responses(case: str) -> None:
    client, far = SrpV3(), Far()
    streamConnectBiDir(client, far)
    one = access(client, Read, 0x40, bytes(4))
    changed, text = ANSWERS[case]
    far._sendFrame(Frame(response(one, **changed)))
    assert failure(one).startswith(text)
    assert bytes(one.data) == bytes(4)


def test_responses_may_come_in_any_order_and_in_batches() -> None:
    client, far = SrpV3(), Far()
    streamConnectBiDir(client, far)
    made = [access(client, Read, 4 * n, bytes(4)) for n in range(50)]
    answers = [Frame(response(one, data=one.id().to_bytes(4, "little"))) for one in made]
    far._sendBatch(FrameBatch.gather(answers[:0:-1]))
    assert not made[0].ended
    far._sendFrame(answers[0])
    assert all(one.wait() for one in made)
    assert [int.from_bytes(one.data, "little") for one in made] == [one.id() for one in made]


def test_an_answer_in_the_stack_of_the_request_is_taken() -> None:
    client, far = SrpV3(), Far()
    streamConnectBiDir(client, far)
    probe = access(client, Read, 0, bytes(4))
    head = srpv3.head(srp.READ, probe.id() + 1, 0x40, 4, srpv3.DEFAULT_TIMEOUT)
    far.answers.append(srpv3.encode_request(head, 0, b"wxyz") + bytes(4))
    one = access(client, Read, 0x40, bytes(4))
    assert one.ended
    assert bytes(one.data) == b"wxyz"


def test_ids_beyond_32_bits_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    client, far = SrpV3(), Far()
    streamConnectBiDir(client, far)
    ids = iter(range((1 << 32) - 2, 1 << 33))
    monkeypatch.setattr("sapwood.memory.transaction._next_id", lambda: next(ids))
    made = [access(client, Read, 0, bytes(4)) for _ in range(4)]
    assert made[-1].id() > 1 << 32
    for one in made:
        far._sendFrame(Frame(response(one, id=one.id() & 0xFFFFFFFF)))
    assert all(one.wait() for one in made)


def test_responses_nobody_can_use_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    client, far = SrpV3(), Far()
    streamConnectBiDir(client, far)
    one, late = access(client, Read, 0x40, bytes(4)), access(client, Read, 0x40, bytes(4))
    late.expire()
    with caplog.at_level(logging.WARNING, "sapwood.memory.srp"):
        far._sendFrame(Frame(bytes(23)))
        far._sendFrame(Frame(response(one), error=0x80))
        far._sendFrame(Frame(response(one, id=0xFFFFFFF0)))
        far._sendFrame(Frame(response(late)))
        far._sendFrame(Frame(response(late)))
        client._acceptGap(Gap(0, 1, 28, "full", 0))
    assert client.counters.dropped == {"short": 1, "errored": 1, "unknown": 2, "late": 1}
    assert f"Transaction expired: Id={late.id()}" in caplog.text
    assert bytes(late.data) == bytes(4)
    assert not one.ended
    far._sendFrame(Frame(response(one)))
    assert one.wait()


def test_answers_to_posts_of_version_0_are_no_cause_for_a_warning(
    stopped: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    client, server = SrpV0(), stopped(SrpV0Server(Emulate()))
    streamConnectBiDir(client, server)
    with caplog.at_level(logging.INFO):
        access(client, Post, 0, bytes(4))
        assert server._drain(time.monotonic() + OPEN_S)
    assert client.counters.dropped == {"unknown": 1}
    assert caplog.text == ""


def test_version_0_waits_on_after_a_response_to_something_else() -> None:
    client, far = SrpV0(), Far()
    streamConnectBiDir(client, far)
    one = access(client, Read, 0x40, bytes(4))
    head = srpv0.head(srp.READ, one.id(), 0x40, 4, 0)
    good = struct.pack("<2I", *head) + b"abcd" + bytes(4)
    for bad in (good[:8] + good[4:], struct.pack("<2I", one.id(), 0x20) + good[8:], good[:8] + bytes(16)):
        far._sendFrame(Frame(bad))
        assert not one.ended
    assert client.counters.dropped == {"mismatch": 3}
    far._sendFrame(Frame(good))
    assert one.wait()
    assert bytes(one.data) == b"abcd"


def test_lost_answers_end_by_the_timeout_of_the_access(
    spec: Callable[..., Any], build: Callable[..., Any], stopped: Callable[[Any], Any]
) -> None:
    client, server, link = SrpV3(), stopped(SrpV3Emulation()), Switch()
    client >> server >> link >> client
    block = build(client, spec("R"))[0]
    block.set_timeout(0.05)
    link.lose = lambda frame: True
    block.startTransaction(Read)
    with pytest.raises(BusTimeout, match="Timeout waiting for register transaction"):
        block.waitTransaction()
    link.lose = lambda frame: False
    block.retryCount = 1
    block.startTransaction(Read)
    block.waitTransaction()


def test_a_lost_answer_is_given_up_while_other_accesses_go_on(stopped: Callable[[Any], Any]) -> None:
    client, server, link = SrpV3(), stopped(SrpV3Emulation()), Switch()
    client >> server >> link >> client
    link.lose = lambda frame: True
    lost = access(client, Read, 0, bytes(4), seconds=0.1)
    assert server._drain(time.monotonic() + OPEN_S)
    link.lose = lambda frame: False
    enough = threading.Event()

    def poll() -> None:
        while not enough.is_set():
            access(client, Read, 4, bytes(4)).wait()

    poller = threading.Thread(target=poll)
    poller.start()
    waiter = threading.Thread(target=lost.wait)
    waiter.start()
    waiter.join(20)
    given_up = not waiter.is_alive()
    enough.set()
    poller.join(OPEN_S)
    waiter.join(OPEN_S)
    assert given_up
    assert lost.expired()


def test_without_a_stream_accesses_fail_at_once() -> None:
    assert "SrpV3 is not connected to a stream" in failure(access(SrpV3(), Read, 0, bytes(4)))


def test_the_error_of_the_link_is_that_of_the_access() -> None:
    client, link = SrpV3(), Switch()
    client >> link
    link.fail = "wire cut"
    assert "OSError: wire cut" in failure(access(client, Write, 0, bytes(4)))


class Link(Far):
    """The end of a link that tells how long it has been closed; each look brings the next number."""

    def __init__(self, *closed: float) -> None:
        super().__init__()
        self.closed = list(closed)

    def closedFor(self) -> float:
        return self.closed.pop(0) if len(self.closed) > 1 else self.closed[0]


def test_over_a_closed_link_accesses_and_posts_fail_at_once() -> None:
    client, link = SrpV3(), Link(5.0)
    streamConnectBiDir(client, link)
    for type in (Read, Write, Post):
        assert failure(access(client, type, 0, bytes(4))) == "The link to the firmware is closed"
    assert link.requests == []


def test_a_link_that_comes_back_in_the_first_second_is_waited_for() -> None:
    client, link = SrpV3(), Link(0.2, 0.4, 0.0)
    streamConnectBiDir(client, link)
    one = access(client, Read, 0, bytes(4))
    assert len(link.requests) == 1
    link.closed = [9.0]  # it is not looked at again before it broke
    access(client, Read, 0, bytes(4))
    assert len(link.requests) == 2
    link._sendGap(Gap(None, 3, 30, "full"))
    assert not one.ended


def test_a_link_that_breaks_fails_what_is_under_way() -> None:
    client, link = SrpV3(), Link(0.0)
    streamConnectBiDir(client, link)
    first = access(client, Read, 0, bytes(4))
    link._sendGap(Gap(None, 0, 0, BROKEN))  # comes late: the link is open again
    assert not first.ended
    link.closed = [2.0]
    link._sendGap(Gap(None, 0, 0, BROKEN))
    assert failure(first) == "The link to the firmware broke"
    assert failure(access(client, Read, 0, bytes(4))) == "The link to the firmware is closed"
    link.closed = [0.0]
    access(client, Read, 0, bytes(4))
    assert len(link.requests) == 2


def test_a_callback_that_fails_keeps_no_other_access_from_its_end() -> None:
    client, link = SrpV3(), Link(0.0)
    streamConnectBiDir(client, link)
    made = [access(client, Read, 0, bytes(4)) for _ in range(3)]
    made[0].on_done(_fail)
    link.closed = [2.0]
    link._sendGap(Gap(None, 0, 0, BROKEN))
    assert [one.errorText for one in made] == ["The link to the firmware broke"] * 3
    assert str(client.lastError) == "callback"
    link.closed = [0.0]
    posts = [Transaction(0, memoryview(bytearray(4)), Post) for _ in range(3)]
    posts[0].on_done(_fail)
    client._doTransactions(posts)
    assert all(one.wait() for one in posts)
    assert client.counters.errors == 2


def _fail(one: Transaction) -> None:
    raise RuntimeError("callback")


def test_an_access_that_expired_while_the_link_was_waited_for_is_not_sent() -> None:
    one = Transaction(0, memoryview(bytearray(4)), Write)

    class Impatient(Link):
        def closedFor(self) -> float:
            one.expire()
            return super().closedFor()

    client, link = SrpV3(), Impatient(0.2, 0.0)
    streamConnectBiDir(client, link)
    issue(client, one)
    assert isinstance(one, Transaction)
    assert one.expired()
    assert link.requests == []


def test_a_break_while_the_link_is_looked_at_is_not_forgotten() -> None:
    class Breaking(Link):
        def closedFor(self) -> float:
            found = super().closedFor()
            if found == 0.0 and self.closed != [9.0]:
                self.closed = [9.0]  # it breaks, and tells so, before the caller goes on
                self._sendGap(Gap(None, 0, 0, BROKEN))
            return found

    client, link = SrpV3(), Breaking(0.0)
    streamConnectBiDir(client, link)
    access(client, Read, 0, bytes(4))
    assert failure(access(client, Read, 0, bytes(4))) == "The link to the firmware is closed"


def test_a_sink_that_fails_beside_the_link_costs_no_access(stopped: Callable[[Any], Any]) -> None:
    client, server, tap = SrpV3(), stopped(SrpV3Emulation()), Switch()
    streamConnectBiDir(client, server)
    client >> tap
    tap.fail = "disk full"
    assert access(client, Write, 0, bytes(4)).wait()
    assert client.counters.errors == 1
    assert "disk full" in str(client.lastError)


def test_a_callback_that_fails_does_not_reach_the_link() -> None:
    client, far = SrpV3(), Far()
    streamConnectBiDir(client, far)
    made = [access(client, Read, 0, bytes(4)) for _ in range(3)]

    def fail(one: Transaction) -> None:
        raise RuntimeError("callback")

    made[0].on_done(fail)
    far._sendBatch(FrameBatch.gather([Frame(response(one)) for one in made]))
    assert all(one.wait() for one in made)
    assert (client.counters.errors, str(client.lastError)) == (1, "callback")


def test_stop_fails_what_is_under_way() -> None:
    client, far = SrpV3(), Far()
    streamConnectBiDir(client, far)
    one = access(client, Read, 0, bytes(4))
    client._stop()
    assert failure(one) == "SrpV3 is stopped"


def test_left_arrows_take_streams_and_memory_masters() -> None:
    client, master, far = SrpV3(), Master(), Far()
    assert (client << master) is master
    assert master._getSlave() is client
    assert (client << far) is far
    assert far._slaveCount() == 1
    with pytest.raises(LinkError):
        client << 5


# ------------------------------------------------------------ server


def test_the_server_answers_from_a_thread_of_its_own(stopped: Callable[[Any], Any]) -> None:
    server, kept, source = stopped(SrpV3Emulation()), Kept(), StreamMaster()
    source >> server >> kept
    source._sendFrame(Frame(request3(srp.READ, 1, 0, 4)))
    assert kept.arrived.acquire(timeout=OPEN_S)
    assert kept.threads != [threading.current_thread().name]


def test_batches_are_answered_by_batches_in_order(stopped: Callable[[Any], Any]) -> None:
    server, kept, source = stopped(SrpV3Emulation()), Kept(), StreamMaster()
    source >> server >> kept
    frames = [Frame(request3(srp.READ, n, 0, 4096)) for n in range(600)]
    frames.insert(3, Frame(request3(srp.POST, 9999, 0, 4, b"abcd")))
    source._sendBatch(FrameBatch.gather(frames))
    assert server._drain(time.monotonic() + OPEN_S)
    assert all(isinstance(item, list) for item in kept.items)
    assert len(kept.items) > 1  # bounded
    answers = [srpv3.decode_response(one) for item in kept.items for one in item]
    assert [one.id for one in answers] == list(range(600))
    assert [bytes(one.data[:4]) for one in answers] == [bytes(4)] * 3 + [b"abcd"] * 597


def test_answers_do_not_wait_for_registers_that_take_their_time(stopped: Callable[[Any], Any]) -> None:
    kept, source = Kept(), StreamMaster()
    seen: list[bool] = []

    class Patient(Slave):
        def _doTransaction(self, transaction: Transaction) -> None:
            if transaction.address():  # not the first
                seen.append(kept.arrived.acquire(timeout=OPEN_S))
            transaction.done()

    server = stopped(SrpV3Server(Patient()))
    source >> server >> kept
    source._sendBatch(FrameBatch.gather([Frame(request3(srp.READ, n, 4 * n, 4)) for n in range(4)]))
    assert server._drain(time.monotonic() + OPEN_S)
    assert seen == [True] * 3
    assert len(kept.items) == 4


@pytest.mark.parametrize("memory", [Emulate, None])
def test_requests_are_executed_though_answers_cannot_be_sent(
    memory: type[Emulate] | None, recording: type[Emulate], stopped: Callable[[Any], Any]
) -> None:
    registers = (memory or recording)()
    server, far, source = stopped(SrpV3Server(registers)), Switch(), StreamMaster()
    source >> server >> far
    far.fail = "no cable"
    frames = [Frame(request3(srp.READ, n, 0, 4096)) for n in range(300)]
    frames.append(Frame(request3(srp.WRITE, 300, 0, 4, b"abcd")))
    source._sendBatch(FrameBatch.gather(frames))
    assert server._drain(time.monotonic() + OPEN_S)
    got = access(registers, Read, 0, bytes(4))
    assert got.wait()
    assert bytes(got.data) == b"abcd"
    assert "no cable" in str(server.lastError)


def test_a_drain_waits_for_a_request_that_passes_the_queue_by(stopped: Callable[[Any], Any]) -> None:
    inside, gate = threading.Event(), threading.Event()

    class Gate(Known):
        def _direct(self, *access: Any) -> None:
            inside.set()
            assert gate.wait(OPEN_S)
            super()._direct(*access)

    far = stopped(udp.Server(0, False, host="127.0.0.1"))
    near = stopped(udp.Client("127.0.0.1", far.getPort(), False))
    server = stopped(SrpV3Server(Gate()))
    streamConnectBiDir(server, far)
    near._acceptFrame(Frame(request3(srp.READ, 1, 0, 4)))
    assert inside.wait(OPEN_S)
    assert not server._drain(time.monotonic())
    gate.set()
    assert server._drain(time.monotonic() + OPEN_S)


def test_bad_requests_are_counted_and_not_answered(stopped: Callable[[Any], Any]) -> None:
    server, kept, source = stopped(SrpV3Emulation()), Kept(), StreamMaster()
    source >> server >> kept
    bad = [bytes(3), request3(3, 1, 0, 4), request3(srp.READ, 1, 0, 6), request3(srp.READ, 1, 0, 8192)]
    for payload in bad:
        source._sendFrame(Frame(payload))
    source._sendFrame(Frame(request3(srp.READ, 1, 0, 4), error=1))
    source._sendBatch(FrameBatch.gather([Frame(bad[0]), Frame(bad[1])]))
    server._acceptGap(Gap(0, 1, 28, "full", 0))
    source._sendFrame(Frame(request3(srp.READ, 77, 0, 4)))
    assert server._drain(time.monotonic() + OPEN_S)
    assert [srpv3.decode_response(one).id for one in kept.items] == [77]
    assert server.counters.dropped == {"malformed": 6, "errored": 1}


class Broken(Slave):
    """Refuses accesses, or never answers them."""

    def __init__(self, text: str = "", small: int = 0xFFFFFFFF) -> None:
        super().__init__(4, small)
        self.text = text

    def _doTransaction(self, transaction: Transaction) -> None:
        if self.text:
            transaction.error(self.text)


class Raising(Emulate):
    def _direct(self, type: int, address: int, buffer: Any, low: int, high: int) -> None:
        raise ValueError(f"no register at {address:#x}")


@pytest.mark.parametrize(
    ("slave", "text"),
    [
        (Broken("no such register"), "Non zero status message returned on fpga register bus"),
        (Raising(), "Non zero status message returned on fpga register bus in hardware: 0x2"),
        (Broken(), "FPGA register bus timeout detected in hardware"),
        (Broken(srpv3.STATUS.text(srpv3.LOCKED_UP)), "FPGA register bus lockup detected in hardware."),
    ],
)
def test_failures_of_the_registers_are_status_bits(
    slave: Slave, text: str, stopped: Callable[[Any], Any]
) -> None:
    client, server = SrpV3(), stopped(SrpV3Server(slave, timeout=0.05))
    streamConnectBiDir(client, server)
    assert failure(access(client, Read, 0, bytes(4))).startswith(text)


def test_failures_of_version_0(stopped: Callable[[Any], Any]) -> None:
    for slave, text in (
        (Broken("no"), "Axi bus returned fail status in hardware"),
        (Broken(), "Axi bus timeout"),
    ):
        client, server = SrpV0(), stopped(SrpV0Server(slave, timeout=0.05))
        streamConnectBiDir(client, server)
        assert failure(access(client, Write, 0, bytes(4))).startswith(text)


def test_the_server_goes_on_after_failures(stopped: Callable[[Any], Any], recording: type[Emulate]) -> None:
    memory = recording(4, 1024)
    client, server, link = SrpV3(), stopped(SrpV3Server(memory)), Switch()
    client >> server >> link >> client
    link.fail = "wire cut"
    access(client, Write, 0x40, b"abcd")
    assert server._drain(time.monotonic() + OPEN_S)
    assert (server.counters.errors, str(server.lastError)) == (1, "wire cut")
    link.fail = ""
    assert access(client, Read, 0x40, bytes(2048)).wait()
    assert memory.log[1:] == [("R", 0x40, 1024), ("R", 0x440, 1024)]  # type: ignore[attr-defined]


def test_memory_that_answers_at_once_is_asked_for_no_more_than_it_takes(
    stopped: Callable[[Any], Any],
) -> None:
    sizes: list[int] = []

    class Small(Emulate):
        def _direct(self, type: int, address: int, buffer: Any, low: int, high: int) -> None:
            sizes.append(high - low)
            super()._direct(type, address, buffer, low, high)

    client, server = SrpV3(), stopped(SrpV3Server(Small(4, 8)))
    streamConnectBiDir(client, server)
    assert access(client, Write, 0, bytes(range(20))).wait()
    got = access(client, Read, 0, bytes(8))
    assert got.wait()
    assert bytes(got.data) == bytes(range(8))
    assert sizes == [8, 8, 4, 8]


def test_a_server_serves_the_slave_of_an_object_that_offers_one(stopped: Callable[[Any], Any]) -> None:
    class Board:
        def __init__(self) -> None:
            self.memory = Emulate()

        def _getMemorySlave(self) -> Slave:
            return self.memory

    client, server = SrpV3(), stopped(SrpV3Server(Board()))
    streamConnectBiDir(client, server)
    assert access(client, Write, 0, b"abcd").wait()
    with pytest.raises(LinkError):
        SrpV3Server(5)


def test_a_slow_slave_holds_up_only_the_server(
    threaded: Callable[..., Any], stopped: Callable[[Any], Any]
) -> None:
    slow = threaded(free=False)
    client, server = SrpV3(), stopped(SrpV3Server(slow, timeout=OPEN_S))
    streamConnectBiDir(client, server)
    made = [access(client, Write, 0, bytes(4)) for _ in range(3)]
    assert slow.arrived.acquire(timeout=OPEN_S)
    assert not made[0].ended
    slow.release(3)
    assert all(one.wait() for one in made)


def test_a_stopped_server_answers_what_it_has_and_takes_no_more() -> None:
    server, kept, source = SrpV3Emulation(), Kept(), StreamMaster()
    source >> server >> kept
    for n in range(100):
        source._sendFrame(Frame(request3(srp.READ, n, 0, 4)))
    server._stop()
    source._sendFrame(Frame(request3(srp.READ, 100, 0, 4)))
    assert len(kept.items) == 100
    assert server.counters.dropped == {"stopped": 1}
    server._start()
    source._sendFrame(Frame(request3(srp.READ, 101, 0, 4)))
    assert kept.arrived.acquire(timeout=OPEN_S)
    server._stop()


def test_inline_a_server_answers_in_the_thread_that_asks() -> None:
    server, kept, source = SrpV3Emulation(inline=True), Kept(), StreamMaster()
    source >> server >> kept
    source._sendFrame(Frame(request3(srp.READ, 1, 0, 4)))
    source._sendBatch(FrameBatch.gather([Frame(request3(srp.READ, n, 0, 4)) for n in range(2, 5)]))
    assert [srpv3.decode_response(one).id for one in (kept.items[0], *kept.items[1])] == [1, 2, 3, 4]
    assert kept.threads == [threading.current_thread().name] * 2
    assert server._drain(time.monotonic())
    server._stop()
    source._sendFrame(Frame(request3(srp.READ, 5, 0, 4)))
    source._sendBatch(FrameBatch.gather([Frame(request3(srp.READ, n, 0, 4)) for n in (6, 7)]))
    assert (server.counters.frames, server.counters.dropped) == (7, {"stopped": 3})
    server._start()
    source._sendFrame(Frame(request3(srp.READ, 8, 0, 4)))
    assert len(kept.items) == 3
    assert server.lastError is None


def test_inline_works_with_a_client_in_the_same_stack() -> None:
    for client, server in (
        (SrpV3(), SrpV3Server(Emulate(), inline=True)),
        (SrpV0(), SrpV0Server(Emulate(), inline=True)),
    ):
        streamConnectBiDir(client, server)
        assert access(client, Write, 0x40, b"abcd").ended
        assert bytes(access(client, Read, 0x40, bytes(4)).data) == b"abcd"


def test_a_forgotten_server_ends_its_thread(collect: Callable[[], int]) -> None:
    server, kept, source = SrpV3Emulation(), Kept(), StreamMaster()
    source >> server >> kept
    source._sendFrame(Frame(request3(srp.READ, 1, 0, 4)))
    assert server._drain(time.monotonic() + OPEN_S)
    worker = server._entry._worker
    gone = weakref.ref(server)
    source._removeSlave(server)
    del server
    collect()
    assert gone() is None
    assert worker is not None
    worker.join(OPEN_S)
    assert not worker.is_alive()


def test_a_chain_of_servers_tells_the_first_failure(stopped: Callable[[Any], Any]) -> None:
    inner, outer = SrpV3(), SrpV3()
    streamConnectBiDir(inner, stopped(SrpV3Server(Broken(srpv3.STATUS.text(srpv3.TIMED_OUT)))))
    streamConnectBiDir(outer, stopped(SrpV3Server(inner)))
    assert failure(access(outer, Read, 0, bytes(4))) == "FPGA register bus timeout detected in hardware"


def test_it_works_through_queues(stopped: Callable[[Any], Any]) -> None:
    client, server = SrpV3(), stopped(SrpV3Emulation())
    client >> stopped(Fifo(0, 0, True)) >> server >> stopped(Fifo(0, 0, False)) >> client
    made = [access(client, Write, 4 * n, bytes(4)) for n in range(1000)]
    assert all(one.wait() for one in made)


@pytest.mark.parametrize("inline", [None, False, True])
def test_it_works_over_udp(inline: bool | None, stopped: Callable[[Any], Any]) -> None:
    far = stopped(udp.Server(0, False))
    near, client = stopped(udp.Client("127.0.0.1", far.getPort(), False)), SrpV3()
    streamConnectBiDir(client, near)
    streamConnectBiDir(stopped(SrpV3Emulation(inline=inline)), far)
    wrote = [access(client, Write, 4 * n, n.to_bytes(4, "little")) for n in range(300)]
    assert all(one.wait() for one in wrote)
    got = access(client, Read, 0, bytes(1200))
    assert got.wait()
    assert bytes(got.data) == b"".join(n.to_bytes(4, "little") for n in range(300))


class Known(Emulate):
    """Memory that notes which threads come."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[str] = set()

    def _direct(self, *access: Any) -> None:
        self.threads.add(threading.current_thread().name.split()[0])
        super()._direct(*access)


class Slow(Known):
    """The same, but it does not say that it answers at once."""

    def _doTransaction(self, transaction: Transaction) -> None:
        super()._doTransaction(transaction)


@pytest.mark.parametrize(
    ("inline", "memory", "others", "at_once"),
    [
        (None, Known, 0, True),
        (True, Slow, 1, True),
        (False, Known, 0, False),
        (None, Slow, 0, False),
        (None, Known, 1, False),
    ],
)
def test_lone_requests_pass_the_queue_by_where_nothing_is_waited_for(
    inline: bool | None, memory: type[Known], others: int, at_once: bool, stopped: Callable[[Any], Any]
) -> None:
    far, registers = stopped(udp.Server(0, False, host="127.0.0.1")), memory()
    near, client = stopped(udp.Client("127.0.0.1", far.getPort(), False)), SrpV3()
    server = stopped(SrpV3Server(registers, inline=inline))
    streamConnectBiDir(client, near)
    streamConnectBiDir(server, far)
    for _ in range(others):
        server >> Kept()
    for count in range(20):
        assert access(client, Write, 4 * count, bytes(4)).wait()
    assert server._drain(time.monotonic() + OPEN_S)
    assert (server.counters.frames, server.counters.dropped) == (20, {})
    assert {name.startswith("udp.Server") for name in registers.threads} == {at_once}


def test_answers_that_go_elsewhere_leave_from_the_queue(stopped: Callable[[Any], Any]) -> None:
    far, registers = stopped(udp.Server(0, False, host="127.0.0.1")), Known()
    near, kept = stopped(udp.Client("127.0.0.1", far.getPort(), False)), Kept()
    far >> stopped(SrpV3Server(registers)) >> kept
    near._acceptFrame(Frame(request3(srp.READ, 1, 0, 4)))
    assert kept.arrived.acquire(timeout=OPEN_S)
    assert not any(name.startswith("udp.Server") for name in registers.threads)


def test_a_server_that_was_unlinked_or_stopped_answers_no_more_at_once(
    stopped: Callable[[Any], Any],
) -> None:
    far, registers = stopped(udp.Server(0, False, host="127.0.0.1")), Known()
    near, client = stopped(udp.Client("127.0.0.1", far.getPort(), False)), SrpV3()
    server, source = stopped(SrpV3Server(registers)), StreamMaster()
    streamConnectBiDir(client, near)
    streamConnectBiDir(server, far)
    assert access(client, Read, 0, bytes(4)).wait()
    far._removeSlave(server)
    source >> server
    source._sendFrame(Frame(request3(srp.READ, 1, 0, 4)))
    assert server._drain(time.monotonic() + OPEN_S)
    assert {name.startswith("udp.Server") for name in registers.threads} == {True, False}
    far >> server
    server._stop()
    assert not access(client, Read, 0, bytes(4), 0.1).wait()
    assert server.counters.dropped == {"stopped": 1}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=64), max_size=20))
def test_garbage_from_the_wire_harms_neither_end(payloads: list[bytes]) -> None:
    client, server, source = SrpV3(), SrpV3Emulation(), StreamMaster()
    streamConnectBiDir(client, server)
    source >> server
    source >> client
    for payload in payloads:
        source._sendFrame(Frame(payload))
    if payloads:
        source._sendBatch(FrameBatch.gather([Frame(payload) for payload in payloads]))
    assert access(client, Read, 0, bytes(4)).wait()
    server._stop()


def test_an_error_is_raised_as_that_of_the_bus(
    spec: Callable[..., Any], build: Callable[..., Any], stopped: Callable[[Any], Any]
) -> None:
    client = SrpV3()
    streamConnectBiDir(client, stopped(SrpV3Server(Broken("no"))))
    block = build(client, spec("R"), at=0x80)[0]
    block.startTransaction(Read)
    with pytest.raises(BusError, match=r"Top\.Dev\.R with address 0x00000080\. Error Non zero status"):
        block.waitTransaction()
