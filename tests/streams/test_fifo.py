"""`Fifo` and its queue: order, bounds, policies, gaps, failing sinks and stops."""

from __future__ import annotations

import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sapwood.errors import StreamError
from sapwood.streams import Fifo, Frame, FrameBatch, Gap, Master, Slave, StageCounters, drain, framequeue
from sapwood.streams import fifo as fifo_module
from sapwood.streams.framequeue import FrameQueue
from sapwood.streams.prbs import Prbs

WAIT_S = 20.0


class Sink(Slave):
    """Keeps what it gets; while `gate` is shut it holds its caller, having set `entered`."""

    def __init__(self, shut: bool = False) -> None:
        super().__init__()
        self.items: list[Frame | FrameBatch | Gap] = []
        self.gate, self.entered = threading.Event(), threading.Event()
        self.threads: set[threading.Thread] = set()
        if not shut:
            self.gate.set()

    def _take(self, item: Frame | FrameBatch | Gap) -> None:
        self.threads.add(threading.current_thread())
        self.entered.set()
        assert self.gate.wait(WAIT_S)
        self.items.append(item)

    def _acceptFrame(self, frame: Frame) -> None:
        self._take(frame)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self._take(batch)

    def _acceptGap(self, gap: Gap) -> None:
        self._take(gap)

    @property
    def firsts(self) -> list[int | str]:
        """The first byte of each frame, in order; gaps as ``reason frames``."""
        found: list[int | str] = []
        for item in self.items:
            if isinstance(item, Gap):
                found.append(f"{item.reason} {item.frames}")
            elif isinstance(item, Frame):
                found.append(bytes(item)[0])
            else:
                found.extend(bytes(frame)[0] for frame in item.frames())
        return found


def frame(number: int, size: int = 10, **metadata: int) -> Frame:
    return Frame(bytes([number]) * size, **metadata)


def batch(first: int, count: int, size: int = 10) -> FrameBatch:
    rows = np.repeat(np.arange(first, first + count, dtype=np.uint8), size).reshape(count, size)
    return FrameBatch.from_rows(rows, channel=3)


def linked(sink: Slave, *args: object, **options: object) -> tuple[Master, Fifo]:
    master, fifo = Master(), Fifo(*args, **options)  # type: ignore[arg-type]
    master >> fifo >> sink
    return master, fifo


def hold(master: Master, sink: Sink) -> None:
    """Bring the worker to stand in the sink, with frame 255."""
    master._sendFrame(frame(255))
    assert sink.entered.wait(WAIT_S)


def release(fifo: Fifo, sink: Sink) -> None:
    sink.gate.set()
    assert fifo._drain(time.monotonic() + WAIT_S)
    assert balanced(fifo)
    fifo._stop()


def balanced(fifo: Fifo) -> bool:
    flow = fifo.flow()
    return flow.accepted == flow.passed + flow.queued + flow.dropped


def test_order_is_kept_and_no_thread_exists_before_the_first_frame() -> None:
    sink, before = Sink(), set(threading.enumerate())
    master, fifo = linked(sink)
    assert not any(thread.name.startswith("Fifo-") for thread in set(threading.enumerate()) - before)
    for number in range(3):
        master._sendFrame(frame(number))
    master._sendBatch(batch(3, 5))
    master._sendGap(Gap(1, 2, 20, "upstream"))
    master._sendFrame(frame(8))
    assert drain(master, time.monotonic() + WAIT_S)
    assert sink.firsts == [0, 1, 2, 3, 4, 5, 6, 7, "upstream 2", 8]
    assert isinstance(sink.items[3], FrameBatch)
    (thread,) = sink.threads
    assert thread.daemon
    assert thread is not threading.current_thread()
    assert fifo.flow() == (9, 9, 0, 0)
    assert (fifo.counters.frames, fifo.counters.bytes) == (9, 90)
    fifo._stop()
    assert not thread.is_alive()


