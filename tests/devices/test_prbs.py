"""PRBS generator and checker devices."""

from __future__ import annotations

import threading

import pytest

from sapwood.devices import Fifo, PrbsPair, PrbsRx, PrbsTx
from sapwood.errors import SapwoodError
from sapwood.streams import Frame, Master
from sapwood.tree import Root


class Loop(Root):
    """A pair looped through a queue."""

    def __init__(self, **kwargs) -> None:
        super().__init__(name="Top", pollEn=False)
        self.add(PrbsPair(name="Pair", **kwargs))
        self.add(Fifo(name="Fifo"))
        self.Pair >> self.Fifo
        self.Pair << self.Fifo


def test_nodes():
    with Loop() as top:
        nodes = {
            name: (node.mode, node.typeStr, node.pollInterval, node.units)
            for device in (top.Pair.PrbsTx, top.Pair.PrbsRx)
            for name, node in device.variables.items()
            if name != "enable"
        }
    assert nodes == {
        "txSize": ("RW", "UInt32", 0, "Bytes"),
        "txPeriod": ("RW", "UInt32", 0, "uS"),
        "txEnable": ("RW", "bool", 0, None),
        "txErrors": ("RO", "UInt32", 1, None),
        "txCount": ("RO", "UInt32", 1, None),
        "txBytes": ("RO", "UInt64", 1, "Bytes"),
        "genPayload": ("RW", "bool", 0, None),
        "txRate": ("RO", "Float64", 1, "Frames/s"),
        "txBw": ("RO", "Float64", 1, "Bytes/s"),
        "rxEnable": ("RW", "bool", 0, None),
        "rxErrors": ("RO", "UInt32", 1, None),
        "rxCount": ("RO", "UInt32", 1, None),
        "rxBytes": ("RO", "UInt64", 1, "Bytes"),
        "rxRate": ("RO", "Float64", 1, "Frames/s"),
        "rxBw": ("RO", "Float64", 1, "Bytes/s"),
        "checkPayload": ("RW", "bool", 0, None),
        "rxLostFrames": ("RO", "UInt32", 1, None),
        "rxSeqErrors": ("RO", "UInt32", 1, None),
        "rxLengthErrors": ("RO", "UInt32", 1, None),
        "rxPayloadErrors": ("RO", "UInt32", 1, None),
        "rxBitErrors": ("RO", "UInt32", 1, None),
    }
    assert top.Pair.PrbsTx.txRate.disp == "{:.3e}"


@pytest.mark.parametrize("width", [None, 64, 256])
def test_pair_looped_through_a_queue(width, await_true):
    with Loop(width=width, taps=(1, 2, 6, 31)) as top:
        tx, rx = top.Pair.PrbsTx, top.Pair.PrbsRx
        tx.txSize.set(9984)
        tx.genFrame(500)
        tx.genFrame(1)
        await_true(lambda: rx.rxCount.get() + rx.rxErrors.get() >= 501, "501 frames")
        assert rx.rxErrors.get() == tx.txErrors.get() == 0
        assert rx.rxBytes.get() == tx.txBytes.get() == 501 * 9984
        top.CountReset()
        assert rx.rxCount.get() == tx.txCount.get() == 0
        tx.genFrame()
        await_true(lambda: rx.rxCount.get() == 1, "sequence numbers go on")


def test_running_generator_follows_its_size(await_true, sink):
    with Loop() as top:
        tx, rx = top.Pair.PrbsTx, top.Pair.PrbsRx
        top.Pair >> sink
        tx.txSize.set(64)
        tx.txPeriod.set(100)
        tx.txEnable.set(True)
        sink.await_frames(5)
        tx.txSize.set(128)
        sink.await_frames(sink.frames() + 5)
        assert sink.payloads()[-1][4:8] == (31).to_bytes(4, "little")
        with pytest.raises(SapwoodError, match="Invalid frame size"):
            tx.txSize.set(13)
        sink.await_frames(sink.frames() + 5)  # it goes on as before
        assert (tx.txSize.value(), len(sink.payloads()[-1])) == (128, 128)
        tx.txEnable.set(False)
        await_true(lambda: rx.rxCount.get() == tx.txCount.get(), "all checked")
        assert rx.rxErrors.get() == 0


