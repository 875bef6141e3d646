"""What the front end sends on the network besides frames of one channel: super-frames, messages, drops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.devices import FrontEndBoard, FrontEndFirmware, UdpRssiPack
from sapwood.devices.board.messages import BOARD, Code, Message, Severity, decode, encode
from sapwood.devices.board.wire import BATCH_DEST, MESSAGE_DEST, FrontEndWire
from sapwood.errors import BusError, DeviceError, LinkError, ProtocolError, StreamError
from sapwood.memory import SrpV3
from sapwood.streams import Filter, Frame, FrameBatch, Master, Slave, streamConnectBiDir
from sapwood.streams.prbs import PrbsChecker
from sapwood.streams.protocols import SplitterV1, SplitterV2
from sapwood.tree import Root

CHANNELS = 3  # PRBS, counter, waveform


@contextmanager
def serving(**options: Any) -> Iterator[FrontEndWire]:
    wire = FrontEndWire(FrontEndFirmware(CHANNELS), **{"status": 0, **options})
    wire._start()
    try:
        yield wire
    finally:
        wire._stop()


def tree(port: int, *, timeout: float = 20.0, policy: Any = "drop_new", **options: Any) -> Root:
    root = Root(name="Top", pollEn=False, timeout=timeout)
    root.add(UdpRssiPack(name="Net", port=port, packVer=2, jumbo=True, **options))
    registers = SrpV3()
    streamConnectBiDir(registers, root.Net.application(0))
    root.addInterface(registers)
    data = [root.Net.application(n + 1, policy=policy, maxBytes=1 << 20) for n in range(CHANNELS)]
    messages = root.Net.application(MESSAGE_DEST, policy="drop_old", maxBytes=1 << 20)
    root.add(
        FrontEndBoard(name="Board", memBase=registers, channels=CHANNELS, streams=data, messages=messages)
    )
    return root


class Stuck(Slave):
    """Holds the thread that delivers to it."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()
        self.entered = threading.Event()

    def _acceptBatch(self, _batch: FrameBatch) -> None:
        self.entered.set()
        assert self.release.wait(60)


# ----- super-frames


@pytest.mark.parametrize(("version", "splitter"), [(1, SplitterV1), (2, SplitterV2)])
def test_channels_share_super_frames_and_waveforms_do_not(
    version: int, splitter: type, sink: Any, await_true: Callable[..., Any]
) -> None:
    with serving(batch=version) as wire:
        root, split = tree(wire.port), splitter()
        whole, parts, waves = (type(sink)() for _ in range(3))
        root.Net.application(BATCH_DEST) >> whole
        root.Net.application(BATCH_DEST) >> split >> parts
        root.Board.application(2) >> waves
        with root:
            assert root.Board.Batcher.getDisp() == f"V{version}"
            for channel, size in zip(root.Board.Ch.values(), (1200, 404, 3000), strict=True):
                channel.Size.set(size)
                channel.Rate.set(2000)
            root.Board.Run.set(True)
            parts.await_frames(2000)
            root.Board.Run.set(False)
            sent = [root.Board.Ch[number].FrameCount.get() for number in range(CHANNELS)]
            parts.await_frames(sent[0] + sent[1])
            waves.await_frames(sent[2])
    frames = parts.all()
    assert split.counters.dropped_total == 0
    assert set(frames.channel.tolist()) == {1, 2}
    assert np.count_nonzero(frames.channel == 1) == sent[0]
    assert PrbsChecker().check(frames[frames.channel == 1]).bad == 0
    words = frames[frames.channel == 2].compact().payload.view("<u4")
    assert np.array_equal(words, np.arange(sent[1] * 101, dtype=np.uint32))
    assert set(waves.all().size.tolist()) == {3000}
    assert len(whole.payloads()) < len(frames) / 2, "super-frames hold several frames"
    sequences = [payload[1] for payload in whole.payloads()]
    assert sequences == [number & 0xFF for number in range(len(sequences))]
    mixed = splitter()
    mixed >> (kept := type(sink)())
    for payload in whole.payloads():
        mixed._acceptFrame(Frame(payload))
    assert any(len(set(batch.channel.tolist())) == 2 for batch in kept.batches), "and of several channels"


def test_other_versions_and_policies_are_refused() -> None:
    with pytest.raises(StreamError, match="version of super-frames"):
        FrontEndWire(FrontEndFirmware(1), batch=3)
    with pytest.raises(StreamError, match="policy of a channel"):
        FrontEndWire(FrontEndFirmware(1), policy="drop_old")  # type: ignore[arg-type]  # on purpose


# ----- drops


@pytest.mark.parametrize("batch", [0, 2])
def test_frames_that_nobody_is_there_for_are_counted_in_registers(
    batch: int, await_true: Callable[..., Any]
) -> None:
    with serving(batch=batch) as wire:
        bus = FrontEndBoard(name="Board", memBase=wire.firmware, channels=CHANNELS)
        with _plain(bus) as root:
            root.Board.Ch[1].Enable.set(False)
            root.Board.Run.set(True)
            await_true(lambda: root.Board.Ch[0].DropCount.get() > 50, "drops")
            root.Board.Run.set(False)
            for channel in root.Board.Ch.values():
                await_true(lambda one=channel: one.DropCount.get() == one.FrameCount.get(), "all dropped")
            before = wire.dropped
            root.Board.CountReset()
            assert root.Board.Ch[0].DropCount.get() == 0
            assert wire.dropped == before > 0


