"""`UdpRssiPack`: the stack that firmware speaks, as a device of the tree."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sapwood.devices import UdpRssiPack
from sapwood.devices.packetlink import PacketLink
from sapwood.errors import BusError, DeviceError, SapwoodError
from sapwood.memory import SrpV3, SrpV3Emulation
from sapwood.streams import Fifo, Frame, FrameBatch, Gap, Master, Slave, streamConnectBiDir
from sapwood.tree import Device, RemoteVariable, Root

HOST = "127.0.0.1"


class Firmware:
    """The far end: emulated registers at TDEST 0, a source at TDEST 1."""

    def __init__(self, port: int = 0, *, version: int = 2, jumbo: bool = False) -> None:
        self.link = PacketLink(port, HOST, jumbo=jumbo, packVer=version, server=True)
        self.registers = SrpV3Emulation()
        self.source = Master()
        streamConnectBiDir(self.registers, self.link.packetizer.application(0))
        self.source >> self.link.packetizer.application(1)
        self.link._start()

    def stop(self) -> None:
        self.link._stop()
        self.registers._stop()


class Faulty(Slave):
    def _acceptFrame(self, _frame: Frame) -> None:
        raise RuntimeError("no")


@pytest.fixture
def firmware(request: pytest.FixtureRequest) -> Iterator[Firmware]:
    made = Firmware(**getattr(request, "param", {}))
    yield made
    made.stop()


def tree(pack: UdpRssiPack) -> Root:
    registers = SrpV3()
    streamConnectBiDir(registers, pack.application(0))
    root = Root(name="top", pollEn=False, timeout=20.0)
    root.addInterface(registers)
    root.add(pack)
    root.add(Device(name="Fpga", memBase=registers))
    root.Fpga.add(RemoteVariable(name="Words", offset=0, numValues=64, valueBits=32, valueStride=32))
    return root


@pytest.mark.parametrize(
    "firmware",
    [{"version": 1}, {"version": 2}, {"version": 2, "jumbo": True}],
    indirect=True,
    ids=["V1", "V2", "jumbo"],
)
def test_registers_and_data_come_over_the_network(
    firmware: Firmware, sink: Any, request: pytest.FixtureRequest
) -> None:
    wanted = request.node.callspec.params["firmware"]
    pack = UdpRssiPack(
        name="Net", port=firmware.link.port, packVer=wanted["version"], jumbo=wanted.get("jumbo", False)
    )
    pack.application(1) >> sink
    with tree(pack) as root:
        root.Fpga.Words.set(list(range(64)))
        assert root.Fpga.Words.get().tolist() == list(range(64))
        payloads = [bytes([number]) * 5000 for number in range(20)]
        firmware.source._sendBatch(FrameBatch.gather([Frame(one) for one in payloads]))
        sink.await_frames(20)
        assert pack.rssiOpen.get()
        assert pack.curMaxSegment.get() == (8964 if wanted.get("jumbo") else 1464)
        assert pack.rssiDownCount.get() == 0  # segments sent again by a slow machine count as dropped
    assert sink.payloads() == payloads


class Gate(Device):
    """Holds a sink until the sources of the tree have stopped; notes what it has when devices stop."""

    def __init__(self, sink: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.open = threading.Event()
        self.sink = sink
        self.frames = 0

    def _quiesce(self, deadline: float) -> None:
        self.open.set()
        super()._quiesce(deadline)

    def _stop(self) -> None:
        self.frames = self.sink.frames()
        super()._stop()


class Held(Fifo):
    """A queue that sends nothing before the gate is open."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(policy="block")
        self.gate = gate

    def _forward(self, item: Any) -> None:
        assert self.gate.open.wait(20)
        super()._forward(item)


def test_what_came_is_taken_before_devices_stop(firmware: Firmware, sink: Any) -> None:
    gate = Gate(sink, name="Gate")
    root = Root(name="top", pollEn=False)
    root.add(gate)
    root.add(UdpRssiPack(name="Net", port=firmware.link.port, packVer=2))
    root.Net.application(1) >> Held(gate) >> sink
    payloads = [bytes([number]) * 3000 for number in range(100)]
    with root:
        for one in payloads:
            firmware.source._sendFrame(Frame(one))
        assert firmware.link.rssi._quiesce(time.monotonic() + 20), "the tree has it, says its acknowledge"
    assert gate.frames == 100
    assert sink.payloads() == payloads