def test_word_count_instead_of_the_sequence(await_true, sink):
    with Loop(sendCount=True) as top:
        top.Pair >> sink
        top.Pair.PrbsTx.txSize.set(64)
        top.Pair.PrbsTx.genFrame(3)
        await_true(lambda: top.Pair.PrbsRx.rxCount.get() == 3, "counts")
        assert sink.payloads()[2][8:16] == bytes([2, 0, 0, 0, 3, 0, 0, 0])
        top.Pair.setCount(False)
        top.Pair.PrbsTx.genFrame(1)
        assert sink.payloads()[3][8:12] == bytes([7, 0, 0, 0])  # step(3) of the shift register


def test_damage_is_seen(sink):
    source = Master()

    class One(Root):
        def __init__(self) -> None:
            super().__init__(name="Top", pollEn=False)
            self.add(PrbsTx(name="Tx", stream=sink))
            self.add(PrbsRx(name="Rx", stream=source))

    with One() as top:
        top.Tx.txSize.set(64)
        top.Tx.genFrame(2)
        damaged = bytearray(sink.payloads()[1])
        damaged[20] ^= 4
        source._sendFrame(Frame(damaged))
        assert (top.Rx.rxErrors.get(), top.Rx.rxCount.get()) == (1, 0)
        assert (top.Rx.rxPayloadErrors.get(), top.Rx.rxBitErrors.get(), top.Rx.rxLostFrames.get()) == (
            1,
            1,
            0,
        )
        top.Rx.checkPayload.set(False)
        source._sendFrame(Frame(sink.payloads()[0]))
        top.Tx.genPayload.set(False)
        top.Tx.genFrame(1)
        assert sink.payloads()[2][8:] == bytes(56)
        top.Tx.txSize.set(13)
        with pytest.raises(SapwoodError, match="Invalid frame size"):
            top.Tx.genFrame()
        assert top.Rx.rxCount.get() == 1


def test_pair_widths_are_set_together(sink):
    pair = PrbsPair(name="Pair", txStream=sink)
    pair.setWidth(64)
    pair.setTaps([1, 2, 6, 31])
    with pytest.raises(SapwoodError, match="Invalid width"):
        pair.setWidth(33)


def test_a_stop_lets_go_of_senders_that_wait_for_the_receiver(await_true, monkeypatch):
    monkeypatch.setattr("sapwood.tree.root.QUIESCE_S", 0.1)
    monkeypatch.setattr("sapwood.streams.prbs.prbs._JOIN_S", 0.1)
    monkeypatch.setattr("sapwood.streams.fifo._DRAIN_S", 0.1)
    monkeypatch.setattr("sapwood.streams.fifo._JOIN_S", 0.1)
    before = set(threading.enumerate())
    with Loop() as top:
        top.Pair.PrbsTx >> top.Pair.PrbsRx  # beside the queue: the generator itself waits too
        top.Pair.PrbsRx.rxEnable.set(False)
        top.Pair.PrbsTx.txEnable.set(True)
        rx = top.Pair.PrbsRx._getStreamSlave()
        await_true(lambda: rx.counters.blocked >= 1, "a sender that waits")
    await_true(lambda: set(threading.enumerate()) <= before, "the end of all threads")
    assert rx.counters.dropped["stopped"] == rx.counters.frames > 0
    with top:
        waiting = threading.Thread(target=top.Pair.PrbsTx.genFrame, args=(1,), daemon=True)
        waiting.start()
        await_true(lambda: rx.counters.blocked >= 2, "a sender that waits again")
        top.Pair.PrbsRx.rxEnable.set(True)
        waiting.join(20)
        await_true(lambda: rx.getRxCount() + rx.getRxErrors() == 2, "the frame, by both ways")
