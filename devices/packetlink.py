"""The stack that firmware speaks on a network, without a tree: UDP, RSSI and packetizer in one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from sapwood.errors import DeviceError
from sapwood.streams import disconnect, drain, streamConnect, streamConnectBiDir
from sapwood.streams.protocols.packetizer import Core, CoreV2
from sapwood.streams.transports import rssi, udp

__all__ = ["PacketLink"]

HEADER = 8  # bytes of RSSI that a datagram spares
LOOK_S = 0.05  # between looks at what the network says
FRESH_S = 1.0  # that its word counts
STOP_S = 2.0  # that a stop gives all receivers together to take what came
REFUSED = "Nobody listens at this port: is the board on, and is the port right?"
SILENT = "Is the board on, is the port right, and has it no other client?"


def _never() -> bool:
    return False


class _Server(udp.Server):
    """Takes no datagrams of newcomers while `taken` says that somebody is there."""

    def __init__(self, port: int, jumbo: bool, host: str, taken: Callable[[], bool]) -> None:
        super().__init__(port, jumbo, host=host)
        self._taken = taken

    def _is_wanted(self, sender: tuple[str, int], size: int) -> bool:
        if sender != self.peer and self._taken():
            self.counters.accept(1, size)
            self.counters.drop("source", 1, size)
            return False
        return super()._is_wanted(sender, size)


class PacketLink:
    """UDP + RSSI + packetizer; the socket is there from `_start` to `_stop`, which may come again.

    Parameters
    ----------
    port, host
        Of the far end; as a server the own port (0 takes a free one) and the interface.
    jumbo
        Datagrams of up to 8972 bytes, not 1472.
    packVer
        Version of the packetizer, 1 or 2. Version 2 sends checksums and does not check them.
    enSsi
        SSI framing.
    server
        Wait to be called.
    taps
        Stages that datagrams pass on their way in, and out; they are started and stopped by their owner.
    exclusive
        As a server: while the link is open, take no datagrams of others than its client.

    Attributes
    ----------
    rssi, packetizer
        The stages, for their settings and counters.

    Raises
    ------
    DeviceError
        For another version.
    """

    def __init__(
        self,
        port: int,
        host: str,
        *,
        jumbo: bool,
        packVer: int,
        enSsi: bool = True,
        server: bool = False,
        taps: tuple[Any, Any] | None = None,
        exclusive: bool = False,
    ) -> None:
        if packVer not in (1, 2):
            raise DeviceError("No such version of the packetizer", expected="1 or 2", seen=packVer)
        self._port = port
        self._host = host
        self._jumbo = jumbo
        self._server = server
        self._taps = taps
        self._exclusive = exclusive
        self._udp: udp.Client | udp.Server | None = None
        size = (udp.JUMBO_PAYLOAD if jumbo else udp.STANDARD_PAYLOAD) - HEADER
        self.rssi = rssi.Server(size) if server else rssi.Client(size)
        self.packetizer = CoreV2(False, True, enSsi) if packVer == 2 else Core(enSsi)
        streamConnectBiDir(self.rssi.application(), self.packetizer.transport())

    @property
    def port(self) -> int:
        """Port of the server; 0 before a free one was taken."""
        return self._port

    @property
    def peer(self) -> str:
        """``HOST:PORT`` of the other end while the link is open, else an empty text."""
        peer = self._udp.peer if isinstance(self._udp, udp.Server) else (self._host, self._port)
        return f"{peer[0]}:{peer[1]}" if peer is not None and self.rssi.getOpen() else ""

    def _start(self) -> None:
        """Open the socket and begin to call, or to wait for calls; StreamError when it cannot be opened."""
        if self._udp is not None:
            return
        if self._server:
            taken = self.rssi.getOpen if self._exclusive else _never
            server = _Server(self._port, self._jumbo, self._host, taken)
            self._udp, self._port = server, server.getPort()
        else:
            self._udp = udp.Client(self._host, self._port, self._jumbo)
        self.packetizer._start()
        for ends in self._path(self._udp):
            streamConnect(*ends)
        self.rssi._start()

    def _path(self, socket: udp.Client | udp.Server) -> list[tuple[Any, Any]]:
        """Return the links between the socket and RSSI."""
        transport = self.rssi.transport()
        if self._taps is None:
            return [(transport, socket), (socket, transport)]
        inbound, outbound = self._taps
        return [(transport, outbound), (outbound, socket), (inbound, transport), (socket, inbound)]

    def _runDry(self, deadline: float) -> bool:
        """Wait until all that was sent is acknowledged and all that came is taken; whether it was in time."""
        acknowledged = self.rssi._quiesce(deadline)
        return drain(self.rssi.application(), deadline) and acknowledged

    def _stop(self) -> None:
        """Close the link and the socket; receivers take what came (for 2 s at most, all together)."""
        socket, self._udp = self._udp, None
        if socket is None:
            return
        deadline = time.monotonic() + STOP_S
        self.rssi._stop(deadline)
        socket._stop()
        for ends in self._path(socket):
            disconnect(*ends)
        self.packetizer._stop(deadline)

    def waitOpen(self, timeout: float, refusedTimeout: float = math.inf) -> None:
        """Wait until the link is open.

        Parameters
        ----------
        timeout
            Longest wait, s.
        refusedTimeout
            Longest wait while the other host answers that nobody listens at the port, s.

        Raises
        ------
        DeviceError
            When the link is not open by then.
        """
        begin = time.monotonic()
        while not self.rssi.waitOpen(max(0.0, min(LOOK_S, begin + timeout - time.monotonic()))):
            now = time.monotonic()
            refusal = self._refusal(now)
            refused = isinstance(refusal, ConnectionRefusedError)
            if now - begin >= min(timeout, refusedTimeout if refused else math.inf):
                told = f"; the network says: {refusal.strerror}" if refusal is not None else ""
                raise DeviceError(
                    f"No RSSI link with {self._host}:{self._port}",
                    expected="an answer",
                    seen=f"none in {now - begin:.1f} s{told}",
                    hint=REFUSED if refused else SILENT,
                )

    def _refusal(self, now: float) -> OSError | None:
        """Return what the network says of what is sent, None when it said nothing lately."""
        told = None if self._udp is None else self._udp.refusal
        return told[1] if told is not None and now - told[0] < FRESH_S else None
