"""The board on the network, reached by Rogue's own classes put together by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import sapwood.compat
from sapwood.devices import FrontEndFirmware
from sapwood.devices.board.wire import FrontEndWire

sapwood.compat.install()

import pyrogue  # noqa: E402  # found by install
import pyrogue.utilities.fileio  # noqa: E402
import rogue.interfaces.stream as ris  # noqa: E402
import rogue.protocols.batcher as batcher  # noqa: E402
import rogue.protocols.packetizer as packetizer  # noqa: E402
import rogue.protocols.rssi as rssi  # noqa: E402
import rogue.protocols.srp as srp  # noqa: E402
import rogue.protocols.udp as udp  # noqa: E402
import rogue.utilities as utilities  # noqa: E402
import rogue.utilities.fileio as fileio  # noqa: E402


@pytest.fixture(params=[0, 1, 2])
def wire(request: pytest.FixtureRequest) -> Iterator[FrontEndWire]:
    made = FrontEndWire(FrontEndFirmware(2), batch=request.param, status=0)
    made._start()
    yield made
    made._stop()


def test_registers_data_and_recording_with_the_stack_put_together_by_hand(
    wire: FrontEndWire, tmp_path: Path
) -> None:
    net = udp.Client("127.0.0.1", wire.port, True)
    link = rssi.Client(net.maxPayload() - 8)
    pack = packetizer.CoreV2(False, True, True)
    net == link.transport()  # noqa: B015  # Rogue's way to join both directions
    link.application() == pack.transport()  # noqa: B015
    registers = srp.SrpV3()
    pack.application(0) == registers  # noqa: B015
    writer, prbs = fileio.StreamWriter(), utilities.Prbs()
    words = writer.getChannel(2)
    if wire.firmware.batcher:
        splitter = batcher.SplitterV1() if wire.firmware.batcher == 1 else batcher.SplitterV2()
        first, second = ris.Filter(False, 1), ris.Filter(False, 2)
        pack.application(0x80) >> splitter
        splitter >> first >> prbs
        splitter >> second >> words
    else:
        pack.application(1) >> prbs
        pack.application(2) >> words
    link._start()
    try:
        _until(link.getOpen)
        root = pyrogue.Root(name="top", pollEn=False, timeout=20.0)
        root.add(pyrogue.Device(name="Board", memBase=registers))
        for name, offset, bits in (("Run", 0x10, 1), ("Count0", 0x120, 64), ("Count1", 0x220, 64)):
            root.Board.add(pyrogue.RemoteVariable(name=name, offset=offset, bitSize=bits))
        path = str(tmp_path / "rogue.dat")
        with root:
            writer.open(path)
            root.Board.Run.set(1)
            _until(lambda: prbs.getRxCount() >= 100)
            root.Board.Run.set(0)
            sent = root.Board.Count0.get(), root.Board.Count1.get()
            _until(lambda: prbs.getRxCount() == sent[0])
            assert words.waitFrameCount(sent[1], 20_000_000)
            writer.close()
        assert prbs.getRxErrors() == 0
        with pyrogue.utilities.fileio.FileReader(files=path) as reader:
            assert [header.channel for header, _ in reader.records()] == [2] * sent[1]
    finally:
        for end in (link, net, pack, registers):
            end._stop()


def _until(test: object) -> None:
    deadline = time.monotonic() + 20
    while not test():  # type: ignore[operator]  # a function
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)