def test_twenty_thousand_frames_of_a_python_master() -> None:
    received = 0

    class Counter(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            nonlocal received
            received += bytes(frame)[:4] == received.to_bytes(4, "little")

    master, fifo = linked(Counter(), 0, 0, True)
    for number in range(20_000):
        item = master._reqFrame(100, True)
        item.write(number.to_bytes(4, "little"))
        master._sendFrame(item)
    assert fifo._drain(time.monotonic() + WAIT_S)
    assert received == 20_000
    fifo._stop()


def test_the_newest_is_dropped_at_a_depth_and_a_gap_takes_its_place() -> None:
    sink = Sink(shut=True)
    master, fifo = linked(sink, 4, 20, False)
    hold(master, sink)
    for number in range(1, 20):
        master._sendFrame(frame(number, 50, channel=7))
    assert (fifo.size(), fifo.dropCnt()) == (4, 15)
    assert fifo.counters.dropped == {"full": 15}
    assert fifo.counters.dropped_bytes == {"full": 300}
    release(fifo, sink)
    assert sink.firsts == [255, 1, 2, 3, 4, "full 15"]
    gap = sink.items[-1]
    assert isinstance(gap, Gap)
    assert (gap.channel, gap.bytes) == (7, 300)
    assert abs(gap.time - time.time_ns()) < 60e9
    fifo.clearCnt()
    assert (fifo.dropCnt(), fifo.counters.dropped_total) == (0, 15)


def test_a_batch_is_split_at_the_depth() -> None:
    sink = Sink(shut=True)
    master, fifo = linked(sink, 4)
    hold(master, sink)
    master._sendFrame(frame(1))
    master._sendBatch(batch(2, 9))
    assert (fifo.size(), fifo.dropCnt()) == (4, 6)
    release(fifo, sink)
    assert sink.firsts == [255, 1, 2, 3, 4, "full 6"]


def test_the_oldest_are_dropped() -> None:
    sink = Sink(shut=True)
    master, fifo = linked(sink, 4, policy="drop_old")
    hold(master, sink)
    master._sendBatch(batch(1, 3))
    master._sendGap(Gap(3, 1, 1, "upstream"))
    for number in range(4, 8):
        master._sendFrame(frame(number))
    assert (fifo.size(), fifo.dropCnt()) == (4, 3)
    release(fifo, sink)
    assert sink.firsts == [255, "full 3", "upstream 1", 4, 5, 6, 7]


def test_the_oldest_of_a_batch_larger_than_the_queue() -> None:
    sink = Sink(shut=True)
    master, fifo = linked(sink, 4, policy="drop_old")
    hold(master, sink)
    master._sendFrame(frame(1))
    master._sendBatch(batch(2, 10))
    master._sendBatch(batch(12, 2))
    assert (fifo.size(), fifo.dropCnt()) == (4, 9)
    release(fifo, sink)
    assert sink.firsts == [255, "full 9", 10, 11, 12, 13]


@pytest.mark.parametrize("policy", ["drop_new", "drop_old"])
def test_the_byte_bound(policy: str) -> None:
    sink = Sink(shut=True)
    master, fifo = linked(sink, policy=policy, maxBytes=100)
    hold(master, sink)
    master._sendFrame(frame(1, 60))
    master._sendBatch(batch(2, 8, 9))
    release(fifo, sink)
    want = [255, 1, 2, 3, 4, 5, "full 4"] if policy == "drop_new" else [255, "full 1", 2, 3, 4, 5, 6, 7, 8, 9]
    assert sink.firsts == want


@pytest.mark.parametrize("policy", ["drop_new", "drop_old"])
def test_frames_without_bytes_are_bounded_too(policy: str) -> None:
    sink = Sink(shut=True)
    master, fifo = linked(sink, policy=policy, maxBytes=1 << 20)
    hold(master, sink)
    for _ in range(7):
        master._sendBatch(FrameBatch(b"", np.zeros(10_000, np.int64), 0))
    assert (fifo.size(), fifo.dropCnt()) == (65536, 70_000 - 65536)
    fifo.abort()
    sink.gate.set()


@pytest.mark.parametrize("policy", ["drop_new", "drop_old", "block"])
def test_a_frame_above_the_byte_bound_passes_an_empty_queue(policy: str) -> None:
    sink = Sink()
    master, fifo = linked(sink, policy=policy, maxBytes=100)
    master._sendFrame(frame(1, 1000))
    assert fifo._drain(time.monotonic() + WAIT_S)
    master._sendBatch(batch(2, 2, 1000) if policy == "block" else batch(3, 1, 1000))
    release(fifo, sink)
    assert sink.firsts == ([1, 2, 3] if policy == "block" else [1, 3])


@pytest.mark.parametrize("kind", ["frames", "batch"])
def test_block_holds_the_sender_until_there_is_room(kind: str) -> None:
    sink = Sink(shut=True)
    master, fifo = linked(sink, maxBytes=100)
    hold(master, sink)

    def send() -> None:
        if kind == "batch":
            master._sendBatch(batch(0, 50))
        else:
            for number in range(50):
                master._sendFrame(frame(number))

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    deadline = time.monotonic() + WAIT_S
    while not fifo.counters.blocked and time.monotonic() < deadline:
        threading.Event().wait(0.001)
    assert (fifo.counters.blocked, fifo.size()) == (1, 10)
    sink.gate.set()
    thread.join(WAIT_S)
    release(fifo, sink)
    assert sink.firsts == [255, *range(50)]
    assert fifo.dropCnt() == 0


def test_a_sender_that_waits_for_long_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framequeue, "_STALL_S", 0.01)
    sink, told = Sink(shut=True), threading.Event()
    calls: list[int] = []
    master, fifo = linked(sink, maxBytes=100)

    def stalled() -> None:
        calls.append(fifo.flow().queued)  # no lock is held
        told.set()

    fifo.onStall(stalled)
    hold(master, sink)
    sender = threading.Thread(target=master._sendBatch, args=(batch(0, 15),), daemon=True)
    sender.start()
    assert told.wait(WAIT_S)
    sink.gate.set()
    sender.join(WAIT_S)
    release(fifo, sink)
    assert calls == [10]
    assert (sink.firsts, fifo.counters.blocked) == ([255, *range(15)], 1)


