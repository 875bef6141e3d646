"""`Core` and `CoreV2` as stages: ends, rules of dropping, back-pressure, faults and stops."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sapwood.errors import StreamError
from sapwood.fileio import FileLayer, StreamWriter
from sapwood.streams import Frame, FrameBatch, Gap, Master, Slave, drain, framequeue
from sapwood.streams.protocols.packetizer import Core, CoreV2

WAIT_S = 20.0
VERSIONS = pytest.mark.parametrize("version", [1, 2])


class Sink(Slave):
    """Keeps what comes: frames as (bytes, flags, error), gaps as such."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Any] = []
        self._change = threading.Condition()

    def _acceptFrame(self, frame: Frame) -> None:
        assert frame.channel == 0
        self._keep((bytes(frame), frame.flags, frame.error))

    def _acceptGap(self, gap: Gap) -> None:
        self._keep(gap)

    def _keep(self, item: Any) -> None:
        with self._change:
            self.got.append(item)
            self._change.notify_all()

    def wait(self, count: int) -> list[Any]:
        with self._change:
            assert self._change.wait_for(lambda: len(self.got) >= count, WAIT_S), self.got
            return list(self.got)


class Wire(Slave):
    """Keeps packets; takes frames of `limit` bytes at most."""

    def __init__(self, limit: int = 0) -> None:
        super().__init__()
        self.limit = limit
        self.packets: list[Frame] = []

    def maxPayload(self) -> int:
        return self.limit

    def _acceptFrame(self, frame: Frame) -> None:
        self.packets.append(frame)


@pytest.fixture
def new_core() -> Iterator[Any]:
    made: list[Any] = []

    def make(version: int, **bounds: int) -> Any:
        core = Core(True, **bounds) if version == 1 else CoreV2(True, True, True, **bounds)
        made.append(core)
        return core

    yield make
    for core in made:
        core.abort()


def soon() -> float:
    return time.monotonic() + WAIT_S


def packets_of(new_core: Any, version: int, payload: bytes, dest: int = 0, limit: int = 40) -> list[Frame]:
    core, wire = new_core(version), Wire(limit)
    core.transport() >> wire
    core.application(dest)._acceptFrame(Frame(payload))
    return wire.packets


@VERSIONS
def test_both_ways(version: int, new_core: Any) -> None:
    near, far = new_core(version, maxPacket=64), new_core(version)
    near.transport() == far.transport()  # noqa: B015
    there, back = Sink(), Sink()
    far.application(3) >> there
    near.application(3) >> back
    source = Master()
    source >> near.application(3)
    source._sendFrame(Frame(b"a" * 500, channel=9, flags=0x0201))
    source._sendBatch(FrameBatch.gather([Frame(b"b" * 100), Frame(b"c" * 8, flags=0x0100)]))
    assert there.wait(3) == [
        (b"a" * 500, 0x0203, 0),
        (b"b" * 100, 0x0002, 0),
        (b"c" * 8, 0x0102, 0x80),  # its sender says that it is bad
    ]
    far.application(3)._acceptFrame(Frame(b"reply"))
    assert back.wait(1) == [(b"reply", 0x0002, 0)]
    received = far.application(3).received
    assert (received.frames, received.bytes, received.eofe, received.lost) == (3, 608, 1, 0)


def test_bytes_of_the_specification(new_core: Any) -> None:
    payload = bytes(range(100))
    [packet] = packets_of(new_core, 1, payload, limit=1464)
    assert bytes(packet) == bytes.fromhex("0000000000000002") + payload + b"\x80"
    [packet] = packets_of(new_core, 2, payload, limit=1464)
    assert packet.size == 120
    assert bytes(packet)[:-4] == bytes.fromhex("2202000000000080") + payload + bytes(4) + bytes.fromhex(
        "00010400"
    )


@VERSIONS
@pytest.mark.parametrize(("limit", "chunk"), [(1464, 1448), (512, 496), (24, 8), (8964, 8944 + 8)])
def test_the_transport_says_how_frames_are_cut(version: int, limit: int, chunk: int, new_core: Any) -> None:
    if version == 2 and limit == 8964:
        chunk = 8944
    assert len(packets_of(new_core, version, bytes(chunk), limit=limit)) == 1
    packets = packets_of(new_core, version, bytes(chunk + 1), limit=limit)
    assert len(packets) == 2
    assert packets[0].size <= limit
    assert len(packets_of(new_core, version, bytes(100_000), limit=0)) == 1


