"""The `Prbs` stream end: its API, its thread, and how the two sides keep out of each other's way."""

from __future__ import annotations

import logging
import sys
import threading
import time

import numpy as np
import pytest

from sapwood.errors import StreamError
from sapwood.streams import Fifo, Frame, FrameBatch, Gap, Slave, drain
from sapwood.streams.prbs import Prbs, generate, rate

WAIT_S = 20.0


class Collector(Slave):
    """Keeps what it gets; `enough` is set at `goal` frames."""

    def __init__(self, goal: int = 1, error: Exception | None = None) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.batches: list[FrameBatch] = []
        self.threads: set[threading.Thread] = set()
        self.goal, self.error, self.count = goal, error, 0
        self.enough = threading.Event()

    def _note(self, count: int) -> None:
        self.threads.add(threading.current_thread())
        self.count += count
        if self.count >= self.goal:
            self.enough.set()
        if self.error:
            raise self.error

    def _acceptFrame(self, frame: Frame) -> None:
        self.frames.append(frame)
        self._note(1)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.batches.append(batch)
        self._note(len(batch))


class Clock:
    """Stands in for the monotonic clock."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def until(condition: object) -> None:
    """Wait for a state that another thread brings about and no event announces."""
    deadline = time.monotonic() + WAIT_S
    pause = threading.Event()
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "timed out"
        pause.wait(0.001)


def test_frames_carry_sequence_numbers_and_no_metadata() -> None:
    tx, sink = Prbs(), Collector()
    tx >> sink
    for _ in range(3):
        tx.genFrame(64)
    assert [bytes(frame) for frame in sink.frames] == [
        row.tobytes() for row in generate(32, (1, 2, 6, 31), 0, 3, 64)
    ]
    assert {(frame.channel, frame.flags, frame.error) for frame in sink.frames} == {(0, 0, 0)}
    assert (tx.getTxCount(), tx.getTxBytes(), tx.getTxErrors()) == (3, 192, 0)


def test_batches_hold_about_a_mebibyte_and_continue_the_sequence() -> None:
    tx, sink, rx = Prbs(), Collector(), Prbs()
    tx >> sink
    tx >> rx
    tx.genFrame(10_000)
    tx.genFrames(250, 10_000)
    assert [len(batch) for batch in sink.batches] == [104, 104, 42]
    assert (rx.getRxCount(), rx.getRxErrors(), rx.getRxBytes()) == (251, 0, 2_510_000)
    tx.genFrames(0, 10_000)
    assert sink.count == 251


def test_what_was_sent_is_never_rewritten() -> None:
    tx, sink = Prbs(), Collector()
    tx >> sink
    tx.genFrame(4000)
    tx.genFrames(10, 4000)
    tx.genFrames(10, 4000)
    tx.genFrame(4000)
    kept = [
        bytes(sink.frames[0].buffer),
        *(bytes(batch.payload) for batch in sink.batches),
        bytes(sink.frames[1].buffer),
    ]
    assert b"".join(kept) == generate(32, (1, 2, 6, 31), 0, 22, 4000).tobytes()
    sink.frames[0].write(b"\xff" * 100)  # a receiver may write; the generator goes on unharmed
    tx.genFrame(4000)
    assert bytes(sink.frames[2]) == generate(32, (1, 2, 6, 31), 22, 1, 4000).tobytes()


@pytest.mark.parametrize("width", [32, 96, 512])
def test_width_and_taps_of_both_ends(width: int) -> None:
    tx, rx = Prbs(), Prbs()
    for prbs in (tx, rx):
        prbs.setWidth(width)
        prbs.setTaps(bytes([0, 5, 31]))
    tx >> rx
    tx.genFrame(width * 10)
    tx.genFrames(20, width * 10)
    assert (rx.getRxCount(), rx.getRxErrors()) == (21, 0)
    rx.setTaps(bytearray([0, 5, 30]))
    tx.genFrame(width * 10)
    assert rx.getRxTotals().payload_errors == 1


def test_bad_settings_are_refused_and_change_nothing() -> None:
    prbs, sink = Prbs(), Collector()
    prbs >> sink
    with pytest.raises(StreamError, match=r"Invalid width\."):
        prbs.setWidth(0)
    with pytest.raises(StreamError, match="Python Buffer Error"):
        prbs.setTaps([1, 2])  # type: ignore[arg-type]
    with pytest.raises(StreamError, match="Invalid taps"):
        prbs.setTaps(bytes([32]))
    prbs.setWidth(128)
    prbs.setTaps(bytes([127]))
    with pytest.raises(StreamError, match="Invalid taps"):
        prbs.setWidth(64)
    for call in (prbs.genFrame, prbs.enable, lambda size: prbs.genFrames(2, size)):
        with pytest.raises(StreamError, match="Invalid frame size"):
            call(100)
    with pytest.raises(StreamError, match="Invalid period"):
        prbs.setTxPeriod(-1)
    assert (prbs.getTxCount(), sink.count) == (0, 0)
    prbs.genFrame(64)
    assert bytes(sink.frames[0]) == generate(128, [127], 0, 1, 64).tobytes()


def test_content_modes() -> None:
    tx, sink = Prbs(), Collector()
    tx >> sink
    tx.sendCount(True)
    tx.genFrame(20)
    tx.genPayload(False)
    tx.genFrame(20)
    tx.genPayload(True)
    tx.sendCount(False)
    tx.genFrame(20)
    words = [np.frombuffer(bytes(frame), "<u4").tolist() for frame in sink.frames]
    assert words == [[0, 4, 2, 3, 4], [1, 4, 0, 0, 0], [2, 4, 5, 11, 23]]


def test_errors_by_cause_and_reset() -> None:
    tx, rx = Prbs(), Prbs()
    sink = Collector()
    tx >> sink
    for _ in range(6):
        tx.genFrame(64)
    frames = sink.frames
    rx._acceptFrame(frames[1])
    frames[2].setError(1)
    rx._acceptFrame(frames[2])
    damaged = frames[4].snapshot()
    damaged.write(bytes([bytes(damaged)[63] ^ 0x10]), 63)
    rx._acceptFrame(frames[3])
    rx._acceptFrame(damaged)
    rx._acceptFrame(frames[5])
    totals = rx.getRxTotals()
    assert (totals.good, totals.bad, totals.bytes) == (2, 3, 128)
    assert (totals.frame_errors, totals.seq_errors, totals.payload_errors, totals.lost_frames) == (1, 1, 1, 1)
    assert totals.bit_errors == 1
    assert len(totals.problems) == 3
    assert (rx.getRxErrors(), rx.getRxCount(), rx.getRxBytes()) == (3, 2, 128)
    assert rx.counters.frames == 5
    rx.resetCount()
    assert (rx.getRxErrors(), rx.getRxCount(), rx.getRxBytes(), rx.counters.frames) == (0, 0, 0, 0)
    rx._acceptFrame(frames[1])  # both sequence numbers go on: 6 is expected
    assert rx.getRxTotals().seq_errors == 1
    tx.resetCount()
    assert (tx.getTxCount(), tx.getTxBytes()) == (0, 0)
    tx.genFrame(64)
    assert bytes(sink.frames[-1])[:4] == b"\x06\x00\x00\x00"


def test_bad_frames_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    rx = Prbs()
    rows = generate(32, (1, 2, 6, 31), 1, 30, 64).copy()
    rows[:, 20] ^= 4
    with caplog.at_level(logging.WARNING, "sapwood.prbs.rx"):
        rx._acceptBatch(FrameBatch.from_rows(rows))
    assert caplog.messages[0].startswith("Frame 1: word 5 of 16 is ")
    assert caplog.messages[-1] == f"{31 - len(caplog.messages)} more bad frames"
    caplog.clear()
    with caplog.at_level(logging.WARNING, "sapwood.prbs.rx"):
        rx._acceptFrame(Frame(b"123"))
    assert caplog.messages == ["A frame has 3 bytes, not a multiple of 4 from 12 up"]


def test_checking_the_payload_can_be_turned_off() -> None:
    tx, rx = Prbs(), Prbs()
    tx >> rx
    tx.sendCount(True)
    rx.checkPayload(False)
    tx.genFrames(5, 64)
    rx.checkPayload(True)
    tx.genFrames(5, 64)
    assert (rx.getRxCount(), rx.getRxErrors()) == (5, 5)


def test_rates_follow_the_traffic_and_decay(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(rate.time, "monotonic", clock)
    tx, rx = Prbs(), Prbs()
    tx >> rx
    tx.genFrames(100, 1000)
    assert (rx.getRxRate(), tx.getTxRate()) == (0, 0)  # for the first second
    clock.now += 2
    assert (rx.getRxRate(), rx.getRxBw(), tx.getTxRate(), tx.getTxBw()) == (50, 50_000, 50, 50_000)
    clock.now += 0.5
    assert rx.getRxRate() == 50
    clock.now += 5  # the traffic stopped
    assert (rx.getRxRate(), rx.getRxBw(), tx.getTxRate(), tx.getTxBw()) == (0, 0, 0, 0)
    tx.genFrames(30, 1000)
    clock.now += 3
    tx.genFrame(1000)  # worked out when traffic moves, too
    clock.now += 0.5
    assert round(rx.getRxRate() * 3) == 31
    tx.resetCount()
    rx.resetCount()
    clock.now += 2
    tx.genFrames(4, 1000)
    assert (rx.getRxRate(), tx.getTxRate()) == (2, 2)


def test_the_thread_sends_batches_flat_out_and_ends() -> None:
    tx, sink = Prbs(), Collector(goal=500)
    tx >> sink
    tx.enable(10_000)
    tx.enable(64)  # ignored while one runs
    assert sink.enough.wait(WAIT_S)
    tx.disable()
    tx.disable()
    count = tx.getTxCount()
    assert count == sink.count
    assert not sink.frames
    (thread,) = sink.threads
    assert thread.daemon
    assert not thread.is_alive()
    assert thread.name == "Prbs"
    assert sink.batches[0].uniform_size == 10_000


def test_the_thread_keeps_the_period() -> None:
    tx, sink = Prbs(), Collector(goal=3)
    tx >> sink
    tx.setTxPeriod(2000)
    assert tx.getTxPeriod() == 2000
    begin = time.monotonic()
    tx.enable(64)
    assert sink.enough.wait(WAIT_S)
    tx._stop()
    assert tx.getTxCount() <= (time.monotonic() - begin) / 2e-3 + 1
    assert not sink.batches
    tx.enable(64)  # and it can start again
    sink.enough.clear()
    assert sink.enough.wait(WAIT_S)
    tx.disable()


def test_a_long_period_does_not_delay_the_end() -> None:
    tx, sink = Prbs(), Collector()
    tx >> sink
    tx.setTxPeriod(60_000_000)
    tx.enable(64)
    assert sink.enough.wait(WAIT_S)
    (thread,) = sink.threads
    tx.disable()
    assert not thread.is_alive()


def test_a_sink_that_raises_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    tx, sink = Prbs(), Collector(goal=300, error=OSError("the disk is full"))
    tx >> sink
    with caplog.at_level(logging.ERROR, "sapwood.prbs.tx"):
        tx.enable(10_000)
        assert sink.enough.wait(WAIT_S)
        tx.disable()
    assert tx.getTxErrors() == len(sink.batches) > 2
    assert str(tx.lastError) == "the disk is full"
    assert len(caplog.messages) == 1
    tx.resetCount()
    assert (tx.getTxErrors(), tx.lastError) == (0, None)
    with pytest.raises(OSError, match="disk"):
        tx.genFrame(64)


def test_a_width_that_the_size_does_not_fit_ends_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    tx, sink = Prbs(), Collector()
    tx >> sink
    with caplog.at_level(logging.ERROR, "sapwood.prbs.tx"):
        tx.enable(1004)
        assert sink.enough.wait(WAIT_S)
        tx.setWidth(64)
        (thread,) = sink.threads
        thread.join(WAIT_S)
    assert not thread.is_alive()
    assert "seen 1004" in caplog.messages[0]
    assert tx.getTxErrors() == 0
    tx.disable()


def test_a_callback_may_disable_the_thread_it_runs_in() -> None:
    class Once(Slave):
        def _acceptBatch(self, batch: FrameBatch) -> None:
            tx.disable()

    tx = Prbs()
    tx >> Once()
    tx.enable(10_000)
    until(lambda: not any(thread.name == "Prbs" for thread in threading.enumerate()))
    assert tx.getTxCount() == 104


def test_linked_to_itself() -> None:
    prbs = Prbs()
    prbs >> prbs
    prbs.genFrame(64)
    prbs.genFrames(100, 1000)
    assert (prbs.getRxCount(), prbs.getRxErrors()) == (101, 0)
    prbs._acceptGap(Gap(None, 1, 1, "full"))  # not passed on in a circle


def test_linked_to_itself_through_a_fifo() -> None:
    prbs, fifo = Prbs(), Fifo()
    prbs >> fifo >> prbs
    prbs.genFrames(500, 1000)
    assert drain(prbs, time.monotonic() + WAIT_S)
    assert (prbs.getRxCount(), prbs.getRxErrors()) == (500, 0)
    fifo._stop()


def test_senders_of_several_threads_stay_in_sequence() -> None:
    tx, rx = Prbs(), Prbs()
    tx >> rx
    tx.setTxPeriod(1)
    threads = [threading.Thread(target=lambda: [tx.genFrame(400) for _ in range(200)]) for _ in range(3)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        tx.enable(400)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        tx.disable()
    finally:
        sys.setswitchinterval(interval)
    assert rx.getRxErrors() == 0
    assert rx.getRxCount() == tx.getTxCount() >= 600


@pytest.mark.parametrize("way", ["genFrame", "genFrames"])
def test_receiving_turned_off_holds_the_sender_back(way: str) -> None:
    tx, rx = Prbs(), Prbs()
    tx >> rx
    rx.setRxEnable(False)
    assert not rx.getRxEnable()
    send = tx.genFrame if way == "genFrame" else lambda size: tx.genFrames(1, size)
    thread = threading.Thread(target=send, args=(64,), daemon=True)
    thread.start()
    until(lambda: rx.counters.blocked == 1)
    assert rx.getRxCount() == 0
    tx.setTxPeriod(5)  # nothing of the sender hangs meanwhile
    assert tx.getTxCount() == 1
    rx.setRxEnable(True)
    thread.join(WAIT_S)
    assert (rx.getRxCount(), rx.counters.blocked) == (1, 1)


def test_a_stop_lets_held_senders_go() -> None:
    tx, rx = Prbs(), Prbs()
    tx >> rx
    rx.setRxEnable(False)
    tx.enable(10_000)
    until(lambda: rx.counters.blocked == 1)
    rx._stop()
    tx.disable()
    assert not any(thread.name == "Prbs" for thread in threading.enumerate())
    assert rx.counters.dropped == {"stopped": rx.counters.frames}
    assert rx.counters.frames >= 104
    rx.setRxEnable(True)
    tx.genFrame(64)
    assert rx.getRxTotals().good + rx.getRxTotals().bad == 1


def test_a_held_generator_does_not_hang_its_own_stop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sapwood.streams.prbs.prbs._JOIN_S", 0.05)
    tx, rx = Prbs(), Prbs()
    tx >> rx
    rx.setRxEnable(False)
    tx.enable(10_000)
    until(lambda: rx.counters.blocked == 1)
    tx._stop()
    assert "holds it back" in caplog.text
    rx.setRxEnable(True)
    until(lambda: not any(thread.name == "Prbs" for thread in threading.enumerate()))
    assert rx.getRxErrors() == 0