def test_a_sink_that_feeds_its_own_fifo_is_not_held() -> None:
    class Echo(Slave):
        count = 0

        def _acceptFrame(self, item: Frame) -> None:
            self.count += 1
            if self.count <= 40:
                fifo._acceptFrame(frame(self.count))
                fifo._acceptFrame(frame(self.count))

    echo = Echo()
    master, fifo = linked(echo, 2, policy="block")
    master._sendFrame(frame(1))
    assert fifo._drain(time.monotonic() + WAIT_S)
    assert echo.count == 81
    fifo._stop()


def test_copies_are_not_reached_by_later_changes() -> None:
    for no_copy in (False, True):
        sink = Sink(shut=True)
        master, fifo = linked(sink, 0, 0, no_copy)
        hold(master, sink)
        item = Frame.reserve(20)
        item.write(b"before")
        item.setChannel(4)
        master._sendFrame(item)
        item.write(b"after!")
        item.setChannel(5)
        release(fifo, sink)
        got = sink.items[1]
        assert isinstance(got, Frame)
        assert (got is item) is no_copy
        assert (bytes(got), got.channel) == ((b"after!", 5) if no_copy else (b"before", 4))


def test_trimming() -> None:
    sink = Sink()
    master, fifo = linked(sink, 0, 4, False)
    master._sendFrame(frame(1, 10, flags=9, error=2, channel=1))
    master._sendFrame(frame(2, 3))
    master._sendBatch(FrameBatch(bytes(range(20)), [0, 5], [3, 15], channel=[1, 2], error=[0, 7]))
    release(fifo, sink)
    first, second, third = sink.items
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    assert isinstance(third, FrameBatch)
    assert (bytes(first), first.flags, first.error, first.channel) == (b"\1" * 4, 9, 2, 1)
    assert bytes(second) == b"\2" * 3
    assert [bytes(each) for each in third.frames()] == [b"\0\1\2", b"\5\6\7\10"]
    assert third.error.tolist() == [0, 7]
    untrimmed = Sink()
    master, fifo = linked(untrimmed, 0, 4, True)
    master._sendFrame(frame(1, 10))
    release(fifo, untrimmed)
    assert len(untrimmed.items[0]) == 10  # type: ignore[arg-type]


