"""Links: operators, delivery order, errors, adaptors, draining."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sapwood.errors import LinkError, StreamError
from sapwood.streams import (
    EventBuilder,
    Fifo,
    Filter,
    Frame,
    FrameBatch,
    Gap,
    Master,
    PayloadField,
    Prbs,
    RateDrop,
    Slave,
    StreamEnd,
    StreamUnZip,
    StreamZip,
    connect,
    disconnect,
    downstream,
    drain,
    streamConnectBiDir,
)
from sapwood.streams.protocols import CombinerV1, InverterV1, SplitterV2


class Keep(Slave):
    """Keeps what it gets, frame by frame."""

    def __init__(self, log: list[tuple[str, bytes]] | None = None, name: str = "") -> None:
        super().__init__()
        self.log = [] if log is None else log
        self.name = name
        self.gaps: list[Gap] = []

    def _acceptFrame(self, frame: Frame) -> None:
        self.log.append((self.name, bytes(frame)))

    def _acceptGap(self, gap: Gap) -> None:
        self.gaps.append(gap)


class KeepBatches(Slave):
    def __init__(self) -> None:
        super().__init__()
        self.batches: list[FrameBatch] = []

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.batches.append(batch)


class Broken(Slave):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def _acceptFrame(self, frame: Frame) -> None:
        raise ValueError(self.text)


class Through(Slave, Master):
    """Passes frames on."""

    def __init__(self) -> None:
        Slave.__init__(self)
        Master.__init__(self)
        self.drained: list[str] = []

    def _acceptFrame(self, frame: Frame) -> None:
        self._sendFrame(frame)


class Hooked(StreamEnd):
    """Offers ends by hooks, as tree devices do."""

    def __init__(self) -> None:
        self.master, self.slave = Master(), Keep()

    def _getStreamMaster(self) -> Master:
        return self.master

    def _getStreamSlave(self) -> Slave:
        return self.slave


def test_operators_return_the_operand_that_chains() -> None:
    a, b, c = Master(), Through(), Keep()
    assert (a >> b) is b
    assert (b >> c) is c
    other = Master()
    assert (c << other) is other
    a._sendFrame(Frame(b"1"))
    other._sendFrame(Frame(b"2"))
    assert [data for _, data in c.log] == [b"1", b"2"]


def test_slaves_are_served_in_reverse_order_of_connection() -> None:
    log: list[tuple[str, bytes]] = []
    master = Master()
    for name in "ABC":
        master >> Keep(log, name)
    master._sendFrame(Frame(b"x"))
    assert [name for name, _ in log] == ["C", "B", "A"]


def test_hooks_are_followed_on_both_sides() -> None:
    a, b = Hooked(), Hooked()
    assert (a >> b) is b
    a.master._sendFrame(Frame(b"hello"))
    assert b.slave.log == [("", b"hello")]


def test_equality_joins_bidirectional_ends_and_is_identity_otherwise() -> None:
    a, b = Hooked(), Hooked()
    joined = a == b
    assert joined is False
    a.master._sendFrame(Frame(b"1"))
    b.master._sendFrame(Frame(b"2"))
    assert (b.slave.log, a.slave.log) == ([("", b"1")], [("", b"2")])
    master = Master()
    assert master == master
    assert master != None  # noqa: E711  # must not raise
    assert master not in [Master(), Keep()]
    assert a == a  # must not link a to itself
    assert a.master._slaveCount() == 1
    assert len({a, b}) == 2


def test_wrong_ends_are_refused() -> None:
    with pytest.raises(LinkError, match="Attempt to use >> with incompatible stream slave"):
        Master() >> 3
    with pytest.raises(LinkError, match="Attempt to use << with incompatable stream master"):
        Keep() << Keep()
    with pytest.raises(LinkError, match="Attempt to use == with an incompatible stream slave"):
        streamConnectBiDir(Master(), Master())
    with pytest.raises(TypeError):
        connect(Keep(), Keep())


def test_links_can_be_removed_one_at_a_time() -> None:
    master, sink = Master(), Keep()
    master >> sink
    master >> sink
    assert master._slaveCount() == 2
    disconnect(master, sink)
    master._sendFrame(Frame(b"once"))
    assert len(sink.log) == 1
    disconnect(master, sink)
    with pytest.raises(LinkError, match="is not linked"):
        disconnect(master, sink)


def test_a_failing_slave_does_not_keep_frames_from_the_others() -> None:
    master, good = Master(), Keep()
    master >> good
    master >> Broken("one")
    with pytest.raises(ValueError, match="one"):
        master._sendFrame(Frame(b"x"))
    master >> Broken("two")
    with pytest.raises(StreamError) as caught:
        master._sendFrame(Frame(b"y"))
    assert [str(problem) for problem in caught.value.problems] == ["two", "one"]
    assert [data for _, data in good.log] == [b"x", b"y"]


def test_batch_reaches_a_frame_sink_and_frame_a_batch_sink() -> None:
    master, by_frame, by_batch = Master(), Keep(), KeepBatches()
    master >> by_frame
    master >> by_batch
    batch = FrameBatch.gather([Frame(b"a", channel=1), Frame(b"bc", channel=2)])
    master._sendBatch(batch)
    master._sendFrame(Frame(b"d", flags=3))
    assert [data for _, data in by_frame.log] == [b"a", b"bc", b"d"]
    assert by_batch.batches[0] is batch
    assert by_batch.batches[1].flags.tolist() == [3]


def test_the_most_derived_override_is_the_native_one() -> None:
    class Tagged(KeepBatches):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[bytes] = []

        def _acceptFrame(self, frame: Frame) -> None:
            self.seen.append(bytes(frame))

    class Plain(Tagged):
        pass

    for kind in (Tagged, Plain):
        sink = kind()
        sink._acceptBatch(FrameBatch.gather([Frame(b"a"), Frame(b"b")]))
        assert sink.seen == [b"a", b"b"]
        assert sink.batches == []


def test_plain_slave_counts_frames_and_batches() -> None:
    sink = Slave()
    sink._acceptFrame(Frame(b"abc"))
    sink._acceptBatch(FrameBatch.gather([Frame(b"a"), Frame(b"bb")]))
    assert (sink.getFrameCount(), sink.getByteCount()) == (3, 6)


def test_debug_logs_the_first_bytes(caplog: pytest.LogCaptureFixture) -> None:
    master, sink = Master(), Slave()
    master >> sink
    sink.setDebug(2, "probe")
    master._sendFrame(Frame(b"\x01\x02\x03", error=5))
    assert (caplog.records[0].name, caplog.records[0].levelname) == ("sapwood.probe", "CRITICAL")
    assert caplog.messages == ["Got Size=3, Error=5, Data: 0x01 0x02"]
    sink.setDebug(100, "probe")
    master._sendBatch(FrameBatch.gather([Frame(bytes(range(10))), Frame(b"")]))
    assert caplog.messages[1:] == [
        "Got Size=10, Error=0, Data: 0x00 0x01 0x02 0x03 0x04 0x05 0x06 0x07\n 0x08 0x09",
        "Got Size=0, Error=0, Data:",
    ]
    assert (sink.getFrameCount(), sink.getByteCount()) == (3, 13)
    with pytest.raises(StreamError, match="bytes to show"):
        sink.setDebug(-1, "probe")


def test_debug_prints_without_any_set_up_of_logging() -> None:
    code = (
        "from sapwood.streams import Frame, Master, Slave; m, s = Master(), Slave(); m >> s; "
        "s.setDebug(4, 'x'); m._sendFrame(Frame(b'abcdef'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "Got Size=6, Error=0, Data: 0x61 0x62 0x63 0x64\n"


def stages() -> list[Callable[[], Any]]:
    key = PayloadField(0)
    return [
        Fifo, lambda: Filter(False, 0), lambda: RateDrop(False, 0), StreamZip, StreamUnZip,
        lambda: EventBuilder(key, channels=[0]), lambda: CombinerV1(2), SplitterV2, InverterV1,
    ]  # fmt: skip


@pytest.mark.parametrize("make", stages())
def test_a_ring_of_stages_that_forward_is_refused(make: Callable[[], Any]) -> None:
    first, second, third = make(), Filter(False, 0), Fifo()
    first >> second >> third
    second >> Slave()
    name = type(first).__name__
    with pytest.raises(LinkError, match=f"ring of stages that forward: {name} -> Filter -> Fifo -> {name}"):
        third >> first
    assert third._slaveCount() == 0
    with pytest.raises(LinkError, match=f"{name} -> {name}"):
        first >> first
    with pytest.raises(LinkError, match=f"Filter -> {name} -> Filter|Filter -> Fifo"):
        connect(third, second)
    third >> make()  # another one is no ring


def test_rings_through_an_end_that_does_not_forward_are_fine() -> None:
    prbs, fifo, through = Prbs(), Fifo(), Through()
    prbs >> fifo >> prbs
    prbs >> prbs
    other = Filter(False, 0)
    other >> through >> other
    prbs.genFrames(10, 100)
    assert drain(prbs, time.monotonic() + 10)
    assert prbs.getRxCount() >= 10
    fifo._stop()


def test_a_link_that_was_removed_closes_no_ring() -> None:
    a, b = Filter(False, 0), Filter(False, 1)
    a >> b
    disconnect(a, b)
    b >> a


def test_gaps_pass_through_stages_in_order() -> None:
    master, stage, sink = Master(), Through(), Keep()
    master >> stage >> sink
    gap = Gap(channel=None, frames=3, bytes=30, reason="full")
    master._sendGap(gap)
    assert sink.gaps == [gap]


def test_without_slaves_frames_are_discarded() -> None:
    master = Master()
    master._sendFrame(Frame(b"x"))
    master._sendBatch(FrameBatch.empty())


def test_master_works_without_its_constructor() -> None:
    class Lazy(Master, Slave):
        def __init__(self) -> None:
            pass

    lazy, sink = Lazy(), Keep()
    lazy >> sink
    lazy._sendFrame(Frame(b"x"))
    lazy._acceptFrame(Frame(b"y"))


def test_drain_visits_stages_after_all_that_feed_them() -> None:
    order: list[str] = []

    class Stage(Through):
        def __init__(self, name: str, done: bool = True) -> None:
            super().__init__()
            self.name, self.done = name, done

        def _drain(self, deadline: float) -> bool:
            order.append(self.name)
            return self.done

    source, a, b, last = Master(), Stage("a"), Stage("b"), Stage("last", done=False)
    source >> last
    source >> a >> b >> last
    last >> a  # a loop must not hang
    assert drain(source, time.monotonic() + 1) is False
    assert sorted(order) == ["a", "b", "last"]
    assert order.index("a") < order.index("b")
    assert len(downstream(source)) == 3


def test_drain_without_a_loop_is_in_link_order() -> None:
    source, a, b, last = Master(), Through(), Through(), Keep()
    source >> last
    source >> b >> last
    source >> a >> b
    assert downstream(source) == [a, b, last]


class Picky(Keep):
    """Refuses frames that begin with a dash."""

    def _acceptFrame(self, frame: Frame) -> None:
        if bytes(frame).startswith(b"-"):
            raise ValueError(f"refused {bytes(frame).decode()}")
        super()._acceptFrame(frame)


def test_a_frame_that_is_refused_does_not_cost_those_behind_it_in_the_batch() -> None:
    master, picky, other = Master(), Picky(), Keep()
    master >> other
    master >> picky
    with pytest.raises(ValueError, match="refused -1"):
        master._sendBatch(FrameBatch.gather([Frame(text) for text in (b"a", b"-1", b"b")]))
    with pytest.raises(StreamError, match="20 of 21 frames were refused") as caught:
        master._sendBatch(FrameBatch.gather([Frame(b"-%d" % n) for n in range(20)] + [Frame(b"c")]))
    assert [str(problem) for problem in caught.value.problems] == [f"refused -{n}" for n in range(8)]
    assert [text for _, text in picky.log] == [b"a", b"b", b"c"]
    assert len(other.log) == 24


@pytest.fixture
def nervous() -> Iterator[None]:
    """Threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(call: Callable[[], None], threads: int = 4, times: int = 10_000) -> None:
    def work() -> None:
        for _ in range(times):
            call()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


@pytest.mark.usefixtures("nervous")
def test_counts_are_exact_when_several_masters_send_at_once() -> None:
    sink, stage, frame = Slave(), Filter(False, 1), Frame(b"abc", channel=2)
    at_once(lambda: sink._acceptFrame(frame))
    assert (sink.getFrameCount(), sink.getByteCount()) == (40_000, 120_000)
    at_once(lambda: stage._acceptFrame(frame))
    counters = stage.counters
    assert (counters.frames, counters.bytes) == (40_000, 120_000)
    assert (counters.dropped, counters.dropped_bytes) == ({"channel": 40_000}, {"channel": 120_000})
