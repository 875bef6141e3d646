"""Firmware on a network as a device of the tree: `UdpRssiPack`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from sapwood.devices.packetlink import PacketLink
from sapwood.devices.polled import add_polled
from sapwood.streams.framequeue import QUEUE_BYTES, Policy
from sapwood.streams.protocols.packetizer import Application
from sapwood.tree import Device, LocalCommand, LocalVariable

__all__ = ["UdpRssiPack"]

DRAIN_S = 1.0  # at most, when the tree stops; a board that goes on sending is never dry

STATUS = (  # name, getter of the RSSI link, description
    ("rssiOpen", "getOpen", "Whether the link is open"),
    ("rssiDownCount", "getDownCount", "How often the open link broke"),
    ("rssiDropCount", "getDropCount", "Segments that came and were not used"),
    ("rssiRetranCount", "getRetranCount", "Segments that were sent again"),
    ("locBusy", "getLocBusy", "Whether the receivers here leave too much waiting"),
    ("locBusyCnt", "getLocBusyCnt", "How often this end became busy"),
    ("remBusy", "getRemBusy", "Whether the other end is busy"),
    ("remBusyCnt", "getRemBusyCnt", "How often the other end became busy"),
    ("curMaxBuffers", "curMaxBuffers", "Segments that may be unacknowledged, as agreed"),
    ("curMaxSegment", "curMaxSegment", "Largest segment, header included, as agreed"),
    ("curCumAckTout", "curCumAckTout", "Longest delay of an acknowledge, as agreed"),
    ("curRetranTout", "curRetranTout", "Age at which a segment is sent again, as agreed"),
    ("curNullTout", "curNullTout", "NULL time-out, as agreed"),
    ("curMaxRetran", "curMaxRetran", "Times a segment is sent before the link is broken, as agreed"),
    ("curMaxCumAck", "curMaxCumAck", "Segments after which an acknowledge is sent at once, as agreed"),
)
SETTINGS = (  # part of the name, whether it may stand in `defaults`, description
    ("TryPeriod", False, "Time between two calls of a client"),
    ("MaxBuffers", True, "Segments that may be unacknowledged"),
    ("MaxSegment", False, "Largest segment, header included"),
    ("CumAckTout", True, "Longest delay of an acknowledge"),
    ("RetranTout", True, "Age at which a segment is sent again"),
    ("NullTout", True, "After a third of it an idle end sends a sign of life"),
    ("MaxRetran", True, "Times a segment is sent before the link is broken"),
    ("MaxCumAck", True, "Segments after which an acknowledge is sent at once"),
)
HIDDEN = ("locBusy", "remBusy")


def _units(name: str) -> str | None:
    if name.endswith(("Tout", "Period")):
        return "ms"
    return "Bytes" if name.endswith("Segment") else None


class UdpRssiPack(Device):
    """UDP, RSSI and packetizer in one: ``application(dest)`` is the stream end of each TDEST.

    Add it before the devices that are reached through it, for devices start in the order they were
    added. The settings hold from the next opening of the link on.

    Parameters
    ----------
    port, host
        Of the board; as a server the own port (0 takes a free one), at all interfaces.
    jumbo
        Datagrams of up to 8972 bytes, not 1472.
    wait
        As a client, let the start wait for the link.
    packVer
        Version of the packetizer, 1 or 2. Version 2 sends checksums and does not check them.
    pollInterval
        Of the status variables, s.
    enSsi
        SSI framing.
    server
        Wait to be called.
    waitTimeout
        Longest that the start waits, s; then it fails with a `DeviceError`.
    refusedTimeout
        Longest that it waits while the other host answers that nobody listens at the port, s.
    receivePolicy
        Of the queues of received frames, where `application` is not told another. With ``block`` a
        receiver that leaves its queue full holds up the whole link, registers and all; with
        ``drop_new`` or ``drop_old`` none ever does.
    kwargs
        As for `Device`. Settings in `defaults` (all but ``locTryPeriod`` and ``locMaxSegment``) hold
        for the first opening.

    Raises
    ------
    DeviceError
        For another version of the packetizer.
    """

    def __init__(
        self,
        *,
        port: int,
        host: str = "127.0.0.1",
        jumbo: bool = False,
        wait: bool = True,
        packVer: int = 1,
        pollInterval: float = 1,
        enSsi: bool = True,
        server: bool = False,
        waitTimeout: float = 10.0,
        refusedTimeout: float = 3.0,
        receivePolicy: Policy = "block",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        address = "" if server else host
        self._link = PacketLink(port, address, jumbo=jumbo, packVer=packVer, enSsi=enSsi, server=server)
        self._policy = receivePolicy
        self._pack_before = (0, 0, 0)
        self._patience = (waitTimeout, refusedTimeout) if wait and not server else None
        self._take_defaults(kwargs.get("defaults") or {})
        self._add_status(pollInterval)
        self._add_settings()
        self.add(LocalCommand(name="start", description="Open the link", function=self._link._start))
        self.add(LocalCommand(name="stop", description="Close the link", function=self._link._stop))

    def _take_defaults(self, defaults: Mapping[str, Any]) -> None:
        for name, settable, _ in SETTINGS:
            if settable and f"loc{name}" in defaults:
                getattr(self._link.rssi, f"setLoc{name}")(defaults[f"loc{name}"])

    def _add_status(self, interval: float) -> None:
        for name, getter, description in STATUS:
            get = getattr(self._link.rssi, getter)
            options: dict[str, Any] = {"value": get(), "pollInterval": interval, "hidden": name in HIDDEN}
            add_polled(self, name, description, get, units=_units(name), **options)
        for place, (name, description) in enumerate(
            (
                ("packDropCount", "Packets that came and were not used"),
                ("packLostCount", "Frames of which some packet came, and that could not be completed"),
                ("packUndelivered", "Frames for a TDEST that nobody asked for"),
            )
        ):
            add_polled(self, name, description, partial(self._pack_count, place), pollInterval=interval)

    def _pack_counts(self) -> tuple[int, int, int]:
        packetizer = self._link.packetizer
        return packetizer.getDropCount(), packetizer.getLostCount(), packetizer.undelivered

    def _pack_count(self, place: int) -> int:
        """Count number `place` of `_pack_counts` since the last reset."""
        return self._pack_counts()[place] - self._pack_before[place]

    def _add_settings(self) -> None:
        rssi = self._link.rssi
        for name, _, description in SETTINGS:
            get, put = getattr(rssi, f"getLoc{name}"), getattr(rssi, f"setLoc{name}")
            self.add(
                LocalVariable(
                    name=f"loc{name}",
                    description=description,
                    mode="RW",
                    typeStr="UInt32",
                    value=get(),
                    units=_units(name),
                    localGet=get,
                    localSet=lambda value, put=put: put(value),
                )
            )

    @property
    def port(self) -> int:
        """Port of the board, or the own one as a server (0 before a free one was taken)."""
        return self._link.port

    def application(
        self, dest: int, *, policy: Policy | None = None, maxBytes: int = QUEUE_BYTES
    ) -> Application:
        """Return the stream end of TDEST `dest` (0..255).

        Parameters
        ----------
        policy, maxBytes
            Of the queue of received frames, for the first call with this `dest`; the policy is
            that of the device (`receivePolicy`) unless it is given here.
        """
        return self._link.packetizer.application(dest, policy=policy or self._policy, maxBytes=maxBytes)

    def countReset(self) -> None:
        """Zero the counters of the link."""
        self._link.rssi.resetCounters()
        self._pack_before = self._pack_counts()
        super().countReset()

    def _start(self) -> None:
        """Open the link, wait for it as far as asked to, then start what is below."""
        self._link._start()
        if self._patience is not None:
            self._link.waitOpen(*self._patience)
        super()._start()

    def _runDry(self, deadline: float) -> None:
        """Let what is under way arrive, at both ends (for 1 s at most)."""
        self._link._runDry(min(deadline, time.monotonic() + DRAIN_S))
        super()._runDry(deadline)

    def _stop(self) -> None:
        """Stop what is below, then close the link."""
        try:
            super()._stop()
        finally:
            self._link._stop()