def test_a_negative_trim_size_is_refused() -> None:
    with pytest.raises(StreamError, match=r"Invalid trim size.*seen -1"):
        Fifo(0, -1, False)


def test_few_frames_of_a_large_buffer_do_not_keep_it() -> None:
    sink = Sink()
    master, fifo = linked(sink)
    large = batch(0, 200, 1000)
    master._sendBatch(large[[3, 5]])
    master._sendFrame(large[7])
    master._sendBatch(large)
    release(fifo, sink)
    few, one, whole = sink.items
    assert isinstance(few, FrameBatch)
    assert isinstance(one, Frame)
    assert isinstance(whole, FrameBatch)
    assert len(few.payload) == 2000
    assert isinstance(one.buffer, bytes)
    assert whole.payload is large.payload
    assert sink.firsts == [3, 5, 7, *range(200)]


def test_a_failing_sink_is_counted_and_the_thread_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Slave):
        def _acceptFrame(self, item: Frame) -> None:
            raise (OSError if bytes(item)[0] % 2 else ValueError)(f"frame {bytes(item)[0]}")

    good = Sink()
    master, fifo = linked(Failing())
    fifo >> good
    with caplog.at_level(logging.ERROR, "sapwood.stream.Fifo"):
        for number in range(6):
            master._sendFrame(frame(number))
        release(fifo, good)
    assert good.firsts == [0, 1, 2, 3, 4, 5]
    assert fifo.counters.errors == 6
    assert str(fifo.lastError) == "frame 5"
    assert len(caplog.messages) == 2
    assert "ValueError" in caplog.messages[0]


def test_a_stop_sends_what_is_held_then_refuses() -> None:
    sink = Sink(shut=True)
    master, fifo = linked(sink)
    hold(master, sink)
    for number in range(5):
        master._sendFrame(frame(number))
    threading.Timer(0.05, sink.gate.set).start()
    fifo._stop()
    assert sink.firsts == [255, 0, 1, 2, 3, 4]
    (worker,) = sink.threads
    assert not worker.is_alive()
    master._sendFrame(frame(9))
    master._sendBatch(batch(0, 3))
    assert fifo.counters.dropped == {"stopped": 4}
    assert balanced(fifo)
    assert not any(thread.name.startswith("Fifo-") for thread in threading.enumerate())
    fifo._stop()
    fifo._start()
    master._sendFrame(frame(10))
    release(fifo, sink)
    assert sink.firsts[-1] == 10
    assert fifo.flow() == (11, 7, 0, 4)


def test_a_stop_with_a_stuck_sink_gives_up_in_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fifo_module, "_DRAIN_S", 0.05)
    monkeypatch.setattr(fifo_module, "_JOIN_S", 0.05)
    sink = Sink(shut=True)
    master, fifo = linked(sink)
    hold(master, sink)
    master._sendBatch(batch(0, 3))
    fifo._stop()
    assert fifo.counters.dropped == {"stopped": 3}
    assert "3 frames that the sinks had not taken are dropped: stopped" in caplog.text
    assert "holds it back" in caplog.text
    fifo._start()  # a new thread serves; the old one ends as soon as it can
    master._sendFrame(frame(1))
    sink.gate.set()
    assert fifo._drain(time.monotonic() + WAIT_S)
    fifo._stop()
    for worker in sink.threads:
        worker.join(WAIT_S)
        assert not worker.is_alive()
    assert len(sink.threads) == 2
    assert sorted(map(str, sink.firsts)) == ["1", "255"]