@VERSIONS
@pytest.mark.parametrize(("stated", "limit"), [(40, 1464), (1464, 40), (40, 0), (0, 40)])
def test_the_smaller_limit_of_packets_counts(version: int, stated: int, limit: int, new_core: Any) -> None:
    core, wire = new_core(version, maxPacket=stated), Wire(limit)
    core.transport() >> wire
    core.application(0)._acceptFrame(Frame(bytes(240)))
    assert [packet.size for packet in wire.packets] == [33 if version == 1 else 40] * 10


@VERSIONS
def test_buffers_of_a_pool_are_packets(version: int, new_core: Any) -> None:
    core, plain = new_core(version), Slave()
    plain.setFixedSize(512)
    core.transport() >> plain
    core.application(0)._acceptFrame(Frame(bytes(496 * 3)))
    assert plain.getFrameCount() == 3


def test_packets_without_room(new_core: Any) -> None:
    with pytest.raises(StreamError, match="too small"):
        new_core(2, maxPacket=16)
    core = new_core(1)
    core.transport() >> Wire(15)
    with pytest.raises(StreamError, match="too small"):
        core.application(0)._acceptFrame(Frame(b"x"))


@VERSIONS
def test_applications(version: int, new_core: Any) -> None:
    core = new_core(version)
    assert core.application(255) is core.application(255)
    for dest in (-1, 256):
        with pytest.raises(StreamError, match=r"TDEST.*0\.\.255"):
            core.application(dest)
    [packet] = packets_of(new_core, version, b"for nobody", dest=9)
    core.transport()._acceptFrame(packet)
    core.transport()._acceptBatch(FrameBatch.gather([packet, packet]))
    assert (core.undelivered, core.getDropCount()) == (3, 0)


@VERSIONS
def test_what_is_not_sent(version: int, new_core: Any) -> None:
    core, wire = new_core(version), Wire()
    core.transport() >> wire
    end = core.application(0)
    end._acceptFrame(Frame(b""))
    end._acceptFrame(Frame(b"bad", error=1))
    end._acceptBatch(FrameBatch.gather([Frame(b""), Frame(b"four", error=2), Frame(b"good"), Frame(b"")]))
    end._acceptBatch(FrameBatch.empty())
    assert len(wire.packets) == 1
    assert (end.counters.frames, end.counters.dropped) == (6, {"empty": 3, "error": 2})
    assert end.counters.dropped_bytes == {"empty": 0, "error": 7}


def damaged(packets: list[Frame], kind: str) -> list[Frame]:
    """Three packets of one frame, one of them hurt."""
    first, middle, last = (bytearray(bytes(packet)) for packet in packets)
    made = [Frame(bytes(first)), Frame(bytes(middle)), Frame(bytes(last))]
    if kind == "lost":
        return [made[0], made[2]]
    if kind == "swapped":
        return [made[1], made[0], made[2]]
    if kind == "headless":
        return made[1:]
    if kind == "transport":
        made[1].setError(1)
    elif kind == "short":
        made[1] = Frame(bytes(middle[:9]))
    elif kind == "version":
        middle[0] = middle[0] & 0xF0 | 5
        made[1] = Frame(bytes(middle))
    elif kind == "crc":
        middle[10] ^= 1
        made[1] = Frame(bytes(middle))
    elif kind == "valid":
        middle[-6] = 9
        made[1] = Frame(bytes(middle))
    elif kind == "ragged":
        made[1] = Frame(bytes(middle[:-1]))
    return made


BOTH = [
    ("lost", {"order": 1}, 1),
    ("transport", {"transport": 1, "order": 1}, 1),
    ("short", {"size": 1, "order": 1}, 1),
    ("version", {"version": 1, "order": 1}, 1),
    ("headless", {"order": 2}, 1),
]
RULES = [(1, *rule) for rule in BOTH] + [(2, *rule) for rule in BOTH] + [
    (1, "swapped", {"order": 2}, 2),  # the middle tells of one lost frame, the late start is one more
    (2, "swapped", {"order": 2}, 2),
    (2, "crc", {"crc": 1, "order": 1}, 1),
    (2, "valid", {"valid": 1, "order": 1}, 1),
    (2, "ragged", {"size": 1, "order": 1}, 1),
]  # fmt: skip