def test_what_was_sent_arrives_before_the_tree_stops(firmware: Firmware, sink: Any) -> None:
    pack = UdpRssiPack(name="Net", port=firmware.link.port, packVer=2)
    source = Master()
    source >> pack.application(3)
    firmware.link.packetizer.application(3) >> sink
    payloads = [bytes([number]) * 3000 for number in range(100)]
    with tree(pack):
        source._sendBatch(FrameBatch.gather([Frame(one) for one in payloads]))
    sink.await_frames(100)
    assert sink.payloads() == payloads


def test_a_tree_starts_again_after_a_stop(firmware: Firmware) -> None:
    root = tree(UdpRssiPack(name="Net", port=firmware.link.port, packVer=2))
    for value in (1, 2):
        with root:
            root.Fpga.Words.set([value] * 64)
            assert root.Fpga.Words.get().tolist() == [value] * 64
        assert not root.Net.rssiOpen.get()


def test_commands_close_and_open_the_link(firmware: Firmware, await_true: Callable[..., Any]) -> None:
    with tree(UdpRssiPack(name="Net", port=firmware.link.port, packVer=2)) as root:
        root.Net.stop()
        assert not root.Net.rssiOpen.get()
        root.Net.start()
        await_true(root.Net.rssiOpen.get, "link open again")
        root.Fpga.Words.set(list(range(64)))


def test_counters_start_again_from_zero(firmware: Firmware, await_true: Callable[..., Any]) -> None:
    with tree(UdpRssiPack(name="Net", port=firmware.link.port, packVer=2)) as root:
        firmware.link._stop()
        await_true(root.Net.rssiDownCount.get, "link down")
        root.countReset()
        assert root.Net.rssiDownCount.get() == 0


def test_settings_are_those_of_the_link(firmware: Firmware) -> None:
    defaults = {"locMaxBuffers": 8, "locRetranTout": 33}
    pack = UdpRssiPack(name="Net", port=firmware.link.port, packVer=2, defaults=defaults)
    with tree(pack) as root:
        assert (root.Net.locMaxBuffers.get(), root.Net.curMaxBuffers.get()) == (8, 8)
        assert root.Net.curRetranTout.get() == 33
        root.Net.locCumAckTout.set(7)
        assert pack._link.rssi.getLocCumAckTout() == 7
        with pytest.raises(SapwoodError):
            root.Net.locMaxCumAck.set(0)
        assert root.Net.locTryPeriod.get() == 100


def test_status_is_polled_and_described() -> None:
    pack = UdpRssiPack(name="Net", port=1, pollInterval=3)
    assert pack.rssiOpen.pollInterval == pack.curMaxCumAck.pollInterval == 3
    assert pack.locBusy.hidden
    assert not pack.locBusyCnt.hidden
    assert pack.locNullTout.units == "ms"
    assert pack.rssiOpen.mode == "RO"
    assert pack.locMaxRetran.mode == "RW"


def test_what_the_packetizer_drops_is_in_the_tree(await_true: Callable[..., Any]) -> None:
    root = tree(UdpRssiPack(name="Net", port=0, server=True, packVer=2))
    with root:
        far = PacketLink(root.Net.port, HOST, jumbo=False, packVer=2)
        far._start()
        far.waitOpen(20)
        nobody, spoilt = Master(), Master()
        nobody >> far.packetizer.application(9)
        spoilt >> far.rssi.application()
        nobody._sendFrame(Frame(b"for nobody"))
        spoilt._sendFrame(Frame(b"no packet"))
        await_true(lambda: root.Net.packUndelivered.get() == 1, "a frame for nobody")
        await_true(lambda: root.Net.packDropCount.get() == 1, "a packet dropped")
        assert root.Net.packLostCount.get() == 0
        root.CountReset()
        assert root.Net.packUndelivered.get() == root.Net.packDropCount.get() == 0
        far._stop()


def test_a_board_that_is_off_fails_the_start_in_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        port = silent.getsockname()[1]
        root = tree(UdpRssiPack(name="Net", port=port, waitTimeout=0.2))
        with pytest.raises(DeviceError, match=f"No RSSI link with {HOST}:{port}"):
            root.start()
        assert not root.running
        assert root.Net._link._udp is None


