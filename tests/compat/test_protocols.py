"""A firmware stack put together in Rogue's words: registers and data over packets, in one process."""

from __future__ import annotations

import threading
import time

import pytest

import sapwood.compat

sapwood.compat.install()

import pyrogue  # noqa: E402  # found by install
import rogue.interfaces.memory as rim  # noqa: E402
import rogue.interfaces.stream as ris  # noqa: E402
import rogue.protocols.packetizer as packetizer  # noqa: E402
import rogue.protocols.rssi as rssi  # noqa: E402
import rogue.protocols.srp as srp  # noqa: E402
import rogue.protocols.udp as udp  # noqa: E402


class Inbox(ris.Slave):
    def __init__(self) -> None:
        super().__init__()
        self.frames: list[bytes] = []
        self.came = threading.Condition()

    def _acceptFrame(self, frame: ris.Frame) -> None:
        with self.came:
            self.frames.append(bytes(frame.getBa()))
            self.came.notify_all()

    def wait(self, count: int) -> None:
        with self.came:
            assert self.came.wait_for(lambda: len(self.frames) >= count, 20)


@pytest.mark.parametrize("core", [lambda: packetizer.Core(True), lambda: packetizer.CoreV2(True, True, True)])
def test_registers_and_data_share_a_packetized_link(core: object) -> None:
    near, far = core(), core()  # type: ignore[operator]  # one of the two above
    pyrogue.streamConnectBiDir(near.transport(), far.transport())
    client, server = srp.SrpV3(), srp.SrpV3Emulation()
    pyrogue.streamConnectBiDir(client, near.application(0))
    pyrogue.streamConnectBiDir(far.application(0), server)
    inbox = Inbox()
    near.application(1) >> inbox
    data = ris.Master()
    data >> far.application(1)

    root = pyrogue.Root(name="top", pollEn=False)
    root.add(pyrogue.Device(name="Fpga", memBase=client))
    root.Fpga.add(pyrogue.RemoteVariable(name="Scratch", offset=0x10, bitSize=32))
    with root:
        root.Fpga.Scratch.set(0x12345678)
        assert root.Fpga.Scratch.get() == 0x12345678
        frame = data._reqFrame(5000, True)
        frame.write(bytes(range(250)) * 20)
        data._sendFrame(frame)
        inbox.wait(1)
    assert inbox.frames == [bytes(range(250)) * 20]
    for end in (client, server, near, far):
        end._stop()


def test_registers_over_udp_and_rssi() -> None:
    server_udp = udp.Server(0, True)
    client_udp = udp.Client("127.0.0.1", server_udp.getPort(), True)
    server, client = rssi.Server(server_udp.maxPayload() - 8), rssi.Client(client_udp.maxPayload() - 8)
    far, near = packetizer.CoreV2(True, True, True), packetizer.CoreV2(True, True, True)
    server_udp == server.transport()  # noqa: B015  # Rogue's way to join both directions
    client_udp == client.transport()  # noqa: B015
    server.application() == far.transport()  # noqa: B015
    client.application() == near.transport()  # noqa: B015
    registers, firmware = srp.SrpV3(), srp.SrpV3Emulation()
    near.application(0) == registers  # noqa: B015
    far.application(0) == firmware  # noqa: B015
    ends = [server_udp, client_udp, server, client, far, near, firmware, registers]
    try:
        for end in ends:
            if hasattr(end, "_start"):
                end._start()
        deadline = time.monotonic() + 20
        while not client.getOpen():
            assert time.monotonic() < deadline, "the link did not open"
            threading.Event().wait(0.01)
        root = pyrogue.Root(name="top", pollEn=False, timeout=20.0)
        root.add(pyrogue.Device(name="Fpga", memBase=registers))
        root.Fpga.add(
            pyrogue.RemoteVariable(name="Words", offset=0, numValues=64, valueBits=32, valueStride=32)
        )
        with root:
            root.Fpga.Words.set(list(range(64)))
            assert root.Fpga.Words.get().tolist() == list(range(64))
    finally:
        for end in reversed(ends):
            end._stop()


def test_the_register_bus_of_the_library_is_the_same() -> None:
    assert issubclass(srp.SrpV3, rim.Slave)