@contextmanager
def _plain(board: FrontEndBoard) -> Iterator[Root]:
    root = Root(name="Top", pollEn=False)
    root.add(board)
    with root:
        yield root


@pytest.mark.parametrize("batch", [0, 2])
@pytest.mark.parametrize("policy", ["drop_new", "block"])
def test_what_is_sent_too_fast_is_dropped_and_counted_or_waits(
    policy: Any, batch: int, sink: Any, await_true: Callable[..., Any]
) -> None:
    with serving(policy=policy, batch=batch) as wire:
        root = tree(wire.port, policy="block")
        if batch:
            root.Net.application(BATCH_DEST) >> (split := SplitterV2()) >> Filter(False, 1) >> sink
        else:
            root.Board.application(0) >> sink
        with root:
            for number in (1, 2):
                root.Board.Ch[number].Enable.set(False)
            root.Board.Ch[0].Size.set(100_000)
            root.Board.Ch[0].Rate.set(0)
            root.Board.Run.set(True)
            channel = root.Board.Ch[0]
            if policy == "drop_new":
                await_true(lambda: channel.DropCount.get() > 0, "drops")
            else:
                sink.await_frames(300)
            root.Board.Run.set(False)
            await_true(
                lambda: channel.FrameCount.get() - channel.DropCount.get() == sink.frames(), "all frames"
            )
            dropped = channel.DropCount.get()
        assert wire.dropped == dropped
        assert (dropped == 0) == (policy == "block")
        if batch:
            assert split.counters.dropped_total == 0


def test_a_client_that_reads_nothing_loses_the_link_and_gets_bus_timeouts(
    await_true: Callable[..., Any],
) -> None:
    stuck = Stuck()
    with serving(stall=0.5) as wire:
        root = tree(wire.port, policy="block")
        root.Board.application(0) >> stuck
        with root:
            board = root.Board
            board.Ch[0].Size.set(10_000)
            board.Ch[0].Rate.set(0)
            board.Run.set(True)
            try:
                assert stuck.entered.wait(20)
                await_true(lambda: wire.stalls > 0, "stall")
                begin = time.monotonic()
                board.ScratchPad._block.set_timeout(0.5)
                with pytest.raises(BusError):
                    board.ScratchPad.get()
                assert time.monotonic() - begin < 30, "it must not hang"
            finally:
                wire.firmware._set_run(0)
                stuck.release.set()
            await_true(lambda: _value(board) == 0, "registers again")
            await_true(lambda: "Alarm Board Stalled" in board.Messages.Log.get(), "alarm")
            assert root.Net.rssiDownCount.get() >= 1


@pytest.mark.parametrize("policy", ["drop_new", "block"])
def test_a_board_stops_though_its_client_reads_nothing(policy: Any) -> None:
    stuck = Stuck()
    with serving(policy=policy) as wire, tree(wire.port, timeout=20.0, policy="block") as root:
        root.Board.application(0) >> stuck
        root.Board.Ch[0].Size.set(10_000)
        root.Board.Ch[0].Rate.set(0)
        root.Board.Run.set(True)
        try:
            assert stuck.entered.wait(20)
            begin = time.monotonic()
            wire._stop()
            assert time.monotonic() - begin < 30, "it must not hang"
            assert not any(t.name == "FrontEndFirmware" for t in threading.enumerate())
        finally:
            stuck.release.set()


def test_a_listener_may_use_the_board_it_hears_of(await_true: Callable[..., Any]) -> None:
    with _plain(FrontEndBoard(name="Board", channels=1)) as root:
        log, heard = root.Board.Messages, []

        def answer(message: Message) -> None:
            heard.append(message.code)
            if message.code == Code.Run and message.value:
                root.Board.Run.set(False)

        log.addListener(answer)
        root.Board.Run.set(True)
        await_true(lambda: heard == [Code.Run, Code.Run], "messages")
        assert root.Board.Run.get() is False


def _value(board: Any) -> int | None:
    try:
        return int(board.ScratchPad.get())
    except BusError:
        return None


def test_a_channel_that_is_never_read_does_not_stop_the_others(sink: Any) -> None:
    """With a policy that drops at the client, an unread TDEST costs nobody anything."""
    stuck = Stuck()
    with serving() as wire:
        root = tree(wire.port)
        root.Board.application(0) >> stuck
        root.Board.application(1) >> sink
        with root:
            root.Board.Ch[0].Size.set(10_000)
            root.Board.Run.set(True)
            try:
                assert stuck.entered.wait(20)
                sink.await_frames(500)
                assert root.Board.ScratchPad.get() == 0
                assert root.Board.Ch[1].DropCount.get() == 0
            finally:
                root.Board.Run.set(False)
                stuck.release.set()