def test_abort_drops_what_is_held_and_lets_senders_go() -> None:
    sink = Sink(shut=True)
    master, fifo = linked(sink, maxBytes=50)
    hold(master, sink)
    sender = threading.Thread(target=master._sendBatch, args=(batch(0, 20),), daemon=True)
    sender.start()
    deadline = time.monotonic() + WAIT_S
    while not fifo.counters.blocked and time.monotonic() < deadline:
        threading.Event().wait(0.001)

    def let_go() -> None:
        while "aborted" not in fifo.counters.dropped and time.monotonic() < deadline:
            threading.Event().wait(0.001)
        sink.gate.set()

    threading.Thread(target=let_go, daemon=True).start()
    fifo.abort()
    sender.join(WAIT_S)
    assert not sender.is_alive()
    assert sink.firsts == [255]
    assert fifo.counters.dropped == {"aborted": 5, "stopped": 15}
    assert balanced(fifo)


def test_a_stop_lets_senders_go_while_it_still_waits_for_the_sink() -> None:
    sink = Sink(shut=True)
    master, fifo = linked(sink, maxBytes=50)
    hold(master, sink)
    sender = threading.Thread(target=master._sendBatch, args=(batch(0, 20),), daemon=True)
    sender.start()
    deadline = time.monotonic() + WAIT_S
    while not fifo.counters.blocked and time.monotonic() < deadline:
        threading.Event().wait(0.001)
    stopping = threading.Thread(target=fifo._stop, daemon=True)
    stopping.start()
    sender.join(WAIT_S)
    assert not sender.is_alive()
    assert fifo.size() == 5  # the stop has dropped nothing yet
    sink.gate.set()
    stopping.join(WAIT_S)
    assert sink.firsts == [255, 0, 1, 2, 3, 4]
    assert fifo.counters.dropped == {"stopped": 15}


def test_a_sink_may_stop_its_own_fifo() -> None:
    done = threading.Event()

    class Stopper(Slave):
        def _acceptFrame(self, item: Frame) -> None:
            fifo._stop()
            done.set()

    master, fifo = linked(Stopper())
    master._sendFrame(frame(0))
    assert done.wait(WAIT_S)
    master._sendFrame(frame(1))
    assert balanced(fifo)


def test_a_forgotten_fifo_ends_its_thread(collect: Callable[[], int]) -> None:
    sink = Sink()
    master, fifo = linked(sink)
    master._sendFrame(frame(0))
    assert fifo._drain(time.monotonic() + WAIT_S)
    (worker,) = sink.threads
    gone = weakref.ref(fifo)
    del master, fifo
    collect()
    worker.join(WAIT_S)
    assert gone() is None
    assert not worker.is_alive()


def test_drain_gives_up_at_its_deadline() -> None:
    sink = Sink(shut=True)
    master, fifo = linked(sink)
    hold(master, sink)
    assert not fifo._drain(time.monotonic() + 0.01)
    assert not drain(master, time.monotonic())
    release(fifo, sink)