@pytest.mark.parametrize("way", ["frame", "batch"])
@pytest.mark.parametrize(("version", "kind", "dropped", "lost"), RULES)
def test_rules_of_dropping(
    version: int, kind: str, dropped: dict[str, int], lost: int, way: str, new_core: Any
) -> None:
    core, sink = new_core(version), Sink()
    core.application(4) >> sink
    core.application(5) >> Sink()
    hurt = damaged(packets_of(new_core, version, bytes(60), dest=4), kind)
    wire = [*hurt, *packets_of(new_core, version, b"next", dest=4)]
    if way == "frame":
        for packet in wire:
            core.transport()._acceptFrame(packet)
    else:
        core.transport()._acceptBatch(FrameBatch.gather(wire))
    assert core.dropped == dropped
    assert core.getDropCount() == sum(dropped.values())
    assert drain(core.application(4), soon())
    assert core._drain_received(soon())
    frames = [item for item in sink.got if not isinstance(item, Gap)]
    gaps = [item for item in sink.got if isinstance(item, Gap)]
    assert [frame[0] for frame in frames] == [b"next"]
    assert sum(gap.frames for gap in gaps) == lost == core.application(4).received.lost
    assert all(gap.time > 0 for gap in gaps)
    assert core.application(5).received.lost == 0


def test_a_new_start_in_version_1_is_no_drop(new_core: Any) -> None:
    """Version 2 waits for the start of the frame after, version 1 takes it."""
    for version, wanted, drops in ((1, [b"two"], 0), (2, [], 1)):
        core, sink = new_core(version), Sink()
        core.application(0) >> sink
        core.transport()._acceptFrame(packets_of(new_core, version, bytes(60))[0])
        core.transport()._acceptFrame(packets_of(new_core, version, b"two")[0])
        assert core._drain_received(soon())
        assert [item[0] for item in sink.got if not isinstance(item, Gap)] == wanted
        assert core.getDropCount() == drops


def test_checksums_only_where_wanted(new_core: Any) -> None:
    core, sink = CoreV2(False, True, True), Sink()
    core.application(0) >> sink
    packet = bytearray(bytes(packets_of(new_core, 2, bytes(8))[0]))
    packet[-1] ^= 0xFF
    core.transport()._acceptFrame(Frame(bytes(packet)))
    assert sink.wait(1) == [(bytes(8), 2, 0)]
    core._stop()


def test_a_gap_of_the_transport_goes_to_all(new_core: Any) -> None:
    core, sinks = new_core(2), [Sink(), Sink()]
    for dest, sink in enumerate(sinks):
        core.application(dest) >> sink
    gap = Gap(None, 3, 300, "full", 5)
    core.transport()._acceptGap(gap)
    assert [sink.wait(1) for sink in sinks] == [[gap], [gap]]