def test_a_second_client_is_not_answered_while_the_first_is_there(await_true: Callable[..., Any]) -> None:
    with serving() as wire, tree(wire.port) as first:
        first.Board.ScratchPad.set(1)
        with pytest.raises(DeviceError, match="No RSSI link"):
            tree(wire.port, waitTimeout=0.5).start()
        assert first.Board.ScratchPad.get() == 1
        assert first.Net.rssiDownCount.get() == 0
        first.stop()
        await_true(lambda: not wire.isOpen, "link closed")
        with tree(wire.port) as second:
            assert second.Board.ScratchPad.get() == 1


# ----- messages


def test_messages_of_a_run_reach_the_tree(await_true: Callable[..., Any]) -> None:
    seen: list[Message] = []
    with serving(status=0.2) as wire:
        root = tree(wire.port)
        log = root.Board.Messages
        log.addListener(lambda message: 1 / 0)
        log.addListener(seen.append)
        with root:
            root.Board.Run.set(True)
            root.Board.Run.set(False)
            root.Board.CountReset()
            codes = {Code.Client, Code.Run, Code.CountReset, Code.Status}
            await_true(lambda: {message.code for message in seen} >= codes, "messages")
            await_true(lambda: log.MessageCount.get() == len(seen), "count")
            runs = [message for message in seen if message.code == Code.Run]
            assert [message.value for message in runs] == [1, 0]
            assert {message.source for message in seen} == {BOARD}
            assert abs(runs[0].time - time.time_ns()) < 60e9
            assert [m.sequence for m in seen] == list(range(seen[0].sequence, seen[0].sequence + len(seen)))
            assert "Info Board CountReset: Counters are zero" in log.Log.get()
            assert isinstance(log.lastError, ZeroDivisionError)
            assert (log.LostCount.get(), log.BadCount.get(), log.AlarmCount.get()) == (0, 0, 0)
            log.removeListener(seen.append)
            with pytest.raises(LinkError):
                log.removeListener(seen.append)
            log.ClearLog()
            log.countReset()
            assert log.Severity.getDisp() == "Info"


def test_drops_are_an_alarm_that_ends(await_true: Callable[..., Any]) -> None:
    seen: list[Message] = []
    with serving() as wire:
        wire.firmware.messages >> (tap := _Tap(seen))
        wire.firmware._set_run(1)
        await_true(lambda: Code.Dropping in {m.code for m in seen}, "alarm")
        wire.firmware._set_run(0)
        await_true(lambda: [m.code for m in seen].count(Code.DropEnd) == CHANNELS, "end of the alarm")
    alarms = [message for message in seen if message.code == Code.Dropping]
    assert {message.source for message in alarms} == set(range(CHANNELS))
    assert all(message.severity is Severity.Alarm and message.value > 0 for message in alarms)
    assert tap is not None


class _Tap(Slave):
    def __init__(self, seen: list[Message]) -> None:
        super().__init__()
        self._seen = seen

    def _acceptFrame(self, frame: Frame) -> None:
        self._seen.append(decode(frame.buffer))


def test_lost_and_bad_messages_are_counted() -> None:
    source = Master()
    board = FrontEndBoard(name="Board", channels=1, messages=source)
    with _plain(board) as root:
        log = root.Board.Messages
        for sequence in (5, 6, 9, 0):  # two are lost, then the board begins anew
            source._sendFrame(Frame(encode(Message(Severity.Alarm, 99, sequence, 0, 3, 0, "über"))))
        source._sendFrame(Frame(b"nonsense"))
        counts = {name: log.node(f"{name}Count").get() for name in ("Message", "Alarm", "Lost", "Bad")}
        assert counts == {"Message": 4, "Alarm": 4, "Lost": 2, "Bad": 1}
        assert log.Last.get().endswith("Alarm Ch[3] 99: über")


MESSAGES = st.builds(
    Message,
    st.sampled_from(Severity),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.text("aä漢 :\n", max_size=300),
)


@given(MESSAGES)
def test_messages_are_what_they_were(message: Message) -> None:
    assert decode(encode(message)) == message


@given(MESSAGES, st.data())
def test_cut_messages_are_refused(message: Message, data: st.DataObject) -> None:
    payload = encode(message)
    with pytest.raises(ProtocolError):
        decode(payload[: data.draw(st.integers(0, len(payload) - 1))])
    with pytest.raises(ProtocolError):
        decode(payload + b"x")


@given(st.binary(max_size=60))
def test_garbage_is_a_message_or_refused(payload: bytes) -> None:
    with suppress(ProtocolError):
        decode(payload)


def test_a_message_in_bytes() -> None:
    message = Message(Severity.Alarm, Code.Dropping, 7, 0x0102030405060708, 2, 9, "ab")
    assert encode(message).hex(" ") == (
        "01 02 05 00 07 00 00 00 08 07 06 05 04 03 02 01 02 00 02 00 09 00 00 00 61 62"
    )