@pytest.mark.parametrize(
    ("options", "text"),
    [({"policy": "fail"}, "Unknown queue policy"), ({"maxDepth": -1}, "bound"), ({"maxBytes": 0}, "bound")],
)
def test_bad_arguments(options: dict[str, object], text: str) -> None:
    with pytest.raises(StreamError, match=text):
        Fifo(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", ["block", "drop_new", "drop_old"])
def test_the_balance_holds_at_every_instant_of_a_busy_fifo(policy: str) -> None:
    received = [0, 0]

    class Counter(Slave):
        def _acceptFrame(self, item: Frame) -> None:
            received[0] += 1

        def _acceptBatch(self, item: FrameBatch) -> None:
            received[0] += len(item)

        def _acceptGap(self, gap: Gap) -> None:
            received[1] += gap.frames

    fifo = Fifo(20, policy=policy, maxBytes=2000)  # type: ignore[arg-type]
    fifo >> Counter()
    masters = [Master() for _ in range(3)]

    def send(master: Master, seed: int) -> None:
        rng = np.random.default_rng(seed)
        for count in rng.integers(1, 30, 150).tolist():
            if count < 15:
                master._sendFrame(frame(count, count * 10))
            else:
                master._sendBatch(batch(0, count, 10))

    threads = [threading.Thread(target=send, args=(master, seed)) for seed, master in enumerate(masters)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for master, thread in zip(masters, threads, strict=True):
            master >> fifo
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert balanced(fifo)
            assert fifo.size() <= 20
    finally:
        sys.setswitchinterval(interval)
    assert fifo._drain(time.monotonic() + WAIT_S)
    flow = fifo.flow()
    assert flow.accepted == sum(
        1 if count < 15 else count
        for seed in range(3)
        for count in np.random.default_rng(seed).integers(1, 30, 150).tolist()
    )
    assert [flow.passed, flow.dropped] == received
    assert (flow.dropped == 0) is (policy == "block")
    fifo._stop()


@settings(max_examples=200, deadline=None)
@given(
    depth=st.integers(0, 8),
    limit=st.integers(5, 60),
    policy=st.sampled_from(["drop_new", "drop_old"]),
    actions=st.lists(st.one_of(st.just(0), st.integers(-9, -1), st.integers(1, 12)), max_size=30),
    size=st.integers(1, 12),
)
@example(depth=0, limit=12, policy="drop_old", actions=[8], size=12)
def test_dropping_a_batch_equals_dropping_its_frames(
    depth: int, limit: int, policy: str, actions: list[int], size: int
) -> None:
    """0 takes an entry out, -n puts in n frames, n a batch of n: a list of numbers is the model."""
    counters = StageCounters()
    queue = FrameQueue(depth, limit, policy, counters)  # type: ignore[arg-type]
    model: list[int] = []
    taken: list[int] = []
    number = 0

    def size_of(each: int) -> int:
        # the rest of a batch is dropped with its first frame, so that sizes must be alike for drop_new
        return size if policy == "drop_new" else 1 + each * 7 % size

    def room(each: int) -> bool:
        held = sum(map(size_of, model))
        return not model or ((not depth or len(model) < depth) and held + size_of(each) <= limit)

    def numbers(item: object) -> list[int]:
        if isinstance(item, FrameBatch):
            return [bytes(each)[0] for each in item.frames()]
        return [bytes(item)[0]] if isinstance(item, Frame) else []

    for action in actions:
        if action == 0:
            while queue.frames and not (got := numbers(queue.get())):
                pass
            if model:
                taken += got
                assert got == model[: len(got)]
                del model[: len(got)]
            continue
        new = list(range(number, number + abs(action)))
        number = (number + abs(action)) % 200
        for each in new:
            if policy == "drop_old":
                while not room(each):
                    del model[0]
                model.append(each)
            elif room(each):
                model.append(each)
        if action > 0:
            queue.put(FrameBatch.gather([frame(each, size_of(each)) for each in new]))
        else:
            for each in new:
                queue.put(frame(each, size_of(each)))
        assert (queue.frames, queue.nbytes) == (len(model), sum(map(size_of, model)))
    flow = queue.flow()
    assert flow.accepted == flow.passed + flow.queued + flow.dropped
    left: list[int] = []
    queue.close()
    while (item := queue.get()) is not None:
        left += numbers(item)
    assert left == model
    assert flow.dropped == counters.dropped.get("full", 0)


def test_a_checked_chain_of_batches() -> None:
    tx, fifo, rx = Prbs(), Fifo(), Prbs()
    tx >> fifo >> rx
    tx.genFrames(2000, 10_000)
    assert drain(tx, time.monotonic() + WAIT_S)
    assert (rx.getRxCount(), rx.getRxErrors()) == (2000, 0)
    fifo._stop()
