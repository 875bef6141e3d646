"""The stack that firmware speaks on a network, without a tree: UDP, RSSI and packetizer in one."""

from __future__ import annotations

import time

from sapwood.errors import DeviceError
from sapwood.streams import disconnect, drain, streamConnectBiDir
from sapwood.streams.protocols.packetizer import Core, CoreV2
from sapwood.streams.transports import rssi, udp

__all__ = ["PacketLink"]

HEADER = 8  # bytes of RSSI that a datagram spares


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
        self, port: int, host: str, *, jumbo: bool, packVer: int, enSsi: bool = True, server: bool = False
    ) -> None:
        if packVer not in (1, 2):
            raise DeviceError("No such version of the packetizer", expected="1 or 2", seen=packVer)
        self._port = port
        self._host = host
        self._jumbo = jumbo
        self._server = server
        self._udp: udp.Client | udp.Server | None = None
        size = (udp.JUMBO_PAYLOAD if jumbo else udp.STANDARD_PAYLOAD) - HEADER
        self.rssi = rssi.Server(size) if server else rssi.Client(size)
        self.packetizer = CoreV2(False, True, enSsi) if packVer == 2 else Core(enSsi)
        streamConnectBiDir(self.rssi.application(), self.packetizer.transport())

    @property
    def port(self) -> int:
        """Port of the server; 0 before a free one was taken."""
        return self._port

    def _start(self) -> None:
        """Open the socket and begin to call, or to wait for calls; StreamError when it cannot be opened."""
        if self._udp is not None:
            return
        if self._server:
            server = udp.Server(self._port, self._jumbo, host=self._host)
            self._udp, self._port = server, server.getPort()
        else:
            self._udp = udp.Client(self._host, self._port, self._jumbo)
        self.packetizer._start()
        streamConnectBiDir(self._udp, self.rssi.transport())
        self.rssi._start()

    def _runDry(self, deadline: float) -> bool:
        """Wait until all that was sent is acknowledged and all that came is taken; whether it was in time."""
        acknowledged = self.rssi._quiesce(deadline)
        return drain(self.rssi.application(), deadline) and acknowledged

    def _stop(self) -> None:
        """Close the link and the socket; receivers take what came (for 2 s at most)."""
        socket, self._udp = self._udp, None
        if socket is None:
            return
        self.rssi._stop()
        socket._stop()
        disconnect(socket, self.rssi.transport())
        disconnect(self.rssi.transport(), socket)
        self.packetizer._stop()

    def waitOpen(self, timeout: float) -> None:
        """Wait until the link is open.

        Raises
        ------
        DeviceError
            When it is not after `timeout` seconds.
        """
        begin = time.monotonic()
        if not self.rssi.waitOpen(timeout):
            raise DeviceError(
                f"No RSSI link with {self._host}:{self._port}",
                expected="an answer",
                seen=f"none in {time.monotonic() - begin:.1f} s",
                hint="Is the board on, and is the port right? wait=False starts without it.",
            )
