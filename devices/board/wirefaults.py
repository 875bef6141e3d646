"""All faults of a board on a network in one place."""

from __future__ import annotations

from typing import Any, Literal

from sapwood.devices.board.faults import RegisterFaults
from sapwood.devices.board.netfaults import DatagramFaults
from sapwood.devices.board.requestgate import RequestGate
from sapwood.errors import DeviceError

__all__ = ["Direction", "WireFaults"]

Direction = Literal["in", "out", "both"]


class WireFaults:
    """What can be spoilt between a client and the registers of a board, at any time.

    Parameters
    ----------
    slave
        Holds the registers.

    Attributes
    ----------
    inbound, outbound
        Datagrams to and from the board.
    requests
        Register requests on their way from RSSI to the registers.
    registers
        The registers themselves.
    """

    def __init__(self, slave: Any) -> None:
        self.inbound = DatagramFaults("FaultsIn")
        self.outbound = DatagramFaults("FaultsOut")
        self.requests = RequestGate()
        self.registers = slave if isinstance(slave, RegisterFaults) else RegisterFaults(slave)

    def datagrams(self, direction: Direction = "both") -> list[DatagramFaults]:
        """Return the faults of datagrams in a direction; DeviceError when there is no such thing."""
        found = {"in": [self.inbound], "out": [self.outbound], "both": [self.inbound, self.outbound]}
        if direction not in found:
            raise DeviceError("No such direction", expected="in, out or both", seen=direction)
        return found[direction]

    def network(self, direction: Direction = "both", *, seed: int | None = None, **changes: float) -> None:
        """Change ``loss``, ``reorder``, ``duplicate`` (0..1) and ``delay`` (s) of datagrams.

        Parameters
        ----------
        seed
            Lets the random numbers begin anew; None leaves them as they are.
        changes
            As of `DatagramSettings`; what is not named stays.
        """
        for faults in self.datagrams(direction):
            if seed is not None:
                faults.seed(seed)
            faults.set(**changes)

    def clear(self) -> None:
        """Spoil nothing any more; the counts of what was spoilt stay."""
        self.inbound.clear()
        self.outbound.clear()
        self.requests.clear()
        self.registers.clear()

    @property
    def hits(self) -> dict[str, int]:
        """What was spoilt so far: datagrams (``in.lost``, ...), requests and register accesses."""
        parts = (("in.", self.inbound), ("out.", self.outbound), ("", self.requests), ("", self.registers))
        return {prefix + kind: count for prefix, part in parts for kind, count in part.hits.items() if count}

    def _start(self) -> None:
        for part in (self.inbound, self.outbound, self.requests):
            part._start()

    def _stop(self) -> None:
        for part in (self.inbound, self.outbound, self.requests):
            part._stop()