class Blocked(Slave):
    """Takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def _acceptFrame(self, frame: Frame) -> None:
        assert self.go.wait(WAIT_S)


@VERSIONS
def test_a_slow_channel_holds_up_no_other(version: int, new_core: Any) -> None:
    core, slow, sink = new_core(version), Blocked(), Sink()
    core.application(0, policy="drop_old", maxBytes=1000) >> slow
    core.application(1) >> sink
    [to_slow] = packets_of(new_core, version, bytes(20))
    [to_sink] = packets_of(new_core, version, b"free", dest=1)
    for _ in range(200):
        core.transport()._acceptFrame(to_slow)
        core.transport()._acceptFrame(to_sink)
    assert len(sink.wait(200)) == 200
    flow = core.application(0).queue.flow()
    assert flow.accepted == flow.passed + flow.queued + flow.dropped == 200
    assert flow.dropped >= 140
    slow.go.set()
    assert core._drain_received(soon())


class FullDisk(FileLayer):
    def writev(self, fd: int, buffers: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_faulted_recorder_stops_no_registers(tmp_path: Path, new_core: Any) -> None:
    near, far = new_core(2), new_core(2)
    near.transport() == far.transport()  # noqa: B015
    writer, registers = StreamWriter(files=FullDisk()), Sink()
    writer.open(tmp_path / "data")
    far.application(0) >> writer.getChannel(1)
    far.application(1) >> registers
    for n in range(10):
        near.application(0)._acceptFrame(Frame(b"data"))
        near.application(1)._acceptFrame(Frame(b"%d" % n))
    assert [item[0] for item in registers.wait(10)] == [b"%d" % n for n in range(10)]
    assert near.transport()._drain(soon())
    assert far.transport()._drain(soon())
    assert writer.state == "Fault"
    assert far.application(0).queue.counters.errors == 1
    assert "No space left" in str(far.application(0).queue.lastError)
    writer.abort()


@pytest.mark.parametrize("how", ["stop", "abort"])
def test_stuck_receivers_share_the_time_of_a_stop(new_core: Any, how: str) -> None:
    core, gate, held = new_core(2), threading.Event(), threading.Semaphore(0)

    class Stuck(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            held.release()
            assert gate.wait(WAIT_S)

    for dest in range(40):
        core.application(dest) >> Stuck()
        for packet in packets_of(new_core, 2, bytes(8), dest) * 2:
            core.transport()._acceptFrame(packet)
    for _ in range(40):
        assert held.acquire(timeout=WAIT_S)
    stopping = threading.Thread(target=core._stop if how == "stop" else core.abort)
    stopping.start()
    stopping.join(WAIT_S)  # a second each would be twice that
    assert not stopping.is_alive()
    gate.set()
    flows = [core.application(dest).queue.flow() for dest in range(40)]
    assert flows == [(2, 1, 0, 1)] * 40


def test_who_holds_up_the_link_is_told(
    new_core: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(framequeue, "_STALL_S", 0.01)
    core, gate = new_core(2), threading.Event()

    class Stuck(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            assert gate.wait(WAIT_S)

    core.application(5, maxBytes=10) >> Stuck()
    packets = packets_of(new_core, 2, bytes(8), dest=5) * 4

    def flood() -> None:
        for packet in packets:
            core.transport()._acceptFrame(packet)

    sender = threading.Thread(target=flood)
    sender.start()
    deadline = soon()
    while "TDEST 5 is full" not in caplog.text:
        assert time.monotonic() < deadline
        sender.join(0.001)
    gate.set()
    sender.join(WAIT_S)
    assert not sender.is_alive()


def test_a_receiver_may_ask_for_channels_while_its_queue_is_full(new_core: Any) -> None:
    core, asked = new_core(2), threading.Event()

    class Asking(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            blocked.wait(WAIT_S)
            core.application(7)
            asked.set()

    blocked = threading.Event()
    core.application(0, maxBytes=10) >> Asking()
    [packet] = packets_of(new_core, 2, bytes(8))

    def flood() -> None:
        for _ in range(4):
            core.transport()._acceptFrame(packet)

    sender = threading.Thread(target=flood)
    sender.start()
    deadline = soon()
    while not core.application(0).queue.counters.blocked and time.monotonic() < deadline:
        sender.join(0.001)
    blocked.set()
    assert asked.wait(WAIT_S)
    sender.join(WAIT_S)
    assert not sender.is_alive()


@VERSIONS
def test_frames_of_several_threads_do_not_mix(version: int, new_core: Any) -> None:
    near, far = new_core(version, maxPacket=40), new_core(version)
    near.transport() >> far.transport()
    sinks = [Sink() for _ in range(4)]
    for dest, sink in enumerate(sinks):
        far.application(dest) >> sink

    def send(dest: int) -> None:
        for n in range(60):
            frame = Frame(bytes([dest, n]) * 50)
            if n % 2:
                near.application(dest)._acceptFrame(frame)
            else:
                near.application(dest)._acceptBatch(FrameBatch.gather([frame]))

    threads = [threading.Thread(target=send, args=(dest,)) for dest in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    for dest, sink in enumerate(sinks):
        assert [item[0] for item in sink.wait(60)] == [bytes([dest, n]) * 50 for n in range(60)]
    assert far.getDropCount() == 0


@VERSIONS
def test_one_sender_at_a_time(version: int, new_core: Any) -> None:
    meeting, met = threading.Barrier(2), []

    class Meeting(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            with contextlib.suppress(threading.BrokenBarrierError):
                meeting.wait(0.1)  # nobody else comes
                met.append(frame)

    core = new_core(version)
    core.transport() >> Meeting()
    senders = [
        threading.Thread(target=core.application(dest)._acceptFrame, args=(Frame(b"x"),)) for dest in range(2)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(WAIT_S)
    assert met == []


class Echo(Master, Slave):
    """Sends back what it gets, in the thread that brings it."""

    def __init__(self) -> None:
        Master.__init__(self)
        Slave.__init__(self)

    def _acceptFrame(self, frame: Frame) -> None:
        self._sendFrame(Frame(b"re: " + bytes(frame)))


@VERSIONS
def test_a_drain_follows_replies_round_the_loop_once(version: int, new_core: Any) -> None:
    near, far, source, back = new_core(version), new_core(version), Master(), Sink()
    near.transport() == far.transport()  # noqa: B015
    far.application(0) == Echo()  # noqa: B015
    source >> near.application(0)
    near.application(0) >> back
    for _ in range(50):
        source._sendFrame(Frame(b"ping"))
    assert drain(source, soon())
    assert [item[0] for item in back.wait(50)] == [b"re: ping"] * 50


@VERSIONS
def test_a_stop_delivers_an_abort_does_not(version: int, new_core: Any) -> None:
    for ending in ("_stop", "abort"):
        core, wire, slow = new_core(version), Wire(), Blocked()
        core.transport() >> wire
        core.application(0) >> slow
        [packet] = packets_of(new_core, version, b"data")
        for _ in range(5):
            core.transport()._acceptFrame(packet)
        if ending == "_stop":
            slow.go.set()
        getattr(core, ending)()
        slow.go.set()
        flow = core.application(0).queue.flow()
        assert flow.accepted == flow.passed + flow.dropped == 5
        assert (flow.dropped == 0) == (ending == "_stop")
        core.application(0)._acceptFrame(Frame(b"too late"))
        core.application(0)._acceptBatch(FrameBatch.gather([Frame(b"too"), Frame(b"late")]))
        assert core.application(0).counters.dropped == {"stopped": 3}
        assert wire.packets == []
        core._start()
        core.application(0)._acceptFrame(Frame(b"again"))
        core.transport()._acceptFrame(packet)
        assert len(wire.packets) == 1
        assert core._drain_received(soon())
        assert core.application(0).queue.flow().passed == flow.passed + 1


def test_no_thread_before_a_frame() -> None:
    before = set(threading.enumerate())
    core = CoreV2(True, True, True)
    for dest in range(256):
        core.application(dest)
    assert set(threading.enumerate()) <= before
    core._stop()


def test_dropped_packets_are_logged_now_and_then(new_core: Any, caplog: pytest.LogCaptureFixture) -> None:
    core = new_core(2)
    for _ in range(100):
        core.transport()._acceptFrame(Frame(b"short"))
    assert core.getDropCount() == 100
    lines = [record.getMessage() for record in caplog.records if record.name == "sapwood.packetizer"]
    assert lines[0] == "Packets were dropped, in all: {'size': 1}"
    assert len(lines) < 10


def test_packets_of_another_version_are_told_as_such(new_core: Any, caplog: pytest.LogCaptureFixture) -> None:
    [packet] = packets_of(new_core, 2, bytes(8))
    new_core(1).transport()._acceptFrame(packet)
    assert "{'version': 1}. Does the other end speak another version?" in caplog.text


def test_a_forgotten_packetizer_ends_its_threads(collect: Callable[[], int]) -> None:
    near, far, sink, source = CoreV2(True, True, True), CoreV2(True, True, True), Slave(), Master()
    near.transport() >> far.transport()
    far.application(1) >> sink
    source >> near.application(1)
    source._sendFrame(Frame(b"12345678"))
    assert far.transport()._drain(time.monotonic() + WAIT_S)
    worker = far.application(1).queue._worker
    gone = weakref.ref(far)
    del near, far, source
    collect()
    assert gone() is None
    assert worker is not None
    worker.join(WAIT_S)
    assert not worker.is_alive()
