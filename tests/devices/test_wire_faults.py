"""Faults on demand between a client and the board: data stay whole, or fail exactly as is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from sapwood.devices import FrontEndBoard, FrontEndFirmware, UdpRssiPack
from sapwood.devices.board.control import HELP, control
from sapwood.devices.board.netfaults import DatagramFaults
from sapwood.devices.board.wire import FrontEndWire
from sapwood.errors import BusError, BusTimeout, DeviceError, VerifyError
from sapwood.memory import Post, SrpV3, Transaction
from sapwood.streams import Frame, FrameBatch, Master, Slave, streamConnectBiDir
from sapwood.streams.prbs import PrbsChecker
from sapwood.tree import Root

PRBS, COUNTER = 0, 1


@pytest.fixture
def wire() -> Iterator[FrontEndWire]:
    made = FrontEndWire(FrontEndFirmware(2), status=0)
    made._start()
    yield made
    made.faults.clear()
    made._stop()


def tree(port: int) -> Root:
    root = Root(name="Top", pollEn=False, timeout=20.0)
    patient = {"locMaxRetran": 100}  # a busy machine may stand still for longer than 15 times 20 ms
    root.add(UdpRssiPack(name="Net", port=port, packVer=2, jumbo=True, defaults=patient))
    root.bus = SrpV3()
    streamConnectBiDir(root.bus, root.Net.application(0))
    root.addInterface(root.bus)
    data = [root.Net.application(n + 1) for n in range(2)]
    root.add(FrontEndBoard(name="Board", memBase=root.bus, channels=2, streams=data))
    return root


@contextmanager
def impatient(variable: Any) -> Iterator[None]:
    """Accesses to the register of `variable` wait for a fifth of a second only."""
    variable._block.set_timeout(0.2)
    yield
    variable._block.set_timeout(20.0)


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"loss": 0.05}, {"lost"}),
        ({"reorder": 0.1}, {"reordered"}),
        ({"duplicate": 0.2}, {"duplicated"}),
        ({"delay": 0.01}, {"delayed"}),
        (
            {"loss": 0.02, "reorder": 0.02, "duplicate": 0.02, "delay": 0.002},
            {"lost", "reordered", "duplicated", "delayed"},
        ),
    ],
)
def test_data_and_registers_stay_whole(
    wire: FrontEndWire, sink: Any, changes: dict[str, float], kinds: set[str]
) -> None:
    root, other = tree(wire.port), type(sink)()
    root.Board.application(PRBS) >> sink
    root.Board.application(COUNTER) >> other
    with root:
        wire.faults.network(seed=1, **changes)
        for channel in root.Board.Ch.values():
            channel.Size.set(4000)
            channel.Rate.set(500)
        root.Board.Run.set(True)
        for value in range(20):
            root.Board.ScratchPad.set(value)
            assert root.Board.ScratchPad.get() == value
        sink.await_frames(100)
        root.Board.Run.set(False)
        sent = [root.Board.Ch[number].FrameCount.get() for number in range(2)]
        for end, count in zip((sink, other), sent, strict=True):
            end.await_frames(count)
        assert [root.Board.Ch[number].DropCount.get() for number in range(2)] == [0, 0]
    assert [sink.frames(), other.frames()] == sent
    checker = PrbsChecker()
    assert sum(checker.check(batch).bad for batch in sink.batches) == 0
    words = np.concatenate([np.frombuffer(one, "<u4") for one in other.payloads()])
    assert np.array_equal(words, np.arange(len(words), dtype=np.uint32))
    assert {kind for one in wire.faults.datagrams() for kind in one.hits if one.hits[kind]} == kinds


def test_a_network_that_is_cut_ends_the_link_until_it_is_back(
    wire: FrontEndWire, await_true: Callable[..., Any]
) -> None:
    with tree(wire.port) as root:
        wire.faults.network("in", loss=1)
        with pytest.raises(BusError, match="The link to the firmware broke"):
            root.Board.ScratchPad.get()
        await_true(lambda: not root.Net.rssiOpen.get(), "link closed")
        wire.faults.clear()
        await_true(root.Net.rssiOpen.get, "link open")
        root.Board.ScratchPad.set(3)
        assert root.Board.ScratchPad.get() == 3


def test_registers_that_are_not_answered_time_out(wire: FrontEndWire) -> None:
    with tree(wire.port) as root:
        root.Board.ScratchPad.set(1)
        wire.faults.requests.mute(4, 4, count=2)
        for _ in range(2):
            with impatient(root.Board.ScratchPad), pytest.raises(BusTimeout):
                root.Board.ScratchPad.get()
            assert root.Board.Channels.get() == 2
        assert root.Board.ScratchPad.get() == 1
    assert wire.faults.hits == {"muted": 2}


def test_stuck_bits_are_found_by_verification(wire: FrontEndWire) -> None:
    with tree(wire.port) as root:
        control(wire.faults, "stuck 0x4:0xF:0x5")
        with pytest.raises(VerifyError):
            root.Board.ScratchPad.set(0x10)
        assert root.Board.ScratchPad.get() == 0x15
        control(wire.faults, "stuck 4:0:0")
        assert root.Board.ScratchPad.get() == 0x10


def test_refused_accesses_are_bus_errors(wire: FrontEndWire) -> None:
    with tree(wire.port) as root:
        control(wire.faults, "refuse 4 1")
        with pytest.raises(BusError, match="Non zero status"):
            root.Board.ScratchPad.get()
        assert root.Board.ScratchPad.get() == 0


def test_a_board_that_takes_no_requests_gets_busy_and_loses_nothing(
    wire: FrontEndWire, await_true: Callable[..., Any]
) -> None:
    with tree(wire.port) as root:
        wire.faults.requests.hold()
        with impatient(root.Board.ScratchPad), pytest.raises(BusTimeout):
            root.Board.ScratchPad.get()

        def flood() -> None:
            for value in range(1, 6001):
                root.bus._doTransaction(Transaction(4, memoryview(value.to_bytes(4, "little")), Post, 5.0))

        flooding = threading.Thread(target=flood)
        flooding.start()
        await_true(lambda: root.Net.remBusy.get(), "board busy")
        wire.faults.requests.release()
        flooding.join(30)
        assert not flooding.is_alive()
        await_true(lambda: _read(root) == 6000, "the last write")
        assert root.Net.rssiDownCount.get() == 0


def _read(root: Root) -> int:
    try:
        return int(root.Board.ScratchPad.get())
    except BusError:
        return -1


def test_slow_registers_are_slow_and_right(wire: FrontEndWire) -> None:
    with tree(wire.port) as root:
        control(wire.faults, "slow 0.05")
        begin = time.monotonic()
        root.Board.ScratchPad.set(9)  # written, then verified
        assert time.monotonic() - begin >= 0.1
        control(wire.faults, "clear")
        assert root.Board.ScratchPad.get() == 9


def test_a_stop_does_not_wait_for_what_is_held() -> None:
    wire = FrontEndWire(FrontEndFirmware(1), status=0)
    wire._start()
    with tree(wire.port) as root:
        wire.faults.requests.hold()
        with impatient(root.Board.ScratchPad), pytest.raises(BusTimeout):
            root.Board.ScratchPad.get()
        wire._stop()
        wire.faults.clear()


class _Collect(Slave):
    def __init__(self) -> None:
        super().__init__()
        self.payloads: list[bytes] = []

    def _acceptFrame(self, frame: Frame) -> None:
        self.payloads.append(bytes(frame))


def _through(seed: int, **changes: float) -> list[bytes]:
    source, faults, end = Master(), DatagramFaults("test"), _Collect()
    source >> faults >> end
    faults.seed(seed)
    faults.set(**changes)
    source._sendBatch(FrameBatch.from_rows(np.arange(1000, dtype="<u4").reshape(-1, 1)))
    return end.payloads


def test_equal_seeds_spoil_equal_datagrams() -> None:
    first, again, other = (_through(seed, loss=0.1, duplicate=0.1) for seed in (5, 5, 6))
    assert first == again != other
    assert 850 < len(set(first)) < 950
    assert first == sorted(first, key=lambda one: int.from_bytes(one, "little"))


def test_settings_that_make_no_sense_are_refused(wire: FrontEndWire) -> None:
    for text in (
        "loss 1.5", "loss -1", "loss nan", "delay 61", "loss 0.1 up", "loss", "stuck 4:1", "stuck 3:1:1",
        "timeout x", "timeout -4", "fly 5", "hold 1", "seed 1 2", "slow -1", "loss 0 in out",
    ):  # fmt: skip
        with pytest.raises(DeviceError):
            control(wire.faults, text)
    assert control(wire.faults, "help") == HELP
    control(wire.faults, "loss 0.25 out")
    assert "out: loss 0.25" in control(wire.faults, "status")
    assert wire.faults.inbound.settings.loss == 0