def test_a_port_where_nobody_listens_fails_the_start_soon(free_ports: Callable[..., int]) -> None:
    port = free_ports()
    root = tree(UdpRssiPack(name="Net", port=port, waitTimeout=60.0, refusedTimeout=0.2))
    with pytest.raises(DeviceError, match="Connection refused") as caught:
        root.start()
    assert "Nobody listens at this port" in str(caught.value)
    assert not root.running


def test_without_wait_the_tree_starts_before_the_board(
    await_true: Callable[..., Any], free_ports: Callable[..., int]
) -> None:
    port = free_ports()
    with tree(UdpRssiPack(name="Net", port=port, packVer=2, wait=False)) as root:
        assert not root.Net.rssiOpen.get()
        late = Firmware(port)
        try:
            await_true(root.Net.rssiOpen.get, "link open")
            root.Fpga.Words.set(list(range(64)))
        finally:
            late.stop()


def test_a_board_that_goes_fails_accesses_at_once_and_is_told_to_all(
    firmware: Firmware, await_true: Callable[..., Any]
) -> None:
    gaps: list[str] = []

    class Recorder(Slave):
        def _acceptGap(self, gap: Gap) -> None:
            gaps.append(gap.reason)

    pack = UdpRssiPack(name="Net", port=firmware.link.port, packVer=2)
    pack.application(1) >> Recorder()
    with tree(pack) as root:
        root.Fpga.Words.set(list(range(64)))
        firmware.link._stop()
        await_true(lambda: gaps == ["link"], "a gap")
        with pytest.raises(BusError, match=r"The link to the firmware (broke|is closed)"):
            root.Fpga.Words.get()
        firmware.link._start()
        await_true(root.Net.rssiOpen.get, "link open")
        assert root.Fpga.Words.get().tolist() == list(range(64))


def test_a_sink_that_fails_leaves_the_registers_alone(
    firmware: Firmware, await_true: Callable[..., Any]
) -> None:
    pack = UdpRssiPack(name="Net", port=firmware.link.port, packVer=2)
    pack.application(1) >> Faulty()
    with tree(pack) as root:
        firmware.source._sendFrame(Frame(b"1234"))
        await_true(lambda: pack.application(1).queue.lastError, "the sink's error")
        root.Fpga.Words.set(list(range(64)))
        assert root.Fpga.Words.get().tolist() == list(range(64))


def test_with_a_dropping_policy_a_stuck_sink_leaves_the_registers_alone(
    firmware: Firmware, await_true: Callable[..., Any]
) -> None:
    gate = threading.Event()

    class Stuck(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            assert gate.wait(20)

    pack = UdpRssiPack(name="Net", port=firmware.link.port, packVer=2, receivePolicy="drop_new")
    data = pack.application(1, maxBytes=4000)
    data >> Stuck()
    with tree(pack) as root:
        try:
            for _ in range(10):
                firmware.source._sendBatch(FrameBatch.gather([Frame(bytes(1000))] * 50))
            await_true(lambda: data.queue.dropCnt() > 400)
            root.Fpga.Words.set(list(range(64)))
            assert root.Fpga.Words.get().tolist() == list(range(64))
        finally:
            gate.set()


def test_both_ends_may_be_trees(sink: Any) -> None:
    far = UdpRssiPack(name="Far", port=0, packVer=2, server=True)
    source = Master()
    source >> far.application(5)
    board = Root(name="board", pollEn=False)
    board.add(far)
    with board:
        near = UdpRssiPack(name="Near", port=far.port, packVer=2)
        near.application(5) >> sink
        root = Root(name="top", pollEn=False)
        root.add(near)
        with root:
            source._sendFrame(Frame(b"hello"))
            sink.await_frames(1)
    assert sink.payloads() == [b"hello"]


def test_unknown_packetizer_is_refused() -> None:
    with pytest.raises(DeviceError, match="version of the packetizer"):
        UdpRssiPack(name="Net", port=1, packVer=3)


def test_nothing_is_opened_before_the_start() -> None:
    server = UdpRssiPack(name="Net", port=0, server=True)
    assert server.port == 0
    assert server._link._udp is None
